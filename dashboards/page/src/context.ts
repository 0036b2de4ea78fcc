import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { Source } from "./source";
import { Missing } from "./source";

export const SourceContext = createContext<Source | null>(null);

export function useSource(): Source {
  const source = useContext(SourceContext);
  if (!source) throw new Error("a view stands outside of the page");
  return source;
}

export interface Loaded<T> {
  document: T | null;
  error: Missing | null;
}

/** Loads a document, again whenever `version` changes; keeps the old one until the new one is there. */
export function useDocument<T>(path: string | null, version: unknown = 0): Loaded<T> {
  const source = useSource();
  const [loaded, setLoaded] = useState<Loaded<T> & { path: string | null }>({ document: null, error: null, path });
  useEffect(() => {
    if (path === null) return;
    let wanted = true;
    source.get<T>(path).then(
      (document) => wanted && setLoaded({ document, error: null, path }),
      (error: unknown) => {
        const missing = error instanceof Missing ? error : new Missing(String(error), null, 0);
        if (wanted) setLoaded((old) => ({ document: old.path === path ? old.document : null, error: missing, path }));
      },
    );
    return () => {
      wanted = false;
    };
  }, [source, path, version]);
  return loaded.path === path ? loaded : { document: null, error: null };
}

import { useEffect, useState } from "preact/hooks";
import { useSource } from "./context";
import type { RunDocument } from "./documents";
import { Missing, runPath } from "./source";

export interface Live {
  run: RunDocument | null;
  /** Grows with every increment: give it to `useDocument` as the version. */
  version: number;
  /** Null where nothing is followed: in a report, or for a run that cannot be opened. */
  connected: boolean | null;
  /** Why there is no run. */
  error: Missing | null;
}

const EMPTY: Live = { run: null, version: 0, connected: null, error: null };

/** Follows a run: by server-sent events while it is being written, not at all in a report. */
export function useLive(name: string | null): Live {
  const source = useSource();
  const [live, setLive] = useState<Live & { name: string | null }>({ ...EMPTY, name });
  useEffect(() => {
    setLive({ ...EMPTY, name });
    if (name === null) return;
    let stop = (): void => undefined;
    let wanted = true;
    source.get<RunDocument>(runPath(name)).then(
      (run) => {
        if (!wanted) return;
        setLive({ run, version: run.seq, connected: null, error: null, name });
        if (!source.live || run.kind === "unreadable") return;
        stop = source.follow(
          name,
          run.seq,
          (increment) => setLive((old) => ({ ...old, run: increment.run, version: increment.seq })),
          (connected) => setLive((old) => ({ ...old, connected })),
        );
      },
      (error: unknown) => {
        const missing = error instanceof Missing ? error : new Missing(String(error), null, 0);
        if (wanted) setLive({ ...EMPTY, error: missing, name });
      },
    );
    return () => {
      wanted = false;
      stop();
    };
  }, [source, name]);
  return live.name === name ? live : EMPTY;
}

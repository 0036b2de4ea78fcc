import { useEffect, useState } from "preact/hooks";
import { useSource } from "./context";
import type { RunDocument } from "./documents";
import { runPath } from "./source";

export interface Live {
  run: RunDocument | null;
  /** Grows with every increment: give it to `useDocument` as the version. */
  version: number;
  connected: boolean;
}

/** Follows a run: by server-sent events while it is being written, not at all in a report. */
export function useLive(name: string | null): Live {
  const source = useSource();
  const [live, setLive] = useState<Live>({ run: null, version: 0, connected: false });
  useEffect(() => {
    setLive({ run: null, version: 0, connected: false });
    if (name === null) return;
    let stop = (): void => undefined;
    let wanted = true;
    source.get<RunDocument>(runPath(name)).then(
      (run) => {
        if (!wanted) return;
        setLive({ run, version: run.seq, connected: false });
        if (!source.live || run.kind === "unreadable") return;
        stop = source.follow(
          name,
          run.seq,
          (increment) => setLive((old) => ({ ...old, run: increment.run, version: increment.seq })),
          (connected) => setLive((old) => ({ ...old, connected })),
        );
      },
      () => undefined,
    );
    return () => {
      wanted = false;
      stop();
    };
  }, [source, name]);
  return live;
}

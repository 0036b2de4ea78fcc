import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { address, parseRoute } from "../route";
import type { Quantity } from "./quantities";
import { type FrontState, formatState, parseState } from "./state";

/** Browsers refuse too many changes of the address in a row, so the last of a drag is written. */
const QUIET_MS = 200;

const isSame = (first: FrontState, second: FrontState, quantities: readonly Quantity[]): boolean =>
  JSON.stringify(formatState(first, quantities)) === JSON.stringify(formatState(second, quantities));

export type Change = (change: Partial<FrontState>) => void;

/** The state of the view: it follows the address, and the address follows it. */
export function useFrontState(run: string, parameters: URLSearchParams, quantities: readonly Quantity[]): [FrontState, Change] {
  const told = useMemo(() => parseState(parameters, quantities, run), [parameters.toString(), quantities, run]);
  const [draft, setDraft] = useState<FrontState | null>(null);
  const waiting = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const state = draft ?? told;
  const latest = useRef(state);
  latest.current = state;
  // An address that says what is shown already keeps the state as it is, and nothing is drawn again.
  useEffect(() => setDraft((old) => (old && isSame(old, told, quantities) ? old : null)), [told]);
  useEffect(() => () => clearTimeout(waiting.current), [run]);
  const change = useCallback<Change>(
    (part) => {
      const next = { ...latest.current, ...part };
      latest.current = next;
      setDraft(next);
      clearTimeout(waiting.current);
      // Replaced, not added: the way back leads out of the view, not through every step of a slider.
      waiting.current = setTimeout(() => {
        const here = parseRoute(location.hash);
        // Who has gone on to another view in the meantime is not called back.
        if (here.view === "front" && here.run === run) location.replace(address("front", run, formatState(next, quantities)));
      }, QUIET_MS);
    },
    [run, quantities],
  );
  return [state, change];
}

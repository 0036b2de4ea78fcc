import { useEffect, useRef, useState } from "preact/hooks";
import { type Loaded, useSource } from "./context";
import type { TrialsDocument } from "./documents";
import { Missing } from "./source";

type Column = unknown[];
type Group = Record<string, Column>;

const SINGLE = ["state", "family", "wiring", "architecture", "proposed_by", "batch", "duplicate_of", "feasible", "on_front", "seconds", "reason"] as const;
const GROUPS = ["values", "low", "high", "measures"] as const;

/** The trials with those that changed put in their places, new ones behind. Neither argument changes. */
export function mergeTrials(old: TrialsDocument, news: TrialsDocument): TrialsDocument {
  const place = new Map(old.trial.map((trial, row) => [trial, row]));
  const trial = [...old.trial];
  for (const each of news.trial) {
    if (!place.has(each)) {
      place.set(each, trial.length);
      trial.push(each);
    }
  }
  const rows = news.trial.map((each) => place.get(each) ?? 0);
  const put = (before: Column | undefined, changed: Column | undefined): Column => {
    const column: Column = before ? [...before] : Array.from(old.trial, () => null);
    while (column.length < trial.length) column.push(null);
    for (const [place, row] of rows.entries()) column[row] = changed?.[place] ?? null;
    return column;
  };
  const merged: Record<string, unknown> = { ...old, seq: news.seq, total: news.total, trial };
  for (const name of SINGLE) merged[name] = put(old[name], news[name]);
  for (const name of GROUPS) {
    const before: Group = old[name];
    const changed: Group = news[name];
    const names = [...new Set([...Object.keys(before), ...Object.keys(changed)])];
    merged[name] = Object.fromEntries(names.map((each) => [each, put(before[each], changed[each])]));
  }
  if (news.front) {
    const front = new Set(news.front);
    merged["front"] = news.front;
    merged["on_front"] = trial.map((each) => front.has(each));
  }
  return merged as unknown as TrialsDocument;
}

/** Loads the trials of a run once, and from then on only those that changed. */
export function useTrials(path: string | null, version: number): Loaded<TrialsDocument> {
  const source = useSource();
  const [loaded, setLoaded] = useState<Loaded<TrialsDocument> & { path: string | null }>({ document: null, error: null, path });
  const latest = useRef(loaded);
  useEffect(() => {
    if (path === null) return;
    let wanted = true;
    const keep = (found: Loaded<TrialsDocument>): void => {
      if (!wanted) return;
      latest.current = { ...found, path };
      setLoaded(latest.current);
    };
    const known = latest.current.path === path ? latest.current.document : null;
    const asked = known && source.live ? `${path}?after=${known.seq}` : path;
    source.get<TrialsDocument>(asked).then(
      (document) => keep({ document: known && source.live ? mergeTrials(known, document) : document, error: null }),
      (error: unknown) => keep({ document: known, error: error instanceof Missing ? error : new Missing(String(error), null, 0) }),
    );
    return () => {
      wanted = false;
    };
  }, [source, path, version]);
  return loaded.path === path ? loaded : { document: null, error: null };
}

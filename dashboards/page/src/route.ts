import { useEffect, useState } from "preact/hooks";

export const VIEWS = ["overview", "front", "trial", "supernet", "progress", "space", "failures", "provenance", "compare"] as const;
export type View = (typeof VIEWS)[number];

/** A place on the page: `#/run/NAME/VIEW?key=value`, `#/` for all runs, `#/compare?runs=A,B`. */
export interface Route {
  view: View;
  run: string | null;
  parameters: URLSearchParams;
}

/** A part of an address as it was meant; nothing where it is mangled. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const parameters = new URLSearchParams(query);
  const parts = path.split("/").map(decoded);
  if (parts[0] === "run" && parts[1]) {
    const view = (VIEWS as readonly string[]).includes(parts[2] ?? "") ? (parts[2] as View) : "front";
    return { view, run: parts[1], parameters };
  }
  return { view: parts[0] === "compare" ? "compare" : "overview", run: null, parameters };
}

export function address(view: View, run: string | null, parameters: Record<string, string | number> = {}): string {
  const query = new URLSearchParams(Object.entries(parameters).map(([key, value]) => [key, String(value)])).toString();
  const path = run === null ? (view === "compare" ? "#/compare" : "#/") : `#/run/${encodeURIComponent(run)}/${view}`;
  return query ? `${path}?${query}` : path;
}

export function go(view: View, run: string | null, parameters: Record<string, string | number> = {}): void {
  location.hash = address(view, run, parameters);
}

const left = new Map<string, string>();

const keyOf = (view: View, run: string | null): string => JSON.stringify([run, view]);

/** Remembers how a view of a run was left: its limits, its trial. */
export function leave(hash: string): void {
  const { view, run } = parseRoute(hash);
  if (run !== null) left.set(keyOf(view, run), hash);
}

/** The view of a run as it was left, or as it opens first. */
export function lastAddress(view: View, run: string | null): string {
  return left.get(keyOf(view, run)) ?? address(view, run);
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const update = (event: HashChangeEvent): void => {
      // The old address has what a view wrote into it since, without an event of its own.
      leave(event.oldURL.slice(event.oldURL.indexOf("#")));
      setRoute(parseRoute(location.hash));
    };
    addEventListener("hashchange", update);
    return () => removeEventListener("hashchange", update);
  }, []);
  return route;
}

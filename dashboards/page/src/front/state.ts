/** What the front view shows, as the parameters of its address: a link shows the same again. */

import type { Quantity } from "./quantities";
import { defaultAxes } from "./quantities";

export const FITS = ["most", "front", "all"] as const;
/** Which trials the axes must hold: all, all but the far worst, or the front and the baselines. */
export type Fit = (typeof FITS)[number];

export interface FrontState {
  x: string;
  y: string;
  size: string | null;
  logX: boolean;
  logY: boolean;
  fit: Fit;
  /** Upper limits by quantity. */
  limits: Record<string, number>;
  hidden: string[];
  /** Other runs that are drawn over this one. */
  runs: string[];
  chosen: number[];
}

const LIMIT = "max:";

/** Trial numbers shortly: `1-5,7`. */
export function formatNumbers(numbers: readonly number[]): string {
  const ordered = [...new Set(numbers)].sort((first, second) => first - second);
  const parts: string[] = [];
  for (let place = 0; place < ordered.length; place += 1) {
    const first = ordered[place] as number;
    while (ordered[place + 1] === (ordered[place] as number) + 1) place += 1;
    const last = ordered[place] as number;
    parts.push(first === last ? `${first}` : `${first}-${last}`);
  }
  return parts.join(",");
}

const MOST_CHOSEN = 200_000;

/** Reads `formatNumbers`; what is no number is left out, and a link cannot ask for too many. */
export function parseNumbers(text: string): number[] {
  const found: number[] = [];
  for (const part of text.split(",")) {
    const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part.trim());
    if (!match) continue;
    const first = Number(match[1]);
    const last = Math.min(Number(match[2] ?? match[1]), first + MOST_CHOSEN - found.length - 1);
    for (let each = first; each <= last; each += 1) found.push(each);
  }
  return found;
}

const list = (text: string | null): string[] => [...new Set((text ?? "").split(",").filter((each) => each !== ""))];

/** Reads the address; names that the run does not know fall back to the default. */
export function parseState(parameters: URLSearchParams, quantities: readonly Quantity[], run: string): FrontState {
  const known = new Set(quantities.map((each) => each.name));
  const chosen = (key: string): string | null => {
    const name = parameters.get(key);
    return name !== null && known.has(name) ? name : null;
  };
  const axes = defaultAxes(quantities);
  const log = parameters.get("log") ?? "";
  const fit = parameters.get("fit");
  const limits: Record<string, number> = {};
  for (const [key, value] of parameters) {
    const name = key.slice(LIMIT.length);
    if (key.startsWith(LIMIT) && known.has(name) && value !== "" && Number.isFinite(Number(value))) limits[name] = Number(value);
  }
  return {
    x: chosen("x") ?? axes.x,
    y: chosen("y") ?? axes.y,
    size: parameters.get("size") === "none" ? null : (chosen("size") ?? axes.size),
    logX: log.includes("x"),
    logY: log.includes("y"),
    fit: (FITS as readonly string[]).includes(fit ?? "") ? (fit as Fit) : "most",
    limits,
    hidden: list(parameters.get("hide")),
    runs: list(parameters.get("runs")).filter((each) => each !== run),
    chosen: parseNumbers(parameters.get("chosen") ?? ""),
  };
}

/** Writes what differs from the default, so that a plain view has a plain address. */
export function formatState(state: FrontState, quantities: readonly Quantity[]): Record<string, string> {
  const axes = defaultAxes(quantities);
  const written: Record<string, string> = {};
  if (state.x !== axes.x) written["x"] = state.x;
  if (state.y !== axes.y) written["y"] = state.y;
  if (state.size !== axes.size) written["size"] = state.size ?? "none";
  if (state.logX || state.logY) written["log"] = `${state.logX ? "x" : ""}${state.logY ? "y" : ""}`;
  if (state.fit !== "most") written["fit"] = state.fit;
  for (const [name, limit] of Object.entries(state.limits)) written[LIMIT + name] = String(limit);
  if (state.hidden.length) written["hide"] = state.hidden.join(",");
  if (state.runs.length) written["runs"] = state.runs.join(",");
  if (state.chosen.length) written["chosen"] = formatNumbers(state.chosen);
  return written;
}

/** What a trial can be placed by: objectives, measures, and what the front tells of its points. */

import type { Baseline, FrontDocument, FrontPoint, Objective, TrialsDocument } from "../documents";
import { number, percent } from "../parts/numbers";

export interface Quantity {
  /** Name in the documents, and in the address of the page. */
  name: string;
  label: string;
  /** What a bracket of the name says, such as the runtime of a latency. */
  detail: string | null;
  unit: string | null;
  source: string | null;
  kind: "objective" | "measure";
}

/** A value with the ends of its interval, where it has one. */
export interface Span {
  value: number;
  low: number | null;
  high: number | null;
}

/** Errors learned with shared weights, and the error of the same network after training alone. */
export const INHERITED = "error_inherited";
export const CONFIRMED = "error_confirmed";

const MEASURES: Record<string, { label: string; unit: string | null }> = {
  parameters: { label: "parameters", unit: null },
  macs: { label: "MACs", unit: null },
  bytes: { label: "memory", unit: "bytes" },
  depth: { label: "depth", unit: "nodes" },
  critical_path: { label: "critical path", unit: "nodes" },
  latency_ms: { label: "latency", unit: "ms" },
  [INHERITED]: { label: "error, inherited and retrained", unit: null },
  [CONFIRMED]: { label: "error, retrained (test)", unit: null },
  probability_front: { label: "probability of the front", unit: null },
  hypervolume_contribution: { label: "hypervolume added", unit: null },
  trial: { label: "trial number", unit: null },
};

export const isFraction = (name: string): boolean => /^(error|accuracy|probability)(_|$)/.test(name);

/** Name of a quantity in words: `latency_ms[eager,b1]@pi4` is "latency on pi4" with the detail "eager, b1". */
export function quantityOf(objective: Objective, kind: Quantity["kind"] = "objective"): Quantity {
  const [, base = objective.name, bracket, device] = /^([^[\]@]+)(?:\[([^\]]*)\])?(?:@(.+))?$/.exec(objective.name) ?? [];
  const known = MEASURES[objective.name];
  const bare = objective.unit !== null && base.endsWith(`_${objective.unit}`) ? base.slice(0, -objective.unit.length - 1) : base;
  return {
    name: objective.name,
    label: (known?.label ?? bare.replaceAll("_", " ")) + (device ? ` on ${device}` : ""),
    detail: bracket ? bracket.replaceAll(",", ", ") : null,
    unit: objective.unit === "count" || objective.unit === "fraction" ? null : (objective.unit ?? known?.unit ?? null),
    source: objective.source,
    kind,
  };
}

/** All quantities that trials of the run have a value of, objectives first. */
export function quantitiesOf(front: FrontDocument, trials: TrialsDocument | null): Quantity[] {
  const objectives = front.objectives.map((each) => quantityOf(each));
  const taken = new Set(objectives.map((each) => each.name));
  const measured = Object.entries(trials?.measures ?? {})
    .filter(([, column]) => column.some((value) => value !== null))
    .map(([name]) => name);
  const values = Object.keys(trials?.values ?? {});
  const told = ["parameters", "macs", INHERITED].filter((name) => front.points.some((point) => spanOf(point, name) !== null));
  const derived = ["probability_front", "hypervolume_contribution", "trial"];
  const names = [...new Set([...values, ...told, ...measured, ...derived])].filter((name) => !taken.has(name));
  return distinct([...objectives, ...names.map((name) => quantityOf({ name, unit: null, source: null }, "measure"))]);
}

/** Where two quantities would be called alike, such as latencies of two runtimes, their details belong to their names. */
function distinct(quantities: readonly Quantity[]): Quantity[] {
  const counts = new Map<string, number>();
  for (const { label } of quantities) counts.set(label, (counts.get(label) ?? 0) + 1);
  return quantities.map((each) => ((counts.get(each.label) ?? 0) > 1 && each.detail !== null ? { ...each, label: `${each.label} ${each.detail}`, detail: null } : each));
}

export const titleOf = (quantity: Quantity): string =>
  `${quantity.label}${quantity.unit ? ` (${quantity.unit})` : ""}${quantity.detail ? `, ${quantity.detail}` : ""}`;

/** A value as people write it: shares in percent, large counts with a letter, else four digits. */
export function valueText(name: string, value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "-";
  if (isFraction(name)) return percent(value);
  if (name === "macs" || name === "parameters" || name === "bytes") return shortNumber(value);
  return number(value, digits);
}

/** A number of an axis, shortly: `0.05`, `150k`, `2.5M`. */
export function shortNumber(value: number): string {
  for (const [from, unit, letter] of [[1e9, 1e9, "G"], [1e6, 1e6, "M"], [1e4, 1e3, "k"]] as const) {
    if (Math.abs(value) >= from && Math.abs(value) < 1e15) return `${Number((value / unit).toPrecision(4))}${letter}`;
  }
  return String(Number(value.toPrecision(4)));
}

/** Text of a tick; shares are told in percent. */
export function tickText(name: string, value: number): string {
  return isFraction(name) ? `${Number((100 * value).toPrecision(4))} %` : shortNumber(value);
}

/** A value with half of its interval; lopsided intervals are written with both ends. */
export function spanText(name: string, span: Span | null, unit: string | null = null): string {
  if (!span) return "-";
  const tail = unit ? ` ${unit}` : "";
  if (span.low === null || span.high === null || span.low === span.high) return valueText(name, span.value) + tail;
  const half = (span.high - span.low) / 2;
  if (Math.abs(span.high + span.low - 2 * span.value) > 0.02 * (span.high - span.low))
    return `${valueText(name, span.value)} (${valueText(name, span.low, 3)} to ${valueText(name, span.high, 3)})${tail}`;
  return isFraction(name) ? `${(100 * span.value).toFixed(2)} ± ${(100 * half).toFixed(2)} %` : `${number(span.value)} ± ${number(half, 2)}${tail}`;
}

const around = (value: number | null | undefined, half: number | null | undefined): Span | null => {
  if (value === null || value === undefined) return null;
  return half === null || half === undefined ? { value, low: null, high: null } : { value, low: value - half, high: value + half };
};

/** What an entry of the front document says of a quantity; null where it says nothing. */
export function spanOf(entry: FrontPoint | Baseline, name: string): Span | null {
  const objective = entry.objectives?.[name];
  if (objective) return { value: objective.value, low: objective.low ?? null, high: objective.high ?? null };
  if (name === INHERITED) return around(entry.error_inherited, entry.error_inherited_bar);
  if (name === CONFIRMED) return around(entry.error_confirmed_mean, entry.error_confirmed_std);
  if (name === "latency_ms") return around(entry.latency_ms, entry.latency_bar_ms);
  if (name === "trial") return around(entry.trial, null);
  if (name === "macs" || name === "parameters" || name === "probability_front" || name === "hypervolume_contribution")
    return around(entry[name], null);
  return null;
}

/** The quantity that a retrained network is judged by where this one is learned with shared weights. */
export const retrainedTwin = (name: string): string | null => (name === INHERITED || name === "error" ? CONFIRMED : null);

const COSTS = /^(latency|energy|macs|parameters|bytes|memory|critical_path|depth)/;

/** Whether an objective tells the inherited error already, so that it need not stand twice. */
export const tellsInherited = (names: Iterable<string>): boolean => [...names].includes("error");

/** Default axes: a cost below, what is learned beside it; a third objective gives the size. */
export function defaultAxes(quantities: readonly Quantity[]): { x: string; y: string; size: string | null } {
  const objectives = quantities.filter((each) => each.kind === "objective");
  const learned = objectives.find((each) => !COSTS.test(each.name)) ?? objectives[0];
  const costs = [...objectives.filter((each) => each !== learned), ...quantities.filter((each) => each.kind === "measure")];
  const cost = costs.find((each) => each.kind === "objective" && COSTS.test(each.name)) ?? costs[0];
  const third = objectives.find((each) => each !== learned && each !== cost);
  return { x: cost?.name ?? "trial", y: learned?.name ?? "trial", size: third?.name ?? null };
}

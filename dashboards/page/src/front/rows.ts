/** The finished trials of a run as columns of numbers, NaN where a value is unknown. */

import type { FrontDocument, FrontPoint, TrialsDocument } from "../documents";
import { INHERITED, spanOf } from "./quantities";

export interface ColumnOfNumbers {
  value: Float64Array;
  low: Float64Array;
  high: Float64Array;
}

export interface Rows {
  readonly count: number;
  readonly trial: readonly number[];
  readonly family: readonly (string | null)[];
  readonly wiring: readonly (string | null)[];
  /** False for trials that break a constraint of the run itself. */
  readonly feasible: readonly boolean[];
  readonly front: readonly (FrontPoint | null)[];
  readonly placeOf: ReadonlyMap<number, number>;
  /** Families in the order in which they take colours and shapes. */
  readonly families: readonly string[];
  /** Probability of being non-dominated of trials beside the front that may belong to it. */
  readonly near: ReadonlyMap<number, number>;
  column(name: string): ColumnOfNumbers;
}

const PATTERNS = ["residual", "dense", "fractal", "hierarchical", "harmonic", "free", "mixed", "chain"];

/** Families in a fixed order, so that a family looks the same in every run. */
export function familiesOf(found: Iterable<string | null | undefined>): string[] {
  const names = new Set([...found].filter((each): each is string => typeof each === "string"));
  const others = [...names].filter((each) => !PATTERNS.includes(each)).sort();
  return others.length === 0 ? PATTERNS : [...PATTERNS, ...others];
}

/**
 * Wiring family of an entry. A baseline's family names its kind of network, so its wiring tells
 * instead: one pattern throughout, or mixed.
 */
export function familyOf(entry: { name?: string; family?: string | null; wiring?: string | null }): string | null {
  if (entry.family && entry.name === undefined) return entry.family;
  const patterns = [...new Set((entry.wiring ?? "").split("-").filter((each) => each !== ""))];
  return patterns.length > 1 ? "mixed" : (patterns[0] ?? entry.family ?? null);
}

/** Joins both documents by trial; while the trials are not there yet, the front's points stand alone. */
export function rowsOf(front: FrontDocument, trials: TrialsDocument | null): Rows {
  const points = new Map(front.points.map((point) => [point.trial, point]));
  const places = trials ? finishedPlaces(trials) : [];
  const trial = trials ? places.map((place) => trials.trial[place] as number) : front.points.map((point) => point.trial);
  const at = <Value>(column: readonly Value[], place: number): Value | null => column[place] ?? null;
  const family = trials ? places.map((place) => at(trials.family, place)) : front.points.map((point) => point.family);
  const wiring = trials ? places.map((place) => at(trials.wiring, place)) : front.points.map((point) => point.wiring);
  const onFront = trial.map((each) => points.get(each) ?? null);
  const columns = new Map<string, ColumnOfNumbers>();
  const near = new Map(front.near_front.map((each) => [each.trial, each.probability_front]));
  const make = (name: string): ColumnOfNumbers => columnOf(name, trial, onFront, near, trials, places);
  return {
    count: trial.length,
    trial,
    family,
    wiring,
    feasible: trials ? places.map((place) => trials.feasible[place] !== false) : trial.map(() => true),
    front: onFront,
    placeOf: new Map(trial.map((each, place) => [each, place])),
    families: familiesOf([...family, ...front.baselines.map(familyOf)]),
    near,
    column(name) {
      const column = columns.get(name) ?? make(name);
      columns.set(name, column);
      return column;
    },
  };
}

function finishedPlaces(trials: TrialsDocument): number[] {
  return trials.trial.map((_, place) => place).filter((place) => trials.state[place] === "finished");
}

function columnOf(
  name: string,
  trial: readonly number[],
  onFront: readonly (FrontPoint | null)[],
  near: ReadonlyMap<number, number>,
  trials: TrialsDocument | null,
  places: readonly number[],
): ColumnOfNumbers {
  const source = trials?.values[name] ?? trials?.measures[name] ?? (name === "error" ? trials?.measures[INHERITED] : undefined);
  const numbers = (column: readonly (number | null)[] | undefined): Float64Array =>
    Float64Array.from(trial, (_, row) => column?.[places[row] ?? -1] ?? Number.NaN);
  const found = { value: numbers(source), low: numbers(trials?.low[name]), high: numbers(trials?.high[name]) };
  trial.forEach((number, row) => {
    const point = onFront[row];
    const span = point ? spanOf(point, name) : null;
    if (span) {
      found.value[row] = span.value;
      found.low[row] = span.low ?? Number.NaN;
      found.high[row] = span.high ?? Number.NaN;
    }
    if (name === "trial") found.value[row] = number;
    if (name === "probability_front" && near.has(number)) found.value[row] = near.get(number) as number;
  });
  return found;
}

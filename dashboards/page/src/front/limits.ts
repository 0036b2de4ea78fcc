/** Limits that a reader sets, and what is the best of the trials that keep them. */

import type { Rows } from "./rows";
import { nonDominated } from "./staircase";

/** 1 for rows that keep every limit and the run's own constraints. What is unknown keeps no limit. */
export function keptMask(rows: Rows, limits: Readonly<Record<string, number>>): Uint8Array {
  const kept = Uint8Array.from(rows.feasible, Number);
  for (const [name, limit] of Object.entries(limits)) {
    const { value } = rows.column(name);
    for (let row = 0; row < rows.count; row += 1) if (!((value[row] as number) <= limit)) kept[row] = 0;
  }
  return kept;
}

/**
 * Rows of the front that keep the limits, and those that belong to it under limits on what is not
 * an objective: what beat them may be too large.
 */
export function frontUnder(rows: Rows, kept: Uint8Array, limits: Readonly<Record<string, number>>, objectives: readonly string[], perFamily: boolean): number[] {
  const recorded: number[] = [];
  for (let row = 0; row < rows.count; row += 1) if (rows.front[row] && kept[row]) recorded.push(row);
  if (Object.keys(limits).every((name) => objectives.includes(name))) return recorded;
  const groups = new Map<string | null, number[]>();
  for (let row = 0; row < rows.count; row += 1) {
    if (!kept[row]) continue;
    const key = perFamily ? (rows.family[row] ?? null) : null;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const columns = objectives.map((name) => rows.column(name).value);
  const found = [...groups.values()].flatMap((group) => nonDominated(columns, group));
  return [...new Set([...recorded, ...found])];
}

export interface Best {
  row: number;
  /** Trials that keep the limits and cannot be told apart from the best in this quantity. */
  ties: number[];
  /** Limits that the value keeps and its interval does not. */
  unsure: string[];
}

/** The smallest value among rows that keep the limits; among equals the one on the front, then the earlier trial. */
export function bestUnder(rows: Rows, kept: Uint8Array, name: string, limits: Readonly<Record<string, number>>): Best | null {
  const { value } = rows.column(name);
  const rank = (row: number): number => (rows.front[row] ? 0 : 1);
  let best = -1;
  for (let row = 0; row < rows.count; row += 1) {
    if (!kept[row] || Number.isNaN(value[row])) continue;
    const apart = best < 0 ? -1 : (value[row] as number) - (value[best] as number) || rank(row) - rank(best);
    if (apart < 0) best = row;
  }
  if (best < 0) return null;
  const told = rows.front[best]?.objectives[name]?.ties ?? [];
  const ties = told.filter((trial) => kept[rows.placeOf.get(trial) ?? -1] === 1);
  const unsure = Object.entries(limits)
    .filter(([limited, limit]) => (rows.column(limited).high[best] as number) > limit)
    .map(([limited]) => limited);
  return { row: best, ties, unsure };
}

/** For limits that nobody keeps: the smallest value of each limited quantity, which it would take at least. */
export function leastOf(rows: Rows, names: readonly string[]): { name: string; least: number }[] {
  return names.map((name) => {
    const { value } = rows.column(name);
    let least = Number.POSITIVE_INFINITY;
    for (let row = 0; row < rows.count; row += 1) if (rows.feasible[row] && (value[row] as number) < least) least = value[row] as number;
    return { name, least };
  });
}

export const SLIDER_STEPS = 400;

/** What a slider moves over: by ratio where values span more than a factor of ten. */
export interface Track {
  low: number;
  high: number;
  byRatio: boolean;
}

export function trackOf(values: Float64Array): Track | null {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low < high ? { low, high, byRatio: low > 0 && high / low > 10 } : null;
}

export function toStep(track: Track, value: number): number {
  const share = track.byRatio ? Math.log(value / track.low) / Math.log(track.high / track.low) : (value - track.low) / (track.high - track.low);
  return Math.round(SLIDER_STEPS * Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0)));
}

/** The value at a step, rounded to three digits and never below the smallest; null at the end: no limit. */
export function fromStep(track: Track, step: number): number | null {
  if (step >= SLIDER_STEPS) return null;
  const share = step / SLIDER_STEPS;
  const exact = track.byRatio ? track.low * (track.high / track.low) ** share : track.low + share * (track.high - track.low);
  return Math.max(track.low, Number(exact.toPrecision(4)));
}

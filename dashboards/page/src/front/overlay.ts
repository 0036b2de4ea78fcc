/** Fronts of several runs on the same axes, and the bands that they attain together. */

import type { CompareDocument } from "../documents";
import { quantityOf, titleOf } from "./quantities";
import { type Corner, staircase } from "./staircase";

export interface Overlay {
  fronts: { run: string; points: { trial: number; at: Corner }[]; line: Corner[] }[];
  bands: { best: Corner[]; median: Corner[]; worst: Corner[] } | null;
  sameData: boolean;
  /** Why nothing can be laid over, in plain words. */
  why: string | null;
  /** Axes on which it can. */
  axes: { x: string; y: string } | null;
}

const NOTHING: Overlay = { fronts: [], bands: null, sameData: true, why: null, axes: null };

/** Turns a comparison to the axes that are shown; what is compared in other objectives stays away. */
export function overlayOf(comparison: CompareDocument | null, run: string, x: string, y: string): Overlay {
  if (!comparison) return NOTHING;
  if (!comparison.objectives) return { ...NOTHING, why: comparison.why_not ?? "These runs share no two objectives." };
  const names = comparison.objectives.map((each) => each.name);
  const [xPlace, yPlace] = [names.indexOf(x), names.indexOf(y)];
  if (xPlace < 0 || yPlace < 0) {
    const titles = comparison.objectives.map((each) => titleOf({ ...quantityOf(each), detail: null }));
    const [up = y, across = x] = names;
    return { ...NOTHING, why: `These runs can be laid over each other in ${titles.join(" and ")}.`, axes: { x: across, y: up } };
  }
  const turn = (values: readonly number[]): Corner => [values[xPlace] as number, values[yPlace] as number];
  const fronts = Object.entries(comparison.fronts)
    .filter(([name]) => name !== run)
    .map(([name, points]) => {
      const placed = points.map((point) => ({ trial: point.trial, at: turn(point.values) }));
      return { run: name, points: placed, line: staircase(placed.map((point) => point.at)) };
    });
  // Bands are surfaces in the first two objectives; a third one cannot be read off them.
  const flat = xPlace < 2 && yPlace < 2 ? comparison.attainment : null;
  const line = (corners: readonly (readonly number[])[]): Corner[] => staircase(corners.map(turn));
  const bands = flat ? { best: line(flat.best), median: line(flat.median), worst: line(flat.worst) } : null;
  return { fronts, bands, sameData: comparison.same_data, why: null, axes: null };
}

/** Path of the comparison of a run with others; null without others. */
export const comparePath = (run: string, others: readonly string[]): string | null =>
  others.length ? `/api/compare?runs=${[run, ...others].map(encodeURIComponent).join(",")}` : null;

/** Axes: their range, their ticks, and where a value stands in pixels. */

import type { Fit } from "./state";

/** `low` and `high` are powers of ten on a logarithmic axis. */
export interface Scale {
  log: boolean;
  low: number;
  high: number;
  /** Values at which the axis has a number. */
  ticks: number[];
}

export const transformed = (log: boolean, value: number): number => (log ? Math.log10(value) : value);

const steps = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from + 1) }, (_, place) => from + place);

/** Round numbers between two values, about `wanted` of them. */
export function roundTicks(low: number, high: number, wanted = 6): number[] {
  const raw = (high - low) / wanted;
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9)) ?? 10) * power;
  return steps(Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)).map((place) => Number((place * step).toPrecision(12)));
}

/** Ticks of a logarithmic axis: powers of ten, with 2 and 5 between them where there is room. */
export function logTicks(low: number, high: number, wanted = 6): number[] {
  const decades = high - low;
  if (decades < 1) return roundTicks(10 ** low, 10 ** high, wanted).filter((value) => value > 0);
  const factors = decades > wanted / 2 ? [1] : [1, 2, 5];
  const every = Math.max(1, Math.ceil(decades / (2 * wanted)));
  const powers = steps(Math.floor(low), Math.ceil(high)).filter((power) => power % every === 0);
  const values = powers.flatMap((power) => factors.map((factor) => Number((factor * 10 ** power).toPrecision(12))));
  return values.filter((value) => Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9);
}

/** Beyond this, a trial is so bad that it would squeeze the rest: nine tenths, and their spread once more. */
export function robustLimit(values: readonly number[]): number {
  const ordered = Float64Array.from(values).sort();
  const first = ordered[0] ?? 0;
  const ninth = ordered[Math.floor(0.9 * (ordered.length - 1))] ?? 0;
  return ninth + Math.max(ninth - first, 1e-12);
}

const FEWEST_TO_LEAVE_OUT = 15;

/**
 * The range of an axis.
 *
 * `held` are values that must be inside, such as the front; of `others` the far worst stay outside
 * with the fit "most", and all with "front". The ends of error bars count as the others do, so that
 * one bar of a hopeless network cannot squeeze the front; with "front" the far ones stay outside.
 */
export function scaleOf(held: readonly number[], bars: readonly number[], others: readonly number[], log: boolean, fit: Fit, wanted = 6): Scale {
  const usable = (values: readonly number[]): number[] =>
    values.map((value) => transformed(log, value)).filter((value) => Number.isFinite(value));
  const inside = usable(held);
  let rest = usable(fit === "front" && inside.length ? bars : [...bars, ...others]);
  if (fit !== "all" && rest.length >= FEWEST_TO_LEAVE_OUT) {
    const limit = robustLimit([...inside, ...rest]);
    rest = rest.filter((value) => value <= limit);
  }
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const values of [inside, rest]) {
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) [low, high] = [0, 1];
  const margin = (high - low) * 0.06 || (log ? 0.1 : Math.abs(high) * 0.1 || 1);
  const start = !log && low >= 0 ? Math.max(0, low - margin) : low - margin;
  const end = high + margin;
  return { log, low: start, high: end, ticks: log ? logTicks(start, end, wanted) : roundTicks(start, end, wanted) };
}

export interface Frame {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Pixels from the left of the chart. */
export function pixelX(scale: Scale, frame: Frame, value: number): number {
  const share = (transformed(scale.log, value) - scale.low) / (scale.high - scale.low);
  return frame.left + share * (frame.width - frame.left - frame.right);
}

/** Pixels from the top of the chart. */
export function pixelY(scale: Scale, frame: Frame, value: number): number {
  const share = (transformed(scale.log, value) - scale.low) / (scale.high - scale.low);
  return frame.height - frame.bottom - share * (frame.height - frame.top - frame.bottom);
}

export const insideFrame = (frame: Frame, x: number, y: number): boolean =>
  x >= frame.left - 0.5 && x <= frame.width - frame.right + 0.5 && y >= frame.top - 0.5 && y <= frame.height - frame.bottom + 0.5;

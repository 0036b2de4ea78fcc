/** Geometry of the small marks that stand in text and tables. Lengths are in pixels. */

export interface Domain {
  low: number;
  high: number;
}

/** Smallest range that holds all values; a single value gets a range around it. */
export function domainOf(values: Iterable<number | null | undefined>): Domain | null {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value === null || value === undefined || !Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return null;
  if (low < high) return { low, high };
  const margin = Math.abs(low) / 10 || 1;
  return { low: low - margin, high: high + margin };
}

/** Place of a value between `from` and `to`; values outside of the domain stay at its ends. */
export function placed(value: number, domain: Domain, from: number, to: number): number {
  const share = (value - domain.low) / (domain.high - domain.low);
  return from + Math.min(1, Math.max(0, share)) * (to - from);
}

/** Corners of a line through the values, left to right, for `points` of an SVG polyline. */
export function sparkPoints(values: readonly number[], width: number, height: number, margin = 2): string {
  const domain = domainOf(values);
  if (!domain) return "";
  const step = values.length > 1 ? (width - 2 * margin) / (values.length - 1) : 0;
  const corners = values.map((value, place) => {
    const x = values.length > 1 ? margin + place * step : width / 2;
    return `${x.toFixed(1)},${placed(value, domain, height - margin, margin).toFixed(1)}`;
  });
  return corners.join(" ");
}

/** At most `most` values, the first and the last among them. */
export function thinned<Value>(values: readonly Value[], most: number): Value[] {
  if (values.length <= most) return [...values];
  const step = (values.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, place) => values[Math.round(place * step)] as Value);
}

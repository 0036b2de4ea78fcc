/** Which trials no other beats, and the lines that show it. Everything is minimised. */

export type Corner = readonly [number, number];

/**
 * Rows that no other candidate beats: none is as good in every column and better in one. Rows with
 * an unknown value take no part. Ordered by the first column.
 */
export function nonDominated(columns: readonly Float64Array[], candidates: readonly number[]): number[] {
  const known = candidates.filter((row) => columns.every((column) => !Number.isNaN(column[row])));
  known.sort((first, second) => {
    for (const column of columns) {
      const apart = (column[first] as number) - (column[second] as number);
      if (apart !== 0) return apart;
    }
    return first - second;
  });
  const kept: number[] = [];
  for (const row of known) if (!kept.some((other) => dominates(columns, other, row))) kept.push(row);
  return kept;
}

function dominates(columns: readonly Float64Array[], better: number, worse: number): boolean {
  let strictly = false;
  for (const column of columns) {
    const apart = (column[better] as number) - (column[worse] as number);
    if (apart > 0) return false;
    if (apart < 0) strictly = true;
  }
  return strictly;
}

/**
 * Corners of the line below which nothing was reached, from the left to the right. Between two
 * points only the worse of both is reached, so the line is a step and not a slope.
 */
export function staircase(points: readonly Corner[]): Corner[] {
  const ordered = [...points].sort((first, second) => first[0] - second[0] || first[1] - second[1]);
  const corners: Corner[] = [];
  let best = Number.POSITIVE_INFINITY;
  for (const [x, y] of ordered) {
    if (y >= best) continue;
    if (corners.length) corners.push([x, best]);
    corners.push([x, y]);
    best = y;
  }
  return corners;
}

/** The line goes on to the edges of the chart: upwards from its first point, to the right from its last. */
export function extended(corners: readonly Corner[], right: number, top: number): Corner[] {
  const first = corners[0];
  const last = corners.at(-1);
  if (!first || !last) return [];
  return [[first[0], Math.max(top, first[1])], ...corners, [Math.max(right, last[0]), last[1]]];
}

/** Outline of the area between two lines that both reach the edges. */
export function bandBetween(lower: readonly Corner[], upper: readonly Corner[]): Corner[] {
  return lower.length && upper.length ? [...lower, ...[...upper].reverse()] : [];
}

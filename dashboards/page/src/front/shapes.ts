/** Lines and areas as series of ECharts: corners in the units of the axes, drawn exactly as they are. */

export type Series = Record<string, unknown>;

export const pairs = (numbers: readonly number[]): [number, number][] =>
  Array.from({ length: numbers.length / 2 }, (_, place) => [numbers[2 * place] as number, numbers[2 * place + 1] as number]);

/** Shapes with corners in the units of the axes: one row of numbers x, y, x, y ... per shape. */
export function shapes(z: number, rows: readonly (readonly number[])[], draw: (pixels: number[], row: number) => object): Series {
  return {
    type: "custom",
    silent: true,
    clip: true,
    z,
    data: rows.map((_, place) => [place]),
    encode: { x: [], y: [] },
    renderItem: (parameters: { dataIndex: number }, api: { coord: (value: number[]) => number[] }) => {
      const corners = pairs(rows[parameters.dataIndex] ?? []);
      return draw(corners.flatMap((corner) => api.coord([...corner])), parameters.dataIndex);
    },
  };
}

/** A line through exact corners; a line series would leave out steps of less than a pixel. */
export const stroke = (corners: readonly (readonly number[])[], style: object, z: number): Series =>
  shapes(z, [corners.flat()], (pixels) => ({
    type: "polyline",
    shape: { points: pairs(pixels) },
    style: { fill: "none", lineJoin: "miter", ...style },
  }));

export type Segment = [number, number, number, number];

/** Four numbers each: where a line starts and where it ends. */
export const segments = (numbers: readonly number[]): Segment[] =>
  Array.from({ length: numbers.length / 4 }, (_, place) => numbers.slice(4 * place, 4 * place + 4) as Segment);

/** Half the width of the end of an error bar, in pixels. */
const CAP = 3;

export function barPath([x1, y1, x2, y2]: Segment): string {
  const caps = x1 === x2 ? [y1, y2].map((y) => `M${x1 - CAP} ${y}h${2 * CAP}`) : [x1, x2].map((x) => `M${x} ${y1 - CAP}v${2 * CAP}`);
  return `M${x1} ${y1}L${x2} ${y2}${caps.join("")}`;
}

export const joinPath = ([x1, y1, x2, y2]: Segment): string => `M${x1} ${y1}L${x2} ${y2}`;

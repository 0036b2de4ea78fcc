import type { EChartsCoreOption } from "echarts/core";
import { useCallback } from "preact/hooks";
import type { CompareDocument } from "../documents";
import { quantityOf, titleOf, valueText } from "../front/quantities";
import { AsTable } from "../parts/as_table";
import { axisStyle, TEXT, tooltipStyle } from "../parts/axes";
import { Chart } from "../parts/chart";
import { type Domain, domainOf } from "../parts/marks";
import { type Palette, SYMBOLS } from "../parts/palette";
import type { Column } from "../parts/table";
import { address } from "../route";

/** Name of the line that half of the runs attained. */
const MIDDLE = "half of the runs";

export function CompareChart({ document, band }: { document: CompareDocument; band: boolean }) {
  const option = useCallback((colours: Palette) => compareOption(document, band, colours), [document, band]);
  const rows = document.runs.flatMap((run) => (document.fronts[run] ?? []).map((point) => ({ run, ...point })));
  return (
    <>
      <Chart option={option} height={480} label={`Fronts of ${document.runs.join(", ")} laid over each other`} />
      <AsTable caption="Points of the fronts" columns={columnsOf(document)} rows={rows} rowKey={(row) => `${row.run} ${row.trial}`} limit={20} />
    </>
  );
}

interface Point {
  run: string;
  trial: number;
  values: number[];
}

const columnsOf = (document: CompareDocument): Column<Point>[] => [
  { key: "run", title: "Run", sort: (row) => row.run, cell: (row) => row.run },
  { key: "trial", title: "Trial", sort: (row) => row.trial, cell: (row) => <a href={address("trial", row.run, { trial: row.trial })}>{row.trial}</a> },
  ...(document.objectives ?? []).map((objective, place) => ({
    key: objective.name,
    title: titleOf(quantityOf(objective)),
    number: true,
    sort: (row: Point) => row.values[place],
    cell: (row: Point) => valueText(objective.name, row.values[place]),
  })),
];

/** The corner points of a front as a staircase: the edge of what it dominates, up to the frame's corner. */
export function staircase(points: readonly (readonly [number, number])[], corner: readonly [number, number]): [number, number][] {
  const kept = [...points].sort(([x1, y1], [x2, y2]) => x1 - x2 || y1 - y2);
  const corners: [number, number][] = [];
  let lowest = Number.POSITIVE_INFINITY;
  for (const [x, y] of kept) {
    if (y >= lowest) continue;
    corners.push(corners.length === 0 ? [x, Math.max(y, corner[1])] : [x, lowest], [x, y]);
    lowest = y;
  }
  if (corners.length > 0) corners.push([Math.max(corner[0], kept.at(-1)?.[0] ?? 0), lowest]);
  return corners;
}

/** Whether a point is dominated by another of the list in these two quantities. */
export const dominated = ([x, y]: readonly [number, number], points: readonly (readonly [number, number])[]): boolean =>
  points.some(([otherX, otherY]) => otherX <= x && otherY <= y && (otherX < x || otherY < y));

const placesOf = (document: CompareDocument, name: string): [number, number][] =>
  (document.fronts[name] ?? []).map((point) => [point.values[1] ?? 0, point.values[0] ?? 0]);

/** Whether any front has points behind its own staircase. */
export const behind = (document: CompareDocument): boolean =>
  document.runs.some((name) => {
    const places = placesOf(document, name);
    return places.some((place) => dominated(place, places));
  });

/** The area between two staircases, as one closed outline. */
export const between = (best: readonly (readonly number[])[], worst: readonly (readonly number[])[]): number[][] => [
  ...best.map((point) => [...point]),
  ...[...worst].reverse().map((point) => [...point]),
];

/** A range a little wider than the values, so that no point stands on the frame. */
function room(values: readonly (number | undefined)[]): { min: number; max: number } {
  const domain: Domain = domainOf(values) ?? { low: 0, high: 1 };
  const margin = (domain.high - domain.low) * 0.05;
  return { min: domain.low >= 0 ? Math.max(0, domain.low - margin) : domain.low - margin, max: domain.high + margin };
}

function compareOption(document: CompareDocument, band: boolean, colours: Palette): EChartsCoreOption {
  const [value, cost] = document.objectives ?? [];
  const all = Object.values(document.fronts).flat();
  const across = room(all.map((point) => point.values[1]));
  const up = room(all.map((point) => point.values[0]));
  const corner: [number, number] = [across.max, up.max];
  const title = (objective: typeof value): string => (objective ? titleOf(quantityOf(objective)) : "");
  // The ends of the axes are no round numbers.
  const inner = { ...(axisStyle(colours)["axisLabel"] as object), showMinLabel: false, showMaxLabel: false };
  const shown = band && document.attainment !== null;
  return {
    textStyle: TEXT,
    animation: false,
    grid: { left: 8, right: 16, top: 58, bottom: 30, containLabel: true },
    legend: { type: "scroll", top: 0, left: 0, textStyle: { color: colours.soft }, data: [...document.runs, ...(shown && document.runs.length > 2 ? [MIDDLE] : [])] },
    tooltip: tooltipStyle(colours),
    xAxis: { ...axisStyle(colours), type: "value", name: title(cost), nameLocation: "middle", nameGap: 30, ...across, axisLabel: inner },
    yAxis: { ...axisStyle(colours), type: "value", name: title(value), nameLocation: "end", nameTextStyle: { color: colours.soft, align: "left" }, ...up, axisLabel: inner },
    series: [...(shown ? bandSeries(document, corner, colours) : []), ...document.runs.flatMap((name, place) => runSeries(document, name, place, corner, colours))],
  };
}

function runSeries(document: CompareDocument, name: string, place: number, corner: [number, number], colours: Palette): Record<string, unknown>[] {
  const places = placesOf(document, name);
  const trials = (document.fronts[name] ?? []).map((point) => point.trial);
  const colour = colours.series[place % colours.series.length];
  // Beyond the last colour both begin anew, one apart, so that no pair comes twice.
  const symbol = SYMBOLS[(place + Math.floor(place / colours.series.length)) % SYMBOLS.length];
  const [value, cost] = document.objectives ?? [];
  return [
    {
      name,
      type: "line",
      symbol: "none",
      silent: true,
      clip: true,
      lineStyle: { color: colour, width: 2, type: place < colours.series.length ? "solid" : "dashed" },
      itemStyle: { color: colour },
      data: staircase(places, corner),
    },
    {
      name,
      type: "scatter",
      symbol,
      symbolSize: 10,
      itemStyle: { color: colour, borderColor: colours.paper, borderWidth: 1 },
      tooltip: {
        formatter: (item: { dataIndex: number }) => {
          const [x, y] = places[item.dataIndex] ?? [];
          return `${name}, trial ${trials[item.dataIndex] ?? ""}\n${value ? `${titleOf(quantityOf(value))} ${valueText(value.name, y)}` : ""}\n${cost ? `${titleOf(quantityOf(cost))} ${valueText(cost.name, x)}` : ""}`;
        },
      },
      data: places.map((place) => ({ value: place, itemStyle: { opacity: dominated(place, places) ? 0.4 : 1 } })),
    },
  ];
}

function bandSeries(document: CompareDocument, corner: [number, number], colours: Palette): Record<string, unknown>[] {
  const attained = document.attainment;
  if (attained === null) return [];
  // Costs lie along the page, so the objectives change places.
  const stairs = (corners: number[][]): [number, number][] => staircase(corners.map(([value = 0, cost = 0]) => [cost, value] as const), corner);
  const outline = between(stairs(attained.best), stairs(attained.worst));
  const series = [
    {
      name: "band",
      type: "custom",
      silent: true,
      clip: true,
      z: 0,
      renderItem: (_: unknown, api: { coord: (point: number[]) => number[] }) => ({
        type: "polygon",
        shape: { points: outline.map((point) => api.coord(point)) },
        style: { fill: colours.soft, opacity: 0.16 },
      }),
      data: [[0, 0]],
    },
    {
      name: MIDDLE,
      type: "line",
      symbol: "none",
      silent: true,
      z: 1,
      lineStyle: { color: colours.soft, width: 2, type: "dashed" },
      itemStyle: { color: colours.soft },
      clip: true,
      data: stairs(attained.median),
    },
  ];
  // Of two runs the middle is the best.
  return document.runs.length > 2 ? series : series.slice(0, 1);
}

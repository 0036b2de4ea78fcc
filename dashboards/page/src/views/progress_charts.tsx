import type { EChartsCoreOption } from "echarts/core";
import { useCallback } from "preact/hooks";
import type { ProgressDocument } from "../documents";
import { AsTable } from "../parts/as_table";
import { axisStyle, TEXT, tooltipStyle } from "../parts/axes";
import { Chart } from "../parts/chart";
import { domainOf, thinned } from "../parts/marks";
import { number } from "../parts/numbers";
import type { Palette } from "../parts/palette";
import type { Column } from "../parts/table";

type Volumes = ProgressDocument["hypervolume"];
type Workers = ProgressDocument["workers"];

/** Points of a line are thinned to what a screen can show. */
const MOST_POINTS = 2000;

const VOLUME_COLUMNS: Column<Volumes[number]>[] = [
  { key: "finished", title: "Finished trials", narrow: true, sort: (each) => each.finished, cell: (each) => number(each.finished) },
  { key: "value", title: "Hypervolume", cell: (each) => number(each.value) },
  { key: "interval", title: "95 % interval", cell: (each) => (each.low === null ? "-" : `${number(each.low, 3)} to ${number(each.high, 3)}`) },
];

export function VolumeChart({ values }: { values: Volumes }) {
  const option = useCallback((colours: Palette) => volumeOption(values, colours), [values]);
  const last = values.at(-1);
  return (
    <>
      <Chart option={option} height={300} label={`Hypervolume over ${values.length} finished trials, in the end ${number(last?.value, 3)}.`} />
      <AsTable caption="Hypervolume over finished trials" columns={VOLUME_COLUMNS} rows={values} rowKey={(each) => each.finished} order={{ key: "finished", descending: true }} limit={20} />
    </>
  );
}

/** The line of recorded values, and behind it the band of the intervals where they are known. */
export function volumeOption(values: Volumes, colours: Palette): EChartsCoreOption {
  const shown = thinned(values, MOST_POINTS);
  const known = values.filter((each) => each.low !== null && each.high !== null);
  // The band is no data of the axis, which must reach over it all the same.
  const top = domainOf([...values.map((each) => each.value), ...known.map((each) => each.high)])?.high ?? 1;
  const highest = Number((1.05 * top).toPrecision(2));
  const outline = [...known.map((each) => [each.finished, each.low ?? 0]), ...[...known].reverse().map((each) => [each.finished, each.high ?? 0])];
  return {
    textStyle: TEXT,
    animation: false,
    grid: { left: 8, right: 24, top: 34, bottom: 26, containLabel: true },
    legend: { top: 0, left: 0, textStyle: { color: colours.soft }, data: ["as recorded", "95 % interval"].slice(0, known.length > 0 ? 2 : 1) },
    tooltip: { ...tooltipStyle(colours), trigger: "axis" },
    xAxis: { ...axisStyle(colours), type: "value", name: "finished trials", nameLocation: "middle", nameGap: 28, minInterval: 1, min: "dataMin", max: "dataMax", splitLine: { show: false } },
    yAxis: { ...axisStyle(colours), type: "value", min: 0, max: highest, axisLabel: { ...(axisStyle(colours)["axisLabel"] as object), showMaxLabel: false } },
    series: [
      {
        name: "as recorded",
        type: "line",
        step: "end",
        symbol: "none",
        lineStyle: { color: colours.accent, width: 2 },
        itemStyle: { color: colours.accent },
        tooltip: { valueFormatter: (value: unknown) => number(Number(value), 4) },
        data: shown.map((each) => [each.finished, each.value]),
      },
      {
        name: "95 % interval",
        type: "custom",
        silent: true,
        itemStyle: { color: colours.series[1] },
        z: 1,
        renderItem: (_: unknown, api: { coord: (point: number[]) => number[] }) => ({
          type: "polygon",
          shape: { points: outline.map((point) => api.coord(point)) },
          style: { fill: colours.series[1], opacity: 0.18 },
        }),
        data: known.length > 1 ? [[known[0]?.finished ?? 0, 0]] : [],
      },
    ],
  };
}

export function WorkersChart({ workers }: { workers: Workers }) {
  const option = useCallback((colours: Palette) => workersOption(workers, colours), [workers]);
  return <Chart option={option} height={240} label={`Number of workers and their memory over ${workers.length} records`} />;
}

export function workersOption(workers: Workers, colours: Palette): EChartsCoreOption {
  const shown = thinned(workers, MOST_POINTS);
  const series = (name: string, place: number, axis: number, of: (each: Workers[number]) => number | null): Record<string, unknown> => ({
    name,
    type: "line",
    step: axis === 0 ? "end" : undefined,
    yAxisIndex: axis,
    symbol: "none",
    lineStyle: { color: colours.series[place], width: 2, type: (["solid", "dashed", "dotted"] as const)[place] },
    itemStyle: { color: colours.series[place] },
    data: shown.map((each) => [each.time, of(each)]),
  });
  return {
    textStyle: TEXT,
    animation: false,
    grid: { left: 8, right: 8, top: 62, bottom: 8, containLabel: true },
    legend: { type: "scroll", top: 0, left: 0, textStyle: { color: colours.soft } },
    tooltip: { ...tooltipStyle(colours), trigger: "axis" },
    xAxis: { ...axisStyle(colours), type: "time", splitLine: { show: false } },
    yAxis: [
      { ...axisStyle(colours), type: "value", name: "workers", minInterval: 1, min: 0 },
      { ...axisStyle(colours), type: "value", name: "MB", min: 0, splitLine: { show: false } },
    ],
    series: [
      series("workers", 0, 0, (each) => each.workers),
      series("driver, MB", 1, 1, (each) => each.memory_mb),
      series("largest worker, MB", 2, 1, (each) => each.worker_memory_mb),
    ],
  };
}

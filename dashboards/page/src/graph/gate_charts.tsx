import type { EChartsCoreOption } from "echarts/core";
import { useCallback, useState } from "preact/hooks";
import type { SupernetDocument } from "../documents";
import { axisStyle, shortened, TEXT, tooltipStyle } from "../parts/axes";
import { Chart } from "../parts/chart";
import { ChoiceField } from "../parts/fields";
import type { Palette } from "../parts/palette";
import { Panel } from "../parts/panel";
import { entropyAt, type GateChoice, type Gates, mostMoved } from "./gates";

const MOVED = " moved";
const ALL = " all";
const FEW = 24;

interface Rows {
  names: string[];
  /** Rows by steps. */
  values: number[][];
  what: string;
}

/** Gates over the epochs: how undecided every choice is, or the probabilities of one. */
export function GateMap({ gates, step, onStep }: { gates: Gates; step: number; onStep: (step: number) => void }) {
  const many = gates.choices.length > FEW;
  const [name, setName] = useState(many ? MOVED : ALL);
  const choice = gates.choices.find((each) => each.name === name);
  const rows: Rows = choice
    ? { names: choice.options, values: choice.options.map((_, place) => choice.values.map((row) => row[place] ?? 0)), what: "probability" }
    : entropyRows(name === MOVED ? mostMoved(gates, FEW) : gates.choices);
  const epochs = gates.steps.map((each) => each.epoch);
  const option = useCallback((colours: Palette) => mapOption(rows, epochs, step, colours), [gates, name, step]);
  return (
    <Panel
      title="Gates over time"
      note={choice ? "Probability of every answer, epoch by epoch." : "Entropy of every choice as a share of the largest possible: 1 is undecided, 0 decided. Press a column to see its epoch in the graph."}
      aside={<ChoiceField label="Choice" value={name} onChange={setName} options={[...(many ? [{ value: MOVED, label: `the ${FEW} that moved most` }] : []), { value: ALL, label: "all, by entropy" }, ...gates.choices.map((each) => ({ value: each.name, label: each.name }))]} />}
    >
      <Chart
        option={option}
        height={90 + Math.max(15, 26 - rows.names.length / 4) * rows.names.length}
        label={`Heat map of ${rows.what}: ${rows.names.length} rows, ${epochs.length} epochs`}
        onReady={(chart) => chart.on("click", (event) => Array.isArray(event.value) && onStep(Number(event.value[0])))}
      />
    </Panel>
  );
}

const entropyRows = (choices: readonly GateChoice[]): Rows => ({
  names: choices.map((each) => each.name),
  values: choices.map((each) => each.values.map((_, at) => entropyAt(each, at))),
  what: "entropy",
});

function mapOption(rows: Rows, epochs: readonly number[], step: number, colours: Palette): EChartsCoreOption {
  return {
    animation: false,
    textStyle: TEXT,
    grid: { left: 8, right: 20, top: 10, bottom: 66, containLabel: true },
    tooltip: {
      ...tooltipStyle(colours),
      formatter: ({ value }: { value: [number, number, number] }) => `${rows.names[value[1]] ?? ""}\nepoch ${epochs[value[0]] ?? ""}: ${value[2].toFixed(3)}`,
    },
    xAxis: { type: "category", data: epochs.map((epoch, at) => (at === step ? `▸${epoch}` : String(epoch))), name: "epoch", nameLocation: "middle", nameGap: 26, ...axisStyle(colours), splitLine: { show: false } },
    yAxis: { type: "category", inverse: true, data: rows.names.map((name) => shortened(name, 24)), ...axisStyle(colours), axisLabel: { color: colours.soft, fontSize: 11, interval: 0 }, splitLine: { show: false } },
    visualMap: { min: 0, max: 1, orient: "horizontal", left: 8, bottom: 0, itemHeight: 120, itemWidth: 12, text: ["1", "0"], textStyle: { color: colours.soft }, inRange: { color: [...colours.scale] }, calculable: false },
    series: [
      {
        type: "heatmap",
        data: rows.values.flatMap((row, place) => row.map((value, at) => [at, place, value])),
        itemStyle: { borderWidth: 1, borderColor: colours.paper },
        emphasis: { itemStyle: { borderColor: colours.ink } },
      },
    ],
  };
}

interface LinesProperties {
  document: SupernetDocument;
  title: string;
  note: string;
  /** Names of the numbers of an epoch to draw; "loss" is its loss. */
  numbers: { name: string; label: string }[];
  stage: string;
  unit: string;
}

/** Numbers of a stage's epochs as lines; nothing where none was recorded. */
export function EpochLines({ document, title, note, numbers, stage, unit }: LinesProperties) {
  const epochs = document.epochs.filter((each) => each.stage === stage);
  const series = numbers
    .map((each) => ({ ...each, data: epochs.flatMap((epoch) => point(epoch, each.name)) }))
    .filter((each) => each.data.length > 0);
  const option = useCallback((colours: Palette) => linesOption(series, unit, colours), [document, stage, title]);
  if (series.length === 0) return null;
  return (
    <Panel title={title} note={note}>
      <Chart option={option} height={250} label={`${title}: ${series.map((each) => `${each.label} ends at ${each.data.at(-1)?.[1]?.toFixed(3) ?? "-"}`).join("; ")}`} />
    </Panel>
  );
}

function point(epoch: SupernetDocument["epochs"][number], name: string): [number, number][] {
  const value = name === "loss" ? epoch.loss : epoch.numbers[name];
  return value === undefined || value === null ? [] : [[epoch.epoch, value]];
}

const DASHES = ["solid", "dashed", "dotted"] as const;

function linesOption(series: { label: string; data: [number, number][] }[], unit: string, colours: Palette): EChartsCoreOption {
  return {
    animation: false,
    textStyle: TEXT,
    grid: { left: 56, right: 16, top: 58, bottom: 40 },
    legend: { top: 0, left: 0, type: "scroll", textStyle: { color: colours.ink } },
    tooltip: { trigger: "axis", ...tooltipStyle(colours) },
    xAxis: { type: "value", name: "epoch", nameLocation: "middle", nameGap: 26, minInterval: 1, min: "dataMin", max: "dataMax", ...axisStyle(colours) },
    yAxis: { type: "value", name: unit, scale: true, ...axisStyle(colours) },
    series: series.map((each, place) => ({
      type: "line",
      name: each.label,
      data: each.data,
      showSymbol: each.data.length < 12,
      color: colours.series[place % colours.series.length],
      lineStyle: { width: 2, type: DASHES[Math.floor(place / 4) % DASHES.length] },
    })),
  };
}

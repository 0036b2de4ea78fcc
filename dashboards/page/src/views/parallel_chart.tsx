import type { EChartsCoreOption } from "echarts/core";
import { useCallback, useMemo } from "preact/hooks";
import type { SpaceDocument } from "../documents";
import { quantityOf, titleOf } from "../front/quantities";
import { axisStyle, shortened, TEXT } from "../parts/axes";
import { Chart } from "../parts/chart";
import { domainOf, thinned } from "../parts/marks";
import { number } from "../parts/numbers";
import type { Palette } from "../parts/palette";
import { Scroll } from "../parts/scroll";

interface ParallelProperties {
  document: SpaceDocument;
  /** Number of choices that are shown. */
  axes: number;
  /** Value of the objective by trial. */
  values: ReadonlyMap<number, number>;
  /** Trials that are shown; all where it is null. */
  only: ReadonlySet<number> | null;
  unit: string | null;
}

/** Lines that a screen can tell apart, and a canvas draws at once. */
const MOST_LINES = 3000;

export function ParallelChart({ document, axes, values, only, unit }: ParallelProperties) {
  const rows = useMemo(() => parallelRows(document, axes, values, only), [document, axes, values, only]);
  const option = useCallback((colours: Palette) => parallelOption(document, axes, rows, unit, colours), [document, axes, rows, unit]);
  const shown = document.parallel.choices.slice(0, axes).join(", ");
  if (rows.length === 0) return <p class="soft">No trial passes there.</p>;
  return (
    <Scroll label="Lines of the trials">
      <div class="parallel">
        <p class="soft small">{rows.length === 1 ? "1 trial" : `${number(rows.length)} trials`}</p>
        <Chart option={option} height={400} label={`Trials as lines through ${shown} and ${document.objective}`} />
      </div>
    </Scroll>
  );
}

/** Rows of the chart: option indices and the value, in the order of the trials. */
export function parallelRows(document: SpaceDocument, axes: number, values: ReadonlyMap<number, number>, only: ReadonlySet<number> | null): (number | string)[][] {
  const rows: (number | string)[][] = [];
  document.parallel.rows.forEach((row, place) => {
    const trial = document.parallel.trials[place];
    const value = trial === undefined ? undefined : values.get(trial);
    if (trial === undefined || value === undefined || (only !== null && !only.has(trial))) return;
    // ECharts leaves a line out of an axis where the value is "-".
    rows.push([...row.slice(0, axes).map((each) => each ?? "-"), value]);
  });
  return thinned(rows, MOST_LINES);
}

/** Values without the highest tenth. */
function middle(values: readonly number[]): number[] {
  const ordered = [...values].sort((first, second) => first - second);
  return ordered.slice(0, Math.ceil(0.9 * ordered.length));
}

function parallelOption(
  document: SpaceDocument,
  axes: number,
  rows: (number | string)[][],
  unit: string | null,
  colours: Palette,
): EChartsCoreOption {
  const names = document.parallel.choices.slice(0, axes);
  const ends = rows.map((row) => row.at(-1) as number);
  const scale = domainOf(ends) ?? { low: 0, high: 1 };
  // A few far worse trials would take all colours for themselves.
  const usual = domainOf(middle(ends)) ?? scale;
  const style = axisStyle(colours);
  const byName = new Map(document.choices.map((choice) => [choice.name, choice]));
  return {
    textStyle: TEXT,
    animation: false,
    parallel: { left: 80, right: 120, top: 44, bottom: 16 },
    visualMap: {
      type: "continuous",
      min: usual.low,
      max: usual.high,
      dimension: names.length,
      right: 0,
      top: "middle",
      itemWidth: 12,
      itemHeight: 180,
      precision: 3,
      text: ["worse", "better"],
      textStyle: { color: colours.soft },
      inRange: { color: colours.scale.slice(1).reverse() },
    },
    parallelAxis: [
      ...names.map((name, dim) => {
        const options = byName.get(name)?.options ?? [];
        return {
          ...style,
          dim,
          name: shortened(name, 18),
          type: "category",
          data: options.map((option) => shortened(option, 16)),
          splitLine: { show: false },
          axisTick: { show: false },
          axisLabel: { ...(style["axisLabel"] as object), color: colours.ink, backgroundColor: colours.paper, padding: [1, 3], borderRadius: 2 },
          z: 10,
        };
      }),
      {
        ...style,
        dim: names.length,
        name: shortened(titleOf(quantityOf({ name: document.objective, unit, source: null })), 24),
        type: "value",
        min: scale.low,
        max: scale.high,
        axisLabel: { ...(style["axisLabel"] as object), formatter: (value: number) => number(value, 3) },
      },
    ],
    series: [{ type: "parallel", smooth: false, lineStyle: { width: rows.length > 300 ? 0.8 : 1.4, opacity: rows.length > 300 ? 0.35 : 0.7 }, inactiveOpacity: 0.04, activeOpacity: 0.8, data: rows }],
  };
}

import { useCallback } from "preact/hooks";
import type { EChartsCoreOption } from "echarts/core";
import type { Curve } from "../documents";
import { axisStyle, TEXT, tooltipStyle } from "../parts/axes";
import { Chart } from "../parts/chart";
import { percent } from "../parts/numbers";
import type { Palette } from "../parts/palette";
import { Panel } from "../parts/panel";
import { Table } from "../parts/table";

const DASHES = ["solid", "dashed", "dotted"] as const;

/** Loss of every training of this network, epoch by epoch. */
export function Curves({ curves }: { curves: readonly Curve[] }) {
  const drawn = curves.filter((curve) => curve.losses.length > 0);
  const recipes = [...new Set(curves.map((curve) => curve.recipe_hash))];
  const option = useCallback((colours: Palette) => curveOption(drawn, recipes, colours), [curves]);
  return (
    <Panel title="Learning curves" note="Mean training loss by epoch of every training from scratch. A recipe has a dash of its own, a seed a colour.">
      {drawn.length > 0 && <Chart option={option} height={280} label={`Training loss of ${drawn.length} trainings, from ${first(drawn)} to ${last(drawn)} nats`} />}
      {curves.length === 0 && <p class="soft">This network was not trained by itself yet: nas confirm trains the chosen ones.</p>}
      {curves.length > 0 && drawn.length === 0 && <p class="soft">Their losses were not recorded epoch by epoch.</p>}
      {curves.length > 0 && (
        <Table
          caption="Trainings from scratch"
          rows={curves}
          rowKey={(curve) => nameOf(curve, recipes)}
          columns={[
            { key: "what", title: "Training", cell: (curve) => nameOf(curve, recipes) },
            { key: "epochs", title: "Epochs", number: true, cell: (curve) => curve.losses.length || "-" },
            { key: "error", title: "Error", number: true, sort: (curve) => curve.error, cell: (curve) => percent(curve.error) },
            { key: "part", title: "On", cell: (curve) => `${curve.part} images` },
          ]}
        />
      )}
    </Panel>
  );
}

const nameOf = (curve: Curve, recipes: readonly string[]): string => `${curve.purpose}, seed ${curve.seed_index}${recipes.length > 1 ? `, recipe ${recipes.indexOf(curve.recipe_hash) + 1}` : ""}`;
const first = (curves: readonly Curve[]): string => Math.max(...curves.map((curve) => curve.losses[0] ?? 0)).toFixed(2);
const last = (curves: readonly Curve[]): string => Math.min(...curves.map((curve) => curve.losses.at(-1) ?? 0)).toFixed(2);

function curveOption(curves: readonly Curve[], recipes: readonly string[], colours: Palette): EChartsCoreOption {
  return {
    animation: false,
    textStyle: TEXT,
    grid: { left: 56, right: 16, top: 16, bottom: 44 },
    tooltip: { trigger: "axis", ...tooltipStyle(colours) },
    xAxis: { type: "value", name: "epoch", nameLocation: "middle", nameGap: 28, min: 1, minInterval: 1, ...axisStyle(colours) },
    yAxis: { type: "value", name: "loss, nats", ...axisStyle(colours) },
    series: curves.map((curve) => ({
      type: "line",
      name: nameOf(curve, recipes),
      showSymbol: curve.losses.length < 3,
      color: colours.series[curve.seed_index % colours.series.length],
      lineStyle: { width: 2, type: DASHES[recipes.indexOf(curve.recipe_hash) % DASHES.length] },
      data: curve.losses.map((loss, place) => [place + 1, loss]),
    })),
  };
}

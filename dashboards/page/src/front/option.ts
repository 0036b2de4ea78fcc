/** The scene as an option of ECharts, in the colours of the theme. Axes carry transformed values. */

import type { EChartsCoreOption } from "echarts/core";
import { axisStyle, TEXT } from "../parts/axes";
import { familyStyle, type Palette } from "../parts/palette";
import type { Overlay } from "./overlay";
import { type Quantity, tickText, titleOf } from "./quantities";
import type { Rows } from "./rows";
import { type Frame, type Scale, transformed } from "./scale";
import type { Cloud, Mark, Scene } from "./scene";
import { barPath, joinPath, pairs, type Series, segments, shapes, stroke } from "./shapes";
import { bandBetween, type Corner, extended } from "./staircase";

export interface Drawn {
  run: string;
  scene: Scene;
  overlay: Overlay;
  rows: Rows;
  frame: Frame;
  x: Quantity;
  y: Quantity;
  size: Quantity | null;
  chosen: readonly number[];
  /** Limits on what the axes show: the reader's and the run's own. */
  limits: { axis: "x" | "y"; value: number; own: boolean }[];
}

/** From so many points on they are drawn as one path, which is fast and has no look of its own. */
const LARGE = 1500;
const STAR = "path://M5 0L6.3 3.5H10L7 5.8L8.1 9.6L5 7.3L1.9 9.6L3 5.8L0 3.5H3.7Z";
const CROSS = "path://M1.8 0L5 3.2L8.2 0L10 1.8L6.8 5L10 8.2L8.2 10L5 6.8L1.8 10L0 8.2L3.2 5L0 1.8Z";
export const BASELINE_SYMBOLS: Record<string, string> = { hand_made: STAR, random: CROSS, other: "rect" };
export const OTHER_RUN_SYMBOL = "diamond";

export function frontOption(drawn: Drawn, colours: Palette): EChartsCoreOption {
  const { scene, frame } = drawn;
  return {
    animation: false,
    textStyle: TEXT,
    grid: { left: frame.left, right: frame.right, top: frame.top, bottom: frame.bottom, containLabel: false, outerBoundsMode: "none" },
    xAxis: axisOption(scene.x, drawn.x, colours, 30),
    yAxis: { ...axisOption(scene.y, drawn.y, colours, frame.left - 20), nameRotate: 90 },
    series: [
      ...bandSeries(drawn, colours),
      ...limitSeries(drawn, colours),
      ...scene.clouds.map((cloud) => cloudSeries(cloud, drawn, colours)),
      ...lineSeries(drawn, colours),
      ...otherRunSeries(drawn, colours),
      barSeries(drawn, colours),
      joinSeries(drawn, colours),
      ...markSeries(drawn, colours),
      ...chosenSeries(drawn, colours),
    ],
  };
}

function axisOption(scale: Scale, quantity: Quantity, colours: Palette, gap: number): Series {
  const style = axisStyle(colours) as { axisLabel: object; axisTick: object };
  const ticks = scale.ticks.map((value) => transformed(scale.log, value));
  return {
    ...style,
    type: "value",
    min: scale.low,
    max: scale.high,
    name: `${titleOf(quantity)}${scale.log ? ", logarithmic" : ""}`,
    nameLocation: "middle",
    nameGap: gap,
    axisTick: { ...style.axisTick, show: true, customValues: ticks },
    axisLabel: {
      ...style.axisLabel,
      customValues: ticks,
      showMinLabel: true,
      showMaxLabel: true,
      hideOverlap: true,
      formatter: (value: number) => tickText(quantity.name, scale.log ? 10 ** value : value),
    },
    axisLine: { show: true, onZero: false, lineStyle: { color: colours.soft } },
  };
}

const at = (scene: Scene, x: number, y: number): [number, number] => [transformed(scene.x.log, x), transformed(scene.y.log, y)];

/** The outer edges of the axes as values, for lines that go on to them. */
const edges = (scene: Scene): [number, number] => [
  scene.x.log ? 10 ** scene.x.high : scene.x.high,
  scene.y.log ? 10 ** scene.y.high : scene.y.high,
];

const lineOf = (scene: Scene, corners: readonly Corner[], [right, top] = edges(scene)): [number, number][] =>
  extended(corners, right, top).map(([x, y]) => at(scene, x, y));

/** What is over a limit is out of the question: the line of the front ends there. */
function ownEdges(drawn: Drawn): [number, number] {
  const [right, top] = edges(drawn.scene);
  const limit = (axis: "x" | "y"): number => Math.min(...drawn.limits.filter((each) => each.axis === axis && !each.own).map((each) => each.value), Number.POSITIVE_INFINITY);
  return [Math.min(right, limit("x")), Math.min(top, limit("y"))];
}

export const runColour = (colours: Palette, place: number): string => colours.series[place % colours.series.length] ?? colours.ink;

const compares = (drawn: Drawn): boolean => drawn.overlay.fronts.length > 0;

function styleOf(drawn: Drawn, family: string | null, colours: Palette): { colour: string; symbol: string } {
  const style = familyStyle(family, drawn.rows.families, colours);
  return compares(drawn) ? { ...style, colour: runColour(colours, 0) } : style;
}

const OUT = 0.22;
const CLOUD_OPACITY = { dominated: 0.5, out: 0.13, infeasible: 0.35 };

function cloudSeries(cloud: Cloud, drawn: Drawn, colours: Palette): Series {
  const { scene, rows } = drawn;
  const [x, y] = [rows.column(drawn.x.name).value, rows.column(drawn.y.name).value];
  const { colour, symbol } = styleOf(drawn, cloud.family, colours);
  const infeasible = cloud.tone === "infeasible";
  const data = new Float64Array(2 * cloud.rows.length);
  cloud.rows.forEach((row, place) => {
    data[2 * place] = transformed(scene.x.log, x[row] as number);
    data[2 * place + 1] = transformed(scene.y.log, y[row] as number);
  });
  return {
    type: "scatter",
    data,
    dimensions: ["x", "y"],
    large: true,
    largeThreshold: 0,
    progressive: 0,
    clip: true,
    silent: true,
    z: 2,
    symbol: infeasible ? "emptyCircle" : symbol.startsWith("path://") ? "circle" : symbol,
    symbolSize: (scene.sizeEnds ? 3 + 2 * cloud.sizeStep : 5) + (rows.count > LARGE ? 0 : 1),
    itemStyle: { color: compares(drawn) || infeasible ? colours.soft : colour, opacity: CLOUD_OPACITY[cloud.tone] * (compares(drawn) ? 0.5 : 1) },
  };
}

const MANY = 60;

/** Across in pixels; many points on the front are drawn smaller. */
function markSize(mark: Mark, drawn: Drawn): number {
  if (mark.kind === "hand_made") return 15;
  const factor = drawn.scene.marks.length > MANY ? 0.75 : 1;
  if (mark.kind === "random" || mark.kind === "other") return 12;
  if (mark.kind === "retrained") return 11 * factor;
  const least = mark.kind === "near" ? 7 : 10;
  return factor * (mark.size === null ? least + 2 : least + 13 * Math.sqrt(mark.size));
}

/** Fuller is surer: the probability of being non-dominated is the strength of the filling. */
export const fillOpacity = (probability: number | null): number => (probability === null ? 1 : 0.15 + 0.85 * probability);

function markItem(mark: Mark, drawn: Drawn, colours: Palette): Series {
  const { colour, symbol } = styleOf(drawn, mark.family, colours);
  const shape = mark.kind === "retrained" ? "circle" : (BASELINE_SYMBOLS[mark.kind] ?? symbol);
  const isTrial = mark.kind === "front" || mark.kind === "near";
  const hollow = mark.kind === "retrained";
  return {
    value: at(drawn.scene, mark.x.value, mark.y.value),
    symbol: shape,
    symbolSize: markSize(mark, drawn),
    itemStyle: {
      color: hollow ? colours.paper : withOpacity(colour, isTrial ? fillOpacity(mark.probability) : 1),
      borderColor: isTrial || hollow ? colour : colours.ink,
      borderWidth: mark.kind === "near" ? 1 : hollow ? 2.5 : isTrial ? 1.6 : 0.8,
      opacity: mark.out ? OUT : mark.kind === "near" ? 0.7 : 1,
    },
  };
}

const ORDER: Record<Mark["kind"], number> = { near: 0, random: 1, other: 1, hand_made: 2, front: 3, retrained: 4 };

function markSeries(drawn: Drawn, colours: Palette): Series[] {
  const marks = [...drawn.scene.marks].sort((first, second) => ORDER[first.kind] - ORDER[second.kind]);
  const scatter = { type: "scatter", silent: true, clip: true, progressive: 0, emphasis: { disabled: true } };
  const knees = marks.filter((mark) => mark.knee && !mark.out);
  return [
    { ...scatter, z: 6, data: marks.map((mark) => markItem(mark, drawn, colours)) },
    {
      ...scatter,
      z: 7,
      data: knees.map((mark) => ({ value: at(drawn.scene, mark.x.value, mark.y.value), symbolSize: markSize(mark, drawn) + 11 })),
      symbol: "circle",
      itemStyle: { color: "transparent", borderColor: colours.ink, borderWidth: 1.8 },
      label: { show: true, formatter: "knee", position: "bottom", distance: 3, color: colours.ink, fontSize: 12, fontWeight: 600, textBorderColor: colours.paper, textBorderWidth: 3 },
    },
  ];
}

function withOpacity(colour: string, opacity: number): string {
  const [red, green, blue] = [1, 3, 5].map((from) => Number.parseInt(colour.slice(from, from + 2), 16));
  return `rgba(${red},${green},${blue},${opacity.toFixed(3)})`;
}

function lineSeries(drawn: Drawn, colours: Palette): Series[] {
  const { scene } = drawn;
  const families = compares(drawn) ? [] : scene.familyLines;
  return [
    ...families.map((each) =>
      stroke(
        each.corners.map(([x, y]) => at(scene, x, y)),
        { stroke: styleOf(drawn, each.family, colours).colour, lineWidth: 1.2, opacity: 0.7 },
        3,
      ),
    ),
    stroke(lineOf(scene, scene.line, ownEdges(drawn)), { stroke: compares(drawn) ? runColour(colours, 0) : colours.ink, lineWidth: 1.8 }, 4),
  ];
}

function otherRunSeries(drawn: Drawn, colours: Palette): Series[] {
  return drawn.overlay.fronts.flatMap((front, place) => {
    const colour = runColour(colours, place + 1);
    return [
      stroke(lineOf(drawn.scene, front.line), { stroke: colour, lineWidth: 1.8, lineDash: [6, 4] }, 4),
      {
        type: "scatter",
        silent: true,
        clip: true,
        z: 5,
        symbol: OTHER_RUN_SYMBOL,
        symbolSize: 10,
        itemStyle: { color: colours.paper, borderColor: colour, borderWidth: 1.8 },
        data: front.points.map((point) => at(drawn.scene, ...point.at)),
      },
    ];
  });
}

function bandSeries(drawn: Drawn, colours: Palette): Series[] {
  const { bands } = drawn.overlay;
  if (!bands) return [];
  const { scene } = drawn;
  const [best, worst] = [lineOf(scene, bands.best), lineOf(scene, bands.worst)];
  return [
    shapes(1, [bandBetween(best, worst).flat()], (pixels) => ({
      type: "polygon",
      shape: { points: pairs(pixels) },
      style: { fill: colours.accent, opacity: 0.12 },
    })),
    stroke(lineOf(scene, bands.median), { stroke: colours.accent, lineWidth: 1.4, lineDash: [2, 3] }, 3),
  ];
}

function barSeries(drawn: Drawn, colours: Palette): Series {
  const { scene } = drawn;
  const marks = scene.marks.filter((mark) => mark.kind !== "near" && !mark.out);
  const groups = new Map<string, number[]>();
  // Zero cannot be shown on a logarithmic axis: a bar that reaches it ends at the axis.
  const end = (scale: Scale, value: number): number => (scale.log && value <= 0 ? scale.low : transformed(scale.log, value));
  for (const mark of marks) {
    const [x, y] = at(scene, mark.x.value, mark.y.value);
    for (const side of ["x", "y"] as const) {
      const { low, high } = mark[side];
      if (low === null || high === null || low === high) continue;
      const [from, to] = [end(scene[side], low), end(scene[side], high)];
      const { colour } = styleOf(drawn, mark.family, colours);
      groups.set(colour, [...(groups.get(colour) ?? []), ...(side === "x" ? [from, y, to, y] : [x, from, x, to])]);
    }
  }
  // One path per colour: hundreds of bars are then drawn as fast as one.
  const colour = [...groups.keys()];
  return shapes(5, [...groups.values()], (pixels, row) => ({
    type: "path",
    shape: { pathData: segments(pixels).map(barPath).join("") },
    style: { fill: "none", stroke: colour[row], lineWidth: 1.2, opacity: 0.6 },
  }));
}

function joinSeries(drawn: Drawn, colours: Palette): Series {
  const groups = new Map<string, { colour: string; out: boolean; ends: number[] }>();
  for (const join of drawn.scene.joins) {
    const { colour } = styleOf(drawn, join.family, colours);
    const key = `${colour} ${join.out}`;
    const group = groups.get(key) ?? { colour, out: join.out, ends: [] };
    group.ends.push(...at(drawn.scene, ...join.from), ...at(drawn.scene, ...join.to));
    groups.set(key, group);
  }
  const drawnGroups = [...groups.values()];
  return shapes(5, drawnGroups.map((group) => group.ends), (pixels, row) => ({
    type: "path",
    shape: { pathData: segments(pixels).map(joinPath).join("") },
    style: { fill: "none", stroke: drawnGroups[row]?.colour, lineWidth: 1.8, lineDash: [5, 3], opacity: drawnGroups[row]?.out ? OUT : 1 },
  }));
}

function limitSeries(drawn: Drawn, colours: Palette): Series[] {
  const { scene } = drawn;
  return drawn.limits.map(({ axis, value, own }) => {
    const place = transformed(scene[axis].log, value);
    const other = scene[axis === "x" ? "y" : "x"];
    const ends = [other.low, other.high].map((each) => (axis === "x" ? [place, each] : [each, place]));
    return stroke(ends, { stroke: own ? colours.soft : colours.warning, lineWidth: 1.6, lineDash: own ? [2, 3] : [6, 4] }, 3);
  });
}

function chosenSeries(drawn: Drawn, colours: Palette): Series[] {
  const { rows, scene } = drawn;
  const [x, y] = [rows.column(drawn.x.name).value, rows.column(drawn.y.name).value];
  const places = drawn.chosen.map((trial) => rows.placeOf.get(trial)).filter((row) => row !== undefined);
  if (places.length === 0) return [];
  const many = places.length > 300;
  return [
    {
      type: "scatter",
      silent: true,
      clip: true,
      z: many ? 3 : 8,
      progressive: 0,
      large: places.length > LARGE,
      largeThreshold: LARGE,
      symbol: "circle",
      symbolSize: many ? 4 : 13,
      itemStyle: many ? { color: colours.accent, opacity: 0.6 } : { color: "transparent", borderColor: colours.accent, borderWidth: 1.6 },
      data: places.map((row) => at(scene, x[row] as number, y[row] as number)),
    },
  ];
}

/** What is drawn, in the units of the axes and without colours: the documents as the state shows them. */

import type { Baseline, FrontDocument } from "../documents";
import { frontUnder, keptMask } from "./limits";
import { CONFIRMED, retrainedTwin, type Span, spanOf, valueText } from "./quantities";
import { type ColumnOfNumbers, familyOf, type Rows } from "./rows";
import { type Scale, scaleOf } from "./scale";
import { type Corner, staircase } from "./staircase";
import type { FrontState } from "./state";

export type MarkKind = "front" | "near" | "hand_made" | "random" | "other" | "retrained";

/** A point that stands for itself; the many others are drawn as clouds. */
export interface Mark {
  key: string;
  kind: MarkKind;
  name: string;
  trial: number | null;
  baseline: Baseline | null;
  family: string | null;
  x: Span;
  y: Span;
  /** 0 (smallest) to 1, by the third quantity. */
  size: number | null;
  /** Probability of being non-dominated, where it is known. */
  probability: number | null;
  knee: boolean;
  /** Whether it breaks a limit of the reader. */
  out: boolean;
}

export type Tone = "dominated" | "out" | "infeasible";

/** Trials of one family, tone and size, drawn in one go. */
export interface Cloud {
  family: string | null;
  tone: Tone;
  sizeStep: number;
  rows: number[];
}

export interface Scene {
  x: Scale;
  y: Scale;
  clouds: Cloud[];
  marks: Mark[];
  /** From the inherited to the retrained value of one network. */
  joins: { from: Corner; to: Corner; family: string | null; out: boolean }[];
  line: Corner[];
  familyLines: { family: string; corners: Corner[] }[];
  kept: Uint8Array;
  /** Rows of the front under the limits. */
  frontRows: number[];
  /** Trials that lie outside of the axes. */
  beyond: number;
  /** Baselines that have no value on one of the axes. */
  unplaced: number;
  sizeEnds: [number, number] | null;
}

export const SIZE_STEPS = 5;
const PER_FAMILY = /each family by itself/;

/** Whether values of different families may be compared: where ranking is not trusted, they may not. */
export const isPerFamily = (front: FrontDocument): boolean => PER_FAMILY.test(front.trust.front ?? "");

export interface AxesInput {
  front: FrontDocument;
  rows: Rows;
  state: FrontState;
  /** Points of other runs that the axes must hold. */
  others: readonly Corner[];
  ticks: { x: number; y: number };
}

/** The axes, whatever the limits are: they stay where they are while a limit moves. */
export function axesOf({ front, rows, state, others, ticks }: AxesInput): { x: Scale; y: Scale } {
  const { marks } = marksOf(front, rows, { ...state, limits: {} });
  const cloud = cloudRowsOf(rows, state, marks);
  const axis = (side: "x" | "y", place: 0 | 1): Scale => {
    const log = side === "x" ? state.logX : state.logY;
    const { value } = rows.column(state[side]);
    const firm = marks.filter((mark) => mark.kind !== "near");
    const held = [...firm.map((mark) => mark[side].value), ...others.map((each) => each[place])];
    const bars = firm.flatMap((mark) => ends(mark[side], log));
    return scaleOf(held, bars, cloud.map((row) => value[row] as number), log, state.fit, ticks[side]);
  };
  return { x: axis("x", 0), y: axis("y", 1) };
}

interface Marks {
  marks: Mark[];
  joins: Scene["joins"];
  kept: Uint8Array;
  frontRows: number[];
  sizer: Sizer;
}

function marksOf(front: FrontDocument, rows: Rows, state: FrontState): Marks {
  const kept = keptMask(rows, state.limits);
  const objectives = front.objectives.map((each) => each.name);
  const frontRows = frontUnder(rows, kept, state.limits, objectives, isPerFamily(front));
  const sizer = sizerOf(rows, state.size);
  const hidden = new Set(state.hidden);
  const found = [...trialMarks(rows, state, kept, frontRows, sizer), ...judgedBaselines(front).flatMap((each) => baselineMark(each, state))];
  const marks = found.filter((mark) => !hidden.has(mark.family ?? ""));
  const retrained = marks.flatMap((mark) => retrainedMark(mark, rows, state));
  return { marks: [...marks, ...retrained], joins: joinsOf(marks, retrained), kept, frontRows, sizer };
}

/** Sizes of a network that are worse and no cheaper than another size of it stay away. */
const judgedBaselines = (front: FrontDocument): Baseline[] => front.baselines.filter((each) => each.on_family_front !== false);

/** Rows that have a place on the axes and no mark of their own. */
function cloudRowsOf(rows: Rows, state: FrontState, marks: readonly Mark[]): number[] {
  const marked = new Set(marks.map((mark) => mark.trial));
  const hidden = new Set(state.hidden);
  const [x, y] = [rows.column(state.x).value, rows.column(state.y).value];
  const found: number[] = [];
  for (let row = 0; row < rows.count; row += 1) {
    if (Number.isNaN(x[row]) || Number.isNaN(y[row])) continue;
    if (!hidden.has(rows.family[row] ?? "") && !marked.has(rows.trial[row] as number)) found.push(row);
  }
  return found;
}

export function sceneOf(front: FrontDocument, rows: Rows, state: FrontState, axes: { x: Scale; y: Scale }): Scene {
  const { marks, joins, kept, frontRows, sizer } = marksOf(front, rows, state);
  const cloudRows = cloudRowsOf(rows, state, marks);
  const onFront = marks.filter((mark) => mark.kind === "front" && !mark.out);
  return {
    ...axes,
    clouds: cloudsOf(rows, cloudRows, kept, sizer),
    marks,
    joins,
    line: staircase(onFront.map((mark) => [mark.x.value, mark.y.value])),
    familyLines: isPerFamily(front) ? familyLinesOf(onFront) : [],
    kept,
    frontRows,
    beyond: countBeyond(axes, cloudRows, rows.column(state.x).value, rows.column(state.y).value),
    unplaced: judgedBaselines(front).filter((each) => baselineMark(each, state).length === 0).length,
    sizeEnds: sizer.ends,
  };
}

const ends = (span: Span, log: boolean): number[] =>
  [span.low, span.high].filter((value) => value !== null).filter((value) => !log || value > 0);

const spanAt = (column: ColumnOfNumbers, row: number): Span => {
  const [low, high] = [column.low[row] as number, column.high[row] as number];
  return { value: column.value[row] as number, low: Number.isNaN(low) ? null : low, high: Number.isNaN(high) ? null : high };
};

interface Sizer {
  ends: [number, number] | null;
  of: (row: number) => number | null;
}

function sizerOf(rows: Rows, name: string | null): Sizer {
  if (name === null) return { ends: null, of: () => null };
  const { value } = rows.column(name);
  const known = value.filter((each) => Number.isFinite(each)).sort();
  const [low, high] = [known[0] ?? 0, known.at(-1) ?? 0];
  if (!(low < high)) return { ends: null, of: () => null };
  return { ends: [low, high], of: (row) => (Number.isNaN(value[row]) ? 0 : ((value[row] as number) - low) / (high - low)) };
}

function trialMarks(rows: Rows, state: FrontState, kept: Uint8Array, frontRows: readonly number[], sizer: Sizer): Mark[] {
  const x = rows.column(state.x);
  const y = rows.column(state.y);
  const under = new Set(frontRows);
  const marks: Mark[] = [];
  for (let row = 0; row < rows.count; row += 1) {
    const trial = rows.trial[row] as number;
    const point = rows.front[row] ?? null;
    const isFront = point !== null || under.has(row);
    if (!isFront && !rows.near.has(trial)) continue;
    if (Number.isNaN(x.value[row]) || Number.isNaN(y.value[row])) continue;
    marks.push({
      key: `trial-${trial}`,
      kind: isFront ? "front" : "near",
      name: `trial ${trial}`,
      trial,
      baseline: null,
      family: rows.family[row] ?? null,
      x: spanAt(x, row),
      y: spanAt(y, row),
      size: sizer.of(row),
      probability: point?.probability_front ?? rows.near.get(trial) ?? null,
      knee: point?.knee ?? false,
      out: kept[row] === 0,
    });
  }
  return marks;
}

const KINDS: readonly string[] = ["hand_made", "random"];

function baselineMark(baseline: Baseline, state: FrontState): Mark[] {
  const place = (name: string): Span | null => {
    const twin = retrainedTwin(name);
    return (twin ? spanOf(baseline, twin) : null) ?? spanOf(baseline, name);
  };
  const [x, y] = [place(state.x), place(state.y)];
  if (!x || !y) return [];
  const limits = Object.entries(state.limits);
  return [
    {
      key: `baseline-${baseline.name}`,
      kind: KINDS.includes(baseline.kind) ? (baseline.kind as MarkKind) : "other",
      name: baseline.name,
      trial: null,
      baseline,
      family: familyOf(baseline),
      x,
      y,
      size: null,
      probability: null,
      knee: false,
      out: limits.some(([name, limit]) => (spanOf(baseline, name)?.value ?? 0) > limit),
    },
  ];
}

/** Where an axis shows inherited errors, the same network as it came out of training alone. */
function retrainedMark(mark: Mark, rows: Rows, state: FrontState): Mark[] {
  if (mark.trial === null || mark.kind !== "front") return [];
  const point = rows.front[rows.placeOf.get(mark.trial) ?? -1] ?? null;
  const spans = (["x", "y"] as const).map((side) => {
    const twin = retrainedTwin(state[side]);
    return twin && point ? spanOf(point, twin) : null;
  });
  if (spans.every((span) => span === null)) return [];
  const [x, y] = spans;
  return [{ ...mark, key: `retrained-${mark.trial}`, kind: "retrained", x: x ?? mark.x, y: y ?? mark.y, size: null, knee: false }];
}

function joinsOf(marks: readonly Mark[], retrained: readonly Mark[]): Scene["joins"] {
  const from = new Map(marks.map((mark) => [mark.trial, mark]));
  return retrained.flatMap((mark) => {
    const start = from.get(mark.trial);
    return start ? [{ from: [start.x.value, start.y.value], to: [mark.x.value, mark.y.value], family: mark.family, out: mark.out }] : [];
  });
}

function familyLinesOf(marks: readonly Mark[]): Scene["familyLines"] {
  const groups = new Map<string, Corner[]>();
  for (const mark of marks) groups.set(mark.family ?? "", [...(groups.get(mark.family ?? "") ?? []), [mark.x.value, mark.y.value]]);
  return [...groups].map(([family, group]) => ({ family, corners: staircase(group) }));
}

function cloudsOf(rows: Rows, cloudRows: readonly number[], kept: Uint8Array, sizer: Sizer): Cloud[] {
  const clouds = new Map<string, Cloud>();
  for (const row of cloudRows) {
    const tone: Tone = !rows.feasible[row] ? "infeasible" : kept[row] ? "dominated" : "out";
    const family = rows.family[row] ?? null;
    const sizeStep = Math.min(SIZE_STEPS - 1, Math.floor(SIZE_STEPS * (sizer.of(row) ?? 0)));
    const key = JSON.stringify([tone, family, sizeStep]);
    const cloud = clouds.get(key) ?? { family, tone, sizeStep, rows: [] };
    cloud.rows.push(row);
    clouds.set(key, cloud);
  }
  const order: Record<Tone, number> = { infeasible: 0, out: 1, dominated: 2 };
  return [...clouds.values()].sort((first, second) => order[first.tone] - order[second.tone]);
}

function countBeyond(scales: { x: Scale; y: Scale }, cloudRows: readonly number[], x: Float64Array, y: Float64Array): number {
  const outside = (scale: Scale, value: number): boolean => {
    const place = scale.log ? Math.log10(value) : value;
    return !(place >= scale.low && place <= scale.high);
  };
  return cloudRows.filter((row) => outside(scales.x, x[row] as number) || outside(scales.y, y[row] as number)).length;
}

/** A mark in one line, for those who cannot see it. */
export function markText(mark: Mark, state: FrontState): string {
  const what = mark.kind === "retrained" ? `${mark.name}, retrained` : mark.name;
  const probability = mark.probability === null ? "" : `, probability of the front ${mark.probability.toFixed(2)}`;
  const values = `${state.x} ${valueText(state.x, mark.x.value)}, ${mark.kind === "retrained" ? CONFIRMED : state.y} ${valueText(state.y, mark.y.value)}`;
  return `${what}${mark.family ? `, ${mark.family}` : ""}: ${values}${probability}${mark.knee ? ", knee" : ""}`;
}

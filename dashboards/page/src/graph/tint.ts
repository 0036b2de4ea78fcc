import { type Palette } from "../parts/palette";
import { familyOf, isJoin } from "./marks";
import type { Box } from "./visible";

/** What colours the boxes: their kind of operation, or one of their numbers. */
export type Tint = "kind" | "latency" | "parameters" | "macs" | "given";

export interface Painted {
  fill: string;
  ink: string;
}

/** Numbers that do not come from the network itself, by node. */
export interface Given {
  name: string;
  unit: string;
  values: Record<string, number>;
  /** Where the scale of colours ends; else at the largest value. */
  most?: number;
}

/** Colours per box, and what they mean. */
export interface Paint {
  of(box: Box): Painted | null;
  legend: { label: string; fill: string }[];
  unit: string;
}

const VALUE: Record<"latency" | "parameters" | "macs", { of: (box: Box) => number | null; unit: string }> = {
  latency: { of: (box) => box.latency_ms, unit: "ms" },
  parameters: { of: (box) => (box.parameters > 0 ? box.parameters : null), unit: "parameters" },
  macs: { of: (box) => (box.macs > 0 ? box.macs : null), unit: "MACs" },
};

export function paint(tint: Tint, boxes: Iterable<Box>, colours: Palette, given?: Given): Paint {
  if (tint === "kind") return { of: () => null, legend: [], unit: "" };
  const value = tint === "given" ? (box: Box): number | null => given?.values[box.id] ?? null : VALUE[tint].of;
  const unit = tint === "given" ? (given?.unit ?? "") : VALUE[tint].unit;
  const most = tint === "given" ? given?.most : undefined;
  return scaled(value, unit, most ?? largest(boxes, value), colours);
}

function largest(boxes: Iterable<Box>, value: (box: Box) => number | null): number {
  let most = 0;
  for (const box of boxes) if (!isJoin(box)) most = Math.max(most, value(box) ?? 0);
  return most;
}

/** Equal steps from nothing to the largest; a step is a colour of the palette's scale. */
function scaled(value: (box: Box) => number | null, unit: string, most: number, colours: Palette): Paint {
  const steps = colours.scale.length;
  const step = (amount: number): number => Math.min(steps - 1, Math.floor((amount / most) * steps));
  return {
    of: (box) => {
      const amount = value(box);
      if (amount === null || most === 0) return null;
      const fill = colours.scale[step(amount)] ?? colours.paper;
      return { fill, ink: readableOn(fill) };
    },
    legend: most === 0 ? [] : colours.scale.map((fill, place) => ({ fill, label: `${rounded((most * place) / steps)} to ${rounded((most * (place + 1)) / steps)}` })),
    unit,
  };
}

const ROUNDED = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });
const rounded = (value: number): string => ROUNDED.format(value);

/** Black or white, whichever contrasts more (relative luminance as WCAG 2 defines it). */
export function readableOn(fill: string): string {
  const channel = (start: number): number => {
    const share = Number.parseInt(fill.slice(start, start + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  const luminance = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
  return luminance > 0.179 ? "#101010" : "#ffffff";
}

export const familyClass = (box: Box): string => (box.folder ? "folded" : box.node ? familyOf(box.node) : "other");

import type { Layout } from "./elk_graph";
import type { Direction } from "./marks";
import type { Shown } from "./visible";

export type Step = "forward" | "back" | "left" | "right";

/** Arrow keys as steps: along the edges, or to what stands beside. */
export function stepOf(key: string, direction: Direction): Step | null {
  const steps: Record<string, Step> =
    direction === "down"
      ? { ArrowDown: "forward", ArrowUp: "back", ArrowLeft: "left", ArrowRight: "right" }
      : { ArrowRight: "forward", ArrowLeft: "back", ArrowUp: "left", ArrowDown: "right" };
  return steps[key] ?? null;
}

/** Where a step leads: along the chain or else to the nearest end of an edge; null where nothing is. */
export function walk(drawn: Shown, layout: Layout, direction: Direction, from: string, step: Step): string | null {
  if (step === "left" || step === "right") return beside(layout, direction, from, step);
  const [own, other] = step === "forward" ? (["source", "target"] as const) : (["target", "source"] as const);
  const lines = drawn.lines.filter((line) => line[own] === from);
  const chain = lines.find((line) => line.chain);
  if (chain) return chain[other];
  const here = middle(layout, from);
  const apart = (id: string): number => {
    const there = middle(layout, id);
    return here && there ? Math.hypot(here.x - there.x, here.y - there.y) : Infinity;
  };
  return lines.map((line) => line[other]).sort((a, b) => apart(a) - apart(b))[0] ?? null;
}

function beside(layout: Layout, direction: Direction, from: string, step: "left" | "right"): string | null {
  const here = layout.boxes[from];
  if (!here) return null;
  const [along, size, across] = direction === "down" ? (["y", "height", "x"] as const) : (["x", "width", "y"] as const);
  const sign = step === "left" ? -1 : 1;
  let best: string | null = null;
  let least = Infinity;
  for (const [id, there] of Object.entries(layout.boxes)) {
    const level = there[along] < here[along] + here[size] && here[along] < there[along] + there[size];
    const apart = (there[across] - here[across]) * sign;
    if (id !== from && level && apart > 0 && apart < least) [best, least] = [id, apart];
  }
  return best;
}

function middle(layout: Layout, id: string): { x: number; y: number } | null {
  const box = layout.boxes[id];
  return box ? { x: box.x + box.width / 2, y: box.y + box.height / 2 } : null;
}

import type { BriefPoint, RunDocument } from "../documents";

/** Latency on the run's own device: the one cost that runs with different objectives share. */
export const OWN_LATENCY = "latency_ms";

export interface Cost {
  name: string;
  unit: string | null;
}

/** What a budget can be set on: latency on the run's own device, and all objectives but each run's first. */
export function costs(runs: readonly RunDocument[]): Cost[] {
  const found = new Map<string, Cost>();
  const points = runs.flatMap((run) => run.front);
  if (points.some((point) => point.latency_ms !== null)) found.set(OWN_LATENCY, { name: OWN_LATENCY, unit: "ms" });
  for (const objective of runs.flatMap((run) => run.objectives.slice(1))) {
    const told = points.filter((point) => objective.name in point.values);
    const sameAsOwn = told.length > 0 && told.every((point) => point.values[objective.name] === point.latency_ms);
    if (!sameAsOwn) found.set(objective.name, { name: objective.name, unit: objective.unit });
  }
  return [...found.values()];
}

export const costOf = (point: BriefPoint, cost: string): number | null =>
  cost === OWN_LATENCY ? point.latency_ms : (point.values[cost] ?? null);

/** The front's point with the best first objective among those that keep the budget. */
export function bestUnder(run: RunDocument, cost: string, budget: number | null): BriefPoint | null {
  const first = run.objectives[0]?.name;
  if (first === undefined) return null;
  let best: BriefPoint | null = null;
  for (const point of run.front) {
    const spent = costOf(point, cost);
    const value = point.values[first];
    if (value === undefined || (budget !== null && (spent === null || spent > budget))) continue;
    if (best === null || value < (best.values[first] ?? Number.POSITIVE_INFINITY)) best = point;
  }
  return best;
}

/** A budget that splits the fronts: the middle of all points' costs, to two digits. */
export function usualBudget(runs: readonly RunDocument[], cost: string): number | null {
  const spent = runs.flatMap((run) => run.front.map((point) => costOf(point, cost))).filter((value) => value !== null);
  if (spent.length === 0) return null;
  spent.sort((first, second) => first - second);
  const middle = spent[Math.floor(spent.length / 2)] ?? 0;
  return Number(middle.toPrecision(2));
}

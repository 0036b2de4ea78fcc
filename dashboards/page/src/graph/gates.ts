import type { SupernetDocument } from "../documents";

export type Gates = NonNullable<SupernetDocument["gates"]>;
export type GateChoice = Gates["choices"][number];

/** Entropy of a choice's probabilities as a share of the largest possible: 1 undecided, 0 decided. */
export function entropy(kind: GateChoice["kind"], probabilities: readonly number[]): number {
  const plogp = (p: number): number => (p > 0 ? -p * Math.log(p) : 0);
  if (kind === "subset_of") {
    // Every item is there or not by itself.
    const each = probabilities.map((p) => (plogp(p) + plogp(1 - p)) / Math.LN2);
    return each.length > 0 ? each.reduce((sum, one) => sum + one, 0) / each.length : 0;
  }
  return probabilities.length > 1 ? probabilities.reduce((sum, p) => sum + plogp(p), 0) / Math.log(probabilities.length) : 0;
}

export const entropyAt = (choice: GateChoice, step: number): number => entropy(choice.kind, choice.values[step] ?? []);

/** The choices whose entropy changed most between the first step and the last, in their own order. */
export function mostMoved(gates: Gates, count: number): GateChoice[] {
  const moved = (choice: GateChoice): number => Math.abs(entropyAt(choice, 0) - entropyAt(choice, choice.values.length - 1));
  const chosen = new Set([...gates.choices].sort((a, b) => moved(b) - moved(a)).slice(0, count));
  return gates.choices.filter((choice) => chosen.has(choice));
}

/** Probability of every gated edge at a step. */
export function edgeGates(document: SupernetDocument, step: number): Record<string, number> {
  const choices = byName(document.gates);
  const found: Record<string, number> = {};
  for (const [edge, { choice, option }] of Object.entries(document.edge_choices)) {
    const known = choices.get(choice);
    const value = known?.values[step]?.[known.options.indexOf(option)];
    if (value !== undefined) found[edge] = value;
  }
  return found;
}

/** Entropy of the choice of every node at a step. */
export function nodeEntropies(document: SupernetDocument, step: number): Record<string, number> {
  const choices = byName(document.gates);
  const found: Record<string, number> = {};
  for (const [node, name] of Object.entries(document.node_choices)) {
    const choice = choices.get(name);
    if (choice) found[node] = entropyAt(choice, step);
  }
  return found;
}

export function choiceOfNode(document: SupernetDocument, node: string): GateChoice | null {
  const name = document.node_choices[node];
  return document.gates?.choices.find((choice) => choice.name === name) ?? null;
}

const byName = (gates: Gates | null): Map<string, GateChoice> => new Map((gates?.choices ?? []).map((choice) => [choice.name, choice]));

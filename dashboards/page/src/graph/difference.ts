import type { ArchitectureDocument, ArchitectureEdge, ArchitectureNode } from "../documents";

export type Mark = "same" | "added" | "removed" | "changed";

/** What is told by colour is told by a sign, too. */
export const SIGN: Record<Mark, string> = { same: "", added: "+", removed: "−", changed: "~" };

/** Two networks as one drawing, by the names of their nodes. */
export interface Difference {
  /** Nodes and edges of both; what only the first has is marked removed. */
  union: ArchitectureDocument;
  nodes: Record<string, Mark>;
  edges: Record<string, Mark>;
  /** Every difference as a sentence, nodes first. */
  sentences: { mark: Mark; text: string }[];
}

export function difference(before: ArchitectureDocument, after: ArchitectureDocument): Difference {
  const nodes: Record<string, Mark> = {};
  const sentences: Difference["sentences"] = [];
  const tell = (mark: Mark, text: string): void => void sentences.push({ mark, text });
  const old = new Map(before.nodes.map((node) => [node.id, node]));
  const now = new Set(after.nodes.map((node) => node.id));
  for (const node of after.nodes) {
    const known = old.get(node.id);
    const changes = known ? nodeChanges(known, node) : [];
    nodes[node.id] = !known ? "added" : changes.length > 0 ? "changed" : "same";
    if (!known) tell("added", `node ${node.id} (${nodeText(node)})`);
    else if (changes.length > 0) tell("changed", `node ${node.id}: ${changes.join(", ")}`);
  }
  const gone = before.nodes.filter((node) => !now.has(node.id));
  for (const node of gone) {
    nodes[node.id] = "removed";
    tell("removed", `node ${node.id} (${nodeText(node)})`);
  }
  const edges = edgeDifference(before, after, tell);
  const groups = [...after.groups, ...before.groups.filter((group) => !after.groups.some((known) => known.id === group.id))];
  const union: ArchitectureDocument = {
    ...after,
    id: `${before.id} ${after.id}`,
    nodes: interleaved(before.nodes, after.nodes),
    edges: edges.all,
    groups,
  };
  return { union, nodes, edges: edges.marks, sentences };
}

/** Nodes of both in one drawing order: what is gone stands where it stood. */
function interleaved(before: readonly ArchitectureNode[], after: readonly ArchitectureNode[]): ArchitectureNode[] {
  const now = new Set(after.map((node) => node.id));
  const behind = new Map<string | null, ArchitectureNode[]>();
  let last: string | null = null;
  for (const node of before) {
    if (now.has(node.id)) last = node.id;
    else behind.set(last, [...(behind.get(last) ?? []), node]);
  }
  return [...(behind.get(null) ?? []), ...after.flatMap((node) => [node, ...(behind.get(node.id) ?? [])])];
}

function nodeChanges(before: ArchitectureNode, after: ArchitectureNode): string[] {
  const fields: (keyof ArchitectureNode)[] = ["operation", "merge", "width", "stride", "tie", "exit"];
  return fields.filter((field) => before[field] !== after[field]).map((field) => `${field} ${told(before[field])} → ${told(after[field])}`);
}

const told = (value: unknown): string => (value === null ? "none" : String(value));

const nodeText = (node: ArchitectureNode): string => `${node.operation}${node.width === null ? "" : ` ${node.width}`}${node.stride > 1 ? ` /${node.stride}` : ""}`;

function edgeDifference(
  before: ArchitectureDocument,
  after: ArchitectureDocument,
  tell: (mark: Mark, text: string) => void,
): { all: ArchitectureEdge[]; marks: Record<string, Mark> } {
  const marks: Record<string, Mark> = {};
  const all: ArchitectureEdge[] = [];
  const old = byEnds(before.edges);
  for (const [ends, edges] of byEnds(after.edges)) {
    const known = old.get(ends) ?? [];
    old.delete(ends);
    edges.forEach((edge, place) => {
      const other = known[place];
      const changed = other !== undefined && edge.details.join(" ") !== other.details.join(" ");
      marks[`now ${edge.id}`] = other === undefined ? "added" : changed ? "changed" : "same";
      all.push({ ...edge, id: `now ${edge.id}` });
      if (other === undefined) tell("added", edgeText(edge));
      else if (changed) tell("changed", `${edgeText(edge)}: ${other.details.join(" ") || "plain"} → ${edge.details.join(" ") || "plain"}`);
    });
    if (known.length > edges.length) old.set(ends, known.slice(edges.length));
  }
  for (const edge of [...old.values()].flat()) {
    marks[`was ${edge.id}`] = "removed";
    all.push({ ...edge, id: `was ${edge.id}` });
    tell("removed", edgeText(edge));
  }
  return { all, marks };
}

const edgeText = (edge: ArchitectureEdge): string => `edge ${edge.source} → ${edge.target}`;

function byEnds(edges: readonly ArchitectureEdge[]): Map<string, ArchitectureEdge[]> {
  const found = new Map<string, ArchitectureEdge[]>();
  for (const edge of edges) {
    const ends = `${edge.source}\n${edge.target}`;
    const beside = found.get(ends);
    if (beside) beside.push(edge);
    else found.set(ends, [edge]);
  }
  return found;
}

/** Marks of folded groups and joined lines: a mark that all share, and else "changed". */
export function joinedMark(marks: readonly (Mark | undefined)[]): Mark {
  const different = new Set(marks.map((mark) => mark ?? "same"));
  const [only] = different;
  return different.size === 1 && only !== undefined ? only : different.size === 0 ? "same" : "changed";
}

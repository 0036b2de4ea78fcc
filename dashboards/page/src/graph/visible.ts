import type { ArchitectureDocument, ArchitectureEdge, ArchitectureNode } from "../documents";
import { type Folder, type Hierarchy, standIn } from "./hierarchy";

/** A node, or a folded group that stands for its nodes. */
export interface Box {
  id: string;
  node: ArchitectureNode | null;
  folder: Folder | null;
  /** Innermost open group it stands in. */
  parent: string | null;
  parameters: number;
  macs: number;
  /** Sum over the nodes that were measured; null where none was. */
  latency_ms: number | null;
  inputs: number;
}

/** An edge, or all edges between a folded group and something else. */
export interface Line {
  id: string;
  source: string;
  target: string;
  chain: boolean;
  members: ArchitectureEdge[];
}

/** What there is to draw while some groups are folded. */
export interface Shown {
  boxes: Map<string, Box>;
  lines: Line[];
  /** Open groups, outermost first. */
  open: Folder[];
}

export function shown(document: ArchitectureDocument, tree: Hierarchy, folded: ReadonlySet<string>): Shown {
  const boxes = new Map<string, Box>();
  const place = new Map<string, string>();
  for (const node of document.nodes) {
    const id = standIn(tree, folded, node.id);
    place.set(node.id, id);
    const box = boxes.get(id) ?? emptyBox(tree, id, node);
    box.parameters += node.parameters;
    box.macs += node.macs;
    if (node.latency_ms !== null) box.latency_ms = (box.latency_ms ?? 0) + node.latency_ms;
    boxes.set(id, box);
  }
  const lines = joinedLines(document.edges, place);
  for (const line of lines) {
    const box = boxes.get(line.target);
    if (box) box.inputs += 1;
  }
  return { boxes, lines, open: openFolders(tree, folded) };
}

function emptyBox(tree: Hierarchy, id: string, node: ArchitectureNode): Box {
  const folder = id === node.id ? null : (tree.folders.get(id.slice("fold:".length)) ?? null);
  return {
    id,
    node: folder ? null : node,
    folder,
    parent: folder ? folder.parent : (tree.home.get(node.id) ?? null),
    parameters: 0,
    macs: 0,
    latency_ms: null,
    inputs: 0,
  };
}

function joinedLines(edges: readonly ArchitectureEdge[], place: ReadonlyMap<string, string>): Line[] {
  const lines = new Map<string, Line>();
  for (const edge of edges) {
    const source = place.get(edge.source);
    const target = place.get(edge.target);
    if (source === undefined || target === undefined || source === target) continue;
    const plain = source === edge.source && target === edge.target;
    const id = plain ? edge.id : `${source} > ${target}`;
    const line = lines.get(id);
    if (line) {
      line.members.push(edge);
      line.chain ||= edge.kind === "chain";
    } else lines.set(id, { id, source, target, chain: edge.kind === "chain", members: [edge] });
  }
  return [...lines.values()];
}

function openFolders(tree: Hierarchy, folded: ReadonlySet<string>): Folder[] {
  const open: Folder[] = [];
  const visit = (id: string): void => {
    const folder = tree.folders.get(id);
    if (!folder || folded.has(id)) return;
    open.push(folder);
    folder.groups.forEach(visit);
  };
  tree.top.forEach(visit);
  return open;
}

/** Learned probability of an edge; null where none was learned. */
export type GateOf = (edge: ArchitectureEdge) => number | null;

export const recordedGate: GateOf = (edge) => edge.gate;

/** The largest probability among the edges a line stands for; null where none was learned. */
export function gateOf(line: Line, gate: GateOf = recordedGate): number | null {
  const gates = line.members.map(gate).filter((each) => each !== null);
  return gates.length > 0 ? Math.max(...gates) : null;
}

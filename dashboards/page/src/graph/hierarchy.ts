import type { ArchitectureDocument, ArchitectureEdge, ArchitectureGroup, ArchitectureNode } from "../documents";

/** A group of the document, or a part that the page made because too many nodes stood side by side. */
export interface Folder {
  id: string;
  parent: string | null;
  label: string;
  kind: ArchitectureGroup["kind"] | "part";
  /** Groups inside it, and nodes that stand in it directly. */
  groups: string[];
  nodes: string[];
  /** Nodes at any depth. */
  size: number;
  depth: number;
}

export interface Hierarchy {
  folders: Map<string, Folder>;
  nodes: Map<string, ArchitectureNode>;
  /** Innermost folder of every node; null at the top. */
  home: Map<string, string | null>;
  top: string[];
}

/** More nodes than this are not drawn side by side until someone asks for it. */
export const MANY = 150;
/** More edges than this make a layout slow and a drawing full. */
const MANY_EDGES = 400;
const PART = 60;

export function hierarchy(document: ArchitectureDocument): Hierarchy {
  const folders = new Map<string, Folder>();
  for (const group of document.groups) {
    folders.set(group.id, { ...group, groups: [], nodes: [], size: 0, depth: 0 });
  }
  const home = new Map<string, string | null>();
  const direct = new Map<string | null, string[]>();
  for (const node of document.nodes) {
    const inside = node.group !== null && folders.has(node.group) ? node.group : null;
    const beside = direct.get(inside);
    if (beside) beside.push(node.id);
    else direct.set(inside, [node.id]);
    home.set(node.id, inside);
  }
  for (const [inside, members] of direct) {
    if (members.length > MANY) makeParts(folders, home, inside, members);
  }
  for (const [node, inside] of home) if (inside !== null) folders.get(inside)?.nodes.push(node);
  dissolveSingles(folders, home);
  const top: string[] = [];
  for (const folder of folders.values()) {
    const parent = folder.parent === null ? undefined : folders.get(folder.parent);
    if (parent) parent.groups.push(folder.id);
    else top.push(folder.id);
  }
  for (const id of top) measure(folders, id, 0);
  // A group without a node would be an empty box.
  for (const folder of [...folders.values()]) if (folder.size === 0) folders.delete(folder.id);
  return { folders, nodes: new Map(document.nodes.map((node) => [node.id, node])), home, top: top.filter((id) => folders.has(id)) };
}

/** A box around one node inside another box, or around the part of a node's name, says nothing. */
function dissolveSingles(folders: Map<string, Folder>, home: Map<string, string | null>): void {
  const parents = new Set([...folders.values()].map((folder) => folder.parent));
  for (const folder of [...folders.values()]) {
    const [only] = folder.nodes;
    if (only === undefined || folder.nodes.length > 1 || parents.has(folder.id)) continue;
    if (folder.parent === null && !home.has(folder.id)) continue;
    folders.delete(folder.id);
    home.set(only, folder.parent);
    if (folder.parent !== null) folders.get(folder.parent)?.nodes.push(only);
  }
}

/** Neighbours in the drawing order share a part, so that edges between parts run one way only. */
function makeParts(folders: Map<string, Folder>, home: Map<string, string | null>, inside: string | null, members: string[]): void {
  const length = Math.max(PART, Math.ceil(members.length / 100));
  for (let start = 0; start < members.length; start += length) {
    const part = members.slice(start, start + length);
    const id = `${inside ?? ""}/nodes ${start + 1} to ${start + part.length}`;
    folders.set(id, {
      id,
      parent: inside,
      label: `nodes ${start + 1} to ${start + part.length}`,
      kind: "part",
      groups: [],
      nodes: [],
      size: 0,
      depth: 0,
    });
    for (const node of part) home.set(node, id);
  }
}

function measure(folders: Map<string, Folder>, id: string, depth: number): number {
  const folder = folders.get(id);
  if (!folder) return 0;
  folder.depth = depth;
  folder.size = folder.nodes.length + folder.groups.reduce((sum, inner) => sum + measure(folders, inner, depth + 1), 0);
  return folder.size;
}

/** What is folded at first: as little as keeps the drawing small. */
export function foldedAtFirst(tree: Hierarchy, edges: readonly ArchitectureEdge[]): Set<string> {
  const small = (folded: ReadonlySet<string>): boolean => shownCount(tree, folded) <= MANY && lineCount(tree, folded, edges) <= MANY_EDGES;
  if (small(new Set())) return new Set();
  const deepest = Math.max(0, ...[...tree.folders.values()].map((folder) => folder.depth));
  for (let depth = deepest; depth >= 0; depth -= 1) {
    const folded = foldedFrom(tree, depth);
    if (depth === 0 || small(folded)) return folded;
  }
  return new Set();
}

/** Every folder at this depth or deeper. */
export function foldedFrom(tree: Hierarchy, depth: number): Set<string> {
  return new Set([...tree.folders.values()].filter((folder) => folder.depth >= depth).map((folder) => folder.id));
}

export function shownCount(tree: Hierarchy, folded: ReadonlySet<string>): number {
  const shown = new Set<string>();
  for (const node of tree.nodes.keys()) shown.add(standIn(tree, folded, node));
  return shown.size;
}

function lineCount(tree: Hierarchy, folded: ReadonlySet<string>, edges: readonly ArchitectureEdge[]): number {
  const shown = new Map([...tree.nodes.keys()].map((node) => [node, standIn(tree, folded, node)]));
  const joined = new Set<string>();
  for (const edge of edges) {
    const [source, target] = [shown.get(edge.source), shown.get(edge.target)];
    if (source !== target) joined.add(source === edge.source && target === edge.target ? edge.id : `${source} > ${target}`);
  }
  return joined.size;
}

/** What is drawn for a node: itself, or the outermost folded folder around it. */
export function standIn(tree: Hierarchy, folded: ReadonlySet<string>, node: string): string {
  let shown = node;
  let around = tree.home.get(node) ?? null;
  while (around !== null) {
    if (folded.has(around)) shown = `fold:${around}`;
    around = tree.folders.get(around)?.parent ?? null;
  }
  return shown;
}

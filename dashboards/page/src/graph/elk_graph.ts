import type { ElkExtendedEdge, ElkNode, LayoutOptions } from "elkjs/lib/elk-api.js";
import { boxSize, type Direction } from "./marks";
import type { Line, Shown } from "./visible";

export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Where everything stands, in absolute units of the drawing. Plain data: it is kept as JSON. */
export interface Layout {
  width: number;
  height: number;
  boxes: Record<string, Rectangle>;
  groups: Record<string, Rectangle>;
  /** Corners of every line: x, y, x, y, ... */
  lines: Record<string, number[]>;
}

/*
 * Every edge has ports of its own at both ends and a distance to every other, so no two of them can
 * be taken for one. ELK chooses the order of the ports, which keeps crossings few.
 */
const OPTIONS: LayoutOptions = {
  "elk.algorithm": "layered",
  "elk.edgeRouting": "ORTHOGONAL",
  "elk.hierarchyHandling": "INCLUDE_CHILDREN",
  "elk.json.shapeCoords": "ROOT",
  "elk.json.edgeCoords": "ROOT",
  "elk.layered.mergeEdges": "false",
  "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
  "elk.spacing.portPort": "10",
  "elk.spacing.edgeEdge": "10",
  "elk.spacing.edgeNode": "14",
  "elk.spacing.nodeNode": "24",
  "elk.layered.spacing.edgeEdgeBetweenLayers": "10",
  "elk.layered.spacing.edgeNodeBetweenLayers": "12",
  "elk.layered.spacing.nodeNodeBetweenLayers": "30",
};
const GROUP_OPTIONS: LayoutOptions = { "elk.padding": "[top=34,left=16,bottom=16,right=16]" };
const CHAIN_OPTIONS: LayoutOptions = { "elk.layered.priority.straightness": "10", "elk.layered.priority.direction": "10" };

export function toElk(drawn: Shown, direction: Direction): ElkNode {
  const [outputs, inputs] = [countBy(drawn.lines, "source"), countBy(drawn.lines, "target")];
  const nodes = new Map<string, ElkNode>();
  for (const box of drawn.boxes.values()) {
    nodes.set(box.id, {
      id: `n ${box.id}`,
      ...boxSize(box, inputs.get(box.id) ?? 0, outputs.get(box.id) ?? 0, direction),
      ports: [],
      layoutOptions: { "elk.portConstraints": "FIXED_SIDE" },
    });
  }
  const groups = new Map<string, ElkNode>();
  for (const folder of drawn.open) groups.set(folder.id, { id: `g ${folder.id}`, children: [], layoutOptions: GROUP_OPTIONS });
  const root: ElkNode = {
    id: "root",
    layoutOptions: { ...OPTIONS, "elk.direction": direction === "down" ? "DOWN" : "RIGHT" },
    children: [],
    edges: drawn.lines.map((line) => elkEdge(line, nodes, direction)),
  };
  for (const folder of drawn.open) childrenOf(groups, folder.parent, root).push(groups.get(folder.id) as ElkNode);
  for (const box of drawn.boxes.values()) childrenOf(groups, box.parent, root).push(nodes.get(box.id) as ElkNode);
  return root;
}

function childrenOf(groups: ReadonlyMap<string, ElkNode>, parent: string | null, root: ElkNode): ElkNode[] {
  const place = (parent === null ? undefined : groups.get(parent)) ?? root;
  return (place.children ??= []);
}

function countBy(lines: readonly Line[], end: "source" | "target"): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line[end], (counts.get(line[end]) ?? 0) + 1);
  return counts;
}

function elkEdge(line: Line, nodes: ReadonlyMap<string, ElkNode>, direction: Direction): ElkExtendedEdge {
  const sides = direction === "down" ? ["SOUTH", "NORTH"] : ["EAST", "WEST"];
  const port = (node: string, end: "s" | "t", side: string | undefined): string => {
    const id = `${end} ${line.id}`;
    nodes.get(node)?.ports?.push({ id, width: 0, height: 0, layoutOptions: { "elk.port.side": side ?? "SOUTH" } });
    return id;
  };
  return {
    id: `e ${line.id}`,
    sources: [port(line.source, "s", sides[0])],
    targets: [port(line.target, "t", sides[1])],
    ...(line.chain ? { layoutOptions: CHAIN_OPTIONS } : {}),
  };
}

export function fromElk(laidOut: ElkNode): Layout {
  const layout: Layout = { width: laidOut.width ?? 0, height: laidOut.height ?? 0, boxes: {}, groups: {}, lines: {} };
  const visit = (node: ElkNode): void => {
    for (const edge of node.edges ?? []) layout.lines[edge.id.slice(2)] = corners(edge);
    for (const child of node.children ?? []) {
      const rectangle = { x: tidy(child.x), y: tidy(child.y), width: tidy(child.width), height: tidy(child.height) };
      (child.id.startsWith("g ") ? layout.groups : layout.boxes)[child.id.slice(2)] = rectangle;
      visit(child);
    }
  };
  visit(laidOut);
  return layout;
}

function corners(edge: ElkExtendedEdge): number[] {
  const points: number[] = [];
  for (const section of edge.sections ?? []) {
    for (const point of [section.startPoint, ...(section.bendPoints ?? []), section.endPoint]) points.push(tidy(point.x), tidy(point.y));
  }
  return straightened(points);
}

/** ELK places nodes at whole numbers but not ports: a line may lean by less than one unit. */
function straightened(points: number[]): number[] {
  for (let place = 2; place < points.length; place += 1) {
    const [before, here] = [points[place - 2] ?? 0, points[place] ?? 0];
    if (Math.abs(before - here) < 1) points[place] = before;
  }
  return points;
}

const tidy = (value: number | undefined): number => Math.round((value ?? 0) * 100) / 100;

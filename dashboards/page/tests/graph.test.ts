import { describe, expect, it } from "vitest";
import type { ArchitectureDocument, ArchitectureEdge, ArchitectureNode } from "../src/documents";
import { fitted, holds, opening, seen, showing, zoomed } from "../src/graph/camera";
import { macsBefore } from "../src/graph/cost_table";
import { difference } from "../src/graph/difference";
import { fromElk, toElk } from "../src/graph/elk_graph";
import { entropy } from "../src/graph/gates";
import { foldedAtFirst, foldedFrom, hierarchy, MANY, shownCount } from "../src/graph/hierarchy";
import { roundedPath } from "../src/graph/paths";
import { readableOn } from "../src/graph/tint";
import { gateOf, shown } from "../src/graph/visible";

function node(id: string, group: string | null = null, more: Partial<ArchitectureNode> = {}): ArchitectureNode {
  return { id, label: id, kind: "operation", operation: "conv3x3", merge: null, width: 8, stride: 1, group, shape: null, parameters: 10, macs: 100, latency_ms: null, exit: false, tie: null, ...more };
}

function edge(source: string, target: string, more: Partial<ArchitectureEdge> = {}): ArchitectureEdge {
  return { id: `${source}>${target}`, source, target, kind: "chain", details: [], adapted: false, gate: null, ...more };
}

function network(nodes: ArchitectureNode[], edges: ArchitectureEdge[], groups: [string, string | null][] = []): ArchitectureDocument {
  return {
    schema: "nas.dash.architecture/1",
    id: "s1-test",
    wiring: "",
    input: [3, 8, 8],
    classes: 2,
    nodes,
    edges,
    groups: groups.map(([id, parent]) => ({ id, parent, label: id, kind: "stage" })),
    cost: {},
    measures: {},
    text: "",
  };
}

const staged = network(
  [node("a"), node("b", "one"), node("c", "inner"), node("d", "inner"), node("e")],
  [edge("a", "b"), edge("b", "c", { gate: 0.2 }), edge("b", "d", { gate: 0.7 }), edge("c", "d"), edge("c", "e"), edge("d", "e")],
  [
    ["one", null],
    ["inner", "one"],
  ],
);

describe("folding", () => {
  it("draws an outer folded group instead of everything inside it, and joins its edges", () => {
    const tree = hierarchy(staged);
    const inner = shown(staged, tree, new Set(["inner"]));
    expect([...inner.boxes.keys()]).toEqual(["a", "b", "fold:inner", "e"]);
    expect(inner.lines.map((line) => [line.source, line.target, line.members.length])).toEqual([
      ["a", "b", 1],
      ["b", "fold:inner", 2],
      ["fold:inner", "e", 2],
    ]);
    const outer = shown(staged, tree, new Set(["inner", "one"]));
    expect([...outer.boxes.keys()]).toEqual(["a", "fold:one", "e"]);
    expect(outer.boxes.get("fold:one")).toMatchObject({ parameters: 30, macs: 300, parent: null });
  });

  it("tells the largest gate of the edges that a line stands for", () => {
    const line = shown(staged, hierarchy(staged), new Set(["inner"])).lines.find((each) => each.source === "b");
    expect(line && gateOf(line)).toBe(0.7);
  });

  it("leaves small networks open and folds as little as keeps large ones small", () => {
    expect(foldedAtFirst(hierarchy(staged), staged.edges).size).toBe(0);
    const groups: [string, string | null][] = [["s1", null], ["s2", null], ["s1.x", "s1"], ["s2.x", "s2"]];
    const nodes = groups.flatMap(([id]) => Array.from({ length: 60 }, (_, n) => node(`${id}.${n}`, id)));
    const tree = hierarchy(network(nodes, [], groups));
    const folded = foldedAtFirst(tree, []);
    expect(folded).toEqual(foldedFrom(tree, 1));
    expect(shownCount(tree, folded)).toBe(122);
    const dense = nodes.slice(0, 40).flatMap((source, place) => nodes.slice(0, place).map((target) => edge(target.id, source.id)));
    expect(dense.length).toBeGreaterThan(400);
    expect(foldedAtFirst(hierarchy(network(nodes.slice(0, 60), dense, groups)), dense)).toEqual(new Set(["s1"]));
  });

  it("draws no box around a single node of a stage, or of which a node has the name", () => {
    const tree = hierarchy(network([node("stem"), node("stem.pool", "stem"), node("s.op"), node("s.op.narrow", "s.op"), node("s.x", "s"), node("s.y", "s"), node("t.x", "t")], [], [["stem", null], ["s", null], ["s.op", "s"], ["t", null]]));
    expect([...tree.folders.keys()]).toEqual(["s", "t"]);
    expect(tree.folders.get("s")).toMatchObject({ size: 3 });
    expect(tree.home.get("stem.pool")).toBe(null);
  });

  it("makes parts where more nodes stand side by side than can be drawn", () => {
    const nodes = Array.from({ length: 5000 }, (_, n) => node(`n${n}`));
    const tree = hierarchy(network(nodes, []));
    expect([...tree.folders.values()].every((folder) => folder.kind === "part" && folder.size <= MANY)).toBe(true);
    expect(shownCount(tree, foldedAtFirst(tree, []))).toBeLessThanOrEqual(MANY);
  });
});

describe("layout", () => {
  it("gives every edge ports of its own at both ends", () => {
    const drawn = shown(staged, hierarchy(staged), new Set());
    const graph = toElk(drawn, "down");
    const ends = (graph.edges ?? []).flatMap((each) => [...each.sources, ...each.targets]);
    expect(new Set(ends).size).toBe(2 * staged.edges.length);
  });

  it("straightens lines that lean by less than a unit, and only those", () => {
    const section = { id: "s", startPoint: { x: 10, y: 0 }, bendPoints: [{ x: 10.33, y: 20 }, { x: 40, y: 20 }], endPoint: { x: 40, y: 30 } };
    const layout = fromElk({ id: "root", edges: [{ id: "e one", sources: [], targets: [], sections: [section] }] });
    expect(layout.lines["one"]).toEqual([10, 0, 10, 20, 40, 20, 40, 30]);
  });

  it("rounds corners and leaves straight parts where they are", () => {
    expect(roundedPath([0, 0, 0, 20, 30, 20])).toBe("M0 0L0 13Q0 20 7 20L30 20");
    expect(roundedPath([0, 0, 0, 4, 30, 4])).toBe("M0 0L0 2Q0 4 2 4L30 4");
    expect(roundedPath([0, 0, 0, 9])).toBe("M0 0L0 9");
  });
});

describe("differences", () => {
  const before = network([node("a"), node("b"), node("gone"), node("z")], [edge("a", "b"), edge("b", "gone"), edge("gone", "z")]);
  const after = network(
    [node("a"), node("b", null, { width: 16 }), node("new"), node("z")],
    [edge("a", "b", { details: ["1x1"] }), edge("b", "new"), edge("new", "z")],
  );

  it("marks by names what was added, removed and changed", () => {
    const found = difference(before, after);
    expect(found.nodes).toEqual({ a: "same", b: "changed", new: "added", z: "same", gone: "removed" });
    expect(found.edges).toEqual({ "now a>b": "changed", "now b>new": "added", "now new>z": "added", "was b>gone": "removed", "was gone>z": "removed" });
    expect(found.sentences.map((each) => each.text)).toContain("node b: width 8 → 16");
  });

  it("keeps the nodes of both in one order", () => {
    expect(difference(before, after).union.nodes.map((each) => each.id)).toEqual(["a", "b", "gone", "new", "z"]);
  });

  it("finds nothing between a network and itself", () => {
    const found = difference(staged, staged);
    expect(found.sentences).toEqual([]);
    expect(new Set([...Object.values(found.nodes), ...Object.values(found.edges)])).toEqual(new Set(["same"]));
  });

  it("tells parallel edges apart", () => {
    const twice = network([node("a"), node("b")], [edge("a", "b", { id: "1" }), edge("a", "b", { id: "2", details: ["1x1"] })]);
    const once = network([node("a"), node("b")], [edge("a", "b", { id: "1" })]);
    expect(difference(twice, once).edges).toEqual({ "now 1": "same", "was 2": "removed" });
  });
});

describe("the camera", () => {
  const drawing = { width: 400, height: 3000 };

  it("shows everything when asked to, and a readable beginning at first", () => {
    const whole = fitted(drawing, 800, 600);
    expect(drawing.height * whole.scale).toBeLessThanOrEqual(600);
    const start = opening(drawing, { x: 150, y: 0, width: 100, height: 40 }, 800, 600);
    expect(start.scale).toBeGreaterThanOrEqual(0.6);
    expect(start.y).toBe(24);
  });

  it("keeps the point under the pointer when it zooms", () => {
    const camera = { scale: 1, x: 10, y: 20 };
    const next = zoomed(camera, 2, 110, 220);
    expect([(110 - next.x) / next.scale, (220 - next.y) / next.scale]).toEqual([100, 200]);
  });

  it("moves no more than it must to show a node", () => {
    const camera = { scale: 1, x: 0, y: 0 };
    expect(showing(camera, { x: 100, y: 100, width: 50, height: 50 }, 800, 600)).toEqual(camera);
    const moved = showing(camera, { x: 100, y: 900, width: 50, height: 50 }, 800, 600);
    expect(moved).toEqual({ scale: 1, x: 0, y: 600 - 24 - 950 });
  });

  it("draws more than is seen, so that a short pan shows no gap", () => {
    expect(holds(seen({ scale: 1, x: 0, y: 0 }, 800, 600), { x: -300, y: -200, width: 800, height: 600 })).toBe(true);
  });
});

describe("numbers of a drawing", () => {
  it("counts for an exit what it depends on, and nothing beside it", () => {
    expect(macsBefore(staged, "c")).toBe(300);
    expect(macsBefore(staged, "e")).toBe(500);
  });

  it("computes entropy as a share of the largest", () => {
    expect(entropy("one_of", [0.25, 0.25, 0.25, 0.25])).toBeCloseTo(1);
    expect(entropy("one_of", [1, 0, 0])).toBe(0);
    expect(entropy("subset_of", [0.5, 0.5])).toBeCloseTo(1);
    expect(entropy("subset_of", [1, 0])).toBe(0);
    expect(entropy("one_of", [1])).toBe(0);
  });

  it("writes in black on light and in white on dark", () => {
    expect(readableOn("#e8f1f8")).toBe("#101010");
    expect(readableOn("#003a63")).toBe("#ffffff");
  });
});

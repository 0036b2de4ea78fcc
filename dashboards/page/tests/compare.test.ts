import { describe, expect, test } from "vitest";
import type { CompareDocument } from "../src/documents";
import { cautions, named } from "../src/views/compare";
import { between, dominated, staircase } from "../src/views/compare_chart";
import { runWith } from "./runs";

describe("a staircase", () => {
  test("runs from the frame's corner along the points and back to it", () => {
    expect(staircase([[1, 5], [3, 2]], [10, 9])).toEqual([[1, 9], [1, 5], [3, 5], [3, 2], [10, 2]]);
  });
  test("leaves dominated points out and does not care for their order", () => {
    expect(staircase([[3, 2], [4, 2], [3, 7], [1, 5]], [10, 9])).toEqual(staircase([[1, 5], [3, 2]], [10, 9]));
  });
  test("of nothing is nothing", () => {
    expect(staircase([], [10, 9])).toEqual([]);
  });
});

test("a band is one outline, there along the best and back along the worst", () => {
  expect(between([[0, 1], [1, 0]], [[2, 3], [3, 2]])).toEqual([[0, 1], [1, 0], [3, 2], [2, 3]]);
});

test("runs are named once each, in the order of the address", () => {
  expect(named(new URLSearchParams("runs=b,a,b,"))).toEqual(["b", "a"]);
});

describe("cautions", () => {
  const document: CompareDocument = {
    schema: "nas.dash.compare/1",
    runs: ["a", "b"],
    objectives: [{ name: "error", unit: null, source: "computed" }],
    why_not: null,
    same_data: true,
    fronts: {},
    hypervolume: {},
    reference: [],
    attainment: null,
  };
  const told = (parts: Partial<CompareDocument>, runs = [runWith({ name: "a" }), runWith({ name: "b" })]): string => cautions({ ...document, ...parts }, runs).join(" ");

  test("say that few runs give no interval", () => {
    expect(told({})).toMatch(/2 runs are few/);
    expect(told({ runs: ["a", "b", "c", "d", "e"] })).toBe("");
  });
  test("say that other data mean other values", () => {
    expect(told({ same_data: false })).toMatch(/different data/);
  });
  test("say what the runs differ in", () => {
    expect(told({}, [runWith({ name: "a" }), runWith({ name: "b", preset: "smoke", stamp: "smoke, not evidence", space: "other" })])).toMatch(
      /smoke run.*presets differ.*spaces differ/,
    );
  });
  test("say that inherited values belong to their supernet", () => {
    expect(told({ objectives: [{ name: "cross_entropy", unit: "nats", source: "inherited" }] })).toMatch(/supernet of their own run/);
  });
});

describe("a point behind its staircase", () => {
  test("is dominated by another, never by its equal", () => {
    const points: [number, number][] = [[1, 5], [3, 2], [3, 6]];
    expect(points.map((point) => dominated(point, points))).toEqual([false, false, true]);
    expect(dominated([1, 5], [[1, 5]])).toBe(false);
  });
});

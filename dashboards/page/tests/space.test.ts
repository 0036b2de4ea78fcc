import { describe, expect, test } from "vitest";
import type { SpaceDocument } from "../src/documents";
import { parallelRows } from "../src/views/parallel_chart";
import { ALL, type Choice, effectDomain, keptTrials, optionRows, ordered, size, toldApart } from "../src/views/space_rows";

const choice = (parts: Partial<Choice>): Choice => ({
  name: "stage1.depth",
  kind: "one_of",
  options: ["1", "2"],
  counts: [3, 4],
  on_front: [1, 0],
  effects: [{ mean: -0.2, low: -0.3, high: -0.1, count: 3 }, null],
  importance: 0.2,
  ...parts,
});

test("an effect is told apart where its interval leaves zero out", () => {
  expect(toldApart({ mean: -1, low: -2, high: -0.1, count: 9 })).toBe(true);
  expect(toldApart({ mean: -1, low: -2, high: 0.1, count: 9 })).toBe(false);
  expect(toldApart(null)).toBe(false);
});

test("options become rows with their counts and effects", () => {
  expect(optionRows(choice({}))).toEqual([
    { option: "1", count: 3, onFront: 1, effect: { mean: -0.2, low: -0.3, high: -0.1, count: 3 } },
    { option: "2", count: 4, onFront: 0, effect: null },
  ]);
});

test("the scale of effects has zero in its middle", () => {
  expect(effectDomain([choice({})])).toEqual({ low: -0.1, high: 0.1 });
  expect(effectDomain([choice({ effects: [null, null] })])).toBeNull();
});

test("choices are ordered by how clear their effect is, by what they explain, by their effect or by name", () => {
  const list = [choice({ name: "b10", importance: null }), choice({ name: "b9", importance: 0.1 }), choice({ name: "a", importance: 0.5, effects: [null, null] })];
  expect(ordered(list, "importance").map((each) => each.name)).toEqual(["a", "b9", "b10"]);
  expect(ordered(list, "effect").map((each) => each.name)).toEqual(["b9", "b10", "a"]);
  const wide = choice({ name: "wide", effects: [{ mean: 5, low: -5, high: 15, count: 2 }] });
  expect(ordered([wide, choice({ name: "sure" })], "clearest").map((each) => each.name)).toEqual(["sure", "wide"]);
  expect(ordered(list, "name").map((each) => each.name)).toEqual(["a", "b9", "b10"]);
});

test.each([
  ["128", "128"],
  ["1234567", "1,234,567"],
  ["489485540167820197", "4.8 × 10¹⁷"],
  ["unbounded", "unbounded"],
])("a space of %s members is told as %s", (digits, told) => {
  expect(size(digits)).toBe(told);
});

describe("parallel lines", () => {
  const document = { parallel: { choices: ["a", "b"], trials: [4, 7, 9], rows: [[0, 1], [1, null], [0, 0]] } } as unknown as SpaceDocument;
  const values = new Map([[4, 0.5], [7, 0.25]]);

  test("end in the value and leave out what was not asked", () => {
    expect(parallelRows(document, 2, values, null)).toEqual([[0, 1, 0.5], [1, "-", 0.25]]);
  });
  test("can be kept by the option they pass and by a set of trials", () => {
    expect(keptTrials(document, ALL, null)).toBeNull();
    expect([...(keptTrials(document, "0 0", null) ?? [])]).toEqual([4, 9]);
    expect([...(keptTrials(document, "0 0", new Set([9])) ?? [])]).toEqual([9]);
  });
  test("keep the axes and trials that are wanted", () => {
    expect(parallelRows(document, 1, values, new Set([7]))).toEqual([[1, 0.25]]);
  });
});

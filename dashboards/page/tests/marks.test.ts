import { describe, expect, test } from "vitest";
import { domainOf, placed, sparkPoints, thinned } from "../src/parts/marks";

describe("a domain", () => {
  test("holds all values and overlooks unknown ones", () => {
    expect(domainOf([3, null, -1, undefined, Number.NaN])).toEqual({ low: -1, high: 3 });
  });
  test("of one value has room around it", () => {
    expect(domainOf([0])).toEqual({ low: -1, high: 1 });
    expect(domainOf([-20])).toEqual({ low: -22, high: -18 });
  });
  test("of nothing is none", () => {
    expect(domainOf([null])).toBeNull();
  });
});

test("values outside of the domain stay at its ends", () => {
  const domain = { low: 0, high: 10 };
  expect([-5, 0, 5, 10, 99].map((value) => placed(value, domain, 100, 0))).toEqual([100, 100, 50, 0, 0]);
});

describe("a spark line", () => {
  test("goes from left to right and rises with the values", () => {
    expect(sparkPoints([0, 1, 2], 100, 20)).toBe("2.0,18.0 50.0,10.0 98.0,2.0");
  });
  test("of one value is a point in the middle, of none nothing", () => {
    expect(sparkPoints([7], 100, 20)).toBe("50.0,10.0");
    expect(sparkPoints([], 100, 20)).toBe("");
  });
});

test("thinning keeps both ends and the order", () => {
  const values = Array.from({ length: 1000 }, (_, place) => place);
  const kept = thinned(values, 10);
  expect(kept).toHaveLength(10);
  expect([kept[0], kept.at(-1)]).toEqual([0, 999]);
  expect([...kept].sort((first, second) => first - second)).toEqual(kept);
  expect(thinned([1, 2], 10)).toEqual([1, 2]);
});

import { describe, expect, test } from "vitest";
import { typedNumber } from "../src/parts/fields";
import { duration, megabytes, moment, number } from "../src/parts/numbers";
import { clicked, sorted } from "../src/parts/sorting";

describe("sorting", () => {
  test("puts numbers by size and what is unknown last, in both directions", () => {
    const rows = [3, null, 10, Number.NaN, 2];
    expect(sorted(rows, (row) => row, false)).toEqual([2, 3, 10, null, Number.NaN]);
    expect(sorted(rows, (row) => row, true)).toEqual([10, 3, 2, null, Number.NaN]);
  });

  test("reads digits in names as numbers", () => {
    expect(sorted(["stage10", "stage2"], (row) => row, false)).toEqual(["stage2", "stage10"]);
  });

  test("leaves equal rows and the given list as they were", () => {
    const rows = [
      { key: 1, name: "b" },
      { key: 1, name: "a" },
    ];
    expect(sorted(rows, (row) => row.key, true).map((row) => row.name)).toEqual(["b", "a"]);
    expect(rows.map((row) => row.name)).toEqual(["b", "a"]);
  });

  test("turns round on the second click and begins as the column likes it", () => {
    const first = clicked(null, "trials", true);
    expect(first).toEqual({ key: "trials", descending: true });
    expect(clicked(first, "trials", true).descending).toBe(false);
    expect(clicked(first, "name", false)).toEqual({ key: "name", descending: false });
  });
});

test.each([
  ["2", 2],
  [" 0,5 ", 0.5],
  ["", null],
  ["2 ms", null],
  ["1e3", 1000],
])("a number typed as %j is %j", (text, value) => {
  expect(typedNumber(text)).toBe(value);
});

test("numbers, times and sizes are written for people, and unknown ones as a dash", () => {
  expect([number(12345), number(0.123456), number(null)]).toEqual(["12,345", "0.1235", "-"]);
  expect([duration(5), duration(600), duration(7200), duration(null)]).toEqual(["5.0 s", "10 min", "2.0 h", "-"]);
  expect([moment("2026-11-21T15:03:19.344+00:00"), moment("no time")]).toEqual(["2026-11-21 15:03 UTC", "no time"]);
  expect([megabytes(512), megabytes(24000), megabytes(null)]).toEqual(["512 MB", "24 GB", "-"]);
});

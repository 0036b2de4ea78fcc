import { expect, test } from "vitest";
import { flattened, ledgerRows } from "../src/views/records";
import { rate } from "../src/views/progress";

test("nested records become pairs, and empty values are left out", () => {
  expect(flattened({ versions: { torch: "2", gpu: null }, shape: [1, 8, 8], deep: [{ a: 1 }], none: [] })).toEqual([
    ["versions.torch", "2"],
    ["shape", "1, 8, 8"],
    ["deep.0.a", "1"],
  ]);
});

test("a ledger keeps unknown times unknown", () => {
  const { rows, facts } = ledgerRows({ unit: "device-seconds", total_device_s: 5, rows: [{ part: "relax", jobs: 1, device_s: 4.5, wall_s: null }] });
  expect(rows).toEqual([{ part: "relax", jobs: 1, device: 4.5, wall: null, unknown: null }]);
  expect(facts).toEqual([["total_device_s", 5]]);
});

test("a rate is told per second, minute or hour", () => {
  expect([4.69, 0.1, 0.001, null].map(rate)).toEqual(["4.69 per s", "6 per min", "3.6 per h", "-"]);
});

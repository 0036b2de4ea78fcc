import { expect, test } from "vitest";
import type { TrialsDocument } from "../src/documents";
import { mergeTrials } from "../src/trials";

function trials(seq: number, numbers: number[], error: number | null, front: number[], measures: TrialsDocument["measures"] = {}): TrialsDocument {
  const each = <T>(value: T): T[] => numbers.map(() => value);
  return {
    schema: "nas.dash.trials/1",
    seq,
    total: Math.max(...numbers, 0) + 1,
    trial: numbers,
    state: each(error === null ? "open" : "finished"),
    family: each("dense"),
    wiring: each("dense-dense"),
    architecture: numbers.map((number) => `a${number}`),
    proposed_by: each(null),
    batch: each(0),
    duplicate_of: each(null),
    feasible: each(error === null ? null : true),
    on_front: numbers.map((number) => front.includes(number)),
    seconds: each(null),
    reason: each(null),
    values: error === null ? {} : { error: each(error) },
    low: {},
    high: {},
    measures,
    front,
  };
}

test("changed trials take their places, new ones stand behind, and who left the front is told", () => {
  const old = { ...trials(9, [0, 1, 2], 0.5, [0, 2]) };
  const merged = mergeTrials(old, trials(14, [3, 1], 0.25, [1], { macs: [30, 10] }));
  expect(merged.seq).toBe(14);
  expect(merged.total).toBe(4);
  expect(merged.trial).toEqual([0, 1, 2, 3]);
  expect(merged.values["error"]).toEqual([0.5, 0.25, 0.5, 0.25]);
  expect(merged.architecture).toEqual(["a0", "a1", "a2", "a3"]);
  expect(merged.measures["macs"]).toEqual([null, 10, null, 30]);
  expect(merged.on_front).toEqual([false, true, false, false]);
  expect(old.trial).toEqual([0, 1, 2]);
  expect(old.values["error"]).toEqual([0.5, 0.5, 0.5]);
});

test("a column that a changed trial no longer has becomes unknown there", () => {
  const merged = mergeTrials(trials(3, [0, 1], 0.5, []), trials(5, [1], null, []));
  expect(merged.values["error"]).toEqual([0.5, null]);
  expect(merged.state).toEqual(["finished", "open"]);
});

test("nothing new changes nothing but the number of the record", () => {
  const old = trials(3, [0, 1], 0.5, [1]);
  expect(mergeTrials(old, { ...trials(8, [], 0.5, [1]), total: old.total })).toEqual({ ...old, seq: 8 });
});

import { describe, expect, test } from "vitest";
import { bestUnder, costs, usualBudget } from "../src/views/budget";
import { pointAt, runWith } from "./runs";

const run = runWith({ front: [pointAt(1, 0.5, 1), pointAt(2, 0.3, 2), pointAt(3, 0.1, 4)] });

describe("the best under a budget", () => {
  test("is the point with the best first objective that keeps it", () => {
    expect(bestUnder(run, "latency_ms", 2)?.trial).toBe(2);
    expect(bestUnder(run, "latency_ms", 1.99)?.trial).toBe(1);
  });
  test("is the best of all without a budget, and none where nothing keeps it", () => {
    expect(bestUnder(run, "latency_ms", null)?.trial).toBe(3);
    expect(bestUnder(run, "latency_ms", 0.5)).toBeNull();
  });
  test("is never a point whose cost is unknown", () => {
    expect(bestUnder(runWith({ front: [pointAt(1, 0.1, null)] }), "latency_ms", 5)).toBeNull();
  });
});

describe("costs a budget can be set on", () => {
  test("name the latency of the run's device once", () => {
    expect(costs([run]).map((cost) => cost.name)).toEqual(["latency_ms"]);
  });
  test("name further objectives, and never the first", () => {
    const objectives = [...run.objectives, { name: "parameters", unit: null, source: "computed" }];
    expect(costs([run, runWith({ objectives })]).map((cost) => cost.name)).toEqual(["latency_ms", "parameters"]);
  });
  test("are none without points", () => {
    expect(costs([runWith({ objectives: [] })])).toEqual([]);
  });
});

test("the budget that is offered splits the front", () => {
  expect(usualBudget([run], "latency_ms")).toBe(2);
  expect(usualBudget([], "latency_ms")).toBeNull();
});

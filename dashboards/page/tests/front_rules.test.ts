import { describe, expect, test } from "vitest";
import { insideLoop, nearest } from "../src/front/geometry";
import { bestUnder, fromStep, frontUnder, keptMask, leastOf, SLIDER_STEPS, toStep, trackOf } from "../src/front/limits";
import { overlayOf } from "../src/front/overlay";
import { defaultAxes, quantitiesOf, quantityOf, shortNumber, spanText, tickText, titleOf, valueText } from "../src/front/quantities";
import { familiesOf, familyOf, rowsOf } from "../src/front/rows";
import { logTicks, pixelX, pixelY, roundTicks, scaleOf } from "../src/front/scale";
import { bandBetween, extended, nonDominated, staircase } from "../src/front/staircase";
import { documents, LATENCY } from "./front_documents";

describe("the front of numbers", () => {
  const columns = (...rows: number[][]): Float64Array[] => rows.map((row) => Float64Array.from(row));

  test("is what no other row beats, as found by comparing every pair", () => {
    let seed = 7;
    const random = (): number => {
      seed = (seed * 48271) % 2147483647;
      return Math.floor((seed / 2147483647) * 12);
    };
    for (const count of [2, 3]) {
      const found = columns(...Array.from({ length: count }, () => Array.from({ length: 200 }, random)));
      const all = Array.from({ length: 200 }, (_, row) => row);
      const at = (row: number): number[] => found.map((column) => column[row] as number);
      const beats = (one: number, other: number): boolean =>
        at(one).every((value, place) => value <= (at(other)[place] as number)) && at(one).some((value, place) => value < (at(other)[place] as number));
      const expected = all.filter((row) => !all.some((other) => beats(other, row)));
      expect(nonDominated(found, all).sort((first, second) => first - second)).toEqual(expected);
    }
  });

  test("leaves out rows with an unknown value", () => {
    expect(nonDominated(columns([Number.NaN, 1], [0, 1]), [0, 1])).toEqual([1]);
  });

  test("is drawn as a step: between two points only the worse of both is reached", () => {
    expect(staircase([[4, 1], [1, 4], [2, 3], [3, 3.5]])).toEqual([[1, 4], [2, 4], [2, 3], [4, 3], [4, 1]]);
    expect(staircase([])).toEqual([]);
  });

  test("goes on to the edges of the chart", () => {
    expect(extended([[1, 4], [2, 4], [2, 3]], 10, 9)).toEqual([[1, 9], [1, 4], [2, 4], [2, 3], [10, 3]]);
    expect(extended([], 10, 9)).toEqual([]);
  });

  test("makes a band with another one", () => {
    expect(bandBetween([[1, 1], [2, 1]], [[1, 3], [2, 3]])).toEqual([[1, 1], [2, 1], [2, 3], [1, 3]]);
    expect(bandBetween([], [[1, 3]])).toEqual([]);
  });
});

describe("limits", () => {
  const { front, trials } = documents();
  const rows = rowsOf(front, trials);
  const names = ["cross_entropy", LATENCY];

  test("keep trials whose value is small enough, and never what breaks a constraint or is unknown", () => {
    expect([...keptMask(rows, {})]).toEqual([1, 1, 1, 1, 0]);
    expect([...keptMask(rows, { [LATENCY]: 2 })]).toEqual([1, 1, 0, 0, 0]);
    expect([...keptMask(rows, { depth: 5 })]).toEqual([0, 0, 0, 0, 0]);
  });

  test("give the best of what keeps them", () => {
    const best = (limits: Record<string, number>) => bestUnder(rows, keptMask(rows, limits), "cross_entropy", limits);
    expect(rows.trial[best({})?.row ?? -1]).toBe(2);
    expect(rows.trial[best({ [LATENCY]: 3 })?.row ?? -1]).toBe(1);
    expect(best({ [LATENCY]: 0.7 })).toBeNull();
  });

  test("tell where an interval reaches over them", () => {
    const limits = { [LATENCY]: 2.05 };
    expect(bestUnder(rows, keptMask(rows, limits), "cross_entropy", limits)?.unsure).toEqual([LATENCY]);
    const wide = { [LATENCY]: 2.2 };
    expect(bestUnder(rows, keptMask(rows, wide), "cross_entropy", wide)?.unsure).toEqual([]);
  });

  test("name the ties of the best that keep them as well", () => {
    const tied = documents();
    tied.front.points[1]?.objectives["cross_entropy"]?.ties.push(0, 2);
    const found = rowsOf(tied.front, tied.trials);
    const limits = { [LATENCY]: 3 };
    expect(bestUnder(found, keptMask(found, limits), "cross_entropy", limits)?.ties).toEqual([0]);
  });

  test("on objectives leave a part of the front; on other things they can let a beaten trial in", () => {
    expect(frontUnder(rows, keptMask(rows, { [LATENCY]: 2 }), { [LATENCY]: 2 }, names, false)).toEqual([0, 1]);
    const small = { parameters: 150 };
    expect(frontUnder(rows, keptMask(rows, small), small, names, false).map((row) => rows.trial[row])).toEqual([2, 3]);
  });

  test("that nobody keeps say what the least is", () => {
    expect(leastOf(rows, [LATENCY])).toEqual([{ name: LATENCY, least: 1 }]);
  });
});

describe("a slider", () => {
  test("comes back to its value within a step, by ratio where values span decades", () => {
    for (const values of [[1, 1000], [-3, 7]]) {
      const track = trackOf(Float64Array.from(values));
      if (!track) throw new Error("no track");
      for (const step of [0, 1, 57, 200, 399]) expect(toStep(track, fromStep(track, step) as number)).toBe(step);
    }
    expect(trackOf(Float64Array.from([1, 1000]))?.byRatio).toBe(true);
  });
  test("at its end sets no limit, and does not exist for a single value", () => {
    const track = trackOf(Float64Array.from([1, 2, Number.NaN]));
    expect(track && fromStep(track, SLIDER_STEPS)).toBeNull();
    expect(trackOf(Float64Array.from([2, 2]))).toBeNull();
  });
});

describe("quantities", () => {
  test("have names in words, with what the bracket says apart", () => {
    expect(titleOf(quantityOf({ name: LATENCY, unit: "ms", source: null }))).toBe("latency (ms), eager, b1, fp32");
    expect(titleOf(quantityOf({ name: "cross_entropy", unit: "nats", source: null }))).toBe("cross entropy (nats)");
    expect(titleOf(quantityOf({ name: "parameters", unit: "count", source: null }))).toBe("parameters");
  });

  test("of several devices and runtimes are told apart", () => {
    expect(titleOf(quantityOf({ name: `${LATENCY}@pi4`, unit: "ms", source: null }))).toBe("latency on pi4 (ms), eager, b1, fp32");
    const { front } = documents();
    front.objectives.push({ name: "latency_ms[ort,b1,int8]", unit: "ms", source: null });
    expect(quantitiesOf(front, null).slice(1, 3).map(titleOf)).toEqual(["latency eager, b1, fp32 (ms)", "latency ort, b1, int8 (ms)"]);
  });

  test("of a run are its objectives, then what its trials have values of", () => {
    const { front, trials } = documents();
    expect(quantitiesOf(front, trials).map((each) => each.name)).toEqual(
      ["cross_entropy", LATENCY, "error_inherited", "parameters", "probability_front", "hypervolume_contribution", "trial"],
    );
  });

  test("stand on axes by default: a cost across, what is learned up, a third objective as the size", () => {
    const axes = (...names: string[]) => defaultAxes(names.map((name) => quantityOf({ name, unit: null, source: null })));
    expect(axes("cross_entropy", LATENCY)).toEqual({ x: LATENCY, y: "cross_entropy", size: null });
    expect(axes(LATENCY, "error", "macs")).toEqual({ x: LATENCY, y: "error", size: "macs" });
    expect(axes("error")).toEqual({ x: "trial", y: "error", size: null });
  });

  test("are written shortly: shares in percent, counts with a letter", () => {
    expect([valueText("error", 0.0512), valueText("macs", 584896), valueText("latency_ms", null), valueText("x", Number.NaN)]).toEqual(["5.12 %", "584.9k", "-", "-"]);
    expect([0.05, 150000, 2.5e6, 3e9, 9999, 0].map(shortNumber)).toEqual(["0.05", "150k", "2.5M", "3G", "9999", "0"]);
    expect([tickText("error", 0.3), tickText("error_inherited", 0.0015), tickText("macs", 2e6)]).toEqual(["30 %", "0.15 %", "2M"]);
  });

  test("carry half of their interval, or both ends where it is lopsided", () => {
    expect(spanText("x", { value: 2, low: 1.9, high: 2.1 }, "ms")).toBe("2 ± 0.1 ms");
    expect(spanText("x", { value: 2, low: 1.9, high: 2.6 })).toBe("2 (1.9 to 2.6)");
    expect(spanText("error", { value: 0.05, low: 0.04, high: 0.06 })).toBe("5.00 ± 1.00 %");
    expect(spanText("x", { value: 2, low: 2, high: 2 })).toBe("2");
    expect(spanText("x", null)).toBe("-");
  });
});

describe("families", () => {
  test("keep their place in every run, and unknown ones follow", () => {
    expect(familiesOf(["dense"])).toEqual(familiesOf(["chain", null]));
    expect(familiesOf(["zebra", "dense", "ant"]).slice(-2)).toEqual(["ant", "zebra"]);
  });
  test("are read off the wiring where none is told", () => {
    expect([familyOf({ family: "own", wiring: "a-b" }), familyOf({ wiring: "dense-dense" }), familyOf({ wiring: "dense-free" }), familyOf({})]).toEqual(["own", "dense", "mixed", null]);
    expect(familyOf({ name: "published resnet", family: "resnet", wiring: "residual-residual" })).toBe("residual");
  });
});

describe("axes", () => {
  test("have round ticks", () => {
    expect(roundTicks(0.07, 0.52)).toEqual([0.1, 0.2, 0.3, 0.4, 0.5]);
    expect(roundTicks(3, 3)).toEqual([3]);
  });

  test("by ratio have powers of ten, 2 and 5 where there is room, and round ticks within a decade", () => {
    expect(logTicks(0, 2)).toEqual([1, 2, 5, 10, 20, 50, 100]);
    expect(logTicks(-3, 3)).toEqual([0.001, 0.01, 0.1, 1, 10, 100, 1000]);
    expect(logTicks(Math.log10(0.2), Math.log10(0.5))).toEqual([0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]);
  });

  test("leave out the far worst, all, or nobody, but never the front", () => {
    const cloud = [...Array.from({ length: 30 }, (_, place) => 1 + place / 30), 1000];
    const end = (fit: "most" | "front" | "all"): number => scaleOf([1, 1.5, 50], [], cloud, false, fit).high;
    expect(end("most")).toBeCloseTo(50 + 0.06 * 49);
    expect(end("front")).toBeCloseTo(50 + 0.06 * 49);
    expect(end("all")).toBeGreaterThan(1000);
  });

  test("are not squeezed by one endless error bar", () => {
    const bars = [...Array.from({ length: 30 }, (_, place) => place / 30), 500];
    expect(scaleOf([0.2, 0.8], bars, [], false, "front").high).toBeLessThan(5);
  });

  test("by ratio hold values above zero only, and stand for values at the right place", () => {
    const scale = scaleOf([0, 1, 100], [], [], true, "all");
    expect([scale.low, scale.high].map((value) => value.toFixed(2))).toEqual(["-0.12", "2.12"]);
    const frame = { width: 200, height: 100, left: 0, right: 0, top: 0, bottom: 0 };
    expect(pixelX(scale, frame, 10)).toBeCloseTo(100);
    expect(pixelY(scale, frame, 10)).toBeCloseTo(50);
  });

  test("of nothing exist", () => {
    expect(scaleOf([], [], [], false, "most")).toMatchObject({ low: 0, high: 1.06 });
  });
});

describe("pointing", () => {
  test("meets the nearest point within reach, and the more important one among close ones", () => {
    const places = { x: Float64Array.of(0, 10, 30), y: Float64Array.of(0, 0, 0), reach: Float64Array.of(5, 20, 5) };
    expect([nearest(places, 1, 1), nearest(places, 4.5, 0), nearest(places, 25, 0), nearest(places, 90, 0)]).toEqual([0, 1, 1, -1]);
  });
  test("tells what lies inside of a loop, dents included", () => {
    const loop = [[0, 0], [10, 0], [10, 10], [5, 2], [0, 10]] as const;
    expect([[1, 1], [9, 5], [5, 6], [-1, 5]].map(([x, y]) => insideLoop(loop, x as number, y as number))).toEqual([true, true, false, false]);
  });
});

describe("several runs", () => {
  const comparison = {
    schema: "nas.dash.compare/1" as const,
    runs: ["a", "b"],
    objectives: ["error", "latency"].map((name) => ({ name, unit: null, source: null })),
    why_not: null,
    same_data: true,
    fronts: { a: [{ trial: 1, values: [0.1, 5] }], b: [{ trial: 2, values: [0.2, 3] }, { trial: 3, values: [0.1, 7] }] },
    hypervolume: {},
    reference: [1, 10],
    attainment: { best: [[0.1, 5], [0.2, 3]], median: [[0.2, 5]], worst: [[0.2, 7]] },
  };

  test("are turned to the axes that are shown, the run itself left out", () => {
    const found = overlayOf(comparison, "a", "latency", "error");
    expect(found.fronts.map((front) => front.run)).toEqual(["b"]);
    expect(found.fronts[0]?.line).toEqual([[3, 0.2], [7, 0.2], [7, 0.1]]);
    expect(found.bands?.best).toEqual([[3, 0.2], [5, 0.2], [5, 0.1]]);
    expect(overlayOf(comparison, "a", "error", "latency").bands?.worst).toEqual([[0.2, 7]]);
  });

  test("that cannot be laid over each other say why", () => {
    expect(overlayOf(comparison, "a", "macs", "error")).toMatchObject({ why: expect.stringContaining("error and latency"), axes: { x: "latency", y: "error" } });
    expect(overlayOf({ ...comparison, objectives: null, why_not: "no two objectives" }, "a", "x", "y").why).toBe("no two objectives");
    expect(overlayOf(null, "a", "x", "y")).toMatchObject({ fronts: [], bands: null, why: null });
  });
});

import { describe, expect, test } from "vitest";
import { quantitiesOf } from "../src/front/quantities";
import { rowsOf } from "../src/front/rows";
import { axesOf, sceneOf } from "../src/front/scene";
import { formatNumbers, formatState, type FrontState, parseNumbers, parseState } from "../src/front/state";
import { type Confirmation, confirmationText, verdictRows } from "../src/front/verdicts";
import { documents, LATENCY } from "./front_documents";

const { front, trials } = documents();
const quantities = quantitiesOf(front, trials);
const parse = (query: string): FrontState => parseState(new URLSearchParams(query), quantities, "small");

describe("the address", () => {
  test("of a view that was never changed is empty", () => {
    expect(formatState(parse(""), quantities)).toEqual({});
  });

  test("says all that is shown, and gives it back", () => {
    const state: FrontState = {
      x: "parameters",
      y: LATENCY,
      size: "cross_entropy",
      logX: true,
      logY: false,
      fit: "all",
      limits: { [LATENCY]: 2.5, parameters: 200 },
      hidden: ["dense"],
      runs: ["other", "third"],
      chosen: [1, 2, 3, 7],
    };
    const query = new URLSearchParams(formatState(state, quantities)).toString();
    expect(parse(query)).toEqual(state);
  });

  test("falls back where it names what the run does not know", () => {
    const state = parse("x=nonsense&y=<b>&size=none&fit=wide&max:nonsense=3&max:parameters=many&chosen=a,-1,3-1,4&runs=small,other,other");
    expect(state).toEqual({ ...parse(""), size: null, chosen: [4], runs: ["other"] });
  });

  test("writes trial numbers as ranges, and a link cannot ask for endless ones", () => {
    expect(formatNumbers([5, 1, 2, 3, 9, 3])).toBe("1-3,5,9");
    expect(parseNumbers("1-3,5,9")).toEqual([1, 2, 3, 5, 9]);
    expect(parseNumbers("0-999999999,0-999999999").length).toBe(200_000);
  });
});

describe("the scene", () => {
  const rows = rowsOf(front, trials);
  const scene = (query = "") => {
    const state = parse(query);
    const axes = axesOf({ front, rows, state, others: [], ticks: { x: 6, y: 6 } });
    return sceneOf(front, rows, state, axes);
  };
  const keys = (query: string): string[] => scene(query).marks.map((mark) => mark.key);

  test("has marks for the front and what may belong to it, and clouds for the rest", () => {
    const found = scene();
    expect(found.marks.map((mark) => [mark.key, mark.kind])).toEqual([
      ["trial-0", "front"],
      ["trial-1", "front"],
      ["trial-2", "front"],
      ["trial-3", "near"],
    ]);
    expect(found.clouds.map((cloud) => [cloud.tone, cloud.rows.map((row) => rows.trial[row])])).toEqual([["infeasible", [4]]]);
    expect(found.line).toEqual([[1, 0.9], [2, 0.9], [2, 0.6], [4, 0.6], [4, 0.3]]);
  });

  test("says which baselines have no place on its axes, sizes that no one would take left out", () => {
    expect(scene().unplaced).toBe(1);
  });

  test("joins inherited to retrained errors, and places baselines by their retrained error", () => {
    const found = scene("y=error_inherited");
    expect(found.marks.map((mark) => mark.key)).toEqual(["trial-0", "trial-1", "trial-2", "trial-3", "baseline-hand", "retrained-1"]);
    expect(found.joins).toEqual([{ from: [2, 0.3], to: [2, 0.2], family: "dense", out: false }]);
    expect(found.marks.find((mark) => mark.key === "baseline-hand")).toMatchObject({ family: "residual", y: { value: 0.25 } });
    expect(found.unplaced).toBe(0);
  });

  test("dims what is over a limit, ends the front's line with it and keeps the axes still", () => {
    const found = scene(`max:${LATENCY}=2`);
    expect(found.marks.filter((mark) => mark.out).map((mark) => mark.key)).toEqual(["trial-2", "trial-3"]);
    expect(found.line.at(-1)).toEqual([2, 0.6]);
    expect([found.x, found.y]).toEqual([scene().x, scene().y]);
  });

  test("hides families, and sizes marks by a third quantity", () => {
    expect(keys("hide=chain")).toEqual(["trial-1", "trial-3"]);
    expect(scene("size=parameters").marks.map((mark) => mark.size?.toFixed(2))).toEqual(["1.00", "0.66", "0.32", "0.02"]);
  });

  test("shows the front alone while the trials are still to come", () => {
    const alone = rowsOf(front, null);
    const state = parse("");
    const axes = axesOf({ front, rows: alone, state, others: [], ticks: { x: 6, y: 6 } });
    expect(sceneOf(front, alone, state, axes).marks).toHaveLength(3);
  });

  test("draws a front for each family where families are not comparable", () => {
    const own = { ...front, trust: { verdict: "unverified", front: "raw scores, each family by itself" } };
    const state = parse("");
    const axes = axesOf({ front: own, rows, state, others: [], ticks: { x: 6, y: 6 } });
    expect(sceneOf(own, rows, state, axes).familyLines.map((line) => line.family)).toEqual(["chain", "dense"]);
  });
});

describe("verdicts", () => {
  const spread = (mean: number | null, std: number | null = null) => ({ mean, std });
  const entrant = (name: string, test = spread(null)) => ({ name, kind: "searched", trial: name === "trial-3" ? 3 : null, test });
  const found: Confirmation = {
    bins: [
      {
        candidate: entrant("trial-3", spread(0.0145, 0.005)),
        comparisons: [
          { rival: entrant("dense", spread(0.01)), kind: "hand_made", difference: { mean: 0.0045, low: 0.001, high: 0.008, confidence: 0.95 } },
          { rival: entrant("random-0"), kind: "random", difference: null },
        ],
        p_holm: 0.04,
        outcome: "worse",
        why: null,
        above: null,
        up_to: 0.26862,
      },
      { candidate: null, comparisons: [], p_holm: null, outcome: "no claim", why: "no claim: 2 seeds, a claim takes 5", above: 0.26862, up_to: null },
    ],
    cost: "latency",
    seeds_a: [1],
    seeds_b: [1, 2],
    recipe_hash: "abc",
    data: "0123456789abcdef",
    distillation: false,
    left_out: [],
    recipes: { complete: 3, kendall_w: 0.5 },
  };

  test("have a row for every rival, and say who is better or what a claim lacks", () => {
    const rows = verdictRows(found);
    expect(rows.map((row) => [row.range, row.candidate, row.candidateError, row.rival, row.rivalKind, row.difference, row.p, row.verdict])).toEqual([
      ["up to 0.2686", "trial-3", "1.45 ± 0.50 %", "dense", "hand-made", "+0.45 (+0.10 to +0.80)", "0.040", "worse: the rival is better"],
      ["up to 0.2686", "trial-3", "1.45 ± 0.50 %", "random-0", "random", "-", "0.040", "worse"],
      ["above 0.2686", "-", "-", "-", "-", "-", "-", "no claim: 2 seeds, a claim takes 5"],
    ]);
    expect(rows[0]?.trial).toBe(3);
    expect(verdictRows(null)).toEqual([]);
  });

  test("tell how the confirmation was done", () => {
    expect(confirmationText(found)).toContain("seeds B (2) judge on test images; recipe abc, data 0123456789ab, distillation off");
    expect(confirmationText(found)).toContain("Kendall's W 0.50");
  });
});

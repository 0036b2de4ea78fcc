/** A small front with all that the view tells apart, and its trials. */

import type { FrontDocument, FrontPoint, FrontValue, TrialsDocument } from "../src/documents";

export const LATENCY = "latency_ms[eager,b1,fp32]";

const value = (of: number, bar: number | null = null): FrontValue => ({
  value: of,
  unit: null,
  source: null,
  standard_error: bar === null ? null : bar / 1.96,
  low: bar === null ? null : of - bar,
  high: bar === null ? null : of + bar,
  shrunken: null,
  ties: [],
});

export function point(trial: number, error: number, latency: number, more: Partial<FrontPoint> = {}): FrontPoint {
  return {
    trial,
    architecture: `s1-${trial}`,
    wiring: "chain-chain",
    family: "chain",
    quantisation: null,
    objectives: { cross_entropy: value(error, 0.05), [LATENCY]: value(latency, 0.1) },
    probability_front: 0.8,
    hypervolume_contribution: 0.1,
    knee: false,
    ties: [],
    flags: [],
    constraints: {},
    error_inherited: error / 2,
    error_inherited_bar: 0.01,
    error_confirmed_mean: null,
    error_confirmed_std: null,
    latency_ms: latency,
    latency_bar_ms: 0.1,
    macs: null,
    parameters: null,
    ...more,
  };
}

/** Trials 0 to 5: 0, 1, 2 are the front; 3 is dominated, 4 breaks a constraint, 5 has failed. */
export function documents(): { front: FrontDocument; trials: TrialsDocument } {
  const front: FrontDocument = {
    schema: "nas.front/1",
    run: "small",
    objectives: [
      { name: "cross_entropy", unit: "nats", source: "inherited" },
      { name: LATENCY, unit: "ms", source: "measured" },
    ],
    stamp: null,
    trust: { verdict: "trusted within families and across families", front: "calibrated scores" },
    points: [
      point(0, 0.9, 1),
      point(1, 0.6, 2, { knee: true, family: "dense", wiring: "dense-dense", error_confirmed_mean: 0.2, error_confirmed_std: 0.02 }),
      point(2, 0.3, 4),
    ],
    near_front: [{ trial: 3, probability_front: 0.3 }],
    hypervolume: null,
    knee: { trial: 1, probability: 0.5 },
    constraints: [],
    baselines: [
      { name: "hand", kind: "hand_made", family: null, wiring: "residual-residual", objectives: { [LATENCY]: value(3) }, error_confirmed_mean: 0.25, error_confirmed_std: null },
      { name: "smaller", kind: "hand_made", on_family_front: false, objectives: { [LATENCY]: value(1) }, error_confirmed_mean: 0.5 },
    ],
    simple_baselines: [],
    confirmation: null,
  };
  const six = <Value>(of: Value): Value[] => Array.from({ length: 6 }, () => of);
  const trials: TrialsDocument = {
    schema: "nas.dash.trials/1",
    seq: 9,
    total: 6,
    trial: [0, 1, 2, 3, 4, 5],
    state: ["finished", "finished", "finished", "finished", "finished", "failed"],
    family: ["chain", "dense", "chain", "free", "dense", "free"],
    wiring: six("w"),
    architecture: six(null),
    proposed_by: six(null),
    batch: six(null),
    duplicate_of: six(null),
    feasible: [true, true, true, true, false, null],
    on_front: [true, true, true, false, false, false],
    seconds: six(null),
    reason: six(null),
    values: { cross_entropy: [0.9, 0.6, 0.3, 0.65, 0.1, null], [LATENCY]: [1, 2, 4, 2.5, 0.5, null] },
    low: {},
    high: {},
    measures: { parameters: [300, 200, 100, 10, 5, null], error_inherited: [0.45, 0.3, 0.15, 0.325, 0.05, null], depth: six(null) },
  };
  return { front, trials };
}

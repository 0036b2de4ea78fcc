import type { BriefPoint, RunDocument } from "../src/documents";

/** A finished run with the parts that a test is about. */
export const runWith = (parts: Partial<RunDocument>): RunDocument => ({
  schema: "nas.dash.run/1",
  name: "first",
  kind: "search",
  state: "finished",
  problem: null,
  fix: null,
  created: "2026-11-21T15:03:19+00:00",
  seq: 10,
  space: "wired_cnn",
  data: "digits",
  seed: 0,
  preset: "small",
  sampler: "nsga2",
  stamp: null,
  objectives: [
    { name: "cross_entropy", unit: "nats", source: "inherited" },
    { name: "latency_ms[eager,b1,fp32]", unit: "ms", source: "measured" },
  ],
  trials: { finished: 20, failed: 0, open: 0, planned: 20 },
  front_size: 0,
  front: [],
  hypervolume: null,
  trust: { verdict: "unverified", front: null, why: null },
  stages: [],
  ...parts,
});

export const pointAt = (trial: number, value: number, latency: number | null): BriefPoint => ({
  trial,
  family: null,
  values: { cross_entropy: value, ...(latency === null ? {} : { "latency_ms[eager,b1,fp32]": latency }) },
  latency_ms: latency,
});

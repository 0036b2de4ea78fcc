/**
 * The documents that the server answers with and a report carries, by path. `dashboards/documents`
 * makes them in Python; its tests hold both sides together. Null means unknown, never zero.
 *
 *   /api/runs                          RunsDocument
 *   /api/runs/R                        RunDocument
 *   /api/runs/R/front                  FrontDocument
 *   /api/runs/R/trials                 TrialsDocument   (?after=SEQ: changed trials only)
 *   /api/runs/R/trials/N               TrialDocument
 *   /api/runs/R/supernet               SupernetDocument
 *   /api/runs/R/progress               ProgressDocument
 *   /api/runs/R/space                  SpaceDocument    (?objective=NAME: effects on another one)
 *   /api/runs/R/failures               FailuresDocument
 *   /api/runs/R/provenance             ProvenanceDocument
 *   /api/runs/R/baselines/NAME         ArchitectureDocument
 *   /api/compare?runs=A,B              CompareDocument
 *   /api/runs/R/trials/N/files/FORMAT  a download (server only)
 *   /api/runs/R/events?after=SEQ       server-sent events (server only)
 */

export type RunState = "created" | "running" | "interrupted" | "finished" | "failed" | "damaged" | "newer";

export interface Objective {
  name: string;
  unit: string | null;
  source: string | null;
}

export interface Interval {
  value: number;
  low: number | null;
  high: number | null;
}

/** One point of a front in the overview: enough to pick the best under a budget. */
export interface BriefPoint {
  trial: number;
  family: string | null;
  values: Record<string, number>;
  latency_ms: number | null;
}

export interface RunDocument {
  schema: "nas.dash.run/1";
  name: string;
  /** "study" and what cannot be opened have no views but overview and provenance. */
  kind: "search" | "study" | "unreadable";
  state: RunState;
  /** For a damaged, half-written or newer run: what is wrong and the way out, in plain words. */
  problem: string | null;
  fix: string | null;
  created: string;
  /** Sequence number of the last record read; grows with every record. */
  seq: number;
  space: string | null;
  data: string | null;
  seed: number | null;
  preset: string | null;
  sampler: string | null;
  stamp: string | null;
  objectives: Objective[];
  trials: { finished: number; failed: number; open: number; planned: number | null };
  front_size: number;
  front: BriefPoint[];
  /** Of the values as recorded, and over finished trials; `shrunken` and the interval are of the shrunken values and may lie below. */
  hypervolume: (Interval & { series: number[]; shrunken?: number | null }) | null;
  trust: { verdict: string; front: string | null; why: string | null };
  stages: { name: string; state: string; seconds: number | null; trainings: number | null }[];
}

export interface RunsDocument {
  schema: "nas.dash.runs/1";
  folder: string;
  runs: RunDocument[];
}

/** A value of a point of the front, as in `front.json`. */
export interface FrontValue {
  value: number;
  unit: string | null;
  source: string | null;
  standard_error: number | null;
  low: number | null;
  high: number | null;
  shrunken: number | null;
  ties: number[];
}

/** `nas front RUN --json`; `runs/README.md` describes every field. */
export interface FrontPoint {
  trial: number;
  architecture: string;
  wiring: string;
  family: string | null;
  quantisation: string | null;
  objectives: Record<string, FrontValue>;
  probability_front: number | null;
  hypervolume_contribution: number | null;
  knee: boolean;
  ties: number[];
  flags: string[];
  constraints: Record<string, { verdict: string; value: number; upper: number | null; lower: number | null }>;
  error_inherited: number | null;
  error_inherited_bar: number | null;
  error_confirmed_mean: number | null;
  error_confirmed_std: number | null;
  latency_ms: number | null;
  latency_bar_ms: number | null;
  macs: number | null;
  parameters: number | null;
}

export interface Baseline extends Partial<Omit<FrontPoint, "trial" | "objectives">> {
  trial?: null;
  name: string;
  /** Unique among the baselines, as names need not be; either opens `/baselines/`. */
  key?: string;
  kind: string;
  /** Nothing is shrunken and nothing tied outside the search. */
  objectives?: Record<string, Omit<FrontValue, "shrunken" | "ties">>;
  /** False for sizes of a network that are worse and no cheaper than another size of it. */
  on_family_front?: boolean;
}

export interface BestOfFamily extends FrontPoint {
  pattern: string;
}

export interface FrontDocument {
  schema: "nas.front/1";
  run: string;
  objectives: Objective[];
  stamp: string | null;
  trust: { verdict: string; front: string | null; why?: string | null; left_out?: number };
  points: FrontPoint[];
  near_front: { trial: number; probability_front: number }[];
  hypervolume: { value: number; shrunken: number; low: number; high: number; reference: Record<string, number> } | null;
  knee: { trial: number; probability: number } | null;
  constraints: { objective: string; upper: number | null; lower: number | null; unit: string | null; text: string }[];
  baselines: Baseline[];
  /** The best finished trial of each wiring family; absent in documents of older versions. */
  best_per_pattern?: BestOfFamily[];
  simple_baselines: { name: string; accuracy: number }[];
  confirmation: Record<string, unknown> | null;
}

/** Trials as columns of equal length, one entry per trial. */
export interface TrialsDocument {
  schema: "nas.dash.trials/1";
  seq: number;
  total: number;
  trial: number[];
  state: ("finished" | "failed" | "open")[];
  family: (string | null)[];
  wiring: (string | null)[];
  architecture: (string | null)[];
  proposed_by: (string | null)[];
  batch: (number | null)[];
  duplicate_of: (number | null)[];
  feasible: (boolean | null)[];
  on_front: boolean[];
  seconds: (number | null)[];
  reason: (string | null)[];
  values: Record<string, (number | null)[]>;
  low: Record<string, (number | null)[]>;
  high: Record<string, (number | null)[]>;
  /** parameters, macs, depth, bytes, critical_path, error_inherited, error_confirmed ... */
  measures: Record<string, (number | null)[]>;
  /** The whole front, also where only changed trials are told: so a view learns who has left it. */
  front?: number[];
}

export interface ArchitectureNode {
  /** Unique path such as "stage1.op2", or "cell3/op1" inside a nested cell. */
  id: string;
  label: string;
  kind: "input" | "operation" | "join" | "output" | "head";
  operation: string;
  merge: string | null;
  width: number | null;
  stride: number;
  /** Id of the innermost group that holds it. */
  group: string | null;
  /** Channels, height, width of what it computes. */
  shape: number[] | null;
  parameters: number;
  macs: number;
  /** Measured by itself, in ms; null where the run has no such measurement. */
  latency_ms: number | null;
  exit: boolean;
  tie: string | null;
}

export interface ArchitectureEdge {
  id: string;
  source: string;
  target: string;
  /** "chain": to the next node of the drawing order; "skip": over at least one node. */
  kind: "chain" | "skip";
  /** What the edge does: adapter, part, gain, port, lag; empty for a plain one. */
  details: string[];
  adapted: boolean;
  /** Probability learned by the relaxation, where there is one. */
  gate: number | null;
}

export interface ArchitectureGroup {
  id: string;
  parent: string | null;
  label: string;
  kind: "stage" | "cell" | "motif";
}

export interface ArchitectureDocument {
  schema: "nas.dash.architecture/1";
  id: string;
  wiring: string;
  input: number[];
  classes: number;
  nodes: ArchitectureNode[];
  edges: ArchitectureEdge[];
  groups: ArchitectureGroup[];
  cost: Record<string, number>;
  measures: Record<string, unknown>;
  /** The same as text, one line per node. */
  text: string;
}

export interface Curve {
  purpose: string;
  seed_index: number;
  recipe_hash: string;
  /** Mean training loss per epoch, in nats. */
  losses: number[];
  error: number | null;
  part: "validation" | "test";
}

export interface TrialDocument {
  schema: "nas.dash.trial/1";
  run: string;
  trial: number;
  state: "finished" | "failed" | "open";
  attempts: number;
  wiring: string | null;
  family: string | null;
  proposed_by: string | null;
  values: Record<string, { value: number; unit: string | null; source: string | null; low: number | null; high: number | null }>;
  decisions: Record<string, unknown>;
  measurements: Record<string, Record<string, unknown>>;
  inherited: Record<string, number> | null;
  confirmed: { error_mean: number; error_std: number | null; count: number } | null;
  curves: Curve[];
  /** Recorded parents where the search knows them, and else the nearest earlier trials by decisions. */
  lineage: { trial: number; relation: string; changes: string[] }[];
  /** The nearest trials by number of decisions that differ; front points first among equals. */
  neighbours: { trial: number; changes: string[]; on_front: boolean }[];
  duplicates: number[];
  failure: { reason: string; message: string | null } | null;
  architecture: ArchitectureDocument | null;
  /** Why it cannot be drawn, where `architecture` is null. */
  architecture_problem?: string | null;
  /** What to type for this trial: title to command. */
  commands: Record<string, string>;
}

export interface SupernetDocument {
  schema: "nas.dash.supernet/1";
  seq: number;
  stages: string[];
  epochs: { stage: string; epoch: number; loss: number; numbers: Record<string, number> }[];
  alarms: { stage: string; epoch: number; name: string; message: string; remedy: string | null }[];
  diagnoses: string[];
  /** Gates of the relaxation: per choice its options, and per recorded step their probabilities. */
  gates: {
    steps: { epoch: number }[];
    choices: {
      name: string;
      kind: "one_of" | "subset_of";
      stage: string | null;
      options: string[];
      /** steps x options */
      values: number[][];
    }[];
  } | null;
  /** The preferred wiring with every optional edge drawn; `edge_choices` ties edges to gates. */
  graph: ArchitectureDocument | null;
  edge_choices: Record<string, { choice: string; option: string }>;
  node_choices: Record<string, string>;
  rank: Record<string, unknown> | null;
}

export interface ProgressDocument {
  schema: "nas.dash.progress/1";
  seq: number;
  state: RunState;
  owner: string | null;
  stages: { name: string; state: string; seconds: number | null; trainings: number | null }[];
  trials: { finished: number; failed: number; open: number; planned: number | null; duplicates: number };
  failures: Record<string, number>;
  trials_per_second: number | null;
  seconds_left: number | null;
  /** Over finished trials: hypervolume of the recorded values, and its interval where computed. */
  hypervolume: { finished: number; value: number; low: number | null; high: number | null }[];
  workers: { time: string; workers: number | null; memory_mb: number | null; worker_memory_mb: number | null }[];
  notes: { time: string; kind: string; text: string }[];
}

export interface SpaceDocument {
  schema: "nas.dash.space/1";
  seq: number;
  space: string | null;
  size: string | null;
  objective: string;
  trials: number;
  choices: {
    name: string;
    kind: "one_of" | "subset_of";
    options: string[];
    counts: number[];
    on_front: number[];
    /** Mean of the objective with the option minus without, and its 95 % interval. */
    effects: ({ mean: number; low: number; high: number; count: number } | null)[];
    /** Share of the objective's variance that the choice explains, 0 to 1. */
    importance: number | null;
  }[];
  /** What an effect does not say: the sampler chose the trials. */
  caution?: string;
  /** The most important choices, one option index per finished trial (null: not asked). */
  parallel: { choices: string[]; trials: number[]; rows: (number | null)[][] };
}

export interface FailuresDocument {
  schema: "nas.dash.failures/1";
  seq: number;
  total: number;
  groups: {
    reason: string;
    count: number;
    meaning: string;
    way_out: string;
    messages: { message: string; count: number; trials: number[] }[];
  }[];
}

export interface ProvenanceDocument {
  schema: "nas.dash.provenance/1";
  config: string;
  environment: Record<string, unknown>;
  seeds: Record<string, string>;
  ledger: Record<string, unknown>;
  hashes: Record<string, string>;
  /** What reruns it. */
  command: string;
  commands: Record<string, string>;
}

export interface CompareDocument {
  schema: "nas.dash.compare/1";
  runs: string[];
  /** Null with the reason where the runs share no two objectives. */
  objectives: Objective[] | null;
  why_not: string | null;
  same_data: boolean;
  fronts: Record<string, { trial: number; values: number[] }[]>;
  hypervolume: Record<string, number>;
  reference: number[];
  /** Empirical attainment surfaces over the runs: corners in the order of the objectives; between two the second holds. */
  attainment: { best: number[][]; median: number[][]; worst: number[][] } | null;
}

/** What an event carries: the numbers that a live view needs, and which trials changed. */
export interface Increment {
  seq: number;
  run: RunDocument;
  trials: TrialsDocument;
}

import type { RunState } from "../documents";
import type { Tone } from "./panel";

export interface Said {
  tone: Tone;
  word: string;
  /** What it means, in a sentence or two. */
  meaning: string;
}

const STATES: Record<RunState, Said> = {
  created: { tone: "plain", word: "created", meaning: "The folder is there; nothing has been tried yet." },
  running: { tone: "active", word: "running", meaning: "A search writes to this run now. What is shown grows with it." },
  interrupted: { tone: "warning", word: "interrupted", meaning: "The search stopped before its end. Nothing that was recorded is lost, and it can go on." },
  finished: { tone: "good", word: "finished", meaning: "The search came to its planned end." },
  failed: { tone: "warning", word: "failed", meaning: "The search gave up. Failures tell why." },
  damaged: { tone: "warning", word: "damaged", meaning: "The run's record is not whole. nas doctor says what is wrong and can keep what is whole." },
  newer: { tone: "warning", word: "newer", meaning: "A newer nas wrote this run, and nothing is wrong with it: this one cannot read its format." },
};

export const stateWords = (state: RunState): Said => STATES[state];

const TRUSTED: Record<string, Said> = {
  "trusted within families and across families": {
    tone: "good",
    word: "ranking trusted",
    meaning: "Checked against networks trained alone: the shared weights rank wirings rightly, within a family and between families.",
  },
  "trusted within families": {
    tone: "good",
    word: "trusted within families",
    meaning: "Checked against networks trained alone: the order holds among wirings of one family. Do not compare families by it.",
  },
  "not trusted": {
    tone: "warning",
    word: "ranking not trusted",
    meaning: "Checked, and the shared weights do not rank as training alone does. Do not choose by this order: confirm candidates first.",
  },
  "not needed": {
    tone: "good",
    word: "no shared weights",
    meaning: "No value of this run was inherited from shared weights, so there is no ranking to doubt.",
  },
  unverified: {
    tone: "warning",
    word: "ranking unverified",
    meaning: "Nobody has checked whether shared weights rank networks as training alone would. Take the order of points as a guess until nas supernet rank has been run.",
  },
};

/** How far a verdict on the ranking lets a reader believe the order of points. */
export function trustWords(verdict: string): Said {
  return TRUSTED[verdict] ?? { tone: "plain", word: verdict, meaning: "" };
}

/** What a stamp on a run warns of. */
export function stampWords(stamp: string): string {
  return stamp.startsWith("smoke")
    ? "This run shows that everything works; it trained far too little to tell networks apart. Do not quote its numbers."
    : "Read its numbers with this in mind.";
}

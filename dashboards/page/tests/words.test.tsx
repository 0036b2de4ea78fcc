// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, expect, test } from "vitest";
import { RunNotice } from "../src/parts/run_notice";
import { Sentence } from "../src/parts/told";
import { stampWords, stateWords, trustWords } from "../src/parts/words";
import { pointAt, runWith } from "./runs";

const shown = (part: preact.ComponentChild): string => {
  act(() => render(<div>{part}</div>, document.body));
  return document.body.textContent ?? "";
};
afterEach(() => {
  act(() => render(null, document.body));
});

test.each(["created", "running", "interrupted", "finished", "failed", "damaged", "newer"] as const)("the state %s is told in a sentence", (state) => {
  expect(stateWords(state).meaning).toMatch(/\.$/);
});

test.each(["trusted within families and across families", "trusted within families", "not trusted", "not needed", "unverified"])(
  "the verdict %j says what to believe",
  (verdict) => {
    expect(trustWords(verdict).meaning).toMatch(/\.$/);
  },
);

test("a verdict of a newer version is shown as it is", () => {
  expect(trustWords("trusted on Sundays")).toEqual({ tone: "plain", word: "trusted on Sundays", meaning: "" });
});

test("a smoke run with an unverified ranking warns of both", () => {
  const run = runWith({ stamp: "smoke, not evidence", front_size: 1, front: [pointAt(0, 1, 1)] });
  expect(shown(<RunNotice run={run} />)).toMatch(/smoke, not evidence\..*Do not quote.*ranking unverified\..*guess/);
  expect(stampWords("smoke, not evidence")).toMatch(/Do not quote/);
});

test("a trusted run says nothing", () => {
  expect(shown(<RunNotice run={runWith({ front_size: 1, trust: { verdict: "trusted within families", front: null, why: null } })} />)).toBe("");
});

test("what cannot be opened is told with the way out, and has no other parts", () => {
  const told = shown(<RunNotice run={runWith({ kind: "unreadable", problem: "It has the format nas.run/9.", fix: "Update nas." })} />);
  expect(told).toBe("It has the format nas.run/9.Update nas.");
});

test("a run that stands still says how to go on", () => {
  shown(<RunNotice run={runWith({ state: "interrupted", fix: "nas resume first" })} />);
  expect(document.querySelector("code")?.textContent).toBe("nas resume first");
});

test("commands in sentences are code, and markup in them is text", () => {
  expect(shown(<Sentence text="Run `nas doctor x`: it <b>keeps</b> all." />)).toBe("Run nas doctor x: it <b>keeps</b> all.");
  expect(document.querySelector("code")?.textContent).toBe("nas doctor x");
  expect(shown(<Sentence text="A lone ` stays." />)).toBe("A lone ` stays.");
});

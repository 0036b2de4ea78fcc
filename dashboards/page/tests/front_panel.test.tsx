// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LimitsPanel } from "../src/front/limits_panel";
import { quantitiesOf, quantityOf } from "../src/front/quantities";
import { rowsOf } from "../src/front/rows";
import { axesOf, sceneOf } from "../src/front/scene";
import { type FrontState, parseState } from "../src/front/state";
import { PointsTable } from "../src/front/tables";
import { documents, LATENCY } from "./front_documents";

const { front, trials } = documents();
const quantities = quantitiesOf(front, trials);
const rows = rowsOf(front, trials);
const nobody = (): void => undefined;

let place: HTMLElement;
beforeEach(() => {
  window.matchMedia = (() => ({ matches: false, addEventListener: nobody, removeEventListener: nobody })) as never;
  place = document.body.appendChild(document.createElement("div"));
});
afterEach(() => {
  act(() => render(null, place));
  place.remove();
});

function showLimits(query: string, change: (part: Partial<FrontState>) => void = nobody): void {
  const state = parseState(new URLSearchParams(query), quantities, "small");
  const scene = sceneOf(front, rows, state, axesOf({ front, rows, state, others: [], ticks: { x: 6, y: 6 } }));
  const panel = <LimitsPanel run="small" front={front} rows={rows} scene={scene} quantities={quantities} state={state} change={change} onPoint={nobody} />;
  act(() => render(panel, place));
}

const text = (selector: string): string => place.querySelector(selector)?.textContent ?? "";

test("the best is told without limits and under them, with a link to it", () => {
  showLimits("");
  expect(text('[data-best="cross_entropy"]')).toContain("trial 2");
  showLimits(`max:${LATENCY}=3`);
  expect(text('[data-best="cross_entropy"]')).toContain("trial 1 0.6 ± 0.05 nats");
  expect(place.querySelector('[data-best="cross_entropy"] a')?.getAttribute("href")).toBe("#/run/small/trial?trial=1");
  expect(text("#front-kept")).toBe("3 of 5 trials keep them; 2 of these are on the front.");
});

test("limits that nobody keeps say what it would take", () => {
  showLimits(`max:${LATENCY}=0.7`);
  expect(text(".front-best")).toBe("No trial keeps these limitsThe least latency of any trial is 1.");
});

test("a limit is set by typing, with a comma too, or by the slider, and taken away again", () => {
  const changes: Partial<FrontState>[] = [];
  showLimits("max:parameters=200", (part) => changes.push(part));
  const [typed, slider] = place.querySelectorAll<HTMLInputElement>(`[data-limit="${LATENCY}"] input`);
  const enter = (field: HTMLInputElement | undefined, value: string): void => {
    if (!field) throw new Error("no field");
    field.value = value;
    act(() => void field.dispatchEvent(new Event("input", { bubbles: true })));
  };
  enter(typed, "1,5");
  enter(typed, "1.");
  enter(slider, "200");
  enter(slider, "400");
  expect(changes.map((part) => part.limits)).toEqual([
    { parameters: 200, [LATENCY]: 1.5 },
    { parameters: 200, [LATENCY]: 1 },
    { parameters: 200, [LATENCY]: 2.25 },
    { parameters: 200 },
  ]);
});

test("rows of the points can be found, walked and opened by keys, and names are text", () => {
  const hostile = { ...front, points: front.points.map((point) => ({ ...point, wiring: "<img src=x onerror=alert(1)>" })) };
  const pointed: (number | null)[] = [];
  const objectives = front.objectives.map((each) => quantityOf(each));
  const table = <PointsTable run="small" points={hostile.points} volume={1} objectives={objectives} rows={rows} chosen={[1]} onChoose={nobody} pointed={null} onPoint={(trial) => pointed.push(trial)} />;
  act(() => render(table, place));
  expect(place.querySelector("img")).toBeNull();
  expect(text('tr[data-trial="1"]')).toContain("<img src=x");
  expect(place.querySelector<HTMLInputElement>('tr[data-trial="1"] input')?.checked).toBe(true);
  const row = place.querySelector<HTMLElement>('tr[data-trial="0"]');
  row?.focus();
  const press = (key: string): void => {
    act(() => void document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })));
  };
  press("ArrowDown");
  expect(pointed).toEqual([1]);
  press("Enter");
  expect(location.hash).toBe("#/run/small/trial?trial=1");
});

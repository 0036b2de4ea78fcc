import { describe, expect, test } from "vitest";
import { SERIES } from "../src/parts/palette";
import theme from "../src/theme.css?raw";
import { colourBlind, contrast, difference, VISIONS } from "./colours";

/** Variables of a block of the theme, by the selector that opens it. */
function variables(selector: string): Record<string, string> {
  const start = theme.indexOf(`${selector} {`);
  expect(start).toBeGreaterThanOrEqual(0);
  const block = theme.slice(start, theme.indexOf("}", start));
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*([^;]+);/g)].map((found) => [found[1], found[2]]));
}

const THEMES = { light: variables(":root"), dark: variables(':root[data-theme="dark"]') };
const of = (theme: Record<string, string>, name: string): string => theme[name] ?? expect.unreachable(`--${name} is missing`);

/** Text and what it stands on. */
const TEXT = [
  ["ink", "ground"],
  ["ink", "paper"],
  ["ink", "raised"],
  ["ink", "accent-wash"],
  ["ink", "warning-wash"],
  ["soft", "ground"],
  ["soft", "paper"],
  ["soft", "raised"],
  ["soft", "accent-wash"],
  ["accent", "ground"],
  ["accent", "paper"],
  ["accent", "raised"],
  ["accent", "accent-wash"],
  ["on-accent", "accent"],
  ["good", "good-wash"],
  ["good", "paper"],
  ["warning", "warning-wash"],
  ["warning", "paper"],
  ["warning", "ground"],
] as const;

/** Borders of controls, marks and the focus ring, and what they stand on. */
const MARKS = [
  ["edge", "paper"],
  ["edge", "ground"],
  ["accent", "paper"],
  ["accent", "ground"],
] as const;

describe.each(Object.entries(THEMES))("the %s theme", (name, colours) => {
  test.each(TEXT)("text in %s can be read on %s", (ink, ground) => {
    expect(contrast(of(colours, ink), of(colours, ground))).toBeGreaterThanOrEqual(4.5);
  });

  test.each(MARKS)("marks in %s stand out from %s", (ink, ground) => {
    expect(contrast(of(colours, ink), of(colours, ground))).toBeGreaterThanOrEqual(3);
  });

  test("every colour of a series stands out from the paper", () => {
    for (const colour of SERIES[name as "light" | "dark"]) expect(contrast(colour, of(colours, "paper")), colour).toBeGreaterThanOrEqual(3);
  });

  test.each(VISIONS)("colours of a series are told apart with %s vision", (vision) => {
    const seen = SERIES[name as "light" | "dark"].map((colour) => colourBlind(colour, vision));
    for (const [place, first] of seen.entries())
      for (const second of seen.slice(0, place)) expect(difference(first, second)).toBeGreaterThan(0.05);
  });
});

test("a dark system gets the colours of the dark theme", () => {
  expect(variables(':root:not([data-theme="light"])')).toEqual(THEMES.dark);
});

test("a pressed button keeps its colours under the pointer", () => {
  // Its text has the colour that stands out from the accent; on the wash of a hover it would be gone.
  const hover = /button:hover:not\(([^)]*)\)/.exec(theme)?.[1] ?? "";
  expect(hover).toContain('[aria-pressed="true"]');
  expect(hover).toContain(".first");
});

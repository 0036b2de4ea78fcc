/**
 * Near Okabe and Ito's colours, moved until each stands out from the paper and all are told apart with every common
 * kind of colour vision: tests/contrast.test.ts computes both. The first four are the furthest apart.
 */
export const SERIES = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6b4e00", "#4298e5", "#4b1d80", "#2f2f2f"],
  dark: ["#56b4e9", "#e69f00", "#1fa37f", "#f0b6d6", "#f7f06a", "#6474e0", "#c04e1a", "#9c6f93"],
} as const;
/** Shapes go with colours, so that nothing is told by colour alone. The first four also serve charts of thousands of points. */
export const SYMBOLS = [
  "circle",
  "rect",
  "triangle",
  "diamond",
  "path://M0 0H10L5 10Z",
  "path://M3.5 0h3v3.5H10v3H6.5V10h-3V6.5H0v-3h3.5Z",
  "path://M5 0L9.5 2.5V7.5L5 10L.5 7.5V2.5Z",
  "path://M0 0H10L6.5 5L10 10H0L3.5 5Z",
] as const;

export interface Palette {
  dark: boolean;
  ink: string;
  soft: string;
  line: string;
  paper: string;
  accent: string;
  warning: string;
  series: readonly string[];
  /** From little to much, readable on the paper of the theme. */
  scale: readonly string[];
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  const dark = read("--dark") === "1";
  return {
    dark,
    ink: read("--ink"),
    soft: read("--soft"),
    line: read("--line"),
    paper: read("--paper"),
    accent: read("--accent"),
    warning: read("--warning"),
    series: dark ? SERIES.dark : SERIES.light,
    scale: dark ? ["#16324a", "#1f5f8b", "#2f8fc4", "#7cc4ec", "#f0e442"] : ["#e8f1f8", "#a9cfe8", "#56a4d4", "#0072b2", "#003a63"],
  };
}

/** Colour and shape of a family, the same on every chart of a page. */
export function familyStyle(family: string | null, known: readonly string[], colours: Palette): { colour: string; symbol: string } {
  const place = family === null ? -1 : known.indexOf(family);
  if (place < 0) return { colour: colours.soft, symbol: "emptyCircle" };
  return {
    colour: colours.series[place % colours.series.length] ?? colours.ink,
    symbol: SYMBOLS[(place + Math.floor(place / colours.series.length)) % SYMBOLS.length] ?? "circle",
  };
}

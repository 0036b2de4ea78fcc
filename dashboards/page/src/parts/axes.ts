import type { Palette } from "./palette";

/** Look of an axis on every chart: quiet lines, readable names. */
export function axisStyle(colours: Palette): Record<string, unknown> {
  return {
    nameTextStyle: { color: colours.soft, fontSize: 12 },
    axisLabel: { color: colours.soft, fontSize: 12, hideOverlap: true },
    axisLine: { lineStyle: { color: colours.soft } },
    axisTick: { lineStyle: { color: colours.soft } },
    splitLine: { lineStyle: { color: colours.line } },
  };
}

/** Tooltips as text on the canvas: names stay text, and the policy needs no exception. */
export function tooltipStyle(colours: Palette): Record<string, unknown> {
  return {
    renderMode: "richText",
    confine: true,
    backgroundColor: colours.paper,
    borderColor: colours.soft,
    borderWidth: 1,
    textStyle: { color: colours.ink, fontSize: 12 },
  };
}

/** Font of a chart is that of the page. */
export const TEXT = { fontFamily: "system-ui, sans-serif" };

/** A name no longer than `most` letters. */
export const shortened = (text: string, most: number): string => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

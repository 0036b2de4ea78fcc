import { render } from "preact";
import { type Look, WholeDrawing } from "./drawing";
import type { Layout } from "./elk_graph";
import type { Shown } from "./visible";

const SPACE = 24;

/** Saves the whole drawing, as it is folded and tinted, as a file that looks the same elsewhere. */
export function saveDrawing(title: string, drawn: Shown, layout: Layout, look: Look): void {
  const address = URL.createObjectURL(new Blob([drawingText(title, drawn, layout, look)], { type: "image/svg+xml" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `${title.replace(/[^\w.-]+/g, "-").slice(0, 80)}.svg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function drawingText(title: string, drawn: Shown, layout: Layout, look: Look): string {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "wiring");
  svg.setAttribute("viewBox", `${-SPACE} ${-SPACE} ${layout.width + 2 * SPACE} ${layout.height + 2 * SPACE}`);
  svg.setAttribute("width", String(layout.width + 2 * SPACE));
  svg.setAttribute("height", String(layout.height + 2 * SPACE));
  const named = document.createElementNS("http://www.w3.org/2000/svg", "title");
  named.textContent = title;
  const place = document.createElementNS("http://www.w3.org/2000/svg", "g");
  svg.append(named, place);
  render(<WholeDrawing drawn={drawn} layout={layout} look={look} />, place);
  for (const mark of svg.querySelectorAll("[tabindex]")) mark.removeAttribute("tabindex");
  const text = new XMLSerializer().serializeToString(svg);
  render(null, place);
  const start = text.indexOf(">") + 1;
  return `${text.slice(0, start)}<style>${styles()}</style>${text.slice(start)}`;
}

/** The rules of the page's own style sheet that speak of drawings, with the colours in force. */
function styles(): string {
  const rules: string[] = [];
  for (const sheet of document.styleSheets) {
    for (const rule of sheet.cssRules) {
      if (rule instanceof CSSStyleRule && rule.selectorText.startsWith(".wiring") && !/:hover|:focus|:active|aria-pressed|-place|-keys|-told/.test(rule.selectorText)) rules.push(rule.cssText);
    }
  }
  const drawing = getComputedStyle(document.querySelector(".wiring") ?? document.documentElement);
  return rules.join("\n").replace(/var\((--[\w-]+)\)/g, (_, name: string) => drawing.getPropertyValue(name).trim());
}

import type { Rectangle } from "./elk_graph";

/** Which part of the drawing is seen: screen = drawing * scale + offset. */
export interface Camera {
  scale: number;
  x: number;
  y: number;
}

const SMALLEST = 0.004;
const LARGEST = 4;
const MARGIN = 24;

export const limited = (scale: number): number => Math.min(LARGEST, Math.max(SMALLEST, scale));

export function zoomed(camera: Camera, factor: number, x: number, y: number): Camera {
  const scale = limited(camera.scale * factor);
  const real = scale / camera.scale;
  return { scale, x: x - (x - camera.x) * real, y: y - (y - camera.y) * real };
}

/** All of the drawing, in the middle. */
export function fitted(drawing: { width: number; height: number }, width: number, height: number): Camera {
  const scale = limited(Math.min((width - 2 * MARGIN) / drawing.width, (height - 2 * MARGIN) / drawing.height, 1.25));
  return { scale, x: (width - drawing.width * scale) / 2, y: (height - drawing.height * scale) / 2 };
}

/** All of it where text stays readable, and else its beginning, `first`, at a readable size. */
export function opening(drawing: { width: number; height: number }, first: Rectangle | undefined, width: number, height: number): Camera {
  const readable = width < 700 ? 0.75 : 0.6;
  const whole = fitted(drawing, width, height);
  if (whole.scale >= readable) return whole;
  const scale = Math.max(readable, Math.min(1, (width - 2 * MARGIN) / drawing.width));
  const start = first ?? { x: 0, y: 0, width: drawing.width, height: 0 };
  const centred = (at: number, own: number, all: number, room: number): number =>
    all * scale <= room - 2 * MARGIN ? (room - all * scale) / 2 : Math.min(MARGIN, Math.max(room - MARGIN - all * scale, room / 2 - (at + own / 2) * scale));
  return { scale, x: centred(start.x, start.width, drawing.width, width), y: centred(start.y, start.height, drawing.height, height) };
}

/** The same scale, moved as little as shows the rectangle whole. */
export function showing(camera: Camera, rectangle: Rectangle, width: number, height: number): Camera {
  const into = (low: number, high: number, size: number): number =>
    low < MARGIN ? MARGIN - low : high > size - MARGIN ? Math.max(size - MARGIN - high, MARGIN - low) : 0;
  const left = rectangle.x * camera.scale + camera.x;
  const top = rectangle.y * camera.scale + camera.y;
  return {
    scale: camera.scale,
    x: camera.x + into(left, left + rectangle.width * camera.scale, width),
    y: camera.y + into(top, top + rectangle.height * camera.scale, height),
  };
}

/** What is seen, and half a screen more on every side, in units of the drawing. */
export function seen(camera: Camera, width: number, height: number): Rectangle {
  return {
    x: (-width / 2 - camera.x) / camera.scale,
    y: (-height / 2 - camera.y) / camera.scale,
    width: (2 * width) / camera.scale,
    height: (2 * height) / camera.scale,
  };
}

export const meets = (a: Rectangle, b: Rectangle): boolean =>
  a.x <= b.x + b.width && b.x <= a.x + a.width && a.y <= b.y + b.height && b.y <= a.y + a.height;

/** Whether the first rectangle holds the second. */
export const holds = (outer: Rectangle, inner: Rectangle): boolean =>
  outer.x <= inner.x && outer.y <= inner.y && outer.x + outer.width >= inner.x + inner.width && outer.y + outer.height >= inner.y + inner.height;

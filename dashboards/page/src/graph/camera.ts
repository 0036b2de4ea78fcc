import type { Rectangle } from "./elk_graph";

/** Which part of the drawing is seen: screen = drawing * scale + offset. */
export interface Camera {
  scale: number;
  x: number;
  y: number;
}

const SMALLEST = 0.02;
const LARGEST = 4;
/** Below this scale text is too small to be read. */
const READABLE = 0.55;
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

/** All of it where text stays readable, and else its beginning at a readable size. */
export function opening(drawing: { width: number; height: number }, width: number, height: number): Camera {
  const whole = fitted(drawing, width, height);
  if (whole.scale >= READABLE) return whole;
  const scale = limited(Math.max(READABLE, Math.min(1, (width - 2 * MARGIN) / drawing.width)));
  const wide = drawing.width * scale > width - 2 * MARGIN;
  return { scale, x: wide && drawing.height < drawing.width ? MARGIN : (width - drawing.width * scale) / 2, y: MARGIN };
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

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useDocument } from "../context";
import type { CompareDocument, FrontDocument } from "../documents";
import type { Drawn } from "./option";
import { comparePath, overlayOf } from "./overlay";
import { type Quantity, quantityOf } from "./quantities";
import type { Rows } from "./rows";
import type { Frame } from "./scale";
import { axesOf, sceneOf } from "./scene";
import type { FrontState } from "./state";

const NARROW = 600;

function frameOf(width: number): Frame {
  const narrow = width < NARROW;
  const height = narrow ? 380 : Math.min(620, Math.max(440, Math.round(width * 0.62)));
  return { width, height, left: narrow ? 58 : 68, right: 14, top: 12, bottom: 46 };
}

/** Measures the place of the chart and makes the scene for it. */
export function useDrawn(run: string, front: FrontDocument, rows: Rows, quantities: readonly Quantity[], state: FrontState) {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.round(entry?.contentRect.width ?? 0)));
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);
  const compared = useDocument<CompareDocument>(comparePath(run, state.runs));
  const overlay = useMemo(() => overlayOf(compared.document, run, state.x, state.y), [compared.document, run, state.x, state.y]);
  const ticks = { x: Math.min(9, Math.max(4, Math.floor(width / 75))), y: width < NARROW ? 5 : 7 };
  const axes = useMemo(
    () => axesOf({ front, rows, state, others: overlay.fronts.flatMap((each) => each.points.map((point) => point.at)), ticks }),
    [front, rows, state.x, state.y, state.logX, state.logY, state.fit, state.hidden, overlay, ticks.x, ticks.y],
  );
  // What is chosen is drawn over the scene and does not change it.
  const scene = useMemo(() => sceneOf(front, rows, state, axes), [axes, state.size, state.limits]);
  const drawn = useMemo<Drawn | null>(() => {
    if (width === 0) return null;
    const named = (name: string) => quantities.find((each) => each.name === name) ?? quantityOf({ name, unit: null, source: null });
    return {
      run,
      scene,
      overlay,
      rows,
      frame: frameOf(width),
      x: named(state.x),
      y: named(state.y),
      size: state.size === null ? null : named(state.size),
      chosen: state.chosen,
      limits: limitLines(front, state),
    };
  }, [scene, width, state.chosen]);
  return { place, drawn, compareError: state.runs.length ? compared.error : null };
}

function limitLines(front: FrontDocument, state: FrontState): Drawn["limits"] {
  return (["x", "y"] as const).flatMap((axis) => {
    const own = front.constraints
      .filter((each) => each.objective === state[axis])
      .flatMap((each) => [each.upper, each.lower])
      .filter((value) => value !== null);
    const limit = state.limits[state[axis]];
    return [...own.map((value) => ({ axis, value, own: true })), ...(limit === undefined ? [] : [{ axis, value: limit, own: false }])];
  });
}

import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type Camera, zoomed } from "./camera";

/** Pixels that a press may wander and still be a click. */
const STILL = 4;

/** Dragging pans, two fingers and the wheel with Ctrl zoom; the wheel alone scrolls the page. */
export function usePan(place: RefObject<HTMLElement | null>, camera: { current: Camera }, move: (camera: Camera) => void): { onPointerDown: (event: PointerEvent) => void; moved: () => boolean } {
  const fingers = useRef(new Map<number, { x: number; y: number }>());
  const wandered = useRef(0);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const where = (event: MouseEvent): { x: number; y: number } => {
      const frame = element.getBoundingClientRect();
      return { x: event.clientX - frame.left, y: event.clientY - frame.top };
    };
    const onWheel = (event: WheelEvent): void => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const { x, y } = where(event);
      move(zoomed(camera.current, Math.exp(-event.deltaY / 300), x, y));
    };
    const onMove = (event: PointerEvent): void => {
      const before = fingers.current.get(event.pointerId);
      if (!before) return;
      const now = where(event);
      const other = [...fingers.current].find(([id]) => id !== event.pointerId)?.[1];
      wandered.current += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
      if (other) {
        const spread = Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
        move(zoomed(camera.current, spread, (now.x + other.x) / 2, (now.y + other.y) / 2));
      } else if (wandered.current > STILL) move({ ...camera.current, x: camera.current.x + now.x - before.x, y: camera.current.y + now.y - before.y });
      fingers.current.set(event.pointerId, now);
    };
    const onUp = (event: PointerEvent): void => void fingers.current.delete(event.pointerId);
    element.addEventListener("wheel", onWheel, { passive: false });
    addEventListener("pointermove", onMove);
    addEventListener("pointerup", onUp);
    addEventListener("pointercancel", onUp);
    return () => {
      element.removeEventListener("wheel", onWheel);
      removeEventListener("pointermove", onMove);
      removeEventListener("pointerup", onUp);
      removeEventListener("pointercancel", onUp);
    };
  }, []);
  const onPointerDown = (event: PointerEvent): void => {
    const frame = place.current?.getBoundingClientRect();
    if (event.button !== 0 || !frame) return;
    if (fingers.current.size === 0) wandered.current = 0;
    fingers.current.set(event.pointerId, { x: event.clientX - frame.left, y: event.clientY - frame.top });
  };
  return { onPointerDown, moved: () => wandered.current > STILL };
}

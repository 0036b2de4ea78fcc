import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ArchitectureDocument } from "../documents";
import { type Camera, fitted, holds, meets, opening, seen, showing, zoomed } from "./camera";
import { BoxMark, GroupMark, GroupTitle, LineMark, type Look, outputCounts } from "./drawing";
import type { Layout, Rectangle } from "./elk_graph";
import { layOut } from "./engine";
import type { Direction } from "./marks";
import { type KeyBinding, useKeys } from "../parts/keys";
import { usePan } from "./pan";
import type { Shown } from "./visible";
import { stepOf, walk } from "./walk";

/** With fewer marks than this everything is in the page, seen or not. */
const FEW = 900;
const FAR = 0.3;

export interface WiringProperties {
  document: ArchitectureDocument;
  drawn: Shown;
  look: Omit<Look, "texts">;
  current: string | null;
  onCurrent: (id: string) => void;
  onFold: (folder: string) => void;
  onLayout?: (layout: Layout) => void;
  label: string;
}

/** The graph: panned by dragging, zoomed by keys, buttons and pinches, walked along its edges by arrows. */
export function Wiring(properties: WiringProperties) {
  const { document, drawn, look, current, onCurrent, onFold, label } = properties;
  const { layout, laidOut, busy, error } = useLayout(properties);
  const place = useRef<HTMLDivElement>(null);
  const stage = useRef<SVGGElement>(null);
  const camera = useRef<Camera>({ scale: 1, x: 0, y: 0 });
  const anchor = useRef<{ folder: string; x: number; y: number } | null>(null);
  const drawnFor = useRef("");
  /** What gets the focus once it is in the page. */
  const focusNext = useRef<string | null>(null);
  const [view, setView] = useState<{ seen: Rectangle; far: boolean }>({ seen: { x: 0, y: 0, width: 0, height: 0 }, far: false });
  const size = useCallback((): [number, number] => [place.current?.clientWidth ?? 800, place.current?.clientHeight ?? 600], []);
  const move = useCallback((next: Camera): void => {
    camera.current = next;
    stage.current?.setAttribute("transform", `translate(${next.x.toFixed(2)} ${next.y.toFixed(2)}) scale(${next.scale.toFixed(5)})`);
    const [width, height] = size();
    const inside = { x: -next.x / next.scale, y: -next.y / next.scale, width: width / next.scale, height: height / next.scale };
    setView((old) => {
      const far = next.scale < FAR;
      // Marks are made again only when the camera leaves what is in the page, or comes much nearer.
      const enough = holds(old.seen, inside) && old.seen.width < 6 * inside.width && old.far === far;
      return enough ? old : { seen: seen(next, width, height), far };
    });
  }, []);
  useLayoutEffect(() => {
    if (!layout || !laidOut) return;
    const [width, height] = size();
    const key = `${document.id} ${laidOut.direction}`;
    const held = anchor.current;
    const around = held ? (layout.groups[held.folder] ?? layout.boxes[`fold:${held.folder}`]) : undefined;
    if (drawnFor.current !== key || !held || !around) {
      move(opening(layout, layout.boxes[laidOut.drawn.boxes.keys().next().value ?? ""], width, height));
    } else {
      const scale = camera.current.scale;
      const kept = { scale, x: held.x - around.x * scale, y: held.y - around.y * scale };
      move(showing(kept, { ...around, height: Math.min(around.height, height / scale / 2), width: Math.min(around.width, width / scale / 2) }, width, height));
    }
    if (held) focusNext.current = `fold:${held.folder}`;
    anchor.current = null;
    drawnFor.current = key;
  }, [layout, laidOut]);
  const fit = useCallback(() => {
    if (layout) move(fitted(layout, ...size()));
  }, [layout]);
  const zoom = useCallback((factor: number) => {
    const [width, height] = size();
    move(zoomed(camera.current, factor, width / 2, height / 2));
  }, []);
  useZoomKeys(zoom, fit);
  const fold = (folder: string): void => {
    const around = layout?.groups[folder] ?? layout?.boxes[`fold:${folder}`];
    if (around) anchor.current = { folder, x: around.x * camera.current.scale + camera.current.x, y: around.y * camera.current.scale + camera.current.y };
    onFold(folder);
    onCurrent(`fold:${folder}`);
  };
  const { onPointerDown, moved } = usePan(place, camera, move);
  const visit = (id: string): void => {
    const box = layout?.boxes[id];
    if (!box) return;
    move(showing(camera.current, box, ...size()));
    onCurrent(id);
    focusNext.current = id;
  };
  useEffect(() => {
    const wanted = focusNext.current;
    if (wanted === null) return;
    const found = [...(stage.current?.querySelectorAll<SVGGElement>("[data-node], [data-group]") ?? [])].find((each) => idOf(each) === wanted);
    if (found) {
      focusNext.current = null;
      found.focus({ preventScroll: true });
    }
  });
  const press = (target: EventTarget | null): boolean => {
    const mark = target instanceof Element ? target.closest<SVGGElement>("[data-node], [data-group]") : null;
    const folder = mark?.getAttribute("data-group");
    if (folder) fold(folder);
    else if (mark) onCurrent(idOf(mark));
    return mark !== null;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = stepOf(event.key, look.direction);
    const from = current !== null && drawn.boxes.has(current) ? current : null;
    if (step && layout) {
      const next = from === null ? drawn.boxes.keys().next().value : walk(drawn, layout, look.direction, from, step);
      if (next !== null && next !== undefined) visit(next);
    } else if (event.key === "Enter" || event.key === " ") {
      const mark = event.target instanceof Element ? event.target.closest("[data-group], [data-node]") : null;
      const inside = mark?.getAttribute("data-group") ?? drawn.boxes.get(idOf(mark))?.parent ?? null;
      if (inside !== null) fold(inside);
    } else return;
    event.preventDefault();
  };
  const texts = !view.far || drawn.boxes.size < 200;
  const marks = useMemo(() => (layout && laidOut ? <Marks drawn={laidOut.drawn} layout={layout} look={{ ...look, direction: laidOut.direction, texts }} view={view.seen} current={current} /> : null), [layout, laidOut, look, texts, view, current]);
  return (
    <div class="wiring-place" ref={place}>
      <svg
        class={`wiring ${view.far ? "far" : ""}`}
        role="group"
        aria-label={label}
        aria-busy={busy}
        tabindex={current === null || !drawn.boxes.has(current) ? 0 : -1}
        onKeyDown={onKeyDown}
        onPointerDown={onPointerDown}
        onClick={(event) => !moved() && press(event.target)}
      >
        <g ref={stage}>{marks}</g>
      </svg>
      <p class="wiring-told" role="status">
        {error ?? (!busy ? "" : `Laying out ${drawn.boxes.size} nodes and ${drawn.lines.length} edges.`)}
      </p>
      <div class="wiring-keys">
        <button type="button" aria-label="Zoom in" onClick={() => zoom(1.25)}>
          +
        </button>
        <button type="button" aria-label="Zoom out" onClick={() => zoom(0.8)}>
          −
        </button>
        <button type="button" onClick={fit}>
          Fit
        </button>
      </div>
    </div>
  );
}

/** Keys of the page while a drawing is on it; "?" lists them. */
function useZoomKeys(zoom: (factor: number) => void, fit: () => void): void {
  const bindings = useMemo<KeyBinding[]>(
    () => [
      { key: "+", label: "nearer", run: () => zoom(1.25) },
      { key: "=", label: "nearer", run: () => zoom(1.25) },
      { key: "-", label: "farther", run: () => zoom(0.8) },
      { key: "0", label: "all of the drawing", run: fit },
    ],
    [zoom, fit],
  );
  useKeys("Drawing", bindings);
}

const idOf = (mark: Element | null): string => {
  const folder = mark?.getAttribute("data-group");
  return folder ? `fold:${folder}` : (mark?.getAttribute("data-node") ?? "");
};

interface LaidOut {
  layout: Layout | null;
  /** What the layout is of: a fold or a turn shows once it is laid out. */
  laidOut: { drawn: Shown; direction: Direction } | null;
  error: string | null;
}

function useLayout({ document, drawn, look, onLayout }: WiringProperties): LaidOut & { busy: boolean } {
  const [state, setState] = useState<LaidOut>({ layout: null, laidOut: null, error: null });
  const { direction } = look;
  useEffect(() => {
    let wanted = true;
    layOut(document, drawn, direction).then(
      (layout) => {
        if (!wanted) return;
        setState({ layout, laidOut: { drawn, direction }, error: null });
        onLayout?.(layout);
      },
      (error: unknown) => wanted && setState((old) => ({ ...old, error: `No drawing: ${error instanceof Error ? error.message : String(error)}` })),
    );
    return () => {
      wanted = false;
    };
  }, [document, drawn, direction]);
  const busy = state.error === null && (state.laidOut?.drawn !== drawn || state.laidOut.direction !== direction);
  return { ...state, busy };
}

function Marks({ drawn, layout, look, view, current }: { drawn: Shown; layout: Layout; look: Look; view: Rectangle; current: string | null }) {
  const few = drawn.boxes.size + drawn.lines.length < FEW;
  const outputs = outputCounts(drawn);
  const inView = (place: Rectangle | undefined): place is Rectangle => place !== undefined && (few || meets(place, view));
  const lit = current === null ? [] : drawn.lines.filter((line) => line.source === current || line.target === current);
  return (
    <>
      {drawn.open.map((folder) => {
        const place = layout.groups[folder.id];
        return inView(place) && <GroupMark key={folder.id} folder={folder} place={place} />;
      })}
      {drawn.lines.map((line) => inView(around(layout.lines[line.id])) && <LineMark key={line.id} line={line} layout={layout} look={look} />)}
      {look.texts &&
        drawn.open.map((folder) => {
          const place = layout.groups[folder.id];
          return inView(place) && <GroupTitle key={folder.id} folder={folder} place={place} />;
        })}
      <g class="lit" aria-hidden="true">
        {lit.map((line) => (
          <polyline key={line.id} points={layout.lines[line.id]?.join(" ") ?? ""} />
        ))}
      </g>
      {[...drawn.boxes.values()].map((box) => {
        const place = layout.boxes[box.id];
        return inView(place) && <BoxMark key={box.id} box={box} place={place} outputs={outputs.get(box.id) ?? 0} look={look} current={box.id === current} />;
      })}
    </>
  );
}

function around(corners: readonly number[] | undefined): Rectangle | undefined {
  if (!corners || corners.length < 4) return undefined;
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let place = 0; place < corners.length; place += 2) {
    const [x = 0, y = 0] = [corners[place], corners[place + 1]];
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

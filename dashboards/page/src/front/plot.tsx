/**
 * The chart with what makes it usable: points as links, a lasso, a card beside the pointer.
 *
 * ECharts only paints. Where a value stands is known here (`scale.ts`), so that pointing, the lasso
 * and the links of the points are plain arithmetic, as fast for ten thousand trials as for ten.
 */

import type { TargetedPointerEvent } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Chart } from "../parts/chart";
import type { Palette } from "../parts/palette";
import { address, go } from "../route";
import { insideLoop, nearest } from "./geometry";
import { type Drawn, frontOption } from "./option";
import { type Hit, type Hits, hitsWhenAsked } from "./hits";
import { pixelX, pixelY } from "./scale";
import { markText, type Mark } from "./scene";
import type { FrontState } from "./state";
import { Tip } from "./tip";

interface PlotProperties {
  run: string;
  drawn: Drawn;
  state: FrontState;
  label: string;
  lasso: boolean;
  onLassoEnd: () => void;
  onChoose: (trials: number[], add: boolean) => void;
  /** Trial that a table points at. */
  pointed: number | null;
  onPoint: (trial: number | null) => void;
}

type Loop = [number, number][];

export function Plot(properties: PlotProperties) {
  const { run, drawn, state, lasso, pointed, onPoint } = properties;
  const hits = useMemo(() => hitsWhenAsked(drawn, state), [drawn]);
  const option = useCallback((colours: Palette) => frontOption(drawn, colours), [drawn]);
  const [hit, setHit] = useState<Hit | null>(null);
  const place = useRef<HTMLDivElement>(null);
  const touched = useRef<number | null>(null);
  // What is told stays told while the run grows or a limit moves, at its new place.
  useEffect(() => setHit((old) => (old && old.trial !== null && old.run === null ? (hits().ofTrial(old.trial) ?? null) : null)), [hits]);
  const shown = hit ?? (pointed === null ? null : (hits().ofTrial(pointed) ?? null));

  const meet = (event: TargetedPointerEvent<HTMLDivElement>): Hit | null => {
    const box = event.currentTarget.getBoundingClientRect();
    return hits().at(nearest(hits().places, event.clientX - box.left, event.clientY - box.top));
  };
  const point = (found: Hit | null): void => {
    setHit(found);
    onPoint(found?.trial ?? null);
  };
  const open = (found: Hit | null): void => {
    const to = found && addressOf(run, found);
    if (to) location.hash = to;
  };
  const loop = useLoop(
    lasso,
    (drawnLoop, add) => {
      properties.onChoose(inLoop(hits(), drawnLoop), add);
      properties.onLassoEnd();
    },
    properties.onLassoEnd,
  );

  return (
    <div
      ref={place}
      class={`front-plot${lasso ? " lasso" : ""}${shown ? " met" : ""}`}
      onPointerMove={(event) => {
        if (loop.move(event)) return;
        if (event.pointerType !== "touch" && !lasso) point(meet(event));
      }}
      onPointerLeave={() => point(null)}
      onPointerDown={loop.start}
      onPointerUp={loop.end}
      onPointerCancel={loop.drop}
      onClick={(event) => {
        // A loop ends with a click of its own, which means no point.
        const touch = isTouch(event);
        if (lasso || loop.ended() || (event.defaultPrevented && !touch)) return;
        const found = meet(event as unknown as TargetedPointerEvent<HTMLDivElement>);
        // A finger covers what it touches: the first touch tells, the second one on the same point opens.
        const again = found !== null && found.trial === touched.current;
        touched.current = found?.trial ?? null;
        if (touch && !again) return point(found);
        open(found);
      }}
    >
      <Chart option={option} label={properties.label} height={drawn.frame.height} />
      <PointLinks run={run} drawn={drawn} state={state} onPoint={(trial) => onPoint(trial)} onFocus={setHit} hits={hits} />
      {shown && <Ring x={shown.x} y={shown.y} />}
      {loop.path && (
        <svg class="front-loop" aria-hidden="true">
          <path d={loop.path} />
        </svg>
      )}
      {shown && !lasso && <Tip hit={shown} drawn={drawn} state={state} run={run} />}
    </div>
  );
}

const isTouch = (event: object): boolean => "pointerType" in event && event.pointerType === "touch";

function addressOf(run: string, hit: Hit): string | null {
  if (hit.mark?.baseline) return address("trial", run, { baseline: hit.mark.baseline.name });
  return hit.trial === null ? null : address("trial", hit.run ?? run, { trial: hit.trial });
}

const inLoop = (hits: Hits, loop: Loop): number[] =>
  hits.choosable.filter((hit) => insideLoop(loop, hit.x, hit.y)).map((hit) => hit.trial as number);

function Ring({ x, y }: { x: number; y: number }) {
  return <span class="front-ring" style={{ left: `${x}px`, top: `${y}px` }} aria-hidden="true" />;
}

/** A loop drawn by a pointer that is held down; Shift adds to what was chosen before. */
function useLoop(active: boolean, onEnd: (loop: Loop, add: boolean) => void, onGiveUp: () => void) {
  const loop = useRef<Loop | null>(null);
  const ended = useRef(false);
  const [path, setPath] = useState<string | null>(null);
  const drop = (): void => {
    loop.current = null;
    setPath(null);
  };
  useEffect(() => {
    if (!active) return;
    const listen = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      drop();
      onGiveUp();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, [active]);
  const add = (event: TargetedPointerEvent<HTMLDivElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    loop.current?.push([event.clientX - box.left, event.clientY - box.top]);
    setPath(`M${loop.current?.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}Z`);
  };
  return {
    path,
    drop,
    ended: (): boolean => ended.current,
    start: (event: TargetedPointerEvent<HTMLDivElement>): void => {
      ended.current = false;
      if (!active || event.button !== 0) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      event.preventDefault();
      loop.current = [];
      add(event);
    },
    move: (event: TargetedPointerEvent<HTMLDivElement>): boolean => {
      if (!loop.current) return false;
      add(event);
      return true;
    },
    end: (event: TargetedPointerEvent<HTMLDivElement>): void => {
      if (!loop.current) return;
      const drawn = loop.current;
      ended.current = true;
      drop();
      if (drawn.length > 2) onEnd(drawn, event.shiftKey);
    },
  };
}

interface LinksProperties {
  run: string;
  drawn: Drawn;
  state: FrontState;
  hits: () => Hits;
  onPoint: (trial: number | null) => void;
  onFocus: (hit: Hit | null) => void;
}

/** The points of the front as links over the chart: one stop of the Tab key, arrows walk along the front. */
function PointLinks({ run, drawn, state, hits, onPoint, onFocus }: LinksProperties) {
  const list = useRef<HTMLDivElement>(null);
  const [current, setCurrent] = useState<number | null>(null);
  const marks = useMemo(() => linkedMarks(drawn), [drawn]);
  const stop = marks.some((mark) => mark.trial === current) ? current : (marks[0]?.trial ?? null);
  const walk = (event: KeyboardEvent, place: number): void => {
    const next = { ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1, Home: 0, End: marks.length - 1 }[event.key];
    const target = next === undefined ? undefined : marks[next];
    if (!target || next === undefined) return;
    event.preventDefault();
    (list.current?.children[next] as HTMLElement | undefined)?.focus();
  };
  return (
    <div ref={list} class="front-points" role="group" aria-label="Points of the front: arrows walk along it, Enter opens the architecture">
      {marks.map((mark, place) => (
        <a
          key={mark.key}
          href={address("trial", run, { trial: mark.trial as number })}
          data-point={mark.trial as number}
          class={mark.out ? "out" : undefined}
          style={{ left: `${pixelX(drawn.scene.x, drawn.frame, mark.x.value)}px`, top: `${pixelY(drawn.scene.y, drawn.frame, mark.y.value)}px` }}
          tabIndex={mark.trial === stop ? 0 : -1}
          aria-label={markText(mark, state)}
          onFocus={() => {
            setCurrent(mark.trial);
            onPoint(mark.trial);
            onFocus(hits().ofTrial(mark.trial as number) ?? null);
          }}
          onBlur={() => onFocus(null)}
          onClick={(event) => {
            event.preventDefault();
            if (!isTouch(event)) go("trial", run, { trial: mark.trial as number });
          }}
          onKeyDown={(event) => walk(event, place)}
        />
      ))}
    </div>
  );
}

function linkedMarks(drawn: Drawn): Mark[] {
  return drawn.scene.marks.filter((mark) => mark.kind === "front").sort((first, second) => first.x.value - second.x.value);
}

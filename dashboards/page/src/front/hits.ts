/** What a pointer can meet on the chart, and where. */

import type { Places } from "./geometry";
import type { Drawn } from "./option";
import { insideFrame, pixelX, pixelY } from "./scale";
import type { Mark } from "./scene";
import type { FrontState } from "./state";

export interface Hit {
  x: number;
  y: number;
  trial: number | null;
  /** Row of this run's trials, -1 for baselines and other runs. */
  row: number;
  mark: Mark | null;
  /** Another run that it belongs to. */
  run: string | null;
}

export interface Hits {
  places: Places;
  /** What a lasso takes: trials that keep the limits. */
  choosable: Hit[];
  at: (place: number) => Hit | null;
  ofTrial: (trial: number) => Hit | undefined;
}

const REACH = { cloud: 9, out: 5, mark: 16, other: 12 };

/** Works the places out when they are first asked for: not at every step of a slider. */
export function hitsWhenAsked(drawn: Drawn, state: FrontState): () => Hits {
  let hits: Hits | null = null;
  return () => (hits ??= hitsOf(drawn, state));
}

export function hitsOf(drawn: Drawn, state: FrontState): Hits {
  const { scene, rows, frame, overlay } = drawn;
  const [x, y] = [rows.column(state.x).value, rows.column(state.y).value];
  const hits: Hit[] = [];
  const reach: number[] = [];
  const add = (at: readonly [number, number], far: number, rest: Omit<Hit, "x" | "y">): void => {
    const [left, top] = [pixelX(scene.x, frame, at[0]), pixelY(scene.y, frame, at[1])];
    if (!insideFrame(frame, left, top)) return;
    hits.push({ x: left, y: top, ...rest });
    reach.push(far);
  };
  for (const cloud of scene.clouds) {
    for (const row of cloud.rows) {
      const far = cloud.tone === "dominated" ? REACH.cloud : REACH.out;
      add([x[row] as number, y[row] as number], far, { trial: rows.trial[row] as number, row, mark: null, run: null });
    }
  }
  for (const front of overlay.fronts) for (const point of front.points) add(point.at, REACH.other, { trial: point.trial, row: -1, mark: null, run: front.run });
  for (const mark of scene.marks) {
    const row = mark.trial === null ? -1 : (rows.placeOf.get(mark.trial) ?? -1);
    add([mark.x.value, mark.y.value], mark.out ? REACH.cloud : REACH.mark, { trial: mark.trial, row, mark, run: null });
  }
  const ofTrial = new Map<number, Hit>();
  for (const hit of hits) if (hit.trial !== null && hit.run === null && hit.mark?.kind !== "retrained") ofTrial.set(hit.trial, hit);
  return {
    places: { x: Float64Array.from(hits, (hit) => hit.x), y: Float64Array.from(hits, (hit) => hit.y), reach: Float64Array.from(reach) },
    choosable: [...ofTrial.values()].filter((hit) => scene.kept[hit.row] === 1 || rows.feasible[hit.row] === false),
    at: (place) => hits[place] ?? null,
    ofTrial: (trial) => ofTrial.get(trial),
  };
}

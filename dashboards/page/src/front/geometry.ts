/** Which point lies under a pointer, and which lie inside of a drawn loop. Lengths are in pixels. */

/** Whether a place lies inside of a closed outline, by counting the edges to its right. */
export function insideLoop(loop: readonly (readonly [number, number])[], x: number, y: number): boolean {
  let inside = false;
  for (let place = 0, before = loop.length - 1; place < loop.length; before = place, place += 1) {
    const [x1, y1] = loop[place] as readonly [number, number];
    const [x2, y2] = loop[before] as readonly [number, number];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
}

/** Places of points: `reach` says from how far away a point is met; 0 takes it out. */
export interface Places {
  x: Float64Array;
  y: Float64Array;
  reach: Float64Array;
}

/** The nearest point within its reach, or -1; later points win ties, as they are drawn on top. */
export function nearest(places: Places, x: number, y: number): number {
  let found = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let place = 0; place < places.x.length; place += 1) {
    const across = (places.x[place] as number) - x;
    const down = (places.y[place] as number) - y;
    const distance = Math.sqrt(across * across + down * down);
    const reach = places.reach[place] as number;
    if (distance > reach) continue;
    // A point that is met from further away is the more important one: it wins over its neighbours.
    const weighed = distance / reach;
    if (weighed <= least) [found, least] = [place, weighed];
  }
  return found;
}

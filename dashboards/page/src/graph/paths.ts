/** An SVG path through corners, each of them rounded. Straight parts stay exactly where they are. */
export function roundedPath(corners: readonly number[], radius = 7): string {
  const at = (place: number): [number, number] => [corners[2 * place] ?? 0, corners[2 * place + 1] ?? 0];
  const last = corners.length / 2 - 1;
  const [x, y] = at(0);
  let path = `M${tidy(x)} ${tidy(y)}`;
  for (let place = 1; place < last; place += 1) {
    const [before, corner, after] = [at(place - 1), at(place), at(place + 1)];
    const bend = Math.min(radius, distance(before, corner) / 2, distance(corner, after) / 2);
    const [from, to] = [towards(corner, before, bend), towards(corner, after, bend)];
    path += `L${tidy(from[0])} ${tidy(from[1])}Q${tidy(corner[0])} ${tidy(corner[1])} ${tidy(to[0])} ${tidy(to[1])}`;
  }
  const [endX, endY] = at(last);
  return `${path}L${tidy(endX)} ${tidy(endY)}`;
}

const distance = (a: readonly [number, number], b: readonly [number, number]): number => Math.hypot(a[0] - b[0], a[1] - b[1]);

function towards(from: readonly [number, number], to: readonly [number, number], length: number): [number, number] {
  const whole = distance(from, to) || 1;
  return [from[0] + ((to[0] - from[0]) * length) / whole, from[1] + ((to[1] - from[1]) * length) / whole];
}

const tidy = (value: number): number => Math.round(value * 100) / 100;

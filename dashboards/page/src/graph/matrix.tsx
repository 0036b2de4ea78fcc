import { useState } from "preact/hooks";
import { type Mark, SIGN } from "./difference";
import { lineSentence } from "./drawing";
import { boxTitle, cut } from "./marks";
import { type GateOf, gateOf, type Line, type Shown } from "./visible";

const LABEL = 110;
/** Cells shrink until the whole matrix is as wide as a screen. */
const WIDEST = 900;

/** Who reads whom: a row per node that reads, a column per node that is read. */
export function Matrix({ drawn, marks, gates, title }: { drawn: Shown; gates: GateOf; marks: Record<string, Mark>; title: string }) {
  const ids = [...drawn.boxes.keys()];
  const [cell, setCell] = useState<{ row: number; column: number }>({ row: 0, column: 0 });
  const number = new Map(ids.map((id, place) => [id, place]));
  const step = Math.max(5, Math.min(22, (WIDEST - LABEL) / ids.length));
  const side = LABEL + step * ids.length;
  const named = step >= 9;
  const chosen = drawn.lines.filter((line) => number.get(line.target) === cell.row && number.get(line.source) === cell.column);
  const onKeyDown = (event: KeyboardEvent): void => {
    const moves: Record<string, [number, number]> = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const inside = (value: number): number => Math.min(ids.length - 1, Math.max(0, value));
    setCell({ row: inside(cell.row + move[0]), column: inside(cell.column + move[1]) });
  };
  const onPoint = (event: PointerEvent): void => {
    const frame = (event.currentTarget as SVGSVGElement).getBoundingClientRect();
    const at = (value: number): number => Math.floor((value - LABEL) / step);
    const [column, row] = [at(event.clientX - frame.left), at(event.clientY - frame.top)];
    if (row >= 0 && column >= 0 && row < ids.length && column < ids.length) setCell({ row, column });
  };
  const name = (place: number): string => {
    const box = drawn.boxes.get(ids[place] ?? "");
    return box?.node?.id ?? (box ? boxTitle(box) : "");
  };
  return (
    <figure class="matrix">
      <figcaption aria-live="polite">
        {name(cell.row)} {chosen.length > 0 ? "reads" : "does not read"} {name(cell.column)}
        {chosen.length > 0 && <span class="soft"> ({chosen.map((line) => lineSentence(line, gates)).join("; ")})</span>}
      </figcaption>
      <div class="scroll">
        <svg class="matrix-cells" width={side} height={side} tabindex={0} role="img" aria-label={`${title} as a matrix of ${ids.length} nodes; arrow keys move over its cells`} onKeyDown={onKeyDown} onPointerMove={onPoint}>
          <rect class="chosen" x={LABEL} y={LABEL + cell.row * step} width={step * ids.length} height={step} />
          <rect class="chosen" x={LABEL + cell.column * step} y={LABEL} width={step} height={step * ids.length} />
          <path class="rules" d={rules(ids.length, step)} />
          {drawn.lines.map((line) => (
            <MatrixCell key={line.id} line={line} gates={gates} mark={marks[line.id] ?? "same"} row={number.get(line.target) ?? 0} column={number.get(line.source) ?? 0} step={step} />
          ))}
          {named &&
            ids.map((id, place) => (
              <g key={id}>
                <text class="row" x={LABEL - 5} y={LABEL + (place + 0.5) * step + 4}>
                  {cut(name(place), 16)}
                </text>
                <text class="column" transform={`translate(${LABEL + (place + 0.5) * step + 4} ${LABEL - 5}) rotate(-90)`}>
                  {cut(name(place), 16)}
                </text>
              </g>
            ))}
        </svg>
      </div>
    </figure>
  );
}

function MatrixCell({ line, gates, mark, row, column, step }: { line: Line; gates: GateOf; mark: Mark; row: number; column: number; step: number }) {
  const gate = gateOf(line, gates);
  const [x, y] = [LABEL + column * step, LABEL + row * step];
  return (
    <g class={`cell ${line.chain ? "chain" : "skip"} ${mark}`} data-cell={line.id}>
      <rect x={x + 0.5} y={y + 0.5} width={step - 1} height={step - 1} style={gate === null ? undefined : { fillOpacity: String(0.15 + 0.85 * gate) }} />
      {mark !== "same" && step >= 9 && (
        <text x={x + step / 2} y={y + step / 2 + 4}>
          {SIGN[mark]}
        </text>
      )}
    </g>
  );
}

function rules(count: number, step: number): string {
  const end = LABEL + count * step;
  const parts: string[] = [];
  for (let place = 0; place <= count; place += 1) {
    const at = LABEL + place * step;
    parts.push(`M${LABEL} ${at}H${end}M${at} ${LABEL}V${end}`);
  }
  return parts.join("");
}

import type { ComponentChildren } from "preact";
import { type Mark, SIGN } from "./difference";
import type { Layout, Rectangle } from "./elk_graph";
import type { Folder } from "./hierarchy";
import { boxSentence, boxText, boxTitle, cut, type Direction, isJoin, joinSigns, mergeSign, sizeWords } from "./marks";
import { roundedPath } from "./paths";
import { familyClass, type Paint } from "./tint";
import { type Box, type GateOf, gateOf, type Line, type Shown } from "./visible";

/** How the parts of a drawing look; the same for the page and for a saved file. */
export interface Look {
  direction: Direction;
  paint: Paint;
  /** Gates that edges are drawn as wide as; null to draw all edges alike. */
  gates: GateOf | null;
  /** Texts are left out where they would be too small to be read. */
  texts: boolean;
  nodeMarks: Record<string, Mark>;
  lineMarks: Record<string, Mark>;
}

/** Widths of a letter in the widest usual font, by the size of the text. */
const LETTER = { name: 7.7, what: 6.9 };
const STRIPE = 5;

export function LineMark({ line, layout, look }: { line: Line; layout: Layout; look: Look }) {
  const corners = layout.lines[line.id];
  if (!corners || corners.length < 4) return null;
  const mark = look.lineMarks[line.id] ?? "same";
  const gate = look.gates ? gateOf(line, look.gates) : null;
  const adapted = line.members.every((edge) => edge.adapted);
  const style = gate === null ? undefined : { strokeWidth: `${(0.6 + 5 * gate).toFixed(2)}px`, strokeOpacity: `${(0.18 + 0.82 * gate).toFixed(2)}` };
  const count = line.members.length;
  const text = SIGN[mark] || (count > 1 ? `×${count}` : "");
  return (
    <g class={`line ${line.chain ? "chain" : "skip"} ${adapted ? "adapted" : ""} ${mark}`} data-edge={line.id} data-source={line.source} data-target={line.target}>
      <title>{lineSentence(line, look.gates ?? undefined)}</title>
      <path class="way" d={roundedPath(corners)} style={style} />
      <path class="head" d={headPath(corners)} style={gate === null ? undefined : { fillOpacity: `${(0.18 + 0.82 * gate).toFixed(2)}` }} />
      {look.texts && text !== "" && <LineText corners={corners} text={text} />}
    </g>
  );
}

export function lineSentence(line: Line, gates?: GateOf): string {
  const details = [...new Set(line.members.flatMap((edge) => edge.details))].join(", ");
  const gate = gateOf(line, gates);
  const count = line.members.length > 1 ? `, ${line.members.length} edges` : "";
  return `${line.source} to ${line.target}${count}${details ? `, ${details}` : ""}${gate === null ? "" : `, gate ${gate.toFixed(3)}`}`;
}

function headPath(corners: readonly number[]): string {
  const [fromX = 0, fromY = 0, x = 0, y = 0] = corners.slice(-4);
  const length = Math.hypot(x - fromX, y - fromY) || 1;
  const [alongX, alongY] = [(x - fromX) / length, (y - fromY) / length];
  const [backX, backY] = [x - 6 * alongX, y - 6 * alongY];
  return `M${x} ${y}L${backX - 3 * alongY} ${backY + 3 * alongX}L${backX + 3 * alongY} ${backY - 3 * alongX}Z`;
}

/** A text beside the middle of the longest straight part. */
function LineText({ corners, text }: { corners: readonly number[]; text: string }) {
  let [best, x, y, upright] = [-1, 0, 0, false];
  for (let place = 0; place + 3 < corners.length; place += 2) {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = corners.slice(place, place + 4);
    const length = Math.hypot(x2 - x1, y2 - y1);
    if (length > best) [best, x, y, upright] = [length, (x1 + x2) / 2, (y1 + y2) / 2, x1 === x2];
  }
  return (
    <text class={upright ? "count beside" : "count"} x={upright ? x + 4 : x} y={y + 4}>
      {text}
    </text>
  );
}

export interface BoxProperties {
  box: Box;
  place: Rectangle;
  outputs: number;
  look: Look;
  current: boolean;
}

export function BoxMark({ box, place, outputs, look, current }: BoxProperties) {
  const mark = look.nodeMarks[box.id] ?? "same";
  const painted = isJoin(box) ? null : look.paint.of(box);
  const kind = box.node?.kind ?? "folder";
  const hooks = box.folder ? { "data-group": box.folder.id, "aria-expanded": false } : { "data-node": box.id };
  const striped = !isJoin(box) && !painted && kind === "operation";
  const shape = isJoin(box) || kind === "input" ? place.height / 2 : 6;
  return (
    <g
      class={`box ${kind} ${isJoin(box) ? "merge" : ""} ${familyClass(box)} ${mark} ${painted ? "painted" : ""}`}
      role="button"
      tabindex={current ? 0 : -1}
      aria-pressed={current}
      aria-label={boxSentence(box, outputs)}
      {...hooks}
    >
      <title>{boxSentence(box, outputs)}</title>
      {box.folder && <rect class="behind" x={place.x + 5} y={place.y + 5} width={place.width} height={place.height} rx={6} />}
      <rect class="body" x={place.x} y={place.y} width={place.width} height={place.height} rx={shape} style={painted ? { fill: painted.fill } : undefined} />
      {striped && <rect class="stripe" x={place.x + 5} y={place.y + 7} width={4} height={place.height - 14} rx={2} />}
      {look.texts && <BoxTexts box={box} place={place} ink={painted?.ink} sign={SIGN[mark]} striped={striped} />}
      {!isJoin(box) && box.inputs > 1 && box.node?.merge && <JoinMark box={box} place={place} direction={look.direction} texts={look.texts} />}
    </g>
  );
}

function BoxTexts({ box, place, ink, sign, striped }: { box: Box; place: Rectangle; ink: string | undefined; sign: string; striped: boolean }) {
  const [x, y] = [place.x + place.width / 2 + (striped ? STRIPE : 0), place.y + place.height / 2];
  const style = ink === undefined ? undefined : { fill: ink };
  const room = place.width - (striped ? 26 : 14);
  if (isJoin(box)) {
    return (
      <text class="sign" x={x} y={y + 5}>
        {`${joinSigns(box)}${sign}`}
      </text>
    );
  }
  return (
    <>
      <text class="name" x={x} y={y - 2} style={style}>
        {cut(boxTitle(box), Math.floor(room / LETTER.name))}
      </text>
      <text class="what" x={x} y={y + 12} style={style}>
        {cut(boxText(box), Math.floor(room / LETTER.what))}
      </text>
      {sign !== "" && (
        <text class="tag" x={place.x + place.width - 6} y={place.y + 14} style={style}>
          {sign}
        </text>
      )}
    </>
  );
}

/** Several inputs become one here: a bar along the side where they come in, and the merge's sign. */
function JoinMark({ box, place, direction, texts }: { box: Box; place: Rectangle; direction: Direction; texts: boolean }) {
  const down = direction === "down";
  const bar = down
    ? { x: place.x + 6, y: place.y - 1.5, width: place.width - 12, height: 3 }
    : { x: place.x - 1.5, y: place.y + 6, width: 3, height: place.height - 12 };
  return (
    <g class="join">
      <rect {...bar} rx={1.5} />
      <circle cx={place.x + (down ? 2 : 0)} cy={place.y + (down ? 0 : 2)} r={7} />
      {texts && (
        <text x={place.x + (down ? 2 : 0)} y={place.y + (down ? 4 : 6)}>
          {mergeSign(box.node?.merge ?? null) || "·"}
        </text>
      )}
    </g>
  );
}

const titleLetters = (place: Rectangle): number => Math.max(3, Math.floor((place.width - 40) / LETTER.name));

export function GroupMark({ folder, place }: { folder: Folder; place: Rectangle }) {
  const letters = titleLetters(place);
  return (
    <g class="group" data-group={folder.id} role="button" tabindex={0} aria-expanded={true} aria-label={`${folder.label}, ${sizeWords(folder.size)}; fold`}>
      <title>{`${folder.label}, ${sizeWords(folder.size)}; press to fold`}</title>
      <rect class="frame" x={place.x} y={place.y} width={place.width} height={place.height} rx={9} />
      <rect class="title" x={place.x} y={place.y} width={Math.min(place.width, 34 + LETTER.name * Math.min(letters, folder.label.length))} height={22} rx={9} />
    </g>
  );
}

/** Stands above the edges: one that enters a group would strike its name out. */
export const GroupTitle = ({ folder, place }: { folder: Folder; place: Rectangle }) => (
  <text class="group-title" aria-hidden="true" x={place.x + 10} y={place.y + 15}>
    {`▾ ${cut(folder.label, titleLetters(place))}`}
  </text>
);

/** All of a drawing, as it is saved to a file. */
export function WholeDrawing({ drawn, layout, look }: { drawn: Shown; layout: Layout; look: Look }) {
  const outputs = outputCounts(drawn);
  const groups = (Part: typeof GroupMark | typeof GroupTitle): ComponentChildren =>
    drawn.open.map((folder) => {
      const place = layout.groups[folder.id];
      return place && <Part key={folder.id} folder={folder} place={place} />;
    });
  return (
    <>
      {groups(GroupMark)}
      {drawn.lines.map((line) => (
        <LineMark key={line.id} line={line} layout={layout} look={look} />
      ))}
      {groups(GroupTitle)}
      {[...drawn.boxes.values()].map((box) => {
        const place = layout.boxes[box.id];
        return place && <BoxMark key={box.id} box={box} place={place} outputs={outputs.get(box.id) ?? 0} look={look} current={false} />;
      })}
    </>
  );
}

export function outputCounts(drawn: Shown): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of drawn.lines) counts.set(line.source, (counts.get(line.source) ?? 0) + 1);
  return counts;
}

import { familyStyle } from "../parts/palette";
import { address } from "../route";
import type { Hit } from "./hits";
import { BASELINE_SYMBOLS, type Drawn } from "./option";
import { CONFIRMED, INHERITED, type Quantity, quantityOf, type Span, spanOf, spanText, tellsInherited, titleOf } from "./quantities";
import type { FrontState } from "./state";
import { ShapeSymbol } from "./symbol";
import { usePalette } from "../parts/use_palette";

interface TipProperties {
  hit: Hit;
  drawn: Drawn;
  state: FrontState;
  run: string;
}

const KINDS: Record<string, string> = { hand_made: "hand-made", random: "random", other: "baseline" };

/** A card that tells all of one point. It is text of the page, so names stay text. */
export function Tip({ hit, drawn, run, state }: TipProperties) {
  const right = hit.x > drawn.frame.width / 2;
  const below = hit.y < drawn.frame.height / 2;
  const style = {
    [right ? "right" : "left"]: `${Math.max(4, (right ? drawn.frame.width - hit.x : hit.x) + 16)}px`,
    [below ? "top" : "bottom"]: `${Math.max(0, below ? hit.y : drawn.frame.height - hit.y)}px`,
  };
  return (
    <div class="front-tip" style={style}>
      <TipBody hit={hit} drawn={drawn} run={run} state={state} />
    </div>
  );
}

function TipBody({ hit, drawn, run, state }: TipProperties) {
  const colours = usePalette();
  const { rows } = drawn;
  const family = hit.mark?.family ?? rows.family[hit.row] ?? null;
  const wiring = hit.mark?.baseline ? hit.mark.baseline.wiring : rows.wiring[hit.row];
  const style = familyStyle(family, rows.families, colours);
  const symbol = BASELINE_SYMBOLS[hit.mark?.kind ?? ""] ?? style.symbol;
  const title = hit.run !== null ? `${hit.run}, trial ${hit.trial}` : (hit.mark?.name ?? `trial ${hit.trial}`);
  return (
    <>
      <p class="front-tip-title">
        {hit.run === null && <ShapeSymbol symbol={symbol} colour={style.colour} />}
        <strong>{title}</strong>
        {hit.mark?.baseline && <span class="soft">{KINDS[hit.mark.kind]}</span>}
      </p>
      {wiring && <p class="soft">{wiring}</p>}
      <dl>
        {linesOf(hit, drawn, state).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {hit.trial !== null && (
        <p class="front-tip-open">
          <a href={address("trial", hit.run ?? run, { trial: hit.trial })} tabIndex={-1}>
            Open the architecture
          </a>
        </p>
      )}
    </>
  );
}

function linesOf(hit: Hit, drawn: Drawn, state: FrontState): [string, string][] {
  if (hit.run !== null) return [];
  const names = [...new Set([drawn.x, drawn.y, ...(state.size ? [quantityOf({ name: state.size, unit: null, source: null })] : [])])];
  const values: [string, string][] = names
    .filter((quantity) => quantity.name !== INHERITED)
    .map((quantity) => [titleOf({ ...quantity, detail: null }), spanText(quantity.name, spanAt(hit, drawn, quantity))]);
  return [...values, ...factsOf(hit, drawn)].filter(([, value]) => value !== "-");
}

function spanAt(hit: Hit, drawn: Drawn, quantity: Quantity): Span | null {
  const entry = hit.mark?.baseline ?? drawn.rows.front[hit.row];
  const told = entry ? spanOf(entry, quantity.name) : null;
  if (told || hit.row < 0) return told;
  const { value, low, high } = drawn.rows.column(quantity.name);
  if (Number.isNaN(value[hit.row])) return null;
  const end = (column: Float64Array): number | null => (Number.isNaN(column[hit.row]) ? null : (column[hit.row] as number));
  return { value: value[hit.row] as number, low: end(low), high: end(high) };
}

/** What the front tells of a point beside the axes. */
function factsOf(hit: Hit, drawn: Drawn): [string, string][] {
  const { rows } = drawn;
  const entry = hit.mark?.baseline ?? rows.front[hit.row];
  const inherited = entry ? spanOf(entry, INHERITED) : spanAt(hit, drawn, quantityOf({ name: INHERITED, unit: null, source: null }));
  const probability = hit.mark?.probability;
  return [
    ["error, inherited", tellsInherited([drawn.x.name, drawn.y.name]) ? "-" : spanText(INHERITED, inherited)],
    ["error, retrained", entry ? spanText(CONFIRMED, spanOf(entry, CONFIRMED)) : "-"],
    ["P(front)", probability === null || probability === undefined ? "-" : probability.toFixed(2)],
    ["hypervolume added", hit.mark?.kind === "front" && entry ? spanText("hypervolume_contribution", spanOf(entry, "hypervolume_contribution")) : "-"],
    ["cannot be told from", entry?.ties?.length ? entry.ties.join(", ") : "-"],
    ["constraint", hit.row >= 0 && rows.feasible[hit.row] === false ? "broken" : "-"],
    ["remarks", [...(entry?.knee ? ["knee of the front"] : []), ...(entry?.flags ?? [])].join("; ") || "-"],
  ];
}

import { useId, useMemo, useState } from "preact/hooks";
import type { FrontDocument } from "../documents";
import { typedNumber } from "../parts/fields";
import { Panel } from "../parts/panel";
import { address } from "../route";
import { bestUnder, fromStep, leastOf, SLIDER_STEPS, toStep, type Track, trackOf } from "./limits";
import { INHERITED, isFraction, type Quantity, spanOf, spanText, titleOf, valueText } from "./quantities";
import type { Rows } from "./rows";
import { isPerFamily, type Scene } from "./scene";
import type { FrontState } from "./state";
import type { Change } from "./use_state";

interface LimitsProperties {
  run: string;
  front: FrontDocument;
  rows: Rows;
  scene: Scene;
  quantities: readonly Quantity[];
  state: FrontState;
  change: Change;
  onPoint: (trial: number | null) => void;
}

const JUDGED = ["error_inherited", "error_confirmed", "macs", "parameters", "bytes"];
const MEASURES = ["parameters", "macs", "bytes", "depth"];

/** Sliders over what a reader can afford, and what is the best for it. */
export function LimitsPanel(properties: LimitsProperties) {
  const { rows, quantities, state, change } = properties;
  const tracks = useMemo(() => tracksOf(rows, quantities), [rows, quantities]);
  const set = (name: string, limit: number | null): void => {
    const { [name]: _, ...others } = state.limits;
    change({ limits: limit === null ? others : { ...others, [name]: limit } });
  };
  const limited = Object.keys(state.limits).length > 0;
  const slider = ({ quantity, track }: { quantity: Quantity; track: Track }) => (
    <Limit key={quantity.name} quantity={quantity} track={track} limit={state.limits[quantity.name] ?? null} onLimit={(limit) => set(quantity.name, limit)} />
  );
  const more = tracks.filter(({ quantity }) => quantity.kind === "measure");
  return (
    <Panel
      title="Limits"
      class="front-limits"
      aside={
        limited && (
          <button type="button" onClick={() => change({ limits: {} })}>
            Clear
          </button>
        )
      }
    >
      {tracks.filter(({ quantity }) => quantity.kind === "objective").map(slider)}
      {more.length > 0 && (
        <details open={more.some(({ quantity }) => quantity.name in state.limits)}>
          <summary>More limits</summary>
          {more.map(slider)}
        </details>
      )}
      <BestList {...properties} limited={limited} />
    </Panel>
  );
}

function tracksOf(rows: Rows, quantities: readonly Quantity[]): { quantity: Quantity; track: Track }[] {
  return quantities
    .filter((quantity) => quantity.kind === "objective" || MEASURES.includes(quantity.name))
    .flatMap((quantity) => {
      const track = trackOf(rows.column(quantity.name).value);
      return track ? [{ quantity, track }] : [];
    });
}

interface LimitProperties {
  quantity: Quantity;
  track: Track;
  limit: number | null;
  onLimit: (limit: number | null) => void;
}

function Limit({ quantity, track, limit, onLimit }: LimitProperties) {
  const id = useId();
  const [typed, setTyped] = useState<string | null>(null);
  const shown = typed ?? (limit === null ? "" : String(limit));
  const step = limit === null ? SLIDER_STEPS : toStep(track, limit);
  const title = titleOf({ ...quantity, detail: null, unit: isFraction(quantity.name) ? "fraction" : quantity.unit });
  return (
    <div class="front-limit" data-limit={quantity.name}>
      <label for={id} title={titleOf(quantity)}>
        {title} <span aria-hidden="true">≤</span>
      </label>
      <input
        class="typed"
        inputMode="decimal"
        autocomplete="off"
        placeholder="no limit"
        aria-label={`Largest ${title}`}
        value={shown}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          const value = typedNumber(event.currentTarget.value);
          if (value !== null || event.currentTarget.value.trim() === "") onLimit(value);
        }}
        onBlur={() => setTyped(null)}
      />
      <input
        id={id}
        type="range"
        min={0}
        max={SLIDER_STEPS}
        value={step}
        aria-valuetext={limit === null ? "no limit" : `at most ${valueText(quantity.name, limit)} ${quantity.unit ?? ""}`}
        onInput={(event) => onLimit(fromStep(track, Number(event.currentTarget.value)))}
      />
    </div>
  );
}

function BestList(properties: LimitsProperties & { limited: boolean }) {
  const { run, front, rows, scene, quantities, state, limited, onPoint } = properties;
  const objectives = quantities.filter((each) => each.kind === "objective");
  const kept = scene.kept.reduce((sum, each) => sum + each, 0);
  // The quantity that stands up is judged as well, though it may be no objective of the search.
  const judged = quantities.filter((each) => each.kind === "objective" || (each.name === state.y && JUDGED.includes(each.name)));
  const bests = judged.flatMap((quantity) => {
    const best = bestUnder(rows, scene.kept, quantity.name, state.limits);
    return best ? [{ quantity, best }] : [];
  });
  if (rows.count > 0 && kept === 0) return <NobodyKeeps rows={rows} quantities={quantities} state={state} />;
  return (
    <div class="front-best" aria-live="polite">
      <h3>{limited ? "Best under these limits" : "Best of all"}</h3>
      <dl>
        {bests.map(({ quantity, best }) => (
          <div key={quantity.name} data-best={quantity.name}>
            <dt>least {quantity.name === INHERITED ? "error, inherited" : quantity.label}</dt>
            <dd>
              <a
                href={address("trial", run, { trial: rows.trial[best.row] as number })}
                onMouseEnter={() => onPoint(rows.trial[best.row] as number)}
                onMouseLeave={() => onPoint(null)}
              >
                trial {rows.trial[best.row]}
              </a>{" "}
              <strong>{bestText(rows, best.row, quantity)}</strong>
              <span class="soft">{besides(rows, best.row, quantity, objectives)}</span>
              {best.ties.length > 0 && <span class="soft">cannot be told from trial {best.ties.slice(0, 6).join(", ")}{best.ties.length > 6 ? " …" : ""}</span>}
              {best.unsure.length > 0 && <span class="front-unsure">its interval reaches over the limit on {best.unsure.join(", ")}</span>}
            </dd>
          </div>
        ))}
      </dl>
      {limited && (
        <p class="soft" id="front-kept">
          {kept.toLocaleString("en")} of {rows.count.toLocaleString("en")} trials keep them; {scene.frontRows.length} of these are on the front.
        </p>
      )}
      {front.constraints.length > 0 && <p class="soft">The search itself asked for {front.constraints.map((each) => each.text).join(", ")}.</p>}
      {isPerFamily(front) && <p class="soft">Families are not comparable by these scores: each has a front of its own.</p>}
    </div>
  );
}

function bestText(rows: Rows, row: number, quantity: Quantity): string {
  const point = rows.front[row];
  return spanText(quantity.name, (point && spanOf(point, quantity.name)) ?? { value: rows.column(quantity.name).value[row] as number, low: null, high: null }, quantity.unit);
}

/** The other objectives of the same trial. */
function besides(rows: Rows, row: number, quantity: Quantity, objectives: readonly Quantity[]): string {
  return objectives
    .filter((each) => each !== quantity)
    .map((each) => `${each.label} ${valueText(each.name, rows.column(each.name).value[row])}${each.unit ? ` ${each.unit}` : ""}`)
    .join(", ");
}

function NobodyKeeps({ rows, quantities, state }: { rows: Rows; quantities: readonly Quantity[]; state: FrontState }) {
  const limits = leastOf(rows, Object.keys(state.limits));
  return (
    <div class="front-best" aria-live="polite">
      <h3>No trial keeps these limits</h3>
      {limits.map(({ name, least }) => (
        <p key={name}>
          The least {quantities.find((each) => each.name === name)?.label ?? name} of any trial is {valueText(name, least)}.
        </p>
      ))}
    </div>
  );
}

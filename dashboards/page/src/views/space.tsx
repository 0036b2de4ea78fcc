import { useMemo, useState } from "preact/hooks";
import { useDocument } from "../context";
import type { RunDocument, SpaceDocument, TrialsDocument } from "../documents";
import type { ViewProperties } from "../page";
import { quantityOf } from "../front/quantities";
import { CheckField, ChoiceField, TextField } from "../parts/fields";
import { type Domain, domainOf } from "../parts/marks";
import { number } from "../parts/numbers";
import { Figure, Panel } from "../parts/panel";
import { IntervalMark, Share } from "../parts/spark";
import { type Column, Table } from "../parts/table";
import { Loading, Nothing, Problem } from "../parts/told";
import { runPath } from "../source";
import { useTrials } from "../trials";
import { ParallelChart } from "./parallel_chart";
import { ALL, type Choice, type Effect, effectDomain, keptTrials, type OptionRow, optionRows, ordered, size, toldApart } from "./space_rows";

export function Space({ run, version }: ViewProperties) {
  const { document, error } = useDocument<SpaceDocument>(runPath(run.name, "/space"), version);
  if (error && !document) return <Problem error={error} />;
  if (!document) return <Loading what="the space" />;
  if (document.trials === 0)
    return (
      <>
        <h1>Space</h1>
        <Nothing title="No trial has finished yet">
          <p class="soft">How often each choice was taken, and what it seems to do, stands here once trials finish.</p>
        </Nothing>
      </>
    );
  return <Known document={document} run={run} version={version} />;
}

function Known({ document, run, version }: { document: SpaceDocument; run: RunDocument; version: number }) {
  const unit = run.objectives.find((objective) => objective.name === document.objective)?.unit ?? null;
  const apart = document.choices.filter((choice) => choice.effects.some(toldApart)).length;
  return (
    <>
      <h1>Space</h1>
      <Panel title={document.space ?? "Space"}>
        <div class="figures">
          {document.size !== null && <Figure value={<span title={document.size}>{size(document.size)}</span>} label="members" />}
          <Figure value={number(document.trials)} label="finished trials" />
          <Figure value={number(document.choices.length)} label="choices" />
          <Figure value={number(apart)} label="with an effect told apart" note="95 % interval without zero" />
        </div>
      </Panel>
      <Choices document={document} unit={unit} />
      <Parallel document={document} run={run} version={version} unit={unit} />
    </>
  );
}

const ORDERS = [
  { value: "clearest", label: "clearest effect" },
  { value: "importance", label: "explained variance" },
  { value: "effect", label: "largest effect" },
  { value: "name", label: "name" },
];

/** Choices that are written out before "show all". */
const FIRST = 12;

function Choices({ document, unit }: { document: SpaceDocument; unit: string | null }) {
  const label = quantityOf({ name: document.objective, unit, source: null }).label;
  const [order, setOrder] = useState("clearest");
  const [text, setText] = useState("");
  const [only, setOnly] = useState(false);
  const [all, setAll] = useState(false);
  const domain = useMemo(() => effectDomain(document.choices), [document]);
  const found = useMemo(() => {
    const wanted = document.choices.filter((choice) => choice.name.toLowerCase().includes(text.toLowerCase()) && (!only || choice.effects.some(toldApart)));
    return ordered(wanted, order);
  }, [document, order, text, only]);
  const shown = all ? found : found.slice(0, FIRST);
  return (
    <Panel
      title={`Choices and ${label}`}
      note={
        <>
          An effect is the mean {label} of trials with an option minus that of trials without it, with its 95 % interval (Welch); below zero the option
          goes with <strong>better</strong> values. The search chose these trials, nobody drew them at random: options that it liked stand beside other options that it
          liked, and an effect may be theirs. Of this many intervals some miss zero by luck, and a share of explained variance can hang on a few bad trials. Read all of it as questions to ask, not as causes.
        </>
      }
    >
      <div class="bar">
        <TextField label="Find" value={text} onChange={setText} placeholder="choice" />
        <ChoiceField label="Order" value={order} onChange={setOrder} options={ORDERS} />
        <CheckField label="only effects told apart from zero" value={only} onChange={setOnly} />
      </div>
      {shown.length === 0 && <p class="soft">No choice matches.</p>}
      <div class="choices">
        {shown.map((choice) => (
          <OneChoice key={choice.name} choice={choice} domain={domain} trials={document.trials} unit={unit} />
        ))}
      </div>
      {found.length > shown.length && (
        <p class="more">
          <button type="button" onClick={() => setAll(true)}>
            Show all {found.length} choices
          </button>
        </p>
      )}
    </Panel>
  );
}

interface OneProperties {
  choice: Choice;
  domain: Domain | null;
  trials: number;
  unit: string | null;
}

function OneChoice({ choice, domain, trials, unit }: OneProperties) {
  const columns: Column<OptionRow>[] = [
    { key: "option", title: "Option", cell: (row) => row.option },
    {
      key: "taken",
      title: "Taken",
      number: true,
      help: "finished trials that took it; the coloured part of the bar are those on the front",
      cell: (row) => (
        <>
          <Share share={row.count / Math.max(1, trials)} part={row.onFront / Math.max(1, trials)} label="" width={64} /> <span class="count">{number(row.count)}</span>
        </>
      ),
    },
    { key: "front", title: "Front", number: true, help: "of these, trials on the front", cell: (row) => number(row.onFront) },
    { key: "effect", title: unit ? `Effect, ${unit}` : "Effect", cell: (row) => <EffectMark effect={row.effect} domain={domain} option={row.option} /> },
  ];
  return (
    <section class="choice">
      <h3>
        {choice.name}
        <span class="soft small">
          {choice.kind === "subset_of" ? "any of" : "one of"} {choice.options.length}
          {choice.importance !== null && `, explains ${(100 * choice.importance).toFixed(0)} % of the variance`}
        </span>
      </h3>
      <Table caption={`Options of ${choice.name}`} columns={columns} rows={optionRows(choice)} rowKey={(row) => row.option} />
    </section>
  );
}

function EffectMark({ effect, domain, option }: { effect: Effect; domain: Domain | null; option: string }) {
  if (effect === null || domain === null) return <span class="soft small">too few to say</span>;
  const told = `${signed(effect.mean)} (${signed(effect.low)} to ${signed(effect.high)})`;
  return (
    <span class="effect">
      <IntervalMark value={effect.mean} low={effect.low} high={effect.high} domain={domain} mark={0} label={`Effect of ${option}: ${told}`} width={140} />
      <span class={toldApart(effect) ? "small strong" : "small soft"} title={`${told}; ${effect.count} trials`}>
        {signed(effect.mean)}
      </span>
    </span>
  );
}

const signed = (value: number): string => (value > 0 ? "+" : value < 0 ? "−" : "") + number(Math.abs(value), 2);

/** Axes that are read at once; more make a thicket. */
const AXES = [3, 5, 8, 12];

const axesOf = (most: number): { value: string; label: string }[] =>
  AXES.filter((_, place) => place === 0 || (AXES[place - 1] ?? 0) < most).map((each) => ({ value: String(each), label: String(Math.min(each, most)) }));

/** What a line can be asked to pass: the same by keyboard as dragging along an axis is by mouse. */
const passages = (document: SpaceDocument): { value: string; label: string }[] => [
  { value: ALL, label: "anything" },
  ...document.parallel.choices.flatMap((name, axis) => {
    const options = document.choices.find((choice) => choice.name === name)?.options ?? [];
    return options.map((option, place) => ({ value: `${axis} ${place}`, label: `${name}: ${option}` }));
  }),
];

function Parallel({ document, run, version, unit }: { document: SpaceDocument; run: RunDocument; version: number; unit: string | null }) {
  const { document: trials } = useTrials(runPath(run.name, "/trials"), version);
  const [axes, setAxes] = useState("5");
  const [onlyFront, setOnlyFront] = useState(false);
  const [through, setThrough] = useState(ALL);
  const values = useMemo(() => valuesOf(trials, document.objective), [trials, document.objective]);
  const front = useMemo(() => new Set(trials ? trials.trial.filter((_, place) => trials.on_front[place]) : []), [trials]);
  const scale = useMemo(() => domainOf(values.values()), [values]);
  const { choices } = document.parallel;
  const only = useMemo(() => keptTrials(document, through, onlyFront ? front : null), [document, through, onlyFront, front]);
  if (choices.length < 2 || document.parallel.rows.length === 0) return <></>;
  return (
    <Panel
      title="Parallel coordinates"
      note={`One line per finished trial through the choices that explain most of ${quantityOf({ name: document.objective, unit, source: null }).label}, and last its value. Bundles are what the search kept trying; a colour that gathers at an option is a hint, as weak as the effects above. Drag along an axis to keep only lines that pass there; a click on the axis lets go.`}
    >
      <div class="bar">
        <ChoiceField label="Axes" value={axes} onChange={setAxes} options={axesOf(choices.length)} />
        <ChoiceField label="Lines through" value={through} onChange={setThrough} options={passages(document)} />
        <CheckField label="only the front" value={onlyFront} onChange={setOnlyFront} />
      </div>
      {scale === null ? (
        <p class="soft">The values are being loaded.</p>
      ) : (
        <ParallelChart document={document} axes={Number(axes)} values={values} only={only} unit={unit} />
      )}
    </Panel>
  );
}

function valuesOf(trials: TrialsDocument | null, objective: string): ReadonlyMap<number, number> {
  const column = trials?.values[objective];
  const found = new Map<number, number>();
  trials?.trial.forEach((trial, place) => {
    const value = column?.[place];
    if (value !== null && value !== undefined) found.set(trial, value);
  });
  return found;
}

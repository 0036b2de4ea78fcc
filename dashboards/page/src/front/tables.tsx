/** The tables below the chart: points, chosen trials, baselines, families, verdicts, classifiers. */

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import type { Baseline, FrontDocument, FrontPoint } from "../documents";
import { percent } from "../parts/numbers";
import { Panel } from "../parts/panel";
import { familyStyle } from "../parts/palette";
import { Share } from "../parts/spark";
import { type Column, Table } from "../parts/table";
import { address, go } from "../route";
import { CONFIRMED, INHERITED, type Quantity, spanOf, spanText, tellsInherited, titleOf, valueText } from "./quantities";
import { BASELINE_SYMBOLS } from "./option";
import { familyOf, type Rows } from "./rows";
import { ShapeSymbol } from "./symbol";
import { usePalette } from "../parts/use_palette";
import { type Confirmation, confirmationText, type VerdictRow, verdictRows } from "./verdicts";

type Entry = FrontPoint | Baseline;

const isPoint = (entry: Entry): entry is FrontPoint => !("name" in entry);

/** A wiring behind the shape and colour that its family has on the chart. */
function Wiring({ entry, families, symbol }: { entry: { name?: string; family?: string | null; wiring?: string | null }; families: readonly string[]; symbol?: string | undefined }) {
  const family = familyOf(entry);
  const style = familyStyle(family, families, usePalette());
  return (
    <span class="front-wiring" title={family ?? undefined}>
      <ShapeSymbol symbol={symbol ?? style.symbol} colour={style.colour} /> <span>{entry.wiring ?? "-"}</span>
    </span>
  );
}

function spanColumn(name: string, title: string, help: string): Column<Entry> {
  return {
    key: name,
    title,
    help,
    number: true,
    cell: (entry) => spanText(name, spanOf(entry, name)),
    sort: (entry) => spanOf(entry, name)?.value,
  };
}

function wiringColumn(families: readonly string[]): Column<Entry> {
  return {
    key: "wiring",
    title: "wiring",
    cell: (entry) => <Wiring entry={entry} families={families} symbol={isPoint(entry) ? undefined : BASELINE_SYMBOLS[entry.kind]} />,
    sort: (entry) => `${familyOf(entry)} ${entry.wiring}`,
  };
}

const INHERITED_HELP = "On validation images, with the shared weights; behind ± half a 95 % interval";

function numberColumns(objectives: readonly Quantity[]): Column<Entry>[] {
  const searched = objectives.map((each) => spanColumn(each.name, titleOf({ ...each, detail: null }), `${titleOf(each)}; behind ± half a 95 % interval`));
  const latency = objectives.some((each) => each.name.startsWith("latency_ms")) ? [] : [spanColumn("latency_ms", "latency (ms)", "Measured, behind ± half a 95 % interval")];
  return [
    ...searched,
    ...(tellsInherited(objectives.map((each) => each.name)) ? [] : [spanColumn(INHERITED, "error, inherited", INHERITED_HELP)]),
    spanColumn(CONFIRMED, "error, retrained", "On test images, trained alone; behind ± the standard deviation over seeds"),
    ...latency,
    spanColumn("macs", "MACs", "Multiply-accumulate operations of one image"),
    spanColumn("parameters", "parameters", "Learned numbers"),
  ];
}

function frontColumns(points: readonly Entry[], volume: number | null): Column<Entry>[] {
  const most = Math.max(0, ...points.map((point) => point.hypervolume_contribution ?? 0));
  const share = (title: string, value: number | null | undefined, text: string, of = 1): ComponentChildren =>
    value === null || value === undefined ? (
      "-"
    ) : (
      <span class="front-share">
        {text} <Share share={0} part={of > 0 ? value / of : 0} label={`${title} ${text}`} width={36} />
      </span>
    );
  return [
    {
      key: "probability_front",
      title: "P(front)",
      help: "Probability that no other network of the run is better in everything",
      number: true,
      descending: true,
      cell: (entry) => share("P(front)", entry.probability_front, entry.probability_front?.toFixed(2) ?? "-"),
      sort: (entry) => entry.probability_front,
    },
    {
      key: "hypervolume_contribution",
      title: volume ? "adds" : "adds, hypervolume",
      help: "What the front would lose of its hypervolume without this point",
      number: true,
      descending: true,
      cell: (entry) => share("hypervolume added", entry.hypervolume_contribution, addedText(entry.hypervolume_contribution, volume), most),
      sort: (entry) => entry.hypervolume_contribution,
    },
  ];
}

/** A contribution as a share of the whole hypervolume, where that is known. */
export function addedText(contribution: number | null | undefined, volume: number | null): string {
  if (contribution === null || contribution === undefined) return "-";
  return volume ? percent(contribution / volume, 1) : valueText("", contribution, 2);
}

/** What an entry has beside numbers: number formats, knee, ties, flags. */
export function remarksOf(entry: Entry): string {
  const parts = [
    ...(entry.quantisation ? [entry.quantisation] : []),
    ...(entry.knee ? ["knee"] : []),
    ...(entry.ties?.length ? [`ties: ${entry.ties.join(", ")}`] : []),
    ...Object.entries(entry.constraints ?? {})
      .filter(([, each]) => each.verdict !== "kept")
      .map(([name, each]) => `${name}: ${each.verdict}`),
    ...(entry.flags ?? []),
  ];
  return parts.join("; ") || "-";
}

const PATTERN: Column<Entry> = { key: "family", title: "family", cell: familyOf, sort: familyOf };
const REMARKS: Column<Entry> = { key: "remarks", title: "remarks", cell: remarksOf };

interface PointsProperties {
  run: string;
  points: readonly FrontPoint[];
  /** Hypervolume of the front as recorded. */
  volume: number | null;
  objectives: readonly Quantity[];
  rows: Rows;
  chosen: readonly number[];
  onChoose: (trial: number, on: boolean) => void;
  pointed: number | null;
  onPoint: (trial: number | null) => void;
}

export function PointsTable({ run, points, volume, objectives, rows, chosen, onChoose, pointed, onPoint }: PointsProperties) {
  const picked = useMemo(() => new Set(chosen), [chosen]);
  const columns = useMemo<Column<Entry>[]>(
    () => [chooseColumn(picked, onChoose), trialColumn(run), wiringColumn(rows.families), ...numberColumns(objectives), ...frontColumns(points, volume), REMARKS],
    [run, rows, objectives, points, volume, picked, onChoose],
  );
  return (
    <Table<Entry>
      caption="Points of the front"
      columns={columns}
      rows={points}
      rowKey={(entry) => entry.trial ?? -1}
      rowData={(entry) => ({ "data-trial": entry.trial ?? -1 })}
      selected={pointed}
      onSelect={(entry) => onPoint(entry.trial ?? null)}
      onOpen={(entry) => go("trial", run, { trial: entry.trial ?? -1 })}
      limit={rowsAtFirst()}
      stack
    />
  );
}

/** Cards on a telephone are long: fewer of them before "show more". */
const rowsAtFirst = (): number => (matchMedia("(max-width: 700px)").matches ? 5 : 50);

const trialColumn = (run: string): Column<Entry> => ({
  key: "trial",
  title: "trial",
  cell: (entry) => (
    <a href={address("trial", run, { trial: entry.trial ?? -1 })} tabIndex={-1}>
      {entry.trial}
    </a>
  ),
  sort: (entry) => entry.trial,
});

const chooseColumn = (picked: ReadonlySet<number>, onChoose: (trial: number, on: boolean) => void): Column<Entry> => ({
  key: "choose",
  title: "pick",
  help: "Chosen trials stand together in a table and are ringed on the chart",
  cell: (entry) => (
    <input
      type="checkbox"
      aria-label={`Choose trial ${entry.trial}`}
      checked={picked.has(entry.trial ?? -1)}
      onClick={(event) => event.stopPropagation()}
      onChange={(event) => onChoose(entry.trial ?? -1, event.currentTarget.checked)}
    />
  ),
  sort: (entry) => picked.has(entry.trial ?? -1),
  descending: true,
});

interface ChosenProperties {
  run: string;
  rows: Rows;
  quantities: readonly Quantity[];
  chosen: readonly number[];
  onClear: () => void;
  pointed: number | null;
  onPoint: (trial: number | null) => void;
}

/** The trials inside of the lasso, on the front or not. */
export function ChosenTable({ run, rows, quantities, chosen, onClear, pointed, onPoint }: ChosenProperties) {
  const places = useMemo(() => chosen.map((trial) => rows.placeOf.get(trial)).filter((row) => row !== undefined), [chosen, rows]);
  const columns = useMemo(() => chosenColumns(run, rows, quantities), [run, rows, quantities]);
  if (chosen.length === 0) return null;
  const onFront = places.filter((row) => rows.front[row]).length;
  return (
    <Panel
      class="front-chosen"
      title={`Chosen: ${places.length.toLocaleString("en")} ${places.length === 1 ? "trial" : "trials"}`}
      note={
        <>
          {onFront} of them on the front.
          {places.length === 2 && (
            <>
              {" "}
              <a href={address("trial", run, { trial: chosen[0] as number, with: chosen[1] as number })}>Compare their wirings</a>
            </>
          )}
        </>
      }
      aside={
        <button type="button" onClick={onClear}>
          Clear
        </button>
      }
    >
      <Table<number>
        caption="Chosen trials"
        columns={columns}
        rows={places}
        rowKey={(row) => rows.trial[row] as number}
        rowData={(row) => ({ "data-chosen": rows.trial[row] as number })}
        selected={pointed}
        onSelect={(row) => onPoint(rows.trial[row] as number)}
        onOpen={(row) => go("trial", run, { trial: rows.trial[row] as number })}
        order={{ key: quantities[0]?.name ?? "trial", descending: false }}
        limit={Math.min(20, rowsAtFirst())}
        stack
      />
    </Panel>
  );
}

function chosenColumns(run: string, rows: Rows, quantities: readonly Quantity[]): Column<number>[] {
  const wanted = quantities.filter((each) => each.kind === "objective" || ["parameters", "macs", INHERITED].includes(each.name));
  return [
    {
      key: "trial",
      title: "trial",
      cell: (row) => (
        <a href={address("trial", run, { trial: rows.trial[row] as number })} tabIndex={-1}>
          {rows.trial[row]}
        </a>
      ),
      sort: (row) => rows.trial[row],
    },
    {
      key: "wiring",
      title: "wiring",
      cell: (row) => <Wiring entry={{ family: rows.family[row] ?? null, wiring: rows.wiring[row] ?? null }} families={rows.families} />,
      sort: (row) => `${rows.family[row]} ${rows.wiring[row]}`,
    },
    ...wanted.map(
      (each): Column<number> => ({
        key: each.name,
        title: each.name === INHERITED ? "error, inherited" : titleOf({ ...each, detail: null }),
        help: titleOf(each),
        number: true,
        cell: (row) => valueText(each.name, rows.column(each.name).value[row]),
        sort: (row) => rows.column(each.name).value[row],
      }),
    ),
    { key: "front", title: "front", cell: (row) => (rows.front[row] ? "yes" : rows.feasible[row] ? "dominated" : "breaks a constraint"), sort: (row) => (rows.front[row] ? 0 : 1) },
  ];
}

export function BaselinesTable({ front, objectives, rows }: { front: FrontDocument; objectives: readonly Quantity[]; rows: Rows }) {
  const columns = useMemo<Column<Entry>[]>(
    () => [
      { key: "name", title: "network", cell: (entry) => <a href={address("trial", front.run, { baseline: nameOf(entry) })}>{nameOf(entry)}</a>, sort: nameOf },
      { key: "kind", title: "kind", cell: kindOf, sort: kindOf },
      wiringColumn(rows.families),
      ...numberColumns(objectives.filter((each) => front.baselines.some((baseline) => spanOf(baseline, each.name)))),
      REMARKS,
    ],
    [front, objectives, rows],
  );
  const shown = front.baselines.filter((each) => each.on_family_front !== false);
  if (shown.length === 0) return null;
  return (
    <Panel title="Baselines" note="Hand-made and random networks, retrained with the recipe of the front. Errors are on test images.">
      <Table<Entry> caption="Baselines" columns={columns} rows={shown} rowKey={nameOf} rowData={(entry) => ({ "data-baseline": nameOf(entry) })} limit={rowsAtFirst()} stack />
    </Panel>
  );
}

const nameOf = (entry: Entry): string => (isPoint(entry) ? `trial ${entry.trial}` : entry.name);
const kindOf = (entry: Entry): string => (isPoint(entry) ? "searched" : entry.kind.replaceAll("_", "-"));

export function FamiliesTable({ run, front, objectives, rows }: { run: string; front: FrontDocument; objectives: readonly Quantity[]; rows: Rows }) {
  const best = front.best_per_pattern ?? [];
  const columns = useMemo<Column<Entry>[]>(
    () => [PATTERN, trialColumn(run), wiringColumn(rows.families), ...numberColumns(objectives), REMARKS],
    [run, objectives, rows],
  );
  if (best.length === 0) return null;
  return (
    <Panel title="Best of each family" note="The finished trial of each wiring family with the best first objective.">
      <Table<Entry>
        caption="Best of each family"
        columns={columns}
        rows={best}
        rowKey={(entry) => `${entry.family} ${entry.trial}`}
        limit={rowsAtFirst()}
        onOpen={(entry) => go("trial", run, { trial: entry.trial ?? -1 })}
        stack
      />
    </Panel>
  );
}

const VERDICT_COLUMNS: [keyof VerdictRow, string][] = [
  ["range", "range"],
  ["candidate", "candidate"],
  ["candidateError", "its test error"],
  ["rival", "rival"],
  ["rivalKind", "kind"],
  ["rivalError", "its test error"],
  ["difference", "difference, % points (95 %)"],
  ["p", "p after Holm"],
  ["verdict", "verdict"],
];

export function VerdictsTable({ run, front }: { run: string; front: FrontDocument }) {
  const found = front.confirmation as Confirmation | null;
  const rows = useMemo(() => verdictRows(found), [found]);
  if (!found || rows.length === 0) return null;
  const columns = VERDICT_COLUMNS.map(
    ([key, title]): Column<VerdictRow> => ({
      key,
      title,
      cell: (row) => (key === "candidate" && row.trial !== null ? <a href={address("trial", run, { trial: row.trial })}>{row.candidate}</a> : row[key]),
    }),
  );
  return (
    <Panel title="Verdicts" note={confirmationText(found)}>
      <Table caption="Verdicts of the confirmation" columns={columns} rows={rows} rowKey={(row) => row.key} stack />
      {found.left_out.map((each) => (
        <p key={each.name} class="soft">
          left out: {each.name}: {each.reason}
        </p>
      ))}
    </Panel>
  );
}

/** How far simple classifiers get: where they do as well, wiring is not the question. */
export function ClassifiersTable({ front }: { front: FrontDocument }) {
  if (front.simple_baselines.length === 0) return null;
  const columns: Column<FrontDocument["simple_baselines"][number]>[] = [
    { key: "name", title: "classifier on raw pixels", cell: (each) => each.name },
    { key: "error", title: "test error", number: true, cell: (each) => percent(1 - each.accuracy) },
  ];
  return (
    <Panel title="Simple classifiers" note="Where these do as well as the networks, wiring is not the question.">
      <Table caption="Simple classifiers" columns={columns} rows={front.simple_baselines} rowKey={(each) => each.name} />
    </Panel>
  );
}

import { useMemo, useState } from "preact/hooks";
import { useDocument, useSource } from "../context";
import type { CompareDocument, RunDocument, RunsDocument } from "../documents";
import { quantityOf, titleOf, valueText } from "../front/quantities";
import { CheckField } from "../parts/fields";
import { number } from "../parts/numbers";
import { Panel } from "../parts/panel";
import { TrustBadge } from "../parts/run_notice";
import { type Column, Table } from "../parts/table";
import { Loading, Nothing, Problem, Sentence } from "../parts/told";
import { address, go } from "../route";
import { behind, CompareChart } from "./compare_chart";
import { useRefreshed } from "./refreshed";

export const named = (parameters: URLSearchParams): string[] => [...new Set((parameters.get("runs") ?? "").split(",").filter(Boolean))];

export function Compare({ parameters }: { parameters: URLSearchParams }) {
  const source = useSource();
  const names = named(parameters);
  const { document: known, error } = useDocument<RunsDocument>("/api/runs");
  if (!source.live)
    return (
      <>
        <h1>Compare</h1>
        <Nothing title="A report is about one run">
          <p class="soft">
            <Sentence text="Runs are compared where they lie: `nas dash`, or `nas compare RUN RUN` in a terminal." />
          </p>
        </Nothing>
      </>
    );
  if (error && !known) return <Problem error={error} />;
  if (!known) return <Loading what="the runs" />;
  const runs = known.runs.filter((run) => run.kind === "search");
  return (
    <>
      <h1>Compare</h1>
      <Picker runs={runs} names={names} />
      {names.length < 2 ? <p class="soft">Choose two runs or more.</p> : <Compared names={names} runs={runs} />}
    </>
  );
}

function Picker({ runs, names }: { runs: readonly RunDocument[]; names: readonly string[] }) {
  const toggle = (name: string, wanted: boolean): void => {
    const next = wanted ? [...names, name] : names.filter((each) => each !== name);
    go("compare", null, next.length > 0 ? { runs: next.join(",") } : {});
  };
  return (
    <Panel title="Runs">
      <fieldset class="picker">
        <legend class="hidden">Runs to compare</legend>
        {runs.map((run) => (
          <CheckField
            key={run.name}
            label={`${run.name} (${[run.space, run.data].filter(Boolean).join(" on ")})`}
            value={names.includes(run.name)}
            onChange={(wanted) => toggle(run.name, wanted)}
          />
        ))}
      </fieldset>
    </Panel>
  );
}

function Compared({ names, runs }: { names: readonly string[]; runs: readonly RunDocument[] }) {
  const source = useSource();
  const { document, error } = useDocument<CompareDocument>(`/api/compare?runs=${names.map(encodeURIComponent).join(",")}`, useRefreshed(source.live));
  if (error && !document) return <Problem error={error} />;
  if (!document) return <Loading what="the comparison" />;
  if (document.objectives === null)
    return (
      <Nothing title="These runs cannot be laid over each other">
        <p>{document.why_not}</p>
      </Nothing>
    );
  return <Overlaid document={document} runs={runs} />;
}

/** What a reader must not conclude from the picture, by what the runs have in common. */
export function cautions(document: CompareDocument, runs: readonly RunDocument[]): string[] {
  const about = runs.filter((run) => document.runs.includes(run.name));
  const differ = (of: (run: RunDocument) => unknown): boolean => new Set(about.map(of)).size > 1;
  const found: string[] = [];
  if (!document.same_data) found.push("The runs used different data: their values do not mean the same, and neither front is better than the other by this picture.");
  if (about.some((run) => run.stamp)) found.push("At least one is a smoke run: its numbers are no evidence.");
  if (differ((run) => run.preset)) found.push("The presets differ, and with them the effort: a better front may only have cost more.");
  if (differ((run) => run.space)) found.push("The spaces differ: this compares spaces and searches together.");
  if (document.objectives?.some((objective) => objective.source === "inherited" || objective.name === "cross_entropy"))
    found.push("Values inherited from shared weights belong to the supernet of their own run: between runs they differ by its training as well as by the networks.");
  if (document.runs.length < 5) found.push(`${document.runs.length} runs are few: the band is no more than the best and the worst of them, not an interval for a next run.`);
  return found;
}

function Overlaid({ document, runs }: { document: CompareDocument; runs: readonly RunDocument[] }) {
  const [band, setBand] = useState(true);
  const told = useMemo(() => cautions(document, runs), [document, runs]);
  return (
    <>
      <div class="caution" role="note" aria-label="How far to believe this comparison">
        <ul>
          {told.map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ul>
      </div>
      <Panel
        title="Fronts"
        note={`Each staircase is the edge of what a run's front dominates; lower and further left is better. ${behind(document) ? "Paler points are on their front all the same: by a further objective, or because an unverified ranking is read for each family by itself. " : ""}${document.attainment === null ? "" : "The band lies between what every run attained and what at least one attained."}${document.runs.length > 2 ? " Half of the runs attained its middle line." : ""}`}
        aside={document.attainment !== null && <CheckField label="attainment band" value={band} onChange={setBand} />}
      >
        <CompareChart document={document} band={band} />
      </Panel>
      <Panel title="Side by side" note={`Hypervolume to one reference point for all: ${referenceText(document)}. Of recorded values, so luck is in it.`}>
        <Table caption="Runs side by side" columns={columnsOf(document)} rows={document.runs.map((name) => ({ name, run: runs.find((run) => run.name === name) }))} rowKey={(row) => row.name} order={{ key: "volume", descending: true }} stack />
      </Panel>
    </>
  );
}

const referenceText = (document: CompareDocument): string =>
  (document.objectives ?? []).map((objective, place) => `${quantityOf(objective).label} ${valueText(objective.name, document.reference[place], 3)}`).join(", ");

interface Row {
  name: string;
  run: RunDocument | undefined;
}

function columnsOf(document: CompareDocument): Column<Row>[] {
  const best = (name: string, place: number): number | null => {
    const values = (document.fronts[name] ?? []).map((point) => point.values[place] ?? Number.POSITIVE_INFINITY);
    return values.length > 0 ? Math.min(...values) : null;
  };
  return [
    { key: "name", title: "Run", sort: (row) => row.name, cell: (row) => <a href={address("front", row.name)}>{row.name}</a> },
    { key: "what", title: "Space and data", sort: (row) => row.run?.space, cell: (row) => [row.run?.space, row.run?.data].filter(Boolean).join(" on ") },
    { key: "how", title: "Preset, sampler", cell: (row) => [row.run?.preset, row.run?.sampler].filter(Boolean).join(", ") },
    { key: "trials", title: "Trials", number: true, descending: true, sort: (row) => row.run?.trials.finished, cell: (row) => number(row.run?.trials.finished) },
    { key: "front", title: "Front", number: true, descending: true, sort: (row) => document.fronts[row.name]?.length, cell: (row) => number(document.fronts[row.name]?.length) },
    ...(document.objectives ?? []).map((objective, place) => ({
      key: `best ${objective.name}`,
      title: `Best ${titleOf(quantityOf({ ...objective, name: objective.name.replace(/\[.*/, "") }))}`,
      help: objective.name,
      number: true,
      sort: (row: Row) => best(row.name, place),
      cell: (row: Row) => valueText(objective.name, best(row.name, place), 3),
    })),
    { key: "volume", title: "Hypervolume", number: true, descending: true, sort: (row) => document.hypervolume[row.name], cell: (row) => number(document.hypervolume[row.name], 4) },
    { key: "trust", title: "Trust", cell: (row) => row.run && <TrustBadge verdict={row.run.trust.verdict} /> },
  ];
}

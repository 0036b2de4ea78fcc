import { useMemo, useState } from "preact/hooks";
import { useDocument, useSource } from "../context";
import type { RunDocument, RunsDocument } from "../documents";
import { quantityOf, titleOf, valueText } from "../front/quantities";
import { Command } from "../parts/command";
import { ChoiceField, NumberField, TextField, typedNumber } from "../parts/fields";
import { moment, number } from "../parts/numbers";
import { Badge, Panel } from "../parts/panel";
import { StateBadge, TrustBadge } from "../parts/run_notice";
import { Share, Spark } from "../parts/spark";
import { type Column, Table } from "../parts/table";
import { Loading, Nothing, Problem, Sentence, Stale } from "../parts/told";
import { stampWords, stateWords, trustWords } from "../parts/words";
import { address, go } from "../route";
import { bestUnder, type Cost, costOf, costs, OWN_LATENCY, usualBudget } from "./budget";
import { useRefreshed } from "./refreshed";

export function Overview(_: { parameters: URLSearchParams }) {
  const source = useSource();
  const { document, error } = useDocument<RunsDocument>("/api/runs", useRefreshed(source.live));
  if (error && !document) return <Problem error={error} />;
  if (!document) return <Loading what="the runs" />;
  if (document.runs.length === 0) return <NoRuns folder={document.folder} />;
  return (
    <>
      <Stale error={error} />
      <Runs document={document} />
    </>
  );
}

function NoRuns({ folder }: { folder: string }) {
  return (
    <Nothing title="No runs yet">
      <p>
        Nothing has been searched in <code>{folder}</code>. This page only reads: start a search in a terminal, and it appears here by itself.
      </p>
      <Command label="A first search, about two minutes on two cores" text="nas search wired_cnn --data digits --preset smoke" />
    </Nothing>
  );
}

function Runs({ document }: { document: RunsDocument }) {
  const runs = useMemo(() => document.runs.filter((run) => run.kind !== "unreadable"), [document]);
  const shut = document.runs.filter((run) => run.kind === "unreadable");
  const several = runs.length > 1;
  const [text, setText] = useState("");
  const [state, setState] = useState("all");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const budget = useBudget(runs);
  const shown = useMemo(() => runs.filter((run) => matches(run, text, state)), [runs, text, state]);
  const columns = useMemo(() => columnsOf(budget, chosen, setChosen), [budget.cost, budget.limit, chosen]);
  const states = [...new Set(runs.map((run) => run.state))];
  const names = [...chosen].filter((name) => runs.some((run) => run.name === name));
  return (
    <>
      <h1>Runs</h1>
      <Summary runs={document.runs} folder={document.folder} />
      <Panel
        title="All runs"
        note={
          <>
            Each hypervolume is measured to a reference point of its own run: read its course here, and set runs side by side under Compare. “Best under” goes by
            recorded values, as if they had no noise: open the point to see its interval.
          </>
        }
      >
        <div class="bar">
          {several && <TextField label="Find" value={text} onChange={setText} placeholder="name, space, data" />}
          {states.length > 1 && (
            <ChoiceField
              label="State"
              value={state}
              onChange={setState}
              options={[{ value: "all", label: "all" }, ...states.map((each) => ({ value: each, label: stateWords(each).word }))]}
            />
          )}
          {budget.fields}
          {several && (
            <span class="push">
              <button type="button" class={names.length > 1 ? "first" : undefined} disabled={names.length < 2} onClick={() => go("compare", null, { runs: names.join(",") })}>
                {names.length < 2 ? "Compare: choose two runs" : `Compare ${names.length} runs`}
              </button>
            </span>
          )}
        </div>
        {shown.length === 0 ? (
          <p class="soft">No run matches.</p>
        ) : (
          <Table caption="Runs" columns={several ? columns : columns.slice(1)} rows={shown} rowKey={(run) => run.name} order={{ key: "run", descending: true }} limit={50} stack />
        )}
      </Panel>
      {shut.length > 0 && <Unreadable runs={shut} />}
      <Legend runs={runs} />
    </>
  );
}

function Unreadable({ runs }: { runs: readonly RunDocument[] }) {
  return (
    <Panel title="Cannot be opened" note="Nothing was changed in these folders: this page only reads.">
      <dl class="words">
        {runs.map((run) => (
          <div key={run.name}>
            <dt class="strong anywhere">
              {run.name} <StateBadge state={run.state} />
            </dt>
            <dd>
              {run.problem} {run.fix && <Sentence text={run.fix} />}
            </dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

function Summary({ runs, folder }: { runs: readonly RunDocument[]; folder: string }) {
  const running = runs.filter((run) => run.state === "running").length;
  const trials = runs.reduce((sum, run) => sum + run.trials.finished, 0);
  return (
    <p class="soft">
      {runs.length === 1 ? "1 run" : `${runs.length} runs`}
      {running > 0 && `, ${running} running`}, {number(trials)} finished trials, in <code>{folder}</code>
    </p>
  );
}

const matches = (run: RunDocument, text: string, state: string): boolean => {
  const told = [run.name, run.space, run.data, run.preset, run.sampler].join(" ").toLowerCase();
  return (state === "all" || run.state === state) && text.toLowerCase().split(/\s+/).every((word) => told.includes(word));
};

interface Budget {
  cost: Cost | null;
  limit: number | null;
  fields: preact.ComponentChildren;
}

function useBudget(runs: readonly RunDocument[]): Budget {
  const known = useMemo(() => costs(runs), [runs]);
  const [name, setName] = useState<string | null>(null);
  const [typed, setTyped] = useState<string | null>(null);
  const cost = known.find((each) => each.name === name) ?? known[0] ?? null;
  if (cost === null) return { cost: null, limit: null, fields: null };
  const usual = usualBudget(runs, cost.name);
  const text = typed ?? (usual === null ? "" : String(usual));
  const choose = (value: string): void => {
    setName(value);
    setTyped(null);
  };
  const fields = (
    <>
      <NumberField label="Best under" value={text} onChange={setTyped} unit={known.length === 1 ? `${cost.unit ?? ""} ${labelOf(cost)}` : cost.unit} />
      {known.length > 1 && (
        <ChoiceField label="of" value={cost.name} onChange={choose} options={known.map((each) => ({ value: each.name, label: labelOf(each) }))} />
      )}
    </>
  );
  return { cost, limit: typedNumber(text), fields };
}

const labelOf = (cost: Cost): string => (cost.name === OWN_LATENCY ? "latency on the run's device" : titleOf(quantityOf({ ...cost, source: null })));

function columnsOf(budget: Budget, chosen: ReadonlySet<string>, setChosen: (chosen: ReadonlySet<string>) => void): Column<RunDocument>[] {
  const toggle = (name: string): void => {
    const next = new Set(chosen);
    if (!next.delete(name)) next.add(name);
    setChosen(next);
  };
  return [
    {
      key: "choose",
      title: "Compare",
      narrow: true,
      cell: (run) =>
        run.kind === "search" && (
          <input type="checkbox" checked={chosen.has(run.name)} onChange={() => toggle(run.name)} aria-label={`Compare ${run.name}`} />
        ),
    },
    { key: "run", title: "Run", sort: (run) => run.created, descending: true, help: "sorted by when it was made", cell: (run) => <Name run={run} /> },
    { key: "state", title: "State", sort: (run) => run.state, cell: (run) => <StateBadge state={run.state} /> },
    { key: "space", title: "Space and data", sort: (run) => run.space, cell: (run) => <SpaceAndData run={run} /> },
    { key: "trials", title: "Trials", number: true, descending: true, sort: (run) => run.trials.finished, cell: (run) => <Trials run={run} /> },
    { key: "front", title: "Front", number: true, descending: true, sort: (run) => run.front_size, cell: (run) => run.kind === "search" && number(run.front_size) },
    { key: "hypervolume", title: "Hypervolume", help: "how much of the objectives' room the front dominates, over finished trials", cell: (run) => <Volume run={run} /> },
    {
      key: "best",
      title: budget.cost === null ? "Best" : budget.limit === null ? "Best" : `Best under ${number(budget.limit)} ${budget.cost.unit ?? ""}`,
      cell: (run) => <Best run={run} budget={budget} />,
    },
    { key: "trust", title: "Trust", sort: (run) => run.trust.verdict, cell: (run) => <Trust run={run} /> },
  ];
}

function Name({ run }: { run: RunDocument }) {
  const view = run.kind === "study" ? "provenance" : run.trials.finished === 0 && run.state === "running" ? "progress" : "front";
  return (
    <div class="stacked">
      <a class="strong" href={address(view, run.name)}>
        {run.name}
      </a>
      {run.created && <span class="soft small">{moment(run.created)}</span>}
      {run.stamp && (
        <span class="stamp" title={stampWords(run.stamp)}>
          {run.stamp}
        </span>
      )}
      {run.problem && <span class="problem small">{run.problem}</span>}
      {run.fix && (
        <span class="soft small">
          <Sentence text={run.fix} />
        </span>
      )}
    </div>
  );
}

function SpaceAndData({ run }: { run: RunDocument }) {
  if (run.kind === "study") return <Badge tone="plain">study</Badge>;
  const how = [run.preset, run.sampler].filter(Boolean).join(", ");
  return (
    <div class="stacked">
      <span>{[run.space, run.data].filter(Boolean).join(" on ")}</span>
      {how && <span class="soft small">{how}</span>}
    </div>
  );
}

function Trials({ run }: { run: RunDocument }) {
  if (run.kind !== "search") return null;
  const { finished, failed, planned } = run.trials;
  const told = planned === null ? number(finished) : `${number(finished)} of ${number(planned)}`;
  return (
    <div class="stacked end">
      <span>{told}</span>
      {planned !== null && planned > 0 && run.state !== "finished" && <Share share={finished / planned} label="" />}
      {failed > 0 && (
        <a class="small" href={address("failures", run.name)}>
          {number(failed)} failed
        </a>
      )}
    </div>
  );
}

function Volume({ run }: { run: RunDocument }) {
  if (run.kind !== "search") return null;
  if (!run.hypervolume) return <span class="soft">-</span>;
  const { value, low, high, series } = run.hypervolume;
  const interval = low === null || high === null ? "" : `${number(low, 3)} to ${number(high, 3)}`;
  return (
    <div class="stacked volume">
      {series.length > 1 && <Spark values={series} label={`Hypervolume over ${series.length} steps, in the end ${number(value, 3)}`} />}
      <span class="small">{number(value, 3)}</span>
      {interval && (
        <span class="soft small" title="95 % interval, with the luck of choosing taken out">
          {interval}
        </span>
      )}
    </div>
  );
}

function Best({ run, budget }: { run: RunDocument; budget: Budget }) {
  if (run.kind !== "search") return null;
  if (run.front.length === 0) return <span class="soft">-</span>;
  const first = run.objectives[0];
  const found = bestUnder(run, budget.cost?.name ?? "", budget.cost === null ? null : budget.limit);
  if (!found || !first) return <span class="soft">none</span>;
  const spent = budget.cost === null ? null : costOf(found, budget.cost.name);
  return (
    <div class="stacked">
      <a href={address("trial", run.name, { trial: found.trial })}>trial {found.trial}</a>
      <span class="small">
        {quantityOf(first).label} {valueText(first.name, found.values[first.name], 3)}
        {first.unit ? ` ${first.unit}` : ""}
        {spent !== null && <span class="soft"> at {number(spent, 3)}{budget.cost?.unit ? ` ${budget.cost.unit}` : ""}</span>}
      </span>
      {found.family && <span class="soft small">{found.family}</span>}
    </div>
  );
}

/** Without points there is no order to trust or doubt. */
function Trust({ run }: { run: RunDocument }) {
  if (run.kind !== "search") return null;
  return run.front_size === 0 ? <span class="soft">-</span> : <TrustBadge verdict={run.trust.verdict} />;
}

/** Explains the verdicts and states that stand in the table, and no others. */
function Legend({ runs }: { runs: readonly RunDocument[] }) {
  const verdicts = [...new Set(runs.filter((run) => run.front_size > 0).map((run) => run.trust.verdict))];
  const states = [...new Set(runs.map((run) => run.state))];
  return (
    <Panel title="What the words mean">
      <dl class="words">
        {states.map((state) => (
          <div key={state}>
            <dt>
              <StateBadge state={state} />
            </dt>
            <dd>{stateWords(state).meaning}</dd>
          </div>
        ))}
        {verdicts.map((verdict) => (
          <div key={verdict}>
            <dt>
              <TrustBadge verdict={verdict} />
            </dt>
            <dd>{trustWords(verdict).meaning}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

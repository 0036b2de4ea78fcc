import { useDocument } from "../context";
import type { ArchitectureDocument, FrontDocument, TrialDocument } from "../documents";
import { architectureOf, ComparePicker, DifferenceList, nameOf, networkPath, useCompared } from "../graph/comparing";
import { CostPanel, ExitsPanel } from "../graph/cost_table";
import { Curves } from "../graph/curves";
import { Explorer } from "../graph/explorer";
import { Relatives } from "../graph/relatives";
import { useSame } from "../graph/same";
import { TakeHome } from "../graph/take_home";
import { TrialHead, TrialPicker } from "../graph/trial_head";
import type { ViewProperties } from "../page";
import { Panel } from "../parts/panel";
import { Loading, Nothing, Problem } from "../parts/told";
import { go } from "../route";
import { runPath } from "../source";
import { flattened } from "./records";

/** One network: drawn, told in numbers, compared with another, and taken home. */
export function Trial({ run, version, parameters }: ViewProperties) {
  const baseline = parameters.get("baseline");
  const shown = baseline ?? parameters.get("trial") ?? (run.front[0] ? String(run.front[0].trial) : null);
  const other = parameters.get("with");
  const found = useDocument<TrialDocument | ArchitectureDocument>(shown === null ? null : networkPath(run.name, shown), version);
  const front = useDocument<FrontDocument>(runPath(run.name, "/front"), version);
  const architecture = useSame(architectureOf(found.document));
  const compared = useCompared(run.name, architecture, other);
  const total = run.trials.finished + run.trials.failed + run.trials.open;
  if (shown === null) return <NoneYet run={run} total={total} />;
  if (found.error && !found.document) {
    return (
      <>
        <TrialPicker run={run} trial={null} total={total} />
        <Problem error={found.error} />
      </>
    );
  }
  if (!found.document) return <Loading what={nameOf(shown)} />;
  const trial = "nodes" in found.document ? null : found.document;
  const compareWith = (name: string | null): void => {
    go("trial", run.name, { ...(baseline !== null ? { baseline } : { trial: shown }), ...(name === null ? {} : { with: name }) });
  };
  return (
    <>
      {trial ? <TrialHead run={run} trial={trial} total={total} /> : <h1>{baseline}</h1>}
      {trial?.failure && <Failure trial={trial} />}
      {architecture ? (
        <>
          <Explorer
            document={architecture}
            title={`${run.name} ${nameOf(shown)}`}
            difference={compared.difference}
            controls={<ComparePicker run={run} trial={trial} front={front.document} other={other} onChange={compareWith} />}
            aside={
              <>
                {compared.problem && <p class="problem">{compared.problem}</p>}
                {compared.difference && other !== null && <DifferenceList found={compared.difference} here={nameOf(shown)} there={nameOf(other)} />}
              </>
            }
          />
          <CostPanel document={architecture} />
          <ExitsPanel document={architecture} />
        </>
      ) : (
        <Nothing title="No network is recorded for this trial yet." />
      )}
      {trial && <AboutTrial run={run.name} trial={trial} />}
    </>
  );
}

function NoneYet({ run, total }: { run: ViewProperties["run"]; total: number }) {
  return (
    <Nothing title="The front is still empty.">
      {total > 0 ? (
        <>
          <p>Any trial can be opened by its number.</p>
          <TrialPicker run={run} trial={null} total={total} />
        </>
      ) : (
        <p>A network can be opened once one has been tried.</p>
      )}
    </Nothing>
  );
}

function AboutTrial({ run, trial }: { run: string; trial: TrialDocument }) {
  return (
    <>
      <TakeHome run={run} trial={trial} />
      <Curves curves={trial.curves} />
      <Relatives run={run} trial={trial} />
      <div class="columns">
        <Panel title="Measurements" note="How its numbers were measured; a runtime has a figure of its own.">
          <Pairs pairs={flattened(trial.measurements)} />
        </Panel>
        <Panel title="Decisions" note="What the search chose, question by question.">
          <Pairs pairs={flattened(trial.decisions)} />
        </Panel>
      </div>
    </>
  );
}

function Pairs({ pairs }: { pairs: readonly (readonly [string, unknown])[] }) {
  if (pairs.length === 0) return <p class="soft">Nothing was recorded.</p>;
  return (
    <details>
      <summary>{pairs.length} entries</summary>
      <dl class="pairs">
        {pairs.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{String(value)}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function Failure({ trial }: { trial: TrialDocument }) {
  return (
    <div class="caution" role="note">
      <p>
        <strong>It failed: {trial.failure?.reason}.</strong> {trial.failure?.message}
      </p>
    </div>
  );
}

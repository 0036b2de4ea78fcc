import { useMemo, useState } from "preact/hooks";
import { useDocument } from "../context";
import type { ArchitectureDocument, SupernetDocument } from "../documents";
import { Explorer } from "../graph/explorer";
import { EpochLines, GateMap } from "../graph/gate_charts";
import { choiceOfNode, edgeGates, nodeEntropies } from "../graph/gates";
import { RankReport } from "../graph/rank_report";
import { Scrubber } from "../graph/scrubber";
import type { ViewProperties } from "../page";
import { percent } from "../parts/numbers";
import { Panel } from "../parts/panel";
import { Share } from "../parts/spark";
import { Table } from "../parts/table";
import { Loading, Nothing, Problem } from "../parts/told";
import { runPath } from "../source";

/** The shared weights: what the relaxation learned, how training went, and how far to trust it. */
export function Supernet({ run, version }: ViewProperties) {
  const { document, error } = useDocument<SupernetDocument>(runPath(run.name, "/supernet"), version);
  if (error && !document) return <Problem error={error} />;
  if (!document) return <Loading what="supernet" />;
  if (document.stages.length === 0 && document.epochs.length === 0) {
    return <Nothing title="This run has no supernet.">{run.state === "running" || run.state === "created" ? <p>It may not have begun yet; this view fills by itself.</p> : <p>Its networks were trained one by one, or not at all.</p>}</Nothing>;
  }
  return (
    <>
      <h1>Supernet</h1>
      <GatedGraph document={document} run={run.name} />
      <Alarms document={document} />
      <Trainings document={document} />
      <RankReport run={run.name} rank={document.rank} verdict={run.trust.verdict} />
    </>
  );
}

function GatedGraph({ document, run }: { document: SupernetDocument; run: string }) {
  const steps = document.gates?.steps.length ?? 0;
  const [chosen, setStep] = useState<number | null>(null);
  const step = Math.min(chosen ?? steps - 1, steps - 1);
  const graph = useStable(document.graph);
  const gates = useMemo(() => edgeGates(document, step), [document, step]);
  const gate = useMemo(() => (edge: { id: string; gate: number | null }) => gates[edge.id] ?? edge.gate, [gates]);
  const given = useMemo(() => ({ name: "entropy of its choice", unit: "of the largest entropy", values: nodeEntropies(document, step), most: 1 }), [document, step]);
  if (!graph) return <Nothing title="No relaxation was recorded, so there is no preferred wiring to draw." />;
  return (
    <>
      {document.gates ? (
        <p class="note">
          The preferred wiring with every optional edge. Move through the epochs: edges are as wide as the probability of their gates, and nodes are tinted by how undecided their choice still is.
        </p>
      ) : (
        <p class="note">The preferred wiring with every optional edge. This run was recorded before gates were noted epoch by epoch, so there is nothing to move through.</p>
      )}
      <Explorer
        document={graph}
        title={`${run} supernet`}
        gates={gate}
        {...(document.gates ? { given, more: (node: string) => <Answers document={document} node={node} step={step} /> } : {})}
        controls={document.gates && <Scrubber epochs={document.gates.steps.map((each) => each.epoch)} step={step} onStep={setStep} />}
      />
      {document.gates && <GateMap gates={document.gates} step={step} onStep={setStep} />}
    </>
  );
}

/** The same object while the same network is drawn: a run that goes on must not lay it out anew. */
function useStable(graph: ArchitectureDocument | null): ArchitectureDocument | null {
  const names = graph ? graph.id + graph.nodes.map((node) => node.id).join(" ") : "";
  return useMemo(() => graph, [names]);
}

function Answers({ document, node, step }: { document: SupernetDocument; node: string; step: number }) {
  const choice = choiceOfNode(document, node);
  if (!choice) return null;
  return (
    <>
      <h4>{choice.name}</h4>
      <ul class="answers">
        {choice.options.map((option, place) => {
          const share = choice.values[step]?.[place] ?? 0;
          return (
            <li key={option}>
              <span>{option}</span> <Share share={share} label={`${option}: ${percent(share, 1)}`} /> <span class="soft">{percent(share, 1)}</span>
            </li>
          );
        })}
      </ul>
    </>
  );
}

function Alarms({ document }: { document: SupernetDocument }) {
  return (
    <Panel title="Alarms" note="What watches the training: collapse onto skips, gates that do not decide, diverging loss.">
      {document.alarms.length === 0 && document.diagnoses.length === 0 ? (
        <p>No alarm was raised.</p>
      ) : (
        <>
          <ul>
            {document.diagnoses.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
          {document.alarms.length > 0 && (
            <Table
              caption="Alarms by epoch"
              rows={document.alarms}
              rowKey={(row) => `${row.stage} ${row.epoch} ${row.name}`}
              columns={[
                { key: "stage", title: "Stage", sort: (row) => row.stage, cell: (row) => row.stage },
                { key: "epoch", title: "Epoch", number: true, sort: (row) => row.epoch, cell: (row) => row.epoch },
                { key: "message", title: "What", cell: (row) => row.message },
                { key: "remedy", title: "Remedy", cell: (row) => row.remedy ?? "-" },
              ]}
            />
          )}
        </>
      )}
    </Panel>
  );
}

const DECIDING = [
  { name: "gate_entropy", label: "entropy of gates" },
  { name: "skip_share", label: "skips" },
  { name: "free_share", label: "operations without weights" },
  { name: "edge_share", label: "edges kept" },
];

function Trainings({ document }: { document: SupernetDocument }) {
  const families = useMemo(
    () => [...new Set(document.epochs.flatMap((epoch) => Object.keys(epoch.numbers)))].filter((name) => name.startsWith("loss/")).map((name) => ({ name, label: name.slice("loss/".length) })),
    [document],
  );
  return (
    <div class="columns">
      <EpochLines document={document} stage="relax" title="How the gates decide" unit="share" note="Entropy as a share of the largest possible; shares by probability. A skip share that runs towards 1 is a collapse." numbers={DECIDING} />
      <EpochLines document={document} stage="relax" title="Loss of the relaxation" unit="nats" note="Training loss, and the loss of the mixture of all answers." numbers={[{ name: "loss", label: "training" }, { name: "mixture_loss", label: "mixture" }]} />
      <EpochLines document={document} stage="supernet" title="Loss of the supernet" unit="nats" note="Mean training loss over the members drawn in an epoch, and by family." numbers={[{ name: "loss", label: "all" }, ...families]} />
      <EpochLines document={document} stage="supernet" title="Length of the gradient" unit="norm" note="Mean over the steps of an epoch." numbers={[{ name: "gradient_norm", label: "gradient" }]} />
    </div>
  );
}

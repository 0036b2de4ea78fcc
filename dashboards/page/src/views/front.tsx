import type { ComponentChildren, RefObject } from "preact";
import { useCallback, useMemo, useState } from "preact/hooks";
import { useDocument } from "../context";
import type { FrontDocument, RunsDocument, TrialsDocument } from "../documents";
import { Controls } from "../front/controls";
import "../front/front.css";
import { Headline } from "../front/headline";
import { Legend } from "../front/legend";
import { LimitsPanel } from "../front/limits_panel";
import type { Drawn } from "../front/option";
import { Plot } from "../front/plot";
import { quantitiesOf, type Quantity, titleOf } from "../front/quantities";
import { Remarks } from "../front/remarks";
import { type Rows, rowsOf } from "../front/rows";
import type { FrontState } from "../front/state";
import { BaselinesTable, ChosenTable, ClassifiersTable, FamiliesTable, PointsTable, VerdictsTable } from "../front/tables";
import { useDrawn } from "../front/use_drawn";
import { useRested } from "../front/use_rested";
import { type Change, useFrontState } from "../front/use_state";
import type { ViewProperties } from "../page";
import { useKeys } from "../parts/keys";
import { Panel } from "../parts/panel";
import { Loading, Nothing, Problem } from "../parts/told";
import { runPath } from "../source";
import { useTrials } from "../trials";

const REST_MS_PER_TRIAL = 2;

/** The front of a run: what is the best for what one can afford, and how sure that is. */
export function Front({ run, version, parameters }: ViewProperties) {
  const readable = run.kind === "search";
  // A long run's documents are large, and one more trial changes little: they are loaded less often.
  const rested = useRested(version, Math.max(1000, REST_MS_PER_TRIAL * run.trials.finished));
  const front = useDocument<FrontDocument>(readable ? runPath(run.name, "/front") : null, rested);
  const trials = useTrials(readable ? runPath(run.name, "/trials") : null, rested);
  if (!readable) return <NoFront kind={run.kind} problem={run.problem} fix={run.fix} />;
  if (front.error && !front.document) return <Problem error={front.error} />;
  if (!front.document) return <Loading what="the front" />;
  return <Loaded run={run.name} growing={run.state === "created" || run.state === "running"} front={front.document} trials={trials.document} parameters={parameters} />;
}

function NoFront({ kind, problem, fix }: { kind: string; problem: string | null; fix: string | null }) {
  if (kind === "study") return <Nothing title="A study has no front of its own">Each of its searches does: open them from the overview.</Nothing>;
  return (
    <Nothing title={problem ?? "This run cannot be read"}>
      <p>{fix}</p>
    </Nothing>
  );
}

interface LoadedProperties {
  run: string;
  growing: boolean;
  front: FrontDocument;
  trials: TrialsDocument | null;
  parameters: URLSearchParams;
}

function Loaded({ run, growing, front, trials, parameters }: LoadedProperties) {
  const quantities = useMemo(() => quantitiesOf(front, trials), [front, trials]);
  const rows = useMemo(() => rowsOf(front, trials), [front, trials]);
  if (rows.count === 0 && front.baselines.length === 0)
    return (
      <Nothing title="The front is empty">
        <p>{growing ? "No trial has finished yet. This page shows the first as soon as it has." : "No trial of this run has finished."}</p>
      </Nothing>
    );
  return <Shown run={run} front={front} rows={rows} quantities={quantities} parameters={parameters} />;
}

interface ShownProperties {
  run: string;
  front: FrontDocument;
  rows: Rows;
  quantities: readonly Quantity[];
  parameters: URLSearchParams;
}

function Shown({ run, front, rows, quantities, parameters }: ShownProperties) {
  const [state, change] = useFrontState(run, parameters, quantities);
  const [pointed, setPointed] = useState<number | null>(null);
  const { place, drawn, compareError } = useDrawn(run, front, rows, quantities, state);
  const chooseOne = useCallback(
    (trial: number, on: boolean) => change({ chosen: on ? [...state.chosen, trial] : state.chosen.filter((each) => each !== trial) }),
    [change, state.chosen],
  );
  const objectives = useMemo(() => quantities.filter((each) => each.kind === "objective"), [quantities]);
  // These are made anew only when what they show changes: a pointer moves, a slider slides, and they rest.
  const limits = useMemo(
    () => drawn && <LimitsPanel run={run} front={front} rows={rows} scene={drawn.scene} quantities={quantities} state={state} change={change} onPoint={setPointed} />,
    [drawn?.scene, state.limits, change],
  );
  const points = useMemo(
    () => <PointsPanel run={run} front={front} objectives={objectives} rows={rows} chosen={state.chosen} onChoose={chooseOne} pointed={pointed} onPoint={setPointed} />,
    [run, front, rows, objectives, state.chosen, chooseOne, pointed],
  );
  const others = useMemo(
    () => (
      <>
        <VerdictsTable run={run} front={front} />
        <BaselinesTable front={front} objectives={objectives} rows={rows} />
        <FamiliesTable run={run} front={front} objectives={objectives} rows={rows} />
        <ClassifiersTable front={front} />
      </>
    ),
    [run, front, rows, objectives],
  );
  return (
    <div class="front">
      <Headline front={front} rows={rows} run={run} />
      <div class="front-grid">
        <ChartPanel run={run} rows={rows} quantities={quantities} drawn={drawn} place={place} state={state} change={change} pointed={pointed} onPoint={setPointed}>
          <Remarks front={front} state={state} drawn={drawn} compareError={compareError} change={change} />
        </ChartPanel>
        {limits}
      </div>
      <ChosenTable run={run} rows={rows} quantities={quantities} chosen={state.chosen} onClear={() => change({ chosen: [] })} pointed={pointed} onPoint={setPointed} />
      {points}
      {others}
    </div>
  );
}

const POINTS_NOTE =
  "Behind each ± stands half a 95 % interval; for retrained errors, the standard deviation over seeds. Arrows walk through the rows, Enter opens the architecture.";

function PointsPanel({ front, ...rest }: { front: FrontDocument } & Omit<Parameters<typeof PointsTable>[0], "points" | "volume">) {
  return (
    <Panel title="Points of the front" note={POINTS_NOTE}>
      {front.points.length === 0 ? (
        <p>No feasible trial has finished, so the front is empty.</p>
      ) : (
        <PointsTable points={front.points} volume={front.hypervolume?.value ?? null} {...rest} />
      )}
    </Panel>
  );
}

interface ChartPanelProperties {
  run: string;
  rows: Rows;
  quantities: readonly Quantity[];
  drawn: Drawn | null;
  place: RefObject<HTMLDivElement | null>;
  state: FrontState;
  change: Change;
  pointed: number | null;
  onPoint: (trial: number | null) => void;
  children: ComponentChildren;
}

function ChartPanel({ run, rows, quantities, drawn, place, state, change, pointed, onPoint, children }: ChartPanelProperties) {
  const [lasso, setLasso] = useState(false);
  const otherRuns = useOtherRuns(run);
  useFrontKeys(state, change, setLasso);
  const choose = (picked: number[], add: boolean): void => change({ chosen: add ? [...new Set([...state.chosen, ...picked])] : picked });
  return (
    <Panel
      title={`${drawn?.y.label ?? "Front"} against ${drawn?.x.label ?? ""}`}
      class="front-chart"
      aside={<LassoButton chosen={state.chosen.length} lasso={lasso} onLasso={setLasso} />}
    >
      <Controls quantities={quantities} state={state} change={change} positive={{ x: isPositive(rows, state.x), y: isPositive(rows, state.y) }} otherRuns={otherRuns} />
      <div ref={place}>
        {drawn && (
          <Plot run={run} drawn={drawn} state={state} label={labelOf(drawn)} lasso={lasso} onLassoEnd={() => setLasso(false)} onChoose={choose} pointed={pointed} onPoint={onPoint} />
        )}
      </div>
      {drawn && <Legend drawn={drawn} state={state} change={change} />}
      {children}
    </Panel>
  );
}

function LassoButton({ chosen, lasso, onLasso }: { chosen: number; lasso: boolean; onLasso: (on: boolean) => void }) {
  return (
    <span class="front-lasso">
      {chosen > 0 && (
        <button type="button" class="link" onClick={() => document.querySelector(".front-chosen")?.scrollIntoView()}>
          {chosen.toLocaleString("en")} chosen
        </button>
      )}
      <button type="button" id="front-lasso" aria-pressed={lasso} title="Draw around points to choose them (L); with Shift they are added" onClick={() => onLasso(!lasso)}>
        Lasso
      </button>
    </span>
  );
}

/** Names of the other searches that can be laid over this one; a report has none. */
function useOtherRuns(run: string): string[] {
  const runs = useDocument<RunsDocument>("/api/runs");
  return useMemo(
    () => (runs.document?.runs ?? []).filter((each) => each.kind === "search" && each.name !== run).map((each) => each.name),
    [runs.document, run],
  );
}

function useFrontKeys(state: FrontState, change: Change, onLasso: (toggle: (on: boolean) => boolean) => void): void {
  const bindings = useMemo(
    () => [
      { key: "l", label: "Lasso: choose trials by drawing around them", run: () => onLasso((on) => !on) },
      { key: "x", label: "Logarithmic axis across", run: () => change({ logX: !state.logX }) },
      { key: "y", label: "Logarithmic axis up", run: () => change({ logY: !state.logY }) },
      { key: "0", label: "Clear the limits", run: () => change({ limits: {} }) },
    ],
    [change, onLasso, state.logX, state.logY],
  );
  useKeys("Front", bindings);
}

const isPositive = (rows: Rows, name: string): boolean => rows.column(name).value.some((value) => value > 0);

const labelOf = (drawn: Drawn): string =>
  `Chart of ${titleOf(drawn.y)} against ${titleOf(drawn.x)}: ${drawn.scene.frontRows.length} points of the front among ${drawn.rows.count} trials. The table below has the same numbers.`;

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useDocument } from "../context";
import type { CompareDocument, FrontDocument, RunsDocument, TrialsDocument } from "../documents";
import { Controls } from "../front/controls";
import "../front/front.css";
import { Headline } from "../front/headline";
import { Legend } from "../front/legend";
import { LimitsPanel } from "../front/limits_panel";
import type { Drawn } from "../front/option";
import { comparePath, overlayOf } from "../front/overlay";
import { Plot } from "../front/plot";
import { quantitiesOf, type Quantity, quantityOf, retrainedTwin, spanOf, titleOf } from "../front/quantities";
import { type Rows, rowsOf } from "../front/rows";
import { axesOf, sceneOf } from "../front/scene";
import type { FrontState } from "../front/state";
import { BaselinesTable, ChosenTable, ClassifiersTable, FamiliesTable, PointsTable, VerdictsTable } from "../front/tables";
import { useFrontState } from "../front/use_state";
import type { ViewProperties } from "../page";
import { useKeys } from "../parts/keys";
import { Panel } from "../parts/panel";
import { Loading, Nothing, Problem } from "../parts/told";
import { runPath } from "../source";

/** The front of a run: what is the best for what one can afford, and how sure that is. */
export function Front({ run, version, parameters }: ViewProperties) {
  const readable = run.kind === "search";
  const front = useDocument<FrontDocument>(readable ? runPath(run.name, "/front") : null, version);
  const trials = useDocument<TrialsDocument>(readable ? runPath(run.name, "/trials") : null, version);
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
  const [lasso, setLasso] = useState(false);
  const [pointed, setPointed] = useState<number | null>(null);
  const runs = useDocument<RunsDocument>("/api/runs");
  const otherRuns = useMemo(
    () => (runs.document?.runs ?? []).filter((each) => each.kind === "search" && each.name !== run).map((each) => each.name),
    [runs.document, run],
  );
  const { place, drawn, compareError } = useDrawn(run, front, rows, quantities, state);
  useKeys("Front", useMemo(() => [
    { key: "l", label: "Lasso: choose trials by drawing around them", run: () => setLasso((on) => !on) },
    { key: "x", label: "Logarithmic axis across", run: () => change({ logX: !state.logX }) },
    { key: "y", label: "Logarithmic axis up", run: () => change({ logY: !state.logY }) },
    { key: "0", label: "Clear the limits", run: () => change({ limits: {} }) },
  ], [change, state.logX, state.logY]));
  const choose = useCallback((picked: number[], add: boolean) => change({ chosen: add ? [...new Set([...state.chosen, ...picked])] : picked }), [change, state.chosen]);
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
    () => (
      <Panel title="Points of the front" note="Behind each ± stands half a 95 % interval; for retrained errors, the standard deviation over seeds. Arrows walk through the rows, Enter opens the architecture.">
        {front.points.length === 0 ? (
          <p>No feasible trial has finished, so the front is empty.</p>
        ) : (
          <PointsTable run={run} points={front.points} volume={front.hypervolume?.value ?? null} objectives={objectives} rows={rows} chosen={state.chosen} onChoose={chooseOne} pointed={pointed} onPoint={setPointed} />
        )}
      </Panel>
    ),
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
        <Panel
          title={`${drawn?.y.label ?? "Front"} against ${drawn?.x.label ?? ""}`}
          class="front-chart"
          aside={
            <span class="front-lasso">
              {state.chosen.length > 0 && (
                <button type="button" class="link" onClick={() => document.querySelector(".front-chosen")?.scrollIntoView()}>
                  {state.chosen.length.toLocaleString("en")} chosen
                </button>
              )}
              <button type="button" id="front-lasso" aria-pressed={lasso} title="Draw around points to choose them (L); with Shift they are added" onClick={() => setLasso(!lasso)}>
                Lasso
              </button>
            </span>
          }
        >
          <Controls quantities={quantities} state={state} change={change} positive={{ x: isPositive(rows, state.x), y: isPositive(rows, state.y) }} otherRuns={otherRuns} />
          <div ref={place}>
            {drawn && (
              <Plot
                run={run}
                drawn={drawn}
                state={state}
                label={labelOf(drawn)}
                lasso={lasso}
                onLassoEnd={() => setLasso(false)}
                onChoose={choose}
                pointed={pointed}
                onPoint={setPointed}
              />
            )}
          </div>
          {drawn && <Legend drawn={drawn} state={state} change={change} />}
          <Remarks front={front} state={state} drawn={drawn} compareError={compareError} change={change} />
        </Panel>
        {limits}
      </div>
      <ChosenTable run={run} rows={rows} quantities={quantities} chosen={state.chosen} onClear={() => change({ chosen: [] })} pointed={pointed} onPoint={setPointed} />
      {points}
      {others}
    </div>
  );
}

const isPositive = (rows: Rows, name: string): boolean => rows.column(name).value.some((value) => value > 0);

const labelOf = (drawn: Drawn): string =>
  `Chart of ${titleOf(drawn.y)} against ${titleOf(drawn.x)}: ${drawn.scene.frontRows.length} points of the front among ${drawn.rows.count} trials. The table below has the same numbers.`;

/** Measures the place of the chart and makes the scene for it. */
function useDrawn(run: string, front: FrontDocument, rows: Rows, quantities: readonly Quantity[], state: FrontState) {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.round(entry?.contentRect.width ?? 0)));
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);
  const compared = useDocument<CompareDocument>(comparePath(run, state.runs));
  const overlay = useMemo(() => overlayOf(compared.document, run, state.x, state.y), [compared.document, run, state.x, state.y]);
  const ticks = { x: Math.min(9, Math.max(4, Math.floor(width / 75))), y: width < 600 ? 5 : 7 };
  const axes = useMemo(
    () => axesOf({ front, rows, state, others: overlay.fronts.flatMap((each) => each.points.map((point) => point.at)), ticks }),
    [front, rows, state.x, state.y, state.logX, state.logY, state.fit, state.hidden, overlay, ticks.x, ticks.y],
  );
  // What is chosen is drawn over the scene and does not change it.
  const scene = useMemo(() => sceneOf(front, rows, state, axes), [axes, state.size, state.limits]);
  const drawn = useMemo<Drawn | null>(() => {
    if (width === 0) return null;
    const named = (name: string) => quantities.find((each) => each.name === name) ?? quantityOf({ name, unit: null, source: null });
    return {
      run,
      scene,
      overlay,
      rows,
      frame: { width, height: width < 600 ? 380 : Math.min(620, Math.max(440, Math.round(width * 0.62))), left: width < 600 ? 58 : 68, right: 14, top: 12, bottom: 46 },
      x: named(state.x),
      y: named(state.y),
      size: state.size === null ? null : named(state.size),
      chosen: state.chosen,
      limits: limitLines(front, state),
    };
  }, [scene, width, state.chosen]);
  return { place, drawn, compareError: state.runs.length ? compared.error : null };
}

function limitLines(front: FrontDocument, state: FrontState): Drawn["limits"] {
  return (["x", "y"] as const).flatMap((axis) => {
    const own = front.constraints
      .filter((each) => each.objective === state[axis])
      .flatMap((each) => [each.upper, each.lower])
      .filter((value) => value !== null);
    const limit = state.limits[state[axis]];
    return [...own.map((value) => ({ axis, value, own: true })), ...(limit === undefined ? [] : [{ axis, value: limit, own: false }])];
  });
}

interface RemarksProperties {
  front: FrontDocument;
  state: FrontState;
  drawn: Drawn | null;
  compareError: { message: string; fix: string | null } | null;
  change: (change: Partial<FrontState>) => void;
}

/** What the chart cannot show on these axes, and where it can be seen. */
function Remarks({ front, state, drawn, compareError, change }: RemarksProperties) {
  const retrained = [...front.points, ...front.baselines].filter((each) => spanOf(each, "error_confirmed")).length;
  const error = front.objectives.some((each) => each.name === "error") ? "error" : "error_inherited";
  return (
    <>
      {retrained > 0 && retrainedTwin(state.y) === null && (
        <p class="front-remark">
          {retrained} networks were retrained.{" "}
          <button type="button" class="link" id="front-retrained" onClick={() => change({ y: error })}>
            Show inherited against retrained errors
          </button>
        </p>
      )}
      {drawn && drawn.scene.unplaced > 0 && (
        <p class="front-remark">{drawn.scene.unplaced} baselines have no value on these axes; the table of baselines has them all.</p>
      )}
      {drawn?.overlay.why && (
        <p class="front-remark">
          {drawn.overlay.why}{" "}
          {drawn.overlay.axes && (
            <button type="button" class="link" onClick={() => change({ ...drawn.overlay.axes })}>
              Show these axes
            </button>
          )}
        </p>
      )}
      {drawn?.overlay.fronts.length !== 0 && drawn?.overlay.sameData === false && (
        <p class="front-remark">These runs have different data: their errors cannot be compared.</p>
      )}
      {compareError && (
        <p class="front-remark">
          {compareError.message} {compareError.fix}
        </p>
      )}
    </>
  );
}

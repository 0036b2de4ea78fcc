import { useDocument } from "../context";
import type { ProgressDocument } from "../documents";
import type { ViewProperties } from "../page";
import { duration, megabytes, moment, number } from "../parts/numbers";
import { Badge, Facts, Figure, Panel, type Tone } from "../parts/panel";
import { Share } from "../parts/spark";
import { type Column, Table } from "../parts/table";
import { Loading, Problem, Stale } from "../parts/told";
import { stateWords } from "../parts/words";
import { address } from "../route";
import { runPath } from "../source";
import { VolumeChart, WorkersChart } from "./progress_charts";

export function Progress({ run, version }: ViewProperties) {
  const { document, error } = useDocument<ProgressDocument>(runPath(run.name, "/progress"), version);
  if (error && !document) return <Problem error={error} />;
  if (!document) return <Loading what="the progress" />;
  return (
    <>
      <h1>Progress</h1>
      <Stale error={error} />
      <Numbers document={document} run={run.name} />
      <div class="columns">
        <Stages stages={document.stages} />
        <Failed failures={document.failures} run={run.name} />
      </div>
      <Panel
        title="Hypervolume"
        note="How much of the objectives' room the front of the recorded values dominates, after each finished trial. It can only rise: luck in noisy values raises it too. Where the interval at the end lies below the line, luck has chosen points. A flat end suggests, and does not prove, that more trials bring little."
      >
        {document.hypervolume.length > 1 ? (
          <VolumeChart values={document.hypervolume} />
        ) : (
          <p class="soft">It begins with the second finished trial.</p>
        )}
      </Panel>
      {document.workers.length > 0 && (
        <Panel title="Workers and memory" note="As the driver of the search recorded them.">
          <WorkersChart workers={document.workers} />
          <LastWorkers workers={document.workers} />
        </Panel>
      )}
      <Notes notes={document.notes} />
    </>
  );
}

function Numbers({ document, run }: { document: ProgressDocument; run: string }) {
  const { trials } = document;
  const planned = trials.planned;
  const state = stateWords(document.state);
  const running = document.state === "running";
  const stage = running ? document.stages.findLast((each) => each.state !== "finished")?.name : undefined;
  const share = planned === null || planned === 0 ? null : trials.finished / planned;
  return (
    <Panel title={state.word.charAt(0).toUpperCase() + state.word.slice(1) + (stage ? `: ${stage}` : "")} note={state.meaning} class="numbers">
      <div class="figures" aria-live={running ? "polite" : undefined}>
        <Figure value={planned === null ? number(trials.finished) : `${number(trials.finished)} of ${number(planned)}`} label="trials finished" />
        <Figure value={trials.failed > 0 ? <a href={address("failures", run)}>{number(trials.failed)}</a> : "0"} label="failed" />
        {trials.open > 0 && <Figure value={number(trials.open)} label={running ? "at work" : "left open"} />}
        <Figure value={number(trials.duplicates)} label="duplicates" note="answered by an earlier trial" />
        <Figure value={rate(document.trials_per_second)} label="rate" note="finished trials" />
        {running && document.seconds_left !== null && <Figure value={duration(document.seconds_left)} label="left, about" note="for the trials, if the rate stays" />}
      </div>
      {share !== null && (
        <div class="whole">
          <Share share={share} label={`${Math.round(100 * share)} % of the planned trials are finished`} width={1000} />
        </div>
      )}
      {document.owner && <p class="soft small">Owned by {document.owner}.</p>}
    </Panel>
  );
}

/** Trials per second, or per minute or hour where they are rarer. */
export function rate(perSecond: number | null): string {
  if (perSecond === null) return "-";
  if (perSecond >= 1) return `${number(perSecond, 3)} per s`;
  if (perSecond >= 1 / 60) return `${number(60 * perSecond, 3)} per min`;
  return `${number(3600 * perSecond, 3)} per h`;
}

const STAGE_TONES: Record<string, Tone> = { finished: "good", running: "active", started: "active", failed: "warning", left: "warning", interrupted: "warning" };

function StageState({ stage }: { stage: ProgressDocument["stages"][number] }) {
  return (
    <>
      <Badge tone={STAGE_TONES[stage.state] ?? "plain"}>{stage.state}</Badge>
      {stage.trainings !== null && <span class="soft"> {number(stage.trainings)} trained alone</span>}
    </>
  );
}

function Stages({ stages }: { stages: ProgressDocument["stages"] }) {
  const most = Math.max(...stages.map((stage) => stage.seconds ?? 0), 0);
  return (
    <Panel title="Stages">
      {stages.length === 0 ? (
        <p class="soft">No stage has begun.</p>
      ) : (
        <Table
          caption="Stages of the run"
          rows={stages}
          rowKey={(stage) => stage.name}
          columns={[
            { key: "name", title: "Stage", cell: (stage) => <span class="strong">{stage.name}</span> },
            { key: "state", title: "State", cell: (stage) => <StageState stage={stage} /> },
            { key: "seconds", title: "Time", number: true, cell: (stage) => duration(stage.seconds) },
            {
              key: "share",
              title: "Compared",
              quiet: true,
              cell: (stage) => stage.seconds !== null && most > 0 && <Share share={stage.seconds / most} label="" />,
            },
          ]}
        />
      )}
    </Panel>
  );
}

function Failed({ failures, run }: { failures: Record<string, number>; run: string }) {
  const rows = Object.entries(failures).sort(([, first], [, second]) => second - first);
  const most = Math.max(...rows.map(([, count]) => count), 0);
  return (
    <Panel title="Failures" aside={rows.length > 0 && <a href={address("failures", run)}>reasons and ways out</a>}>
      {rows.length === 0 ? (
        <p class="soft">No trial has failed.</p>
      ) : (
        <Table
          caption="Failed trials by reason"
          rows={rows}
          rowKey={([reason]) => reason}
          columns={[
            { key: "reason", title: "Reason", cell: ([reason]) => reason },
            { key: "count", title: "Trials", number: true, cell: ([, count]) => number(count) },
            { key: "share", title: "Compared", quiet: true, cell: ([, count]) => <Share share={count / most} label="" /> },
          ]}
        />
      )}
    </Panel>
  );
}

function LastWorkers({ workers }: { workers: ProgressDocument["workers"] }) {
  const last = workers.at(-1);
  if (!last) return <></>;
  const highest = Math.max(...workers.map((each) => each.memory_mb ?? 0));
  return (
    <Facts
      facts={[
        ["last recorded", moment(last.time)],
        ["workers", number(last.workers)],
        ["memory of the driver", megabytes(last.memory_mb)],
        ["memory of the largest worker", megabytes(last.worker_memory_mb)],
        ["highest of the driver", highest > 0 ? megabytes(highest) : "-"],
      ]}
    />
  );
}

type Note = ProgressDocument["notes"][number];

const NOTE_COLUMNS: Column<Note & { place: number }>[] = [
  { key: "time", title: "Time", narrow: true, sort: (note) => note.place, descending: true, cell: (note) => clock(note.time) },
  { key: "kind", title: "Kind", narrow: true, sort: (note) => note.kind, cell: (note) => note.kind },
  { key: "text", title: "Note", cell: (note) => <span class="anywhere">{note.text}</span> },
];

const clock = (time: string): string => time.slice(11, 19) || time;

function Notes({ notes }: { notes: readonly Note[] }) {
  const rows = notes.map((note, place) => ({ ...note, place }));
  return (
    <Panel title="Log" note="Talk and health of the run, newest first. Times are UTC.">
      {rows.length === 0 ? (
        <p class="soft">Nothing was noted.</p>
      ) : (
        <Table caption="Notes of the run" columns={NOTE_COLUMNS} rows={rows} rowKey={(note) => note.place} order={{ key: "time", descending: true }} limit={15} />
      )}
    </Panel>
  );
}


import { useDocument } from "../context";
import type { FailuresDocument } from "../documents";
import type { ViewProperties } from "../page";
import { number } from "../parts/numbers";
import { Panel } from "../parts/panel";
import { Table } from "../parts/table";
import { Loading, Nothing, Problem, Sentence } from "../parts/told";
import { address } from "../route";
import { runPath } from "../source";

type Group = FailuresDocument["groups"][number];
type Message = Group["messages"][number];

/** Links to trials that are written out; the others are a number. */
const MOST_TRIALS = 12;

export function Failures({ run, version }: ViewProperties) {
  const { document, error } = useDocument<FailuresDocument>(runPath(run.name, "/failures"), version);
  if (error && !document) return <Problem error={error} />;
  if (!document) return <Loading what="the failures" />;
  if (document.total === 0)
    return (
      <>
        <h1>Failures</h1>
        <Nothing title="No trial has failed">
          <p class="soft">A trial that fails is kept with its reason and what it said, and the search goes on. It would stand here.</p>
        </Nothing>
      </>
    );
  const { failed, finished } = run.trials;
  const unmeasured = document.total - failed;
  return (
    <>
      <h1>Failures</h1>
      <p class="soft">
        {number(failed)} of {number(failed + finished)} closed trials failed ({Math.round((100 * failed) / Math.max(1, failed + finished))} %)
        {unmeasured > 0 && `, ${number(unmeasured)} finished and could not be measured`}. They are on no front; a search that loses many of one kind of network says
        less about that kind.
      </p>
      {document.groups.map((group) => (
        <OfReason key={group.reason} group={group} run={run.name} />
      ))}
    </>
  );
}

function OfReason({ group, run }: { group: Group; run: string }) {
  return (
    <Panel title={`${group.reason}: ${group.count === 1 ? "1 trial" : `${number(group.count)} trials`}`} note={group.meaning}>
      <p class="way-out">
        <strong>What helps: </strong>
        <Sentence text={group.way_out} />
      </p>
      <Table
        caption={`Messages of trials that failed by ${group.reason}`}
        rows={group.messages}
        rowKey={(message) => message.message}
        order={{ key: "count", descending: true }}
        limit={20}
        stack
        columns={[
          { key: "count", title: "Trials", number: true, narrow: true, descending: true, sort: (message) => message.count, cell: (message) => number(message.count) },
          { key: "message", title: "What it said", sort: (message) => message.message, cell: (message) => <Said message={message} /> },
          { key: "trials", title: "Which", cell: (message) => <Which message={message} run={run} /> },
        ]}
      />
    </Panel>
  );
}

const Said = ({ message }: { message: Message }) =>
  message.message.length > 0 ? <code class="anywhere wrapped">{message.message}</code> : <span class="soft">nothing</span>;

function Which({ message, run }: { message: Message; run: string }) {
  const rest = message.count - Math.min(message.trials.length, MOST_TRIALS);
  return (
    <span class="which">
      {message.trials.slice(0, MOST_TRIALS).map((trial) => (
        <a key={trial} href={address("trial", run, { trial })}>
          {trial}
        </a>
      ))}
      {rest > 0 && <span class="soft">and {number(rest)} more</span>}
    </span>
  );
}

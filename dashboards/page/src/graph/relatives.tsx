import type { TrialDocument } from "../documents";
import { Badge, Panel } from "../parts/panel";
import { address } from "../route";

/** Where a trial comes from, and what lies next to it. */
export function Relatives({ run, trial }: { run: string; trial: TrialDocument }) {
  return (
    <div class="columns">
      <Panel title="Lineage" note="Parents where the search recorded them; else the nearest earlier trials, which need not have led to it.">
        <RelativeList run={run} of={trial.trial} relatives={trial.lineage} />
      </Panel>
      <Panel title="Neighbours" note="Trials that differ in the fewest decisions.">
        <RelativeList run={run} of={trial.trial} relatives={trial.neighbours} />
      </Panel>
    </div>
  );
}

interface Relative {
  trial: number;
  changes: string[];
  relation?: string;
  on_front?: boolean;
}

function RelativeList({ run, of, relatives }: { run: string; of: number; relatives: readonly Relative[] }) {
  if (relatives.length === 0) return <p class="soft">None is known.</p>;
  return (
    <ul class="relatives">
      {relatives.map((relative) => (
        <li key={`${relative.trial} ${relative.relation ?? ""}`}>
          <a href={address("trial", run, { trial: relative.trial })}>Trial {relative.trial}</a>
          {relative.relation && <span class="soft">{relative.relation}</span>}
          {relative.on_front && <Badge tone="good">front</Badge>}
          <a href={address("trial", run, { trial: of, with: relative.trial })}>show the difference</a>
          <Changes changes={relative.changes} />
        </li>
      ))}
    </ul>
  );
}

const FEW = 3;

function Changes({ changes }: { changes: readonly string[] }) {
  const list = (some: readonly string[]) => (
    <ul>
      {some.map((change) => (
        <li key={change}>{change}</li>
      ))}
    </ul>
  );
  if (changes.length === 0) return <p class="soft">No decision differs.</p>;
  if (changes.length <= FEW) return list(changes);
  return (
    <details>
      <summary>{changes.length} decisions differ</summary>
      {list(changes)}
    </details>
  );
}

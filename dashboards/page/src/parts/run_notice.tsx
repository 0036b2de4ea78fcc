import type { RunDocument, RunState } from "../documents";
import { Command } from "./command";
import { Badge } from "./panel";
import { Nothing, Sentence } from "./told";
import { stampWords, stateWords, trustWords } from "./words";

export function StateBadge({ state }: { state: RunState }) {
  const said = stateWords(state);
  return (
    <Badge tone={said.tone} title={said.meaning}>
      {said.word}
    </Badge>
  );
}

export function TrustBadge({ verdict }: { verdict: string }) {
  const said = trustWords(verdict);
  return (
    <Badge tone={said.tone} title={said.meaning}>
      {said.word}
    </Badge>
  );
}

/** What a reader of any view of the run must know first: that it is a smoke run, damaged, not ranked. */
export function RunNotice({ run }: { run: RunDocument }) {
  if (run.kind === "unreadable") {
    return (
      <Nothing title={run.problem ?? "This run cannot be opened."}>
        {run.fix ? (
          <p>
            <Sentence text={run.fix} />
          </p>
        ) : (
          <Command label="What is wrong with it" text={`nas doctor ${run.name}`} />
        )}
      </Nothing>
    );
  }
  const trust = trustWords(run.trust.verdict);
  const doubt = run.kind === "search" && trust.tone === "warning" && run.front_size > 0;
  if (!run.problem && !run.fix && !run.stamp && !doubt) return null;
  return (
    <div class="caution several" role="note" aria-label="How far to believe this run">
      {(run.problem ?? run.fix) && (
        <p>
          <strong>{run.problem ?? `${stateWords(run.state).word}.`}</strong> {run.problem === null && stateWords(run.state).meaning}{" "}
          {run.fix && <Sentence text={run.fix} />}
        </p>
      )}
      {run.stamp && (
        <p>
          <strong>{run.stamp}.</strong> {stampWords(run.stamp)}
        </p>
      )}
      {doubt && (
        <p>
          <strong>{trust.word}.</strong> {trust.meaning}
        </p>
      )}
    </div>
  );
}

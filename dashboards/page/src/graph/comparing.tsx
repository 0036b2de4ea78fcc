import { useMemo } from "preact/hooks";
import { useDocument } from "../context";
import type { ArchitectureDocument, FrontDocument, RunDocument, TrialDocument } from "../documents";
import { runPath } from "../source";
import { type Difference, difference, SIGN } from "./difference";

/** Path of a network's document by the name that addresses carry: a trial's number, or a baseline's name. */
export const networkPath = (run: string, name: string): string => runPath(run, /^\d+$/.test(name) ? `/trials/${name}` : `/baselines/${encodeURIComponent(name)}`);

export const architectureOf = (document: TrialDocument | ArchitectureDocument | null): ArchitectureDocument | null =>
  document === null ? null : "nodes" in document ? document : document.architecture;

export interface Compared {
  difference: Difference | null;
  problem: string | null;
}

/** The other network, when one was chosen, and how this one differs from it. */
export function useCompared(run: string, here: ArchitectureDocument | null, other: string | null): Compared {
  const found = useDocument<TrialDocument | ArchitectureDocument>(other === null ? null : networkPath(run, other));
  const there = other === null ? null : architectureOf(found.document);
  const made = useMemo(() => (here && there ? difference(there, here) : null), [here, there]);
  if (other === null) return { difference: null, problem: null };
  if (found.error) return { difference: null, problem: `${nameOf(other)}: ${found.error.message}` };
  return { difference: made, problem: found.document && !there ? `${nameOf(other)} has no network to compare with.` : null };
}

export const nameOf = (other: string): string => (/^\d+$/.test(other) ? `trial ${other}` : other);

interface PickerProperties {
  run: RunDocument;
  trial: TrialDocument | null;
  front: FrontDocument | null;
  other: string | null;
  onChange: (other: string | null) => void;
}

/** Which network to compare with: a neighbour, a point of the front, a network made by hand. */
export function ComparePicker({ run, trial, front, other, onChange }: PickerProperties) {
  const near = trial?.neighbours.map((each) => String(each.trial)) ?? [];
  const parents = trial?.lineage.map((each) => String(each.trial)).filter((each) => !near.includes(each)) ?? [];
  const points = run.front.map((point) => String(point.trial)).filter((each) => !near.includes(each) && !parents.includes(each) && each !== String(trial?.trial));
  const made = [...new Set((front?.baselines ?? []).map((each) => each.name))];
  const known = new Set([...near, ...parents, ...points, ...made]);
  const group = (label: string, names: readonly string[]) =>
    names.length > 0 && (
      <optgroup label={label}>
        {names.map((name) => (
          <option key={name} value={name}>
            {nameOf(name)}
          </option>
        ))}
      </optgroup>
    );
  return (
    <form
      class="compare-picker"
      onSubmit={(event) => {
        event.preventDefault();
        const typed = new FormData(event.currentTarget).get("other");
        if (typeof typed === "string" && /^\d+$/.test(typed.trim())) onChange(String(Number(typed)));
      }}
    >
      <label>
        Compare with{" "}
        <select value={other ?? ""} onChange={(event) => onChange(event.currentTarget.value || null)}>
          <option value="">nothing</option>
          {other !== null && !known.has(other) && <option value={other}>{nameOf(other)}</option>}
          {group("Neighbours", near)}
          {group("Lineage", parents)}
          {group("Front", points)}
          {group("Made by hand or at random", made)}
        </select>
      </label>
      <label>
        or trial <input name="other" class="short" inputMode="numeric" autocomplete="off" />
      </label>
    </form>
  );
}

const MOST = 200;

/** Every difference in words; the sign tells what the colour tells. */
export function DifferenceList({ found, here, there }: { found: Difference; here: string; there: string }) {
  return (
    <section class="differences" aria-label="Differences">
      <h3>
        {here} against {there}
      </h3>
      <p class="soft">
        {found.sentences.length === 0 ? "The same nodes and edges." : `${found.sentences.length} ${found.sentences.length === 1 ? "difference" : "differences"}: + only in ${here}, − only in ${there}, ~ in both and changed.`}
      </p>
      <ul>
        {found.sentences.slice(0, MOST).map((each) => (
          <li key={each.text} class={`told-${each.mark}`}>
            <b>{SIGN[each.mark]}</b> {each.text}
          </li>
        ))}
      </ul>
      {found.sentences.length > MOST && <p class="soft">and {found.sentences.length - MOST} more</p>}
    </section>
  );
}

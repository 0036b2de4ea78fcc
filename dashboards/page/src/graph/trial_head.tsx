import { useMemo } from "preact/hooks";
import type { RunDocument, TrialDocument } from "../documents";
import { number, percent, withBar } from "../parts/numbers";
import { Badge, Figure } from "../parts/panel";
import { type KeyBinding, useKeys } from "../parts/keys";
import { address, go } from "../route";

interface HeadProperties {
  run: RunDocument;
  trial: TrialDocument;
  total: number;
}

/** Which trial it is, what it was found to be, and the way to the next. */
export function TrialHead({ run, trial, total }: HeadProperties) {
  const onFront = run.front.some((point) => point.trial === trial.trial);
  return (
    <>
      <div class="trial-head">
        <h1>Trial {trial.trial}</h1>
        {onFront && <Badge tone="good">on the front</Badge>}
        {trial.state !== "finished" && <Badge tone="warning">{trial.state}</Badge>}
        {trial.duplicates.length > 0 && <Badge tone="plain">same network as trial {trial.duplicates.join(", ")}</Badge>}
        <TrialPicker run={run} trial={trial.trial} total={total} />
      </div>
      <p class="soft trial-origin">
        {[trial.wiring, trial.proposed_by === null ? null : `proposed by ${trial.proposed_by}`, trial.attempts > 1 ? `${trial.attempts} attempts` : null].filter((part) => part !== null).join(" · ")}
      </p>
      <div class="figures">
        {Object.entries(trial.values).map(([name, value]) => (
          <Figure
            key={name}
            value={`${withBar(value.value, value.low !== null && value.high !== null ? (value.high - value.low) / 2 : null)}${value.unit ? ` ${value.unit}` : ""}`}
            label={name}
            note={value.source ?? undefined}
          />
        ))}
        {trial.inherited?.["error"] !== undefined && <Figure value={percent(trial.inherited["error"])} label="error" note={`inherited, ${number(trial.inherited["count"])} images`} />}
        {trial.confirmed && (
          <Figure
            value={trial.confirmed.error_std === null ? percent(trial.confirmed.error_mean) : `${percent(trial.confirmed.error_mean)} ± ${percent(trial.confirmed.error_std)}`}
            label="error"
            note={`trained from scratch, ${trial.confirmed.count} ${trial.confirmed.count === 1 ? "seed" : "seeds"}`}
          />
        )}
        {trial.architecture && <Figure value={number(trial.architecture.cost["parameters"])} label="parameters" />}
        {trial.architecture && <Figure value={number(trial.architecture.cost["macs"])} label="MACs" />}
      </div>
    </>
  );
}

/** Walks over the points of the front, or to any trial by its number. */
export function TrialPicker({ run, trial, total }: { run: RunDocument; trial: number | null; total: number }) {
  const front = run.front.map((point) => point.trial);
  const place = trial === null ? -1 : front.indexOf(trial);
  const open = (next: number | undefined): void => {
    if (next !== undefined) go("trial", run.name, { trial: next });
  };
  const around = useMemo<KeyBinding[]>(
    () => [
      { key: "n", label: "next point of the front", run: () => open(front[place + 1] ?? front[0]) },
      { key: "p", label: "point of the front before", run: () => open(front[place - 1] ?? front.at(-1)) },
    ],
    [run.name, trial, front.join()],
  );
  useKeys("Architecture", around);
  return (
    <form
      class="trial-picker"
      onSubmit={(event) => {
        event.preventDefault();
        const typed = new FormData(event.currentTarget).get("trial");
        if (typeof typed === "string" && /^\d+$/.test(typed.trim())) open(Number(typed));
      }}
    >
      <label>
        Trial <input name="trial" class="short" inputMode="numeric" autocomplete="off" key={trial} defaultValue={trial === null ? "" : String(trial)} aria-description={total > 0 ? `0 to ${total - 1}` : undefined} />
      </label>
      {front.length > 0 && (
        <label>
          On the front{" "}
          <select value={place < 0 ? "" : String(trial)} onChange={(event) => event.currentTarget.value !== "" && open(Number(event.currentTarget.value))}>
            {place < 0 && <option value="">choose</option>}
            {run.front.map((point) => (
              <option key={point.trial} value={String(point.trial)}>
                {`${point.trial}: ${Object.values(point.values).map((value) => number(value, 3)).join(", ")}`}
              </option>
            ))}
          </select>
        </label>
      )}
      <a href={address("front", run.name, trial === null ? {} : { trial })}>Front</a>
    </form>
  );
}

import { CheckField, ChoiceField } from "../parts/fields";
import { type Quantity, titleOf } from "./quantities";
import type { Fit, FrontState } from "./state";
import type { Change } from "./use_state";

interface ControlsProperties {
  quantities: readonly Quantity[];
  state: FrontState;
  change: Change;
  /** Whether an axis has values above zero only, as a logarithm needs. */
  positive: { x: boolean; y: boolean };
  otherRuns: readonly string[];
}

const FIT_LABELS: { value: Fit; label: string }[] = [
  { value: "most", label: "all but the far worst" },
  { value: "front", label: "front and baselines" },
  { value: "all", label: "all trials" },
];

/** Axes, size, range and other runs: all that the address of the page keeps. */
export function Controls({ quantities, state, change, positive, otherRuns }: ControlsProperties) {
  const options = quantities.map((quantity) => ({ value: quantity.name, label: titleOf(quantity) }));
  return (
    <div class="front-controls" role="group" aria-label="What the chart shows">
      <div class="front-axis">
        <ChoiceField label="Across" value={state.x} options={options} onChange={(x) => change({ x })} />
        <CheckField label="log" value={state.logX && positive.x} onChange={(logX) => change({ logX })} />
      </div>
      <div class="front-axis">
        <ChoiceField label="Up" value={state.y} options={options} onChange={(y) => change({ y })} />
        <CheckField label="log" value={state.logY && positive.y} onChange={(logY) => change({ logY })} />
      </div>
      <ChoiceField
        label="Size"
        value={state.size ?? ""}
        options={[{ value: "", label: "all alike" }, ...options]}
        onChange={(size) => change({ size: size === "" ? null : size })}
      />
      <ChoiceField label="Show" value={state.fit} options={FIT_LABELS} onChange={(fit) => change({ fit: fit as Fit })} />
      {otherRuns.length > 0 && <OtherRuns names={otherRuns} state={state} change={change} />}
    </div>
  );
}

function OtherRuns({ names, state, change }: { names: readonly string[]; state: FrontState; change: Change }) {
  const toggle = (name: string, on: boolean): void => change({ runs: on ? [...state.runs, name] : state.runs.filter((each) => each !== name) });
  return (
    <details class="front-runs">
      <summary>{state.runs.length === 0 ? "Compare with other runs" : `Compared with ${state.runs.length} other ${state.runs.length === 1 ? "run" : "runs"}`}</summary>
      <div>
        {names.map((name) => (
          <CheckField key={name} label={name} value={state.runs.includes(name)} onChange={(on) => toggle(name, on)} />
        ))}
      </div>
    </details>
  );
}

import { useEffect, useState } from "preact/hooks";

interface ScrubberProperties {
  epochs: readonly number[];
  step: number;
  onStep: (step: number) => void;
}

const PACE_MS = 450;

/** Moves through the epochs: by dragging, by arrow keys, Home and End, or by itself. */
export function Scrubber({ epochs, step, onStep }: ScrubberProperties) {
  const [playing, setPlaying] = useState(false);
  const last = epochs.length - 1;
  useEffect(() => {
    if (!playing) return;
    if (step >= last) {
      setPlaying(false);
      return;
    }
    const timer = setTimeout(() => onStep(step + 1), PACE_MS);
    return () => clearTimeout(timer);
  }, [playing, step, last]);
  return (
    <span class="scrubber">
      <button
        type="button"
        aria-pressed={playing}
        onClick={() => {
          if (!playing && step >= last) onStep(0);
          setPlaying(!playing);
        }}
      >
        {playing ? "Pause" : "Play"}
      </button>
      <label>
        Epoch{" "}
        <input
          type="range"
          min={0}
          max={last}
          step={1}
          value={step}
          aria-valuetext={`epoch ${epochs[step] ?? "-"} of ${epochs[last] ?? "-"}`}
          onInput={(event) => {
            setPlaying(false);
            onStep(Number(event.currentTarget.value));
          }}
        />
      </label>
      <output>
        {epochs[step] ?? "-"} of {epochs[last] ?? "-"}
      </output>
    </span>
  );
}

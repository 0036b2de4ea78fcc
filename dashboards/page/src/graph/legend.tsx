import { EXIT, FAMILIES, familyOf, TIED } from "./marks";
import type { Paint, Tint } from "./tint";
import type { Shown } from "./visible";

/** What the colours, widths and signs of a drawing mean. */
export function Legend({ tint, paint, gates, difference, drawn }: { tint: Tint; paint: Paint; gates: boolean; difference: boolean; drawn: Shown }) {
  const there = new Set([...drawn.boxes.values()].flatMap((box) => (box.node?.kind === "operation" ? [familyOf(box.node)] : [])));
  const nodes = [...drawn.boxes.values()].flatMap((box) => box.node ?? []);
  const anyAdapted = drawn.lines.some((line) => line.members.some((edge) => edge.adapted));
  return (
    <ul class="graph-legend" aria-label="Legend">
      {tint === "kind" &&
        FAMILIES.filter((family) => there.has(family)).map((family) => (
          <li key={family}>
            <i class={`swatch kind-${family}`} /> {family}
          </li>
        ))}
      {paint.legend.map((step) => (
        <li key={step.label}>
          <i class="swatch" style={{ background: step.fill }} /> {step.label} {paint.unit}
        </li>
      ))}
      {tint !== "kind" && paint.legend.length === 0 && <li>No node has a number to tint it by.</li>}
      <li>
        <i class="stroke chain" /> to the next node
      </li>
      <li>
        <i class="stroke skip" /> skip
      </li>
      {anyAdapted && (
        <li>
          <i class="stroke adapted" /> through an adapter
        </li>
      )}
      {nodes.some((node) => node.exit) && <li>{EXIT} exit: a head of its own</li>}
      {nodes.some((node) => node.tie !== null) && <li>{TIED} shares its weights</li>}
      {gates && <li>the wider an edge, the more probable its gate</li>}
      {difference && (
        <>
          <li class="told-added">+ only here</li>
          <li class="told-removed">− only in the other</li>
          <li class="told-changed">~ changed</li>
        </>
      )}
    </ul>
  );
}

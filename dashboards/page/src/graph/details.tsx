import type { ComponentChildren } from "preact";
import type { ArchitectureDocument } from "../documents";
import { number, percent } from "../parts/numbers";
import { boxTitle } from "./marks";
import { type Box, type GateOf, gateOf, type Line, type Shown } from "./visible";

export interface DetailsProperties {
  drawn: Shown;
  current: string | null;
  whole: ArchitectureDocument;
  onCurrent: (id: string) => void;
  onFold: (folder: string) => void;
  gates: GateOf;
  /** What else is known of a node. */
  more?: ((node: string) => ComponentChildren) | undefined;
}

/** What is known of the chosen node, and where its edges lead. */
export function Details({ drawn, current, whole, onCurrent, onFold, gates, more }: DetailsProperties) {
  const box = current === null ? undefined : drawn.boxes.get(current);
  if (!box) {
    return (
      <p class="soft">
        Press a node for its numbers, a stage to fold it. Drag to pan; Ctrl and the wheel, or two fingers, zoom.
      </p>
    );
  }
  const folder = box.folder?.id ?? box.parent;
  return (
    <section class="node-details">
      <h3>{box.folder ? box.folder.label : (box.node?.id ?? box.id)}</h3>
      <dl>
        {facts(box, whole).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {box.node && more?.(box.node.id)}
      {folder !== null && (
        <button type="button" onClick={() => onFold(folder)}>
          {box.folder ? `Unfold ${box.folder.label}` : `Fold ${drawn.open.find((each) => each.id === folder)?.label ?? folder}`}
        </button>
      )}
      <Ends title="Reads" lines={drawn.lines.filter((line) => line.target === box.id)} end="source" drawn={drawn} gates={gates} onCurrent={onCurrent} />
      <Ends title="Is read by" lines={drawn.lines.filter((line) => line.source === box.id)} end="target" drawn={drawn} gates={gates} onCurrent={onCurrent} />
    </section>
  );
}

function facts(box: Box, whole: ArchitectureDocument): [string, string][] {
  const node = box.node;
  const share = (own: number, of: (each: ArchitectureDocument["nodes"][number]) => number, unit = ""): string => {
    const all = whole.nodes.reduce((sum, each) => sum + of(each), 0);
    return all > 0 && own > 0 ? `${number(own)}${unit} (${percent(own / all, 1)})` : `${number(own)}${unit}`;
  };
  const found: [string, string | null][] = [
    ["Nodes", box.folder ? String(box.folder.size) : null],
    ["Operation", node ? node.operation : null],
    ["Merge", node?.merge ?? null],
    ["Width", node?.width != null ? `${node.width} channels` : null],
    ["Stride", node && node.stride > 1 ? String(node.stride) : null],
    ["Gives", node?.shape ? node.shape.join(" × ") : null],
    ["Parameters", share(box.parameters, (each) => each.parameters)],
    ["MACs", share(box.macs, (each) => each.macs)],
    ["Latency", box.latency_ms === null ? "not measured by node" : `${share(box.latency_ms, (each) => each.latency_ms ?? 0, " ms")}`],
    ["Weights", node?.tie ? `shared as ${node.tie}` : null],
    ["Exit", node?.exit ? "has a head of its own" : null],
  ];
  return found.filter((fact): fact is [string, string] => fact[1] !== null);
}

function Ends({ title, lines, end, drawn, gates, onCurrent }: { title: string; lines: Line[]; end: "source" | "target"; drawn: Shown; gates: GateOf; onCurrent: (id: string) => void }) {
  if (lines.length === 0) return null;
  return (
    <>
      <h4>
        {title} ({lines.length})
      </h4>
      <ul class="node-ends">
        {lines.map((line) => {
          const other = drawn.boxes.get(line[end]);
          const gate = gateOf(line, gates);
          const details = [...line.members[0]?.details ?? [], ...(line.members.length > 1 ? [`${line.members.length} edges`] : []), ...(gate === null ? [] : [`gate ${gate.toFixed(3)}`])];
          return (
            <li key={line.id}>
              <button type="button" class="link" onClick={() => onCurrent(line[end])}>
                {other?.node?.id ?? (other ? boxTitle(other) : line[end])}
              </button>{" "}
              <span class="soft">{details.join(", ")}</span>
            </li>
          );
        })}
      </ul>
    </>
  );
}

import type { ComponentChildren } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import type { ArchitectureDocument } from "../documents";
import { usePalette } from "../parts/use_palette";
import { Details } from "./details";
import { type Difference, joinedMark, type Mark } from "./difference";
import type { Look } from "./drawing";
import type { Layout } from "./elk_graph";
import { foldedAtFirst, foldedFrom, type Hierarchy, hierarchy } from "./hierarchy";
import { Legend } from "./legend";
import type { Direction } from "./marks";
import { Matrix } from "./matrix";
import { saveDrawing } from "./save";
import { type Given, paint, type Tint } from "./tint";
import { type GateOf, recordedGate, type Shown, shown } from "./visible";
import { Wiring } from "./wiring";
import "./graph.css";

type Mode = "graph" | "matrix" | "text";
const MODES: { mode: Mode; label: string }[] = [
  { mode: "graph", label: "Graph" },
  { mode: "matrix", label: "Matrix" },
  { mode: "text", label: "Text" },
];
/** Beyond this many nodes side by side a layout can take a minute. */
const MOST = 800;

export interface ExplorerProperties {
  document: ArchitectureDocument;
  /** What the drawing is called, also in the file name of a saved one. */
  title: string;
  difference?: Difference | null;
  /** Numbers per node that may tint it beside its own: the supernet's entropy. */
  given?: Given;
  /** Gates of the moment, where they are not those of the document. */
  gates?: GateOf;
  /** What else is known of a node, shown with its numbers. */
  more?: (node: string) => ComponentChildren;
  /** Further controls in the bar, and what stands above the details. */
  controls?: ComponentChildren;
  aside?: ComponentChildren;
}

/** A network as graph, matrix or text, with what is known of the node that is chosen. */
export function Explorer({ document, title, difference = null, given, gates = recordedGate, more, controls, aside }: ExplorerProperties) {
  const drawnDocument = difference?.union ?? document;
  const tree = useMemo(() => hierarchy(drawnDocument), [drawnDocument]);
  const [folded, setFolded] = useFolded(tree, drawnDocument);
  const [mode, setMode] = useState<Mode>("graph");
  const [direction, setDirection] = useState<Direction>("down");
  const [tint, setTint] = useState<Tint>(given ? "given" : "kind");
  const hasGates = drawnDocument.edges.some((edge) => gates(edge) !== null);
  const [byGate, setByGate] = useState(given !== undefined);
  const [current, setCurrent] = useState<string | null>(null);
  const layout = useRef<Layout | null>(null);
  const colours = usePalette();
  const drawn = useDrawn(drawnDocument, tree, folded);
  const look = useMemo<Omit<Look, "texts">>(
    () => ({
      direction,
      paint: paint(tint, drawn.boxes.values(), colours, given),
      gates: byGate && hasGates ? gates : null,
      ...marksOf(drawn, tree, difference),
    }),
    [direction, tint, drawn, colours, given, gates, byGate, hasGates, difference],
  );
  const measured = drawnDocument.nodes.some((node) => node.latency_ms !== null);
  const toggle = (folder: string): void => {
    setFolded(folded.has(folder) ? new Set([...folded].filter((id) => id !== folder)) : new Set([...folded, folder]));
  };
  const chosen = current !== null && drawn.boxes.has(current) ? current : null;
  return (
    <section class="explorer">
      <div class="bar" role="toolbar" aria-label="How the network is shown">
        <span class="buttons" role="group" aria-label="Form">
          {MODES.map((each) => (
            <button key={each.mode} type="button" aria-pressed={mode === each.mode} onClick={() => setMode(each.mode)}>
              {each.label}
            </button>
          ))}
        </span>
        {mode === "graph" && (
          <>
            <label>
              Tint{" "}
              <select value={tint} onChange={(event) => setTint(event.currentTarget.value as Tint)}>
                {given && <option value="given">{given.name}</option>}
                <option value="kind">operation</option>
                <option value="latency" disabled={!measured}>
                  {measured ? "latency" : "latency (not measured)"}
                </option>
                <option value="parameters">parameters</option>
                <option value="macs">MACs</option>
              </select>
            </label>
            {hasGates && (
              <label>
                <input type="checkbox" checked={byGate} onChange={(event) => setByGate(event.currentTarget.checked)} /> Edges by gate
              </label>
            )}
            <button type="button" onClick={() => setDirection(direction === "down" ? "across" : "down")} aria-label={`Runs ${direction}; turn`}>
              {direction === "down" ? "↓ Down" : "→ Across"}
            </button>
            <FoldButtons tree={tree} folded={folded} setFolded={setFolded} />
            <button type="button" onClick={() => layout.current && saveDrawing(title, drawn, layout.current, { ...look, texts: true })}>
              Save SVG
            </button>
          </>
        )}
        {controls}
      </div>
      <div class={`explorer-parts ${mode}`}>
        <div>
          {mode === "graph" && (
            <>
              <Wiring
                document={drawnDocument}
                drawn={drawn}
                look={look}
                current={chosen}
                onCurrent={setCurrent}
                onFold={toggle}
                onLayout={(made) => (layout.current = made)}
                label={`${title}: ${drawn.boxes.size} nodes and ${drawn.lines.length} edges are drawn. Arrow keys walk along edges, Enter folds, plus, minus and 0 zoom.`}
              />
              <Legend tint={tint} paint={look.paint} gates={look.gates !== null} difference={difference !== null} drawn={drawn} />
            </>
          )}
          {mode === "matrix" && <Matrix drawn={drawn} gates={gates} marks={look.lineMarks} title={title} />}
          {mode === "text" && <pre class="network-text" tabIndex={0} aria-label={`${title} as text`}>{document.text}</pre>}
        </div>
        <aside class="explorer-side">
          {aside}
          {mode === "graph" && <Details drawn={drawn} current={chosen} whole={drawnDocument} onCurrent={setCurrent} onFold={toggle} gates={gates} more={more} />}
        </aside>
      </div>
    </section>
  );
}

function FoldButtons({ tree, folded, setFolded }: { tree: Hierarchy; folded: ReadonlySet<string>; setFolded: (folded: Set<string>) => void }) {
  if (tree.folders.size === 0) return null;
  const tooMany = tree.nodes.size > MOST;
  return (
    <span class="buttons" role="group" aria-label="Groups">
      <button type="button" disabled={folded.size === tree.folders.size} onClick={() => setFolded(foldedFrom(tree, 0))}>
        Fold all
      </button>
      <button
        type="button"
        disabled={folded.size === 0 || tooMany}
        title={tooMany ? `${tree.nodes.size} nodes side by side are too many; open single groups.` : undefined}
        onClick={() => setFolded(new Set())}
      >
        Unfold all
      </button>
    </span>
  );
}

/** What is folded, kept per network while the page lives. */
function useFolded(tree: Hierarchy, document: ArchitectureDocument): [ReadonlySet<string>, (folded: Set<string>) => void] {
  const [chosen, setChosen] = useState<{ tree: Hierarchy; folded: ReadonlySet<string> } | null>(null);
  const first = useMemo(() => foldedAtFirst(tree, document.edges), [tree]);
  return [chosen?.tree === tree ? chosen.folded : first, (folded) => setChosen({ tree, folded })];
}

/** Keeps the drawing while only gates change: the layout then stays, too. */
function useDrawn(document: ArchitectureDocument, tree: Hierarchy, folded: ReadonlySet<string>): Shown {
  return useMemo(() => shown(document, tree, folded), [document, tree, folded]);
}

function marksOf(drawn: Shown, tree: Hierarchy, difference: Difference | null): { nodeMarks: Record<string, Mark>; lineMarks: Record<string, Mark> } {
  const nodeMarks: Record<string, Mark> = {};
  const lineMarks: Record<string, Mark> = {};
  if (!difference) return { nodeMarks, lineMarks };
  for (const box of drawn.boxes.values()) {
    nodeMarks[box.id] = box.folder ? joinedMark(nodesOf(tree, box.folder.id).map((node) => difference.nodes[node])) : (difference.nodes[box.id] ?? "same");
  }
  for (const line of drawn.lines) lineMarks[line.id] = joinedMark(line.members.map((edge) => difference.edges[edge.id]));
  return { nodeMarks, lineMarks };
}

function nodesOf(tree: Hierarchy, id: string): string[] {
  const folder = tree.folders.get(id);
  return folder ? [...folder.nodes, ...folder.groups.flatMap((inner) => nodesOf(tree, inner))] : [];
}

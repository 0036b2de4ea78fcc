import { useMemo } from "preact/hooks";
import type { ArchitectureDocument, ArchitectureNode } from "../documents";
import { number } from "../parts/numbers";
import { Facts, Panel } from "../parts/panel";
import { Share } from "../parts/spark";
import { type Column, Table } from "../parts/table";

const NAMES: Record<string, string> = { macs: "MACs", bytes: "Bytes moved", critical_path: "Critical path, MACs", peak_activation_bytes: "Largest activations, bytes", exit_parameters: "Parameters of exits" };
const title = (name: string): string => NAMES[name] ?? `${name.charAt(0).toUpperCase()}${name.slice(1).replace(/_/g, " ")}`;

/** What the network costs, in all and node by node. */
export function CostPanel({ document }: { document: ArchitectureDocument }) {
  const columns = useMemo(() => columnsOf(document.nodes), [document]);
  const measures = Object.entries(document.measures).filter(([, value]) => typeof value === "number" || typeof value === "string");
  return (
    <Panel title="Cost" note="Counted from the graph; latency by node is measured with each node by itself, so the sum is more than the whole takes.">
      <Facts facts={[...Object.entries(document.cost), ...measures].map(([name, value]) => [title(name), typeof value === "number" ? number(value) : String(value)] as const)} />
      <details>
        <summary>Node by node</summary>
        <Table caption="Cost of every node" columns={columns} rows={document.nodes} rowKey={(node) => node.id} limit={60} />
      </details>
    </Panel>
  );
}

function columnsOf(nodes: readonly ArchitectureNode[]): Column<ArchitectureNode>[] {
  const most = Math.max(1, ...nodes.map((node) => node.macs));
  const order = new Map(nodes.map((node, place) => [node.id, place]));
  const measured = nodes.some((node) => node.latency_ms !== null);
  const latency: Column<ArchitectureNode> = { key: "latency", title: "Latency, ms", number: true, descending: true, sort: (node) => node.latency_ms, cell: (node) => number(node.latency_ms, 3) };
  return [
    { key: "node", title: "Node", sort: (node) => order.get(node.id) ?? 0, cell: (node) => node.id },
    { key: "operation", title: "Operation", sort: (node) => node.operation, cell: (node) => node.operation },
    { key: "shape", title: "Gives", cell: (node) => node.shape?.join("×") ?? "-" },
    { key: "parameters", title: "Parameters", number: true, descending: true, sort: (node) => node.parameters, cell: (node) => number(node.parameters) },
    { key: "macs", title: "MACs", number: true, descending: true, sort: (node) => node.macs, cell: (node) => number(node.macs) },
    { key: "share", title: "", cell: (node) => <Share share={node.macs / most} label={`${number(node.macs)} MACs`} /> },
    ...(measured ? [latency] : []),
  ];
}

/** MACs of a node and of all that it depends on. */
export function macsBefore(document: ArchitectureDocument, end: string): number {
  const needed = new Set([end]);
  const open = [end];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const edge of document.edges) {
      if (edge.target !== node || needed.has(edge.source)) continue;
      needed.add(edge.source);
      open.push(edge.source);
    }
  }
  return document.nodes.reduce((all, node) => all + (needed.has(node.id) ? node.macs : 0), 0);
}

/** Predictions before the end, where nodes have heads of their own. */
export function ExitsPanel({ document }: { document: ArchitectureDocument }) {
  const exits = document.nodes.filter((node) => node.exit);
  if (exits.length === 0) return null;
  const before = new Map(exits.map((node) => [node.id, macsBefore(document, node.id)]));
  const sum = document.nodes.reduce((all, node) => all + node.macs, 0);
  return (
    <Panel title="Exits" note="Nodes with a classifier of their own: a prediction can stop there.">
      <Table
        caption="Exits"
        rows={exits}
        rowKey={(node) => node.id}
        columns={[
          { key: "node", title: "After", cell: (node) => node.id },
          { key: "shape", title: "From", cell: (node) => node.shape?.join("×") ?? "-" },
          { key: "macs", title: "MACs up to it", number: true, cell: (node) => number(before.get(node.id)) },
          { key: "share", title: "", cell: (node) => <Share share={(before.get(node.id) ?? 0) / Math.max(1, sum)} label="share of all MACs" /> },
        ]}
      />
    </Panel>
  );
}

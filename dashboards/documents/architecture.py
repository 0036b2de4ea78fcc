"""An architecture as nodes, edges and groups to be drawn, with what each node costs.

Stages, nested cells and motifs are groups that a drawing may fold. A nested cell is drawn as its
own nodes, called `cell/node`; its first one merges what enters the cell. Costs and shapes come from
`nas.cost`, so parameters and multiply-adds over all nodes and exits add up to those of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from nas.cost.activations import activations
from nas.cost.count import NodeCost, cost, plan_costs
from nas.cost.shapes import NodeStep, Plan, plan
from nas.topology.edits.base import edge_details
from nas.topology.graph import Architecture, Node
from nas.topology.identity import structural_id
from nas.topology.layers import Shape
from nas.topology.liveness import peak_live_tensors
from nas.topology.measures import measures
from nas.topology.path_mass import effective_depth
from nas.topology.text_drawing import draw_text

from .plain import number

SCHEMA = "nas.dash.architecture/1"
MOST_NODES = 2000
"""Nodes that are drawn at most; cells beyond it stay closed."""
MOST_TEXT = 400
"""Lines of the text form."""
LONGEST_COUNT = 2**53
"""Largest count that a page reads exactly; larger ones are told as powers of ten."""


def architecture_document(
    architecture: Architecture,
    shape: Shape,
    classes: int,
    *,
    identity: str | None = None,
    latencies: Mapping[str, float] | None = None,
    gates: Mapping[tuple[str, str], float] | None = None,
) -> dict[str, Any]:
    """Return an architecture as the page draws it.

    Args:
        architecture: The network.
        shape: `(channels, height, width)` of its images.
        classes: Outputs of its classifier.
        identity: Its id where it is known; else the structural id is computed.
        latencies: Measured milliseconds by id of node.
        gates: Learned probability by ids of source and target, where a relaxation has one.

    Raises:
        ArchitectureError: If it cannot be computed at that shape.
    """
    drawing = _Drawing(architecture, shape, latencies or {}, gates or {})
    drawing.draw()
    costs = cost(architecture, shape, classes)
    if architecture.head == "classifier":
        drawing.add_head(costs.nodes[-1], classes)
    return {
        "schema": SCHEMA,
        "id": identity or structural_id(architecture),
        "wiring": "-".join(architecture.wiring),
        "input": list(shape),
        "classes": classes,
        "nodes": drawing.nodes,
        "edges": drawing.edges,
        "groups": list(drawing.groups.values()),
        "cost": {
            **{
                name: getattr(costs, name)
                for name in ("parameters", "macs", "bytes", "critical_path", "depth")
            },
            "peak_activation_bytes": activations(architecture, shape).peak_bytes,
            "exit_parameters": sum(
                each.parameters for each in costs.nodes if each.name.startswith("exit ")
            ),
        },
        "measures": _measures(architecture),
        "text": "\n".join(draw_text(architecture)[:MOST_TEXT]),
    }


def _measures(architecture: Architecture) -> dict[str, Any]:
    found = {
        **measures(architecture).to_dict(),
        "effective_depth": effective_depth(architecture),
        "peak_live_tensors": peak_live_tensors(architecture),
    }
    return {key: _readable(value) for key, value in found.items()}


def _readable(value: Any) -> Any:
    """Return numbers as a page can hold them: paths of deep networks exceed every float."""
    if isinstance(value, list | tuple):
        return [_readable(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _readable(each) for key, each in value.items()}
    if isinstance(value, float):
        return number(value)
    if isinstance(value, int) and abs(value) > LONGEST_COUNT:
        return f"10^{int(value.bit_length() * 0.30103)}"
    return value


def node_names(architecture: Architecture) -> list[str]:
    """Return a unique name for every node: its own, or `nodeN`."""
    taken: set[str] = set()
    found = []
    for index, node in enumerate(architecture.nodes):
        name = (node.name or f"node{index}").replace("/", "|")
        while name in taken:
            name += f"#{index}"
        taken.add(name)
        found.append(name)
    return found


@final
class _Drawing:
    """Collects nodes, edges and groups, cell by cell.

    Args:
        architecture: The network.
        shape: Of its images.
        latencies: Milliseconds by id of node.
        gates: Probabilities by ids of source and target.
    """

    def __init__(
        self,
        architecture: Architecture,
        shape: Shape,
        latencies: Mapping[str, float],
        gates: Mapping[tuple[str, str], float],
    ) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.edges: list[dict[str, Any]] = []
        self.groups: dict[str, dict[str, Any]] = {}
        self._plan = plan(architecture, shape)
        self._levels = _levels_drawn(architecture)
        self._latencies = latencies
        self._gates = gates
        self._last = ""
        self._pairs: dict[str, int] = {}

    def draw(self) -> None:
        """Draw the whole network."""
        _, self._last = self._level(self._plan, plan_costs(self._plan), "", None, 1)

    def _level(
        self,
        schedule: Plan,
        costs: Sequence[NodeCost],
        prefix: str,
        outer: str | None,
        level: int,
        entry: Mapping[str, Any] | None = None,
    ) -> tuple[str, str]:
        """Draw one graph; return the ids of what its edges enter and leave.

        Args:
            schedule: Its plan.
            costs: Cost of its nodes.
            prefix: Of the ids.
            outer: Group that it stands in.
            level: Depth of nesting, from 1.
            entry: For a cell, what its first node is besides: the merge of the cell's inputs.
        """
        architecture = schedule.architecture
        names = [prefix + name for name in node_names(architecture)]
        enters, leaves = [""] * len(names), [""] * len(names)
        ranks = _ranks(architecture)
        for step, own in zip(schedule.steps, costs, strict=True):
            index = step.index
            group = outer if prefix else self._stage(step.node.name)
            if step.cell is not None and level < self._levels:
                enters[index], leaves[index] = self._cell(step, own, names[index], group, level)
            else:
                self._node(step, own, names[index], group, entry if index == 0 else None)
                enters[index] = leaves[index] = names[index]
            for each in step.inputs:
                span = ranks[index] - ranks[each.edge.source]
                self._edge(each, leaves[each.edge.source], enters[index], span)
        return enters[0], leaves[-1]

    def _stage(self, name: str) -> str | None:
        """Return the group of a node called `stage.node`, and file it."""
        stage, dot, _ = name.rpartition(".")
        if not dot:
            return None
        parent: str | None = None
        for place in [index for index, letter in enumerate(stage) if letter == "."] + [len(stage)]:
            group = stage[:place].replace("/", "|")
            label = group.rpartition(".")[2]
            self.groups.setdefault(
                group, {"id": group, "parent": parent, "label": label, "kind": "stage"}
            )
            parent = group
        return parent

    def _cell(
        self, step: NodeStep, own: NodeCost, name: str, group: str | None, level: int
    ) -> tuple[str, str]:
        """Draw a nested cell as a group of its own."""
        assert step.cell is not None
        self.groups[name] = {
            "id": name,
            "parent": group,
            "label": step.node.motif or name.rpartition("/")[2],
            "kind": "motif" if step.node.motif else "cell",
        }
        inner = plan_costs(step.cell)
        if own.parameters < sum(each.parameters for each in inner):
            # Tied to an earlier cell: its weights are counted there.
            inner = tuple(NodeCost(each.name, 0, each.macs, each.bytes) for each in inner)
        entry = {
            "merge": step.node.merge if len(step.inputs) > 1 else None,
            "parameters": own.parameters - sum(each.parameters for each in inner),
            "macs": own.macs - sum(each.macs for each in inner),
            "tie": step.node.tie,
            "exit": step.node.exit,
        }
        return self._level(step.cell, inner, f"{name}/", name, level + 1, entry)

    def _node(
        self,
        step: NodeStep,
        own: NodeCost,
        name: str,
        group: str | None,
        entry: Mapping[str, Any] | None,
    ) -> None:
        node = step.node
        merges = len(step.inputs) > 1
        found = {
            "id": name,
            "label": name.rpartition("/")[2].rpartition(".")[2],
            "kind": _kind(step, entry is not None),
            "operation": "cell" if node.cell is not None else node.operation,
            "merge": node.merge if merges else None,
            "width": node.width,
            "stride": node.stride,
            "group": group,
            "shape": list(step.output),
            "parameters": own.parameters,
            "macs": own.macs,
            "latency_ms": self._latencies.get(name),
            "exit": node.exit,
            "tie": node.tie,
        }
        self.nodes.append({**found, **(entry or {})})

    def _edge(self, entry: Any, source: str, target: str, span: int) -> None:
        adapter = entry.adapter
        pair = f"{source}>{target}"
        again = self._pairs[pair] = self._pairs.get(pair, 0) + 1
        details = edge_details(entry.edge)
        if adapter.kind not in ("identity", "operation") and entry.edge.transform == "auto":
            details.append(_ADAPTERS[adapter.kind])
        self.edges.append(
            {
                "id": pair if again == 1 else f"{pair}#{again}",
                "source": source,
                "target": target,
                "kind": "chain" if span <= 1 else "skip",
                "details": details,
                "adapted": adapter.kind != "identity",
                "gate": self._gates.get((source, target)),
            }
        )

    def add_head(self, own: NodeCost, classes: int) -> None:
        """Draw global average pooling and the linear classifier as the last node."""
        name = "head"
        while any(node["id"] == name for node in self.nodes):
            name += "#"
        blank = {"merge": None, "width": classes, "stride": 1, "group": None, "tie": None}
        self.nodes.append(
            {
                "id": name,
                "label": "head",
                "kind": "head",
                "operation": "average pooling, linear",
                **blank,
                "shape": [classes],
                "parameters": own.parameters,
                "macs": own.macs,
                "latency_ms": self._latencies.get("head"),
                "exit": False,
            }
        )
        edge = {"id": f"{self._last}>{name}", "source": self._last, "target": name}
        plain = {"kind": "chain", "details": [], "adapted": False, "gate": None}
        self.edges.append({**edge, **plain})


_ADAPTERS = {
    "resample": "resampled",
    "resample_project": "resampled, 1x1",
    "project": "1x1",
    "zero_pad": "zero-padded",
}


def _kind(step: NodeStep, entry: bool) -> str:
    if step.index == 0:
        return "join" if entry else "input"
    node: Node = step.node
    return "join" if node.operation == "identity" and node.cell is None else "operation"


def _ranks(architecture: Architecture) -> list[int]:
    """Return the length of the longest path to every node."""
    ranks = [0] * len(architecture.nodes)
    for edge in architecture.edges:  # sorted by source, so a source's rank is final
        ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 1)
    return ranks


def _levels_drawn(architecture: Architecture) -> int:
    """Return how many levels of nesting can be drawn without too many nodes, at least 1."""
    level, layer = 1, {architecture: 1}
    total = len(architecture.nodes)
    while True:
        inner: dict[Architecture, int] = {}
        for graph, times in layer.items():
            for node in graph.nodes:
                if node.cell is not None:
                    inner[node.cell] = inner.get(node.cell, 0) + times
        total += sum(len(graph.nodes) * times for graph, times in inner.items())
        if not inner or total > MOST_NODES:
            return level
        level, layer = level + 1, inner

"""From a plan to a program: what to run, and which slot every weight is read from.

A *slot* is one shared tensor. Its key says whose it is (`stage1.op2|conv3x3|0|weight`, or
`stage1.op2<stage1.op1|projection` for an edge); a use of it says which leading slice a member
reads and which parameter of the stand-alone `Network` that slice becomes. Everything that must
agree on weights (registering, running, extracting, updating) reads the uses of one program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

from nas.cost.shapes import Adapter, InputStep, NodeStep, Plan
from nas.model.adapters import fixed_modules
from nas.supernet.layer_slots import Filling, LayerCall, SlotUse, operation_calls
from nas.supernet.sharing_rule import Owner, SharingRule
from nas.topology.concat_slices import concat_case
from nas.topology.graph import Architecture
from nas.topology.operations import Operation

__all__ = [
    "EdgeCall",
    "Filling",
    "LayerCall",
    "MergeCall",
    "Naming",
    "NodeCall",
    "Program",
    "SlotUse",
    "adapter_calls",
    "call_uses",
    "classifier_uses",
    "compile_plan",
    "merge_calls",
    "merge_weight",
    "operation_calls",
    "operation_owner",
]


@final
@dataclass(frozen=True)
class EdgeCall:
    """One input of a node: where it comes from, its adapter, its weight in the merge."""

    slot: Owner
    source: int
    source_name: str
    adapter: Adapter
    layers: tuple[LayerCall, ...]
    weight: SlotUse | None


@final
@dataclass(frozen=True)
class MergeCall:
    """One parameter of a merge's module: of every input that has one, or of the node."""

    name: str
    per_input: bool
    uses: tuple[SlotUse, ...]


@final
@dataclass(frozen=True)
class NodeCall:
    """One node: inputs, merge, then layers or a nested program.

    `merge` holds what the module of a merge reads; it is empty for linear merges, whose weights
    stand with their edges.
    """

    step: NodeStep
    slot: Owner
    module: str
    name: str
    inputs: tuple[EdgeCall, ...]
    layers: tuple[LayerCall, ...]
    cell: Program | None
    merge: tuple[MergeCall, ...] = ()


@final
@dataclass(frozen=True)
class Program:
    """A compiled member.

    Args:
        plan: What it was compiled from.
        calls: One per node but the input.
        frees: Per call, the states that nothing reads after it.
        uses: Every tensor it reads, nested ones included.
        norms: Site and scale of every norm, in order of execution.
    """

    plan: Plan
    calls: tuple[NodeCall, ...]
    frees: tuple[tuple[int, ...], ...]
    uses: tuple[SlotUse, ...]
    norms: tuple[tuple[str, SlotUse], ...]


@final
@dataclass(frozen=True)
class Naming:
    """How nodes are called: the owner of a node's weights, and what they are nested in."""

    owner: Callable[[str], Owner]
    modules: str = ""

    def node(self, step: NodeStep) -> Owner:
        """Return the owner of a node's operation: tied nodes have one."""
        owner = self.owner(step.node.tie or self.plain(step))
        return replace(owner, norms=self.position(step).norms) if step.node.own_norms else owner

    def position(self, step: NodeStep) -> Owner:
        """Return the owner of a node's place in the wiring, which tied nodes do not share."""
        return self.owner(self.plain(step))

    @staticmethod
    def plain(step: NodeStep) -> str:
        """Return the node's own name, or `nodeN`."""
        return step.node.name or f"node{step.index}"


def compile_plan(schedule: Plan, rule: SharingRule) -> Program:
    """Compile a plan under sharing policies.

    Args:
        schedule: Plan of a member.
        rule: The policies.
    """
    whole = schedule.architecture
    return _compile(schedule, Naming(lambda name: rule.owner(name, whole, whole)), rule, whole)


def classifier_uses(owner: Owner, channels: int, num_classes: int) -> tuple[SlotUse, SlotUse]:
    """Return the uses of the head's weight and bias."""
    return (
        SlotUse(owner.weight("weight"), (num_classes, channels), "classifier", "head.weight"),
        SlotUse(owner.weight("bias"), (num_classes,), "zeros", "head.bias"),
    )


def _compile(schedule: Plan, naming: Naming, rule: SharingRule, whole: Architecture) -> Program:
    calls = tuple(
        _node_call(schedule, step, naming, rule, whole) for step in schedule.steps if step.index > 0
    )
    return Program(
        plan=schedule,
        calls=calls,
        frees=_frees(schedule),
        uses=tuple(use for call in calls for use in call_uses(call)),
        norms=tuple(norm for call in calls for norm in _norms(call)),
    )


def _frees(schedule: Plan) -> tuple[tuple[int, ...], ...]:
    last = {entry.edge.source: step.index for step in schedule.steps for entry in step.inputs}
    return tuple(
        tuple(source for source, reader in last.items() if reader == step.index)
        for step in schedule.steps[1:]
    )


def _layer_calls(call: NodeCall) -> Iterator[LayerCall]:
    for edge in call.inputs:
        yield from edge.layers
    yield from call.layers


def call_uses(call: NodeCall) -> Iterator[SlotUse]:
    """Yield every tensor that a node reads."""
    yield from (edge.weight for edge in call.inputs if edge.weight is not None)
    for parameter in call.merge:
        yield from parameter.uses
    for layer in _layer_calls(call):
        yield from layer.weights
    if call.cell is not None:
        yield from call.cell.uses


def _norms(call: NodeCall) -> Iterator[tuple[str, SlotUse]]:
    for layer in _layer_calls(call):
        if layer.scale is not None:
            yield layer.site, layer.scale
    if call.cell is not None:
        yield from call.cell.norms


def _node_call(
    schedule: Plan, step: NodeStep, naming: Naming, rule: SharingRule, whole: Architecture
) -> NodeCall:
    module = f"{naming.modules}nodes.{step.index}"
    own = naming.node(step)
    layers: tuple[LayerCall, ...] = ()
    if step.operation is not None:
        sources = [Naming.plain(schedule.steps[entry.edge.source]) for entry in step.inputs]
        layers = operation_calls(
            operation_owner(own, step, sources, step.operation),
            f"{module}.operation",
            step.operation.layers,
            step.merged,
            step.output[0],
            step.node.stride,
        )
    cell = None
    if step.cell is not None:
        graph = step.cell.architecture
        inner = Naming(lambda name: own.inside(rule.owner(name, graph, whole)), f"{module}.cell.")
        cell = _compile(step.cell, inner, rule, whole)
    inputs = tuple(
        _edge_call(schedule, step, position, naming) for position in range(len(step.inputs))
    )
    edges = [edge.slot for edge in inputs]
    merge = merge_calls(naming.position(step), edges, f"{module}.merge", step)
    return NodeCall(step, own, module, Naming.plain(step), inputs, layers, cell, merge)


def _edge_call(schedule: Plan, step: NodeStep, position: int, naming: Naming) -> EdgeCall:
    entry = step.inputs[position]
    source = schedule.steps[entry.edge.source]
    slot = naming.position(step).reading(naming.position(source))
    module = f"{naming.modules}nodes.{step.index}"
    return EdgeCall(
        slot,
        entry.edge.source,
        Naming.plain(source),
        entry.adapter,
        adapter_calls(slot, f"{module}.adapters.{position}", entry),
        merge_weight(slot, f"{module}.merge", step, position),
    )


def merge_weight(
    slot: Owner, module: str, step: NodeStep, position: int, form: str | None = None
) -> SlotUse | None:
    """Return the weight of one input in a merge of several, None where it has none.

    Args:
        slot: Owner of the edge's weights.
        module: Name of the merge's module.
        step: The node.
        position: Of the input.
        form: Another edge weight than that of the node's own merge.
    """
    if len(step.inputs) < 2:
        return None
    form = form or step.merge.weight
    if form == "scalar":
        return SlotUse(slot.weight("scalar"), (1,), "ones", f"{module}.weights[{position}]")
    if form == "projection":
        channels = step.merged[0]
        key = slot.weight("projection")
        return SlotUse(key, (channels, channels), "kernel", f"{module}.slices.{position}")
    return None


def operation_owner(
    slot: Owner, step: NodeStep, sources: Sequence[str], operation: Operation
) -> Owner:
    """Return whose weights an operation of a node reads.

    Behind a plain concatenation that is no sum of slices (see `nas.topology.concat_slices`) every
    set of inputs has weights of its own.

    Args:
        slot: Owner of the node.
        step: The node.
        sources: Names of the nodes it reads, oldest first.
        operation: The operation.
    """
    own = slot.below(operation.name)
    stacked = step.merge.weight == "stacked" and len(sources) > 1 and step.node.tie is None
    if not stacked or concat_case(operation.layers).exact:
        return own
    return own.below(f"behind {'+'.join(sources)}")


def merge_calls(
    slot: Owner, edges: Sequence[Owner], module: str, step: NodeStep
) -> tuple[MergeCall, ...]:
    """Return what the module of a node's merge reads; nothing for a linear merge.

    Weights that belong to one input are the edge's, so wirings of other in-degrees share them;
    all others are those of the node's place.

    Args:
        slot: Owner of the node's place.
        edges: Owners of its edges, oldest first.
        module: Name of the merge's module.
        step: The node.
    """
    rule, degree = step.merge, len(step.inputs)
    if rule.weight != "module" or degree < 2:
        return ()
    found = []
    for declared in rule.parameters:
        count, per_input = declared.tensors(degree), declared.per == "input"
        shape = declared.sizes(step.merged[0], degree)
        owners = edges[:count] if per_input else [slot] * count
        uses = tuple(
            SlotUse(
                owner.below(f"merge {rule.family}").weight(declared.name),
                shape,
                declared.start,
                f"{module}.{declared.name}" + (f"[{place}]" if per_input else ""),
            )
            for place, owner in enumerate(owners)
        )
        if uses:
            found.append(MergeCall(declared.name, per_input, uses))
    return tuple(found)


def adapter_calls(slot: Owner, module: str, entry: InputStep) -> tuple[LayerCall, ...]:
    """Return the layers with weights (or an operation's layers) of an edge."""
    adapter = entry.adapter
    name = "project" if adapter.operation is None else adapter.operation.name
    gains = () if adapter.gain.identity else adapter.layers[-1:]
    row = adapter.layers[: len(adapter.layers) - len(gains)]
    width, first = adapter.target[0], len(fixed_modules(adapter))
    stride = adapter.stride if adapter.kind == "project" else 1
    calls = operation_calls(
        slot.below(name), module, row, adapter.adapted, width, stride, first=first
    )
    # The gain is one slot, whatever stands in front of it in this member.
    own = slot.below(f"gain {adapter.gain.kind}")
    return calls + operation_calls(
        own, module, gains, adapter.target, width, 1, first=first + len(row)
    )

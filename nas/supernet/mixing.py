"""A relaxed member as a plan: which gate enters where, gathered into a few matrices.

The coefficients of every mixed node of a network are computed in one go from the gate values, so a
relaxed step spends its time on images and not on hundreds of operations on single numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from nas.cost.shapes import Adapter
from nas.errors import SpaceError
from nas.space import Choice, SubsetOf
from nas.supernet.binding import Binder, EdgePath, Governed, Path
from nas.supernet.gates import merge_coefficients
from nas.supernet.relaxation import Context, GateValues
from nas.supernet.sharing_rule import Owner
from nas.supernet.slots import (
    EdgeCall,
    LayerCall,
    NodeCall,
    Program,
    SlotUse,
    merge_weight,
    operation_calls,
)
from nas.supernet.supernet import Supernet
from nas.supernet.weights import SharedWeights
from nas.topology.merges import MERGES, SCALE_POWER, Merge
from nas.topology.operations import OPERATIONS, Operation

_OFF, _ON = -2, -1
"""Positions of the constants 0 and 1 behind the gate values."""

EdgeOption = tuple[int, Adapter, tuple[LayerCall, ...]]
"""Position of the option's probability, its adapter, its layers."""


@final
@dataclass
class NodeMix:
    """How one node is mixed.

    Args:
        row: Its row in the coefficients; None where it merges as in the base member.
        projections: Weight of every input, where one of its merges projects.
        operations: Position of the probability and layers of every operation, if mixed.
        transforms: Per input number, the operations mixed on that edge.
    """

    row: int | None = None
    projections: tuple[SlotUse, ...] | None = None
    operations: tuple[tuple[int, tuple[LayerCall, ...]], ...] = ()
    transforms: dict[int, tuple[EdgeOption, ...]] = field(default_factory=dict)


@final
@dataclass
class _Rows:
    """Index matrices under construction, one row per mixed node."""

    gates: list[list[int]] = field(default_factory=list)
    merges: list[list[int]] = field(default_factory=list)
    kinds: list[list[Merge]] = field(default_factory=list)
    powers: list[list[float]] = field(default_factory=list)
    scalars: list[tuple[int, int, SlotUse]] = field(default_factory=list)


@final
@dataclass(frozen=True)
class Mixing:
    """A relaxed member.

    Args:
        program: The base member.
        nodes: The mixed nodes.
        names: Choices whose values make up the vector of gate values, in order.
        complements: Positions whose complement to 1 is appended (edges that may be absent).
        uses: Slots that mixed parts read beyond the program's own.
    """

    program: Program
    nodes: Mapping[Path, NodeMix]
    names: tuple[str, ...]
    complements: Tensor
    gate_index: Tensor
    merge_index: Tensor
    powers: Tensor
    learned: Tensor
    projected: Tensor
    scalars: tuple[tuple[int, int, SlotUse], ...]
    uses: tuple[SlotUse, ...]

    def vector(self, values: GateValues) -> Tensor:
        """Return all gate values, complements and the constants 0 and 1 in one vector."""
        parts = [values[name] for name in self.names]
        like = parts[0] if parts else torch.zeros(0)
        joined = torch.cat(parts) if parts else like
        return torch.cat([joined, 1 - joined[self.complements], like.new_tensor([0.0, 1.0])])

    def coefficients(self, vector: Tensor, weights: SharedWeights) -> tuple[Tensor, Tensor]:
        """Return the number and the share of the projection of every input, `(rows, inputs)`."""
        vector = vector.to(weights.anchor)
        scalars = vector.new_ones(self.gate_index.shape)
        if self.scalars:
            rows = torch.tensor([entry[0] for entry in self.scalars])
            columns = torch.tensor([entry[1] for entry in self.scalars])
            numbers = torch.cat([weights.read(entry[2]) for entry in self.scalars])
            scalars = scalars.index_put((rows, columns), numbers)
        return merge_coefficients(
            vector[self.gate_index],
            vector[self.merge_index],
            self.powers.to(vector),
            self.learned.to(vector),
            self.projected.to(vector),
            scalars,
        )


def mix(supernet: Supernet, binder: Binder, context: Context) -> Mixing:
    """Plan the relaxed step of a context.

    Raises:
        SpaceError: If a choice cannot be mixed.
    """
    program = supernet.program(supernet.space.build(context.base))
    governed = [binder.govern(choice, context.base) for choice in context.relaxed]
    mixing = _Planner(governed, context).plan(program)
    supernet.weights.hold(mixing.uses)
    return mixing


@final
class _Planner:
    """Turns what choices govern into rows, node by node."""

    def __init__(self, governed: list[Governed], context: Context) -> None:
        self.names = tuple(choice.name for choice in context.relaxed)
        self.starts: dict[str, int] = {}
        self.size = 0
        for choice in context.relaxed:
            self.starts[choice.name] = self.size
            self.size += len(_answers(choice))
        self.complements: list[int] = []
        self.rows = _Rows()
        self.nodes: dict[Path, NodeMix] = {}
        self.uses: list[SlotUse] = []
        self.gates: dict[EdgePath, int] = {}
        self.merges: dict[Path, tuple[int, tuple[tuple[str, str], ...]]] = {}
        self.operations: dict[Path, tuple[int, tuple[str, ...]]] = {}
        self.transforms: dict[EdgePath, tuple[int, tuple[str | None, ...]]] = {}
        for entry in governed:
            self._file(entry)

    def _file(self, entry: Governed) -> None:
        start = self.starts[entry.choice.name]
        for number, edges in enumerate(entry.edges):
            self.gates.update(dict.fromkeys(edges, start + number))
        self.merges.update({path: (start, kinds) for path, kinds in (entry.merges or {}).items()})
        self.operations.update(
            {path: (start, names) for path, names in (entry.operations or {}).items()}
        )
        self.transforms.update(
            {edge: (start, names) for edge, names in (entry.transforms or {}).items()}
        )

    def plan(self, program: Program) -> Mixing:
        self._level((), program)
        # Constants stand behind the complements, so their positions from the end are fixed.
        width = max((len(row) for row in self.rows.gates), default=0)
        kinds = max((len(row) for row in self.rows.merges), default=0)
        flags = [[merge.weight for merge in row] for row in self.rows.kinds]
        return Mixing(
            program=program,
            nodes=self.nodes,
            names=self.names,
            complements=torch.tensor(self.complements, dtype=torch.int64),
            gate_index=_padded(self.rows.gates, width, _OFF).long(),
            merge_index=_padded(self.rows.merges, kinds, _OFF).long(),
            powers=_padded(self.rows.powers, kinds, 0.0),
            learned=_padded([[float(f == "scalar") for f in row] for row in flags], kinds, 0.0),
            projected=_padded(
                [[float(f == "projection") for f in row] for row in flags], kinds, 0.0
            ),
            scalars=tuple(self.rows.scalars),
            uses=tuple(self.uses),
        )

    def _level(self, above: Path, program: Program) -> None:
        for call in program.calls:
            path = (*above, call.name)
            found = self._node(path, call)
            if found is not None:
                self.nodes[path] = found
            if call.cell is not None:
                self._level(path, call.cell)

    def _node(self, path: Path, call: NodeCall) -> NodeMix | None:
        mixed = NodeMix()
        if path in self.operations:
            mixed.operations = self._operations(path, call)
        edges = [(path, edge.source_name) for edge in call.inputs]
        for number, edge in enumerate(edges):
            if edge in self.transforms:
                mixed.transforms[number] = self._edge_options(edge, call, number)
        gated = any(edge in self.gates or edge in self.transforms for edge in edges)
        if gated or (path in self.merges and len(call.inputs) > 1):
            self._row(path, call, edges, mixed)
        return mixed if mixed.operations or mixed.transforms or mixed.row is not None else None

    def _row(self, path: Path, call: NodeCall, edges: list[EdgePath], mixed: NodeMix) -> None:
        mixed.row = len(self.rows.gates)
        start, options = self.merges.get(path, (None, ((call.step.merge.name, call.step.scale),)))
        kinds = [MERGES.get(name) for name, _ in options]
        if any(kind.weight == "stacked" for kind in kinds):
            raise SpaceError(
                f"The node '{'/'.join(path)}' merges by 'stack', which cannot be relaxed.",
                why="Its channels depend on which edges are on.",
                fix="Use 'concat' for this node, or train on paths only.",
            )
        scales = [
            kind.resolve_scale(scale) for kind, (_, scale) in zip(kinds, options, strict=True)
        ]
        self.rows.gates.append([self._gate(edge) for edge in edges])
        self.rows.merges.append(
            [_ON] if start is None else [start + number for number in range(len(options))]
        )
        self.rows.kinds.append(kinds)
        self.rows.powers.append([SCALE_POWER[scale] for scale in scales])
        forms = {kind.weight for kind in kinds}
        if "scalar" in forms:
            for number, use in enumerate(self._merge_uses(call, "scalar")):
                self.rows.scalars.append((mixed.row, number, use))
        if "projection" in forms:
            mixed.projections = self._merge_uses(call, "projection") or None

    def _gate(self, edge: EdgePath) -> int:
        if edge in self.gates:
            return self.gates[edge]
        if edge not in self.transforms:
            return _ON
        start, names = self.transforms[edge]
        absent = [number for number, name in enumerate(names) if _is_absent(name)]
        if not absent:
            return _ON
        self.complements.append(start + absent[0])
        return self.size + len(self.complements) - 1

    def _merge_uses(self, call: NodeCall, form: str) -> tuple[SlotUse, ...]:
        found = [
            merge_weight(edge.slot, f"{call.module}.merge", call.step, number, form)
            for number, edge in enumerate(call.inputs)
        ]
        uses = tuple(use for use in found if use is not None)
        self.uses.extend(uses)
        return uses

    def _operations(
        self, path: Path, call: NodeCall
    ) -> tuple[tuple[int, tuple[LayerCall, ...]], ...]:
        start, names = self.operations[path]
        found = []
        for number, name in enumerate(names):
            operation = OPERATIONS.get(name)
            layers = self._layers(
                call.slot.below(name),
                f"{call.module}.operation",
                operation,
                call.step.merged,
                call.step.output[0],
                call.step.node.stride,
            )
            found.append((start + number, layers))
        return tuple(found)

    def _edge_options(self, edge: EdgePath, call: NodeCall, number: int) -> tuple[EdgeOption, ...]:
        start, names = self.transforms[edge]
        entry: EdgeCall = call.inputs[number]
        found = []
        for option, name in enumerate(names):
            if name is None or _is_absent(name):
                continue
            operation = OPERATIONS.get(name)
            adapter = Adapter("operation", entry.adapter.source, entry.adapter.target, operation)
            module = f"{call.module}.adapters.{number}"
            layers = self._layers(
                entry.slot.below(name), module, operation, adapter.source, adapter.target[0], 1
            )
            found.append((start + option, adapter, layers))
        return tuple(found)

    def _layers(
        self,
        slot: Owner,
        module: str,
        operation: Operation,
        shape: tuple[int, int, int],
        width: int,
        stride: int,
    ) -> tuple[LayerCall, ...]:
        layers = operation_calls(slot, module, operation.layers, shape, width, stride)
        self.uses.extend(use for layer in layers for use in layer.weights)
        return layers


def _answers(choice: Choice) -> Sequence[object]:
    return choice.items if isinstance(choice, SubsetOf) else choice.options


def _is_absent(name: str | None) -> bool:
    return name is None or (name in OPERATIONS and OPERATIONS.get(name).zero)


def _padded(rows: Sequence[Sequence[float]], width: int, fill: float) -> Tensor:
    table = torch.full((len(rows), width), float(fill), dtype=torch.float64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = torch.tensor(row, dtype=torch.float64)
    return table

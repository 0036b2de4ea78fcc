"""Plan a relaxed member: which gate enters where, gathered into a few matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from nas.cost.shapes import Adapter
from nas.errors import ConfigError, SpaceError
from nas.space import SubsetOf
from nas.supernet.binding import Binder, EdgePath, Governed, Path, with_edges
from nas.supernet.gate_places import strength_keys, strength_name
from nas.supernet.gate_samplers import answers_of
from nas.supernet.mixtures.mixture import OFF, ON, Mixing, NodeMix
from nas.supernet.partials import WHOLE, Portion, part_of
from nas.supernet.relaxation import Context
from nas.supernet.sharing_rule import Owner
from nas.supernet.slots import (
    EdgeCall,
    LayerCall,
    NodeCall,
    Program,
    SlotUse,
    merge_weight,
    operation_calls,
    operation_owner,
)
from nas.supernet.supernet import Supernet
from nas.topology.facts import WHOLE as ALL_CHANNELS
from nas.topology.merges import MERGES, SCALE_POWER, Merge
from nas.topology.operations import OPERATIONS, Operation


@final
@dataclass
class _Rows:
    """Index matrices under construction, one row per mixed node."""

    gates: list[list[int]] = field(default_factory=list)
    strengths: list[list[int]] = field(default_factory=list)
    merges: list[list[int]] = field(default_factory=list)
    kinds: list[list[Merge]] = field(default_factory=list)
    powers: list[list[float]] = field(default_factory=list)
    scalars: list[tuple[int, int, SlotUse]] = field(default_factory=list)


def mix(supernet: Supernet, binder: Binder, context: Context, portion: Portion = WHOLE) -> Mixing:
    """Plan the relaxed step of a context.

    Args:
        supernet: The shared weights.
        binder: Knows what the context's choices govern.
        context: What was sampled whole.
        portion: What is partial.

    Raises:
        SpaceError: If a choice cannot be mixed.
        ConfigError: If a hypernetwork emits the kernels: it does so for members, not for mixtures.
    """
    if supernet.hypernetwork is not None:
        raise ConfigError(
            "A mixture has no kernels of a hypernetwork: it emits them for whole members.",
            fix="Relax a supernet of shared weights.",
        )
    governed = [binder.govern(choice, context.base) for choice in context.relaxed]
    architecture = supernet.space.build(context.running())
    parents = {edge: kind for entry in governed for edge, kind in (entry.parents or {}).items()}
    if parents:
        architecture = with_edges(architecture, parents)  # a member has but one of them
    program = supernet.program(architecture)
    mixing = _Planner(governed, context, portion).plan(program)
    supernet.weights.hold(mixing.uses)
    return mixing


@final
class _Planner:
    """Turns what choices govern into rows, node by node."""

    def __init__(self, governed: list[Governed], context: Context, portion: Portion) -> None:
        self.portion = portion
        self.starts: dict[str, int] = {}
        self.leaving_out: list[int] = []
        self.closed: set[int] = set()
        self.size = 0
        for choice in context.relaxed:
            closed = context.closed.get(choice.name, frozenset())
            self.closed.update(
                self.size + number
                for number, answer in enumerate(answers_of(choice))
                if answer in closed
            )
            self._place(choice.name, len(answers_of(choice)))
            if choice.name in context.leaving_out:
                self.leaving_out.extend(range(self.starts[choice.name], self.size))
        if portion.edge_strengths:
            for choice in context.relaxed:
                self._place(strength_name(choice), len(strength_keys(choice)))
        self.names = tuple(self.starts)
        self.strengths: dict[EdgePath, int] = {}
        self.narrowed: set[str] = set()
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

    def _place(self, name: str, size: int) -> None:
        self.starts[name] = self.size
        self.size += size

    def _file(self, entry: Governed) -> None:
        start = self.starts[entry.choice.name]
        if self.portion.edge_strengths:
            first = self.starts[strength_name(entry.choice)]
            self.strengths.update(dict.fromkeys(entry.transforms or (), first))
            if isinstance(entry.choice, SubsetOf):
                for number, edges in enumerate(entry.edges):
                    self.strengths.update(dict.fromkeys(edges, first + number))
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
            gate_index=_padded(self.rows.gates, width, OFF).long(),
            merge_index=_padded(self.rows.merges, kinds, OFF).long(),
            powers=_padded(self.rows.powers, kinds, 0.0),
            learned=_padded([[float(f == "scalar") for f in row] for row in flags], kinds, 0.0),
            projected=_padded(
                [[float(f == "projection") for f in row] for row in flags], kinds, 0.0
            ),
            scalars=tuple(self.rows.scalars),
            uses=tuple(self.uses),
            portion=self.portion,
            strength_index=_padded(self.rows.strengths, width, OFF).long(),
            narrowed=frozenset(self.narrowed),
            leaving_out=frozenset(self.leaving_out),
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
            self._operations(path, call, mixed)
        edges = [(path, edge.source_name) for edge in call.inputs]
        for number, edge in enumerate(edges):
            if edge in self.transforms:
                self._edge_options(edge, call, number, mixed)
        gated = any(edge in self.gates or edge in self.transforms for edge in edges)
        if gated or (path in self.merges and len(call.inputs) > 1):
            self._row(path, call, edges, mixed)
        return mixed if mixed.operations or mixed.transforms or mixed.row is not None else None

    def _row(self, path: Path, call: NodeCall, edges: list[EdgePath], mixed: NodeMix) -> None:
        mixed.row = len(self.rows.gates)
        places, options = self._merge_options(path, call)
        kinds = [MERGES.get(name) for name, _ in options]
        whole = next((kind for kind in kinds if not kind.linear), None)
        if whole is not None:
            raise SpaceError(
                f"The node '{'/'.join(path)}' merges by '{whole.name}', which cannot be relaxed.",
                why="What it computes depends on which edges are on, not on each by itself.",
                fix=f"Use {whole.way_out} for this node, or train on paths only.",
            )
        scales = [
            kind.resolve_scale(scale) for kind, (_, scale) in zip(kinds, options, strict=True)
        ]
        self.rows.gates.append([self._gate(edge) for edge in edges])
        self.rows.strengths.append([self.strengths.get(edge, OFF) for edge in edges])
        self.rows.merges.append(places)
        self.rows.kinds.append(kinds)
        self.rows.powers.append([SCALE_POWER[scale] for scale in scales])
        forms = {kind.weight for kind in kinds}
        if "scalar" in forms:
            for number, use in enumerate(self._merge_uses(call, "scalar")):
                self.rows.scalars.append((mixed.row, number, use))
        if "projection" in forms:
            mixed.projections = self._merge_uses(call, "projection") or None

    def _merge_options(self, path: Path, call: NodeCall) -> tuple[list[int], list[tuple[str, str]]]:
        """Return the positions of the open merges of a node, and what they are."""
        if path not in self.merges:
            return [ON], [(call.step.merge.name, call.step.scale)]
        start, options = self.merges[path]
        kept = [number for number in range(len(options)) if start + number not in self.closed]
        return [start + number for number in kept], [options[number] for number in kept]

    def _gate(self, edge: EdgePath) -> int:
        if edge in self.gates:
            return self.gates[edge]
        if edge not in self.transforms:
            return ON
        start, names = self.transforms[edge]
        absent = [number for number, name in enumerate(names) if _is_absent(name)]
        if not absent:
            return ON
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

    def _operations(self, path: Path, call: NodeCall, mixed: NodeMix) -> None:
        start, names = self.operations[path]
        (channels, height, width), output = call.step.merged, call.step.output[0]
        mixed.part = self._part("/".join(path), channels, output, call.step.node.stride)
        if mixed.part is not None:
            channels = output = mixed.part
        found = []
        sources = [edge.source_name for edge in call.inputs]
        for number, name in enumerate(names):
            if start + number in self.closed:
                continue
            operation = OPERATIONS.get(name)
            layers = self._layers(
                operation_owner(call.slot, call.step, sources, operation),
                f"{call.module}.operation",
                operation,
                (channels, height, width),
                output,
                call.step.node.stride,
                narrow=mixed.part is not None,
            )
            found.append((start + number, layers))
        mixed.operations = tuple(found)

    def _edge_options(self, edge: EdgePath, call: NodeCall, number: int, mixed: NodeMix) -> None:
        start, names = self.transforms[edge]
        entry: EdgeCall = call.inputs[number]
        if not (entry.adapter.gain.identity and entry.adapter.part == ALL_CHANNELS):
            raise SpaceError(
                f"The operations on the edge '{edge[1]}' into '{'/'.join(edge[0])}' cannot be "
                "mixed: it carries a part of its source or a gain.",
                fix="Put the choice of operations on a node.",
            )
        source, target = entry.adapter.source, entry.adapter.target
        stride = 1 if source[1:] == target[1:] else 2
        part = self._part("/".join((*edge[0], edge[1])), source[0], target[0], stride)
        if part is not None:
            mixed.edge_parts[number] = part
            source, target = (part, *source[1:]), (part, *target[1:])
        found = []
        for option, name in enumerate(names):
            if name is None or _is_absent(name) or start + option in self.closed:
                continue
            operation = OPERATIONS.get(name)
            adapter = Adapter("operation", source, target, operation)
            module = f"{call.module}.adapters.{number}"
            slot, narrow = entry.slot.below(name), part is not None
            layers = self._layers(slot, module, operation, source, target[0], 1, narrow=narrow)
            found.append((start + option, adapter, layers))
        mixed.transforms[number] = tuple(found)

    def _part(self, name: str, channels: int, outputs: int, stride: int) -> int | None:
        try:
            return part_of(channels, outputs, stride, self.portion.divisor)
        except ValueError as error:
            raise SpaceError(
                f"The node or edge '{name}' cannot be mixed in part: {error}.",
                fix="Use widths that the divisor divides, or another relaxation.partial.divisor.",
            ) from None

    def _layers(
        self,
        slot: Owner,
        module: str,
        operation: Operation,
        shape: tuple[int, int, int],
        width: int,
        stride: int,
        *,
        narrow: bool,
    ) -> tuple[LayerCall, ...]:
        layers = operation_calls(slot, module, operation.layers, shape, width, stride)
        uses = [use for layer in layers for use in layer.weights]
        self.uses.extend(uses)
        if narrow:
            self.narrowed.update(use.key for use in uses)
        return layers


def _is_absent(name: str | None) -> bool:
    return name is None or (name in OPERATIONS and OPERATIONS.get(name).zero)


def _padded(rows: Sequence[Sequence[float]], width: int, fill: float) -> Tensor:
    table = torch.full((len(rows), width), float(fill), dtype=torch.float64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = torch.tensor(row, dtype=torch.float64)
    return table

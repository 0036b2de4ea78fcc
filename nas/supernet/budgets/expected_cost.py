"""Expected cost of a relaxed member: what it would cost, by the probabilities of its gates.

The cost of a network is a sum over pieces (`nas.cost.pieces`), and a piece runs with a
probability. At a vertex, where every gate is 0 or 1, the result is the discrete cost exactly.

Two facts keep a resource term honest. Gates enter by *presence*, never by magnitude: the merge in
front of a norm does not see a common scale of a node's gates, so a term that charged them as they
are would shrink all of them for free. Presence is relative to the strongest edges of the same
choice and does not see it either. And a node is charged only as far as it is alive: as far as the
input reaches it and something that is alive reads it; `1 - prod(1 - p)` over independent edges.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.cost.count import norm_parameters
from nas.cost.pieces import (
    Latency,
    LinearLatency,
    Piece,
    adapter_piece,
    head_piece,
    merge_pieces,
    operation_piece,
    pieces,
    without_weights,
)
from nas.cost.shapes import Adapter, InputStep, NodeStep, Plan, plan
from nas.errors import SpaceError
from nas.space import AbstractSpace, Choice, Decisions, SubsetOf
from nas.space.choices import Answer
from nas.supernet.binding import Binder, EdgePath, Path, node_name
from nas.supernet.budgets.cost_terms import COLUMNS, EdgeTerm, Level, Mixed, NodeTerm, Terms
from nas.supernet.gate_samplers import answers_of
from nas.supernet.relaxation import Context, GateValues, Relaxation
from nas.topology.layers import Shape
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS

CONTEXT_CACHE = 256
Costs = NDArray[np.float64]
"""Parameters, MACs, bytes and milliseconds, `(4,)`."""


def presence(choice: Choice, probabilities: Tensor) -> Tensor:
    """Return how far each answer is there, free of a common scale of a node's gates, `(answers,)`.

    Options compete and keep their probabilities. Edges are divided by the weakest of those that
    have to be there (the strongest edge, where at least one has to), and are at most 1; where none
    has to, an edge that is always on stands beside them and the probabilities are kept.
    """
    if not isinstance(choice, SubsetOf) or choice.minimum == 0:
        return probabilities
    strongest = probabilities.topk(choice.minimum).values[-1]
    if choice.minimum == 1:
        strongest = probabilities.amax()  # equal gates share its gradient
    safe = torch.where(strongest > 0, strongest, torch.ones_like(strongest))
    return (probabilities / safe).clamp(max=1)


@final
class CostModel:
    """Costs of a space's members and of their mixtures.

    Args:
        space: The space.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.
        latency: Milliseconds of a piece; a table or a model of the device.
    """

    def __init__(
        self,
        space: AbstractSpace,
        input_shape: Shape,
        num_classes: int,
        latency: Latency | None = None,
    ) -> None:
        self.space = space
        self.input_shape = input_shape
        self.num_classes = num_classes
        self.latency = latency or LinearLatency()
        self.binder = Binder(space)
        self._known: OrderedDict[tuple[tuple[str, str], ...], Terms] = OrderedDict()

    def discrete(self, decisions: Mapping[str, Answer]) -> Costs:
        """Return the costs of a member, `(4,)`."""
        schedule = plan(self.space.build(decisions), self.input_shape)
        rows = [self.price(piece) for piece in pieces(schedule, self.num_classes)]
        return np.asarray(np.sum(rows, axis=0), dtype=np.float64)

    @cached_property
    def largest(self) -> Costs:
        """The largest of each cost over the covering members, `(4,)`: what terms are divided by."""
        found = [self.discrete(member) for member in self.space.cover()]
        return np.asarray(np.max(found, axis=0), dtype=np.float64)

    def price(self, piece: Piece) -> Costs:
        """Return the costs of a piece, `(4,)`."""
        return np.array(
            [piece.parameters, piece.macs, piece.bytes, self.latency(piece)], dtype=np.float64
        )

    def expected(self, relaxation: Relaxation, context: Context) -> Tensor:
        """Return the expected costs of a context at the relaxation's logits.

        Args:
            relaxation: The gates.
            context: What was sampled whole.

        Returns:
            In float64, `(4,)`, differentiable.

        Raises:
            SpaceError: If a relaxed node stacks its inputs.
        """
        gates = {choice.name: relaxation.probabilities(choice) for choice in context.relaxed}
        return self.at(context, gates)

    def at(self, context: Context, gates: GateValues) -> Tensor:
        """Return the expected costs at given probabilities of the context's relaxed choices."""
        constants = torch.tensor([0.0, 1.0], dtype=torch.float64)
        parts = [gates[choice.name] for choice in context.relaxed]
        if parts:  # an accelerator is waited for once, not once per choice
            own = torch.cat(parts).double().cpu().split_with_sizes([len(part) for part in parts])
            parts = [presence(*pair) for pair in zip(context.relaxed, own, strict=True)]
        return self.terms(context).expected(torch.cat([*parts, constants]))

    def terms(self, context: Context) -> Terms:
        """Return the terms of a context; they are kept for later calls."""
        relaxed = {choice.name for choice in context.relaxed}
        key = tuple(
            (name, "" if name in relaxed else repr(answer)) for name, answer in context.base.items()
        )
        if key not in self._known:
            self._known[key] = _Collector(self, context).collect()
            if len(self._known) > CONTEXT_CACHE:
                self._known.popitem(last=False)
        return self._known[key]


@final
@dataclass
class _Collector:
    """Turns the plan of a context's base member into terms."""

    model: CostModel
    context: Context
    gates: dict[EdgePath, int] = field(default_factory=dict)
    merges: dict[Path, tuple[int, tuple[tuple[str, str], ...]]] = field(default_factory=dict)
    operations: dict[Path, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    transforms: dict[EdgePath, tuple[int, tuple[str | None, ...]]] = field(default_factory=dict)
    required: list[set[int]] = field(default_factory=list)
    """Gates of which at least one is on."""
    size: int = 0

    def collect(self) -> Terms:
        base: Decisions = self.context.base
        for choice in self.context.relaxed:
            self._file(choice, base)
        schedule = plan(self.model.space.build(base), self.model.input_shape)
        head = self._price(head_piece(schedule.output, self.model.num_classes))
        return Terms(self._level((), schedule), head)

    def _file(self, choice: Choice, base: Decisions) -> None:
        found, start = self.model.binder.govern(choice, base), self.size
        self.size += len(answers_of(choice))
        if isinstance(choice, SubsetOf) and choice.minimum > 0:
            self.required.append(set(range(start, self.size)))
        for number, edges in enumerate(found.edges):
            self.gates.update(dict.fromkeys(edges, start + number))
        self.merges |= {path: (start, kinds) for path, kinds in (found.merges or {}).items()}
        self.operations |= {
            path: (start, names) for path, names in (found.operations or {}).items()
        }
        self.transforms |= {
            edge: (start, names) for edge, names in (found.transforms or {}).items()
        }

    def _level(self, above: Path, schedule: Plan) -> Level:
        names = [node_name(step.node, step.index) for step in schedule.steps]
        nodes = tuple(
            self._node((*above, names[step.index]), step, names) for step in schedule.steps
        )
        return Level(nodes, schedule.architecture.zero_allowed)

    def _node(self, path: Path, step: NodeStep, names: list[str]) -> NodeTerm:
        edges = tuple(self._edge((path, names[entry.edge.source]), entry) for entry in step.inputs)
        once, each = self._merge(path, step, edges)
        used = {edge.gate for edge in edges}
        gated = any(gate != self.size + 1 for gate in used)
        supplied = self.size + 1 in used or any(group <= used for group in self.required)
        computed = self._computed(path, step)
        shared = None if step.node.tie is None else self._shared(path, step)
        return NodeTerm(computed, edges, once, each, step.node.tie, gated, supplied, shared)

    def _shared(self, path: Path, step: NodeStep) -> Tensor | Mixed | None:
        """Return what only the first of tied nodes pays: a later one reads the weights again."""
        if step.operation is None:
            return None
        if path not in self.operations:
            return self._shared_operation(step)
        start, options = self.operations[path]
        found = [replace(step, operation=OPERATIONS.get(name)) for name in options]
        return self._mixed(start, [self._shared_operation(each) for each in found])

    def _shared_operation(self, step: NodeStep) -> Tensor:
        assert step.operation is not None
        piece = operation_piece(step.operation, step.merged, step.output[0], step.node.stride)
        kept = norm_parameters(step) if step.node.own_norms else 0
        return self._price(piece) - self._price(without_weights(piece, kept))

    def _computed(self, path: Path, step: NodeStep) -> Tensor | Mixed | Level:
        if step.cell is not None:
            return self._level(path, step.cell)
        if path in self.operations:
            start, options = self.operations[path]
            return self._mixed(start, [self._operation(step, name) for name in options])
        if step.operation is None:
            return torch.zeros(len(COLUMNS), dtype=torch.float64)
        return self._operation(step, step.operation.name)

    def _operation(self, step: NodeStep, name: str) -> Tensor:
        operation = OPERATIONS.get(name)
        piece = operation_piece(operation, step.merged, step.output[0], step.node.stride)
        return self._price(piece)

    def _merge(
        self, path: Path, step: NodeStep, edges: tuple[EdgeTerm, ...]
    ) -> tuple[Mixed, Mixed]:
        start, options = self.merges.get(path, (self.size + 1, ((step.merge.name, ""),)))
        kinds = [MERGES.get(name) for name, _ in options]
        gated = any(edge.gate != self.size + 1 for edge in edges)
        whole = next((kind for kind in kinds if not kind.linear), None)
        if whole is not None and (gated or len(kinds) > 1):
            raise SpaceError(
                f"The node '{'/'.join(path)}' merges by '{whole.name}', whose cost has no "
                "expectation.",
                why="What it computes depends on which edges are on, not on each by itself.",
                fix=f"Use {whole.way_out} for this node, or train on paths only.",
            )
        degree = max(2, len(step.inputs))
        priced = [
            [self._price(piece) for piece in merge_pieces(kind, step.merged, degree)]
            for kind in kinds
        ]
        once, each = ([pair[number] for pair in priced] for number in (0, 1))
        return self._mixed(start, once), self._mixed(start, each)

    def _edge(self, edge: EdgePath, entry: InputStep) -> EdgeTerm:
        fixed = self._price(adapter_piece(entry.adapter))
        if edge not in self.transforms:
            return EdgeTerm(entry.edge.source, self.gates.get(edge, self.size + 1), False, fixed)
        start, names = self.transforms[edge]
        absent = [number for number, name in enumerate(names) if _is_absent(name)]
        costs = self._mixed(start, [self._edge_option(entry, name) for name in names])
        if not absent:
            return EdgeTerm(entry.edge.source, self.size + 1, False, costs)
        return EdgeTerm(entry.edge.source, start + absent[0], True, costs)

    def _edge_option(self, entry: InputStep, name: str | None) -> Tensor:
        if _is_absent(name):
            return torch.zeros(len(COLUMNS), dtype=torch.float64)
        adapter = entry.adapter
        operation = OPERATIONS.get(str(name))
        return self._price(
            adapter_piece(Adapter("operation", adapter.source, adapter.target, operation))
        )

    def _mixed(self, start: int, costs: list[Tensor]) -> Mixed:
        return Mixed(torch.arange(start, start + len(costs)), torch.stack(costs))

    def _price(self, piece: Piece) -> Tensor:
        return torch.from_numpy(self.model.price(piece))


def _is_absent(name: str | None) -> bool:
    return name is None or (name in OPERATIONS and OPERATIONS.get(name).zero)


def named(costs: Tensor | Costs) -> dict[str, float]:
    """Return costs by name."""
    return {name: float(value) for name, value in zip(COLUMNS, costs, strict=True)}

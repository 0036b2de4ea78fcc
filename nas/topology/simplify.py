"""From an architecture to the graph of values it computes, freed of everything without effect.

A value is a merge of terms. These rewrites are exact and leave every other difference standing:

- Edges with the transform `none`, and operations on an empty sum, contribute nothing. Where a
  merge divides by its in-degree, the declared degree stays in force.
- What does not reach the output is gone.
- The identity, and a merge of one input, are the value they read.
- A sum of sums is one sum, with multiplicity: `x + x` is not `x`. A stack of stacks is one stack.
- Equal operations without weights on equal inputs are one value. Every application of an
  operation with weights is an instance of its own, and so is every merge with weights, which is
  therefore never merged into another.
- The order of inputs matters to `stack`, to ports, and to merges that tell inputs apart by role.
- A part of a tensor and a fixed gain are operations without weights, a learned gain is an instance
  with the value it starts at. An exit is an operation with weights whose result is kept.
- Factors 1/sqrt(d) and 1/d are one kind of number: the mean of two halves what it adds up.
- A nested cell is the nodes it holds.

Adapters depend on shapes. They are written out as operations with their target shape before any of
this happens (see `nas.topology.symbolic`), so a rewrite cannot move one: a sum is merged into
another only where the edge between them needs no adapter, and the choice of the main input among
inputs of equal shape leaves no trace, while among unequal ones it does.
"""

from __future__ import annotations

from typing import final

from nas.errors import ArchitectureError
from nas.topology.canonical import LabelledEdge, LabelledGraph
from nas.topology.facts import WHOLE, Gain
from nas.topology.graph import Architecture, Node
from nas.topology.operations import Operation
from nas.topology.symbolic import (
    INPUT_SHAPE,
    SymbolicInput,
    SymbolicShape,
    SymbolicStep,
    channels_text,
    shape_text,
    symbolic_step,
)

SHAPE_PORTS = frozenset({"default", "main"})
"""Ports that say nothing beyond the shapes, which are written out already."""

MAX_TERMS = 2_500_000
"""Arguments of all values; about a gigabyte."""

ZERO = -1
"""The value of an empty sum."""

Key = tuple[object, ...]
Arguments = tuple[tuple[int, str], ...]
Place = tuple[int, SymbolicShape]
"""A value and its shape."""

_INSTANCE_ADAPTERS = frozenset({"project", "resample_project"})


def simplify(architecture: Architecture, *, sharing: bool = False) -> LabelledGraph:
    """Return the graph of values behind an architecture.

    Args:
        architecture: The network.
        sharing: Add one vertex per set of weights that several instances share.

    Raises:
        ArchitectureError: If an operation, merge or transform is unknown, or if the sums have more
            than `MAX_TERMS` terms.
    """
    values = _Values(sharing=sharing)
    root, shape = _build(values, architecture, (values.add("input", ()), INPUT_SHAPE), ())
    if root == ZERO:
        return LabelledGraph((f"zeros {shape_text(shape)}",), ())
    return values.graph(root)


@final
class _Values:
    """Values in topological order; those without weights are kept once."""

    def __init__(self, *, sharing: bool) -> None:
        self.sharing = sharing
        self.labels: list[str] = []
        self.arguments: list[Arguments] = []
        self.weights: dict[int, Key] = {}
        self.exits: list[int] = []
        self.sums: dict[int, dict[int, int]] = {}
        self.stacks: dict[int, tuple[int, ...]] = {}
        self._known: dict[tuple[str, Arguments], int] = {}
        self._terms = 0

    def add(self, label: str, arguments: Arguments, weights: Key | None = None) -> int:
        """Return the value `label(arguments)`; with `weights` it is an instance of its own."""
        self._count(len(arguments))
        if weights is None:
            known = self._known.get((label, arguments))
            if known is not None:
                return known
            self._known[label, arguments] = len(self.labels)
        else:
            self.weights[len(self.labels)] = weights
        self.labels.append(label)
        self.arguments.append(arguments)
        return len(self.labels) - 1

    def _count(self, terms: int) -> None:
        """Refuse to write out sums of sums until memory is gone."""
        self._terms += terms
        if self._terms > MAX_TERMS:
            raise ArchitectureError(
                f"The network has no structural id: written out, its sums have more than "
                f"{MAX_TERMS:,} terms.",
                why="A sum of sums is one sum, so the terms grow with the square of the number of "
                "residual blocks in a row.",
                fix="Use fewer blocks; some 2,000 in a row are within the limit.",
            )

    def apply(self, label: str, value: int, weights: Key | None = None) -> int:
        """Return `label(value)`; nothing comes of nothing."""
        return ZERO if value == ZERO else self.add(label, ((value, ""),), weights)

    def sum(self, terms: list[int], divisor: int) -> int:
        """Return the sum of `terms`, multiplied by `divisor ** -0.5`."""
        counts: dict[int, int] = {}
        for term in terms:
            if term == ZERO:
                continue
            for value, count in self.sums.get(term, {term: 1}).items():
                counts[value] = counts.get(value, 0) + count
        if not counts:
            return ZERO
        if divisor == 1 and list(counts.values()) == [1]:
            return next(iter(counts))
        arguments = tuple((v, str(n) if n > 1 else "") for v, n in sorted(counts.items()))
        value = self.add(f"sum/{divisor}", arguments)
        if divisor == 1:
            self.sums[value] = counts
        return value

    def weighted(self, kind: str, terms: list[tuple[int, Key]], divisor: int, own: Key) -> int:
        """Return a sum of terms that are each multiplied with weights of their own."""
        if self.sharing:  # a vertex per term: which weight of one merge is which of another
            terms = [(self.apply(kind, term, key), key) for term, key in terms]
        counts: dict[int, int] = {}
        for term, _ in terms:
            if term != ZERO:
                counts[term] = counts.get(term, 0) + 1
        if not counts:
            return ZERO
        arguments = tuple((v, str(n) if n > 1 else "") for v, n in sorted(counts.items()))
        return self.add(f"{kind}/{divisor}", arguments, own)

    def stack(self, entries: list[Place]) -> int:
        """Return the entries one behind the other."""
        if all(value == ZERO for value, _ in entries):
            return ZERO
        flat: list[int] = []
        for value, shape in entries:
            flat.extend(self.stacks.get(value, (self.solid(value, shape),)))
        value = self.add("stack", tuple((v, str(place)) for place, v in enumerate(flat)))
        self.stacks[value] = tuple(flat)
        return value

    def solid(self, value: int, shape: SymbolicShape) -> int:
        """Return `value`, as a tensor of zeros where it is nothing but has to be there."""
        return self.add(f"zeros {shape_text(shape)}", ()) if value == ZERO else value

    def graph(self, root: int) -> LabelledGraph:
        """Return what `root` is computed from."""
        alive = {root, *self.exits}
        for value in range(root, -1, -1):
            if value in alive:
                alive.update(argument for argument, _ in self.arguments[value])
        order = sorted(alive)
        number = {value: index for index, value in enumerate(order)}
        labels = [self.labels[value] for value in order]
        edges: list[LabelledEdge] = [
            (number[argument], number[value], label)
            for value in order
            for argument, label in self.arguments[value]
        ]
        if self.sharing:
            self._add_shared(number, labels, edges)
        return LabelledGraph(tuple(labels), tuple(edges))

    def _add_shared(
        self, number: dict[int, int], labels: list[str], edges: list[LabelledEdge]
    ) -> None:
        users: dict[Key, list[tuple[int, bool]]] = {}
        for value, key in self.weights.items():
            if value in number:
                shared, own_norms = _without_norms(key)
                users.setdefault(shared, []).append((number[value], own_norms))
        for members in users.values():
            if len(members) < 2:
                continue
            apart = any(own_norms for _, own_norms in members)
            together = [member for member, own_norms in members if not own_norms]
            edges.extend((len(labels), member, "weights") for member, _ in members)
            labels.append("weights without norms" if apart else "weights")
            if apart and len(together) > 1:
                edges.extend((len(labels), member, "norms") for member in together)
                labels.append("norms")


_OWN_NORMS = "own norms"


def _without_norms(key: object) -> tuple[Key, bool]:
    """Return whose weights a key means, and whether the norms are the instance's own."""
    if not isinstance(key, tuple):
        return (key,), False
    if len(key) > 2 and key[-2] == _OWN_NORMS:
        return _without_norms(key[:-2])[0], True
    parts = [_without_norms(part) if isinstance(part, tuple) else (part, False) for part in key]
    return tuple(part for part, _ in parts), any(own for _, own in parts)


def _build(values: _Values, architecture: Architecture, start: Place, scope: Key) -> Place:
    """Add the values of one level and return its last; `scope` tells whose weights they have."""
    places = [start]
    shapes = [start[1]]
    for index in range(1, len(architecture.nodes)):
        node = architecture.nodes[index]
        step = symbolic_step(architecture, index, shapes, start[1])
        merged = _merge(values, node, step, places, (scope, index))
        place = _compute(values, node, step, merged, scope, index)
        if node.exit and index < len(architecture.nodes) - 1:
            values.exits.append(values.apply("exit", place[0], (scope, "exit", index)))
        places.append(place)
        shapes.append(place[1])
    return places[-1]


def _compute(
    values: _Values, node: Node, step: SymbolicStep, merged: int, scope: Key, index: int
) -> Place:
    own: Key = (scope, "node", index) if node.tie is None else (scope, "tie", node.tie)
    if node.tie is not None and node.own_norms:
        own = (*own, _OWN_NORMS, index)
    if node.cell is not None:
        return _build(values, node.cell, (merged, step.merged), own)
    operation = step.operation
    assert operation is not None
    if operation.zero:
        return ZERO, step.output
    return _apply(values, operation, merged, step.output, node.stride, own), step.output


def _apply(
    values: _Values, operation: Operation, value: int, output: SymbolicShape, stride: int, own: Key
) -> int:
    if not operation.layers:
        return value
    label = f"{operation.name} {channels_text(output.channels)} {stride}"
    return values.apply(label, value, None if operation.repeatable else own)


def _merge(values: _Values, node: Node, step: SymbolicStep, places: list[Place], own: Key) -> int:
    live = [entry for entry in step.inputs if entry.kind != "none"]
    terms = [_adapted(values, entry, places, own) for entry in live]
    if len(live) < 2:
        return terms[0] if terms else ZERO
    if step.rule.weight in ("module", "pairwise"):
        return _by_roles(values, step, node.scale, list(zip(terms, live, strict=True)), own)
    if any(entry.edge.port not in SHAPE_PORTS for entry in live):
        return _ported(values, node, step, live, terms, own)
    if step.rule.weight == "stacked":
        shapes = [entry.target for entry in live]
        return values.stack(list(zip(terms, shapes, strict=True)))
    divisor = {"none": 1, "rsqrt": len(live), "mean": len(live) ** 2}[
        step.rule.resolve_scale(node.scale)
    ]
    if step.rule.weight == "identity":
        return values.sum(terms, divisor)
    keys = [(*own, "merge", entry.edge) for entry in live]
    return values.weighted(
        step.rule.weight, list(zip(terms, keys, strict=True)), divisor, (*own, "merge")
    )


def _by_roles(
    values: _Values,
    step: SymbolicStep,
    scale: str,
    live: list[tuple[int, SymbolicInput]],
    own: Key,
) -> int:
    """Return a merge whose inputs are alike within a role; nested means of two are sums."""
    if step.rule.weight == "pairwise":
        total = live[0][0]
        for term, _ in live[1:]:
            total = values.sum([total, term], 4)
        return total
    text = f"{step.rule.text}/{step.rule.resolve_scale(scale)}"
    roles = step.rule.input_roles([entry.edge.port for _, entry in live])
    learned = any(entry.per == "input" for entry in step.rule.parameters)
    counts: dict[tuple[int, str], int] = {}
    for (term, entry), role in zip(live, roles, strict=True):
        term = values.solid(term, entry.target)
        if values.sharing and learned:  # a vertex per term, as for weighted sums
            term = values.add(f"{text} {role}", ((term, ""),), (*own, "merge", entry.edge))
        counts[term, role] = counts.get((term, role), 0) + 1
    arguments = tuple(
        (term, f"{role}*{count}" if count > 1 else role)
        for (term, role), count in sorted(counts.items())
    )
    return values.add(text, arguments, (*own, "merge") if step.rule.parameters else None)


def _ported(
    values: _Values,
    node: Node,
    step: SymbolicStep,
    live: list[SymbolicInput],
    terms: list[int],
    own: Key,
) -> int:
    """Keep a merge of named ports as it is: what a port means is not known here."""
    scale = step.rule.resolve_scale(node.scale)
    stacked = step.rule.weight == "stacked"
    arguments = [
        (values.solid(term, entry.target), f"{entry.edge.port} {place if stacked else ''}")
        for place, (term, entry) in enumerate(zip(terms, live, strict=True))
    ]
    return values.add(f"ports {node.merge} {scale}", tuple(arguments), (*own, "ports"))


def _adapted(values: _Values, entry: SymbolicInput, places: list[Place], own: Key) -> int:
    """Return what an edge delivers: part, adapter, gain."""
    edge = entry.edge
    value, _ = places[edge.source]
    key = (*own, "edge", edge)
    if edge.part != WHOLE:
        value = values.apply(f"part {edge.part[0]}/{edge.part[1]}", value)
    if entry.operation is not None:
        value = _apply(values, entry.operation, value, entry.target, 1, key)
    elif entry.kind != "identity":
        label = f"{entry.kind} {shape_text(entry.target)}"
        weights = key if entry.kind in _INSTANCE_ADAPTERS else None
        value = values.apply(label, value, weights)
    if edge.gain.identity:
        return value
    return values.apply(gain_text(edge.gain), value, (*key, "gain") if edge.gain.learned else None)


def gain_text(gain: Gain) -> str:
    """Write a gain for the label of a vertex."""
    return f"gain {gain.kind} {gain.value!r}"

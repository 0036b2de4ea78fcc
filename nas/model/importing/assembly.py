"""From steps to an architecture: rows of layers become operations, merges the fronts of nodes.

A node begins where a tensor is merged, split, scaled or read twice, and takes in what follows: a
convolution with its norm and nonlinearity, or norm and nonlinearity with their convolution. Modules
that are called more than once make ties; where the calls are not followed by the same layers,
the shared module gets nodes of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, final

from torch import nn

from nas.errors import NasError
from nas.model.importing.values import Step, Steps, Term, Weighed, refused
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import AbstractLayer, AbstractWindow, Conv, DepthwiseConv
from nas.topology.operation_tokens import write_token
from nas.topology.operations import OPERATIONS, row_name

MAX_ROW = 8


@final
@dataclass
class Place:
    """A node in the making: a merge (or the reading of one term), then layers.

    Args:
        first: Number of its first step.
        merge: The merge it begins with, None where it reads one plain term.
        layers: Its layers.
        last: Number of the step whose value it yields.
    """

    first: int
    merge: Step | None
    terms: tuple[Term, ...]
    layers: list[Weighed] = field(default_factory=list)
    last: int = 0


@final
@dataclass(frozen=True)
class Assembly:
    """An architecture, and the places its nodes were made from, the input's left out."""

    architecture: Architecture
    places: tuple[Place, ...]


def assemble(steps: Steps, output: Term, head: Literal["classifier", "none"]) -> Assembly:
    """Return the architecture of the steps that `output` depends on.

    Raises:
        ArchitectureError: If a row of layers cannot be written as an operation.
    """
    if not output.plain or output.value == 0:
        output = steps.add(Step((replace(output, flat=False),), output.shape, "output"))
    every = _ordered(_flattened(_alive(steps.every, output.value), output.value), output.value)
    solo: set[int] = set()
    while True:
        places = _places(every, solo)
        ties, torn = _ties(places)
        if not torn:
            break
        solo |= torn
    return Assembly(_architecture(places, ties, head), tuple(places))


Numbered = dict[int, Step]
"""Steps by number, in the order of their numbers."""


def _alive(every: list[Step], last: int) -> Numbered:
    wanted = {0, last}
    for number in range(last, 0, -1):
        if number in wanted:
            wanted |= {term.value for term in every[number].terms}
    return {number: every[number] for number in sorted(wanted)}


def _uses(every: Numbered, last: int) -> Counter[int]:
    uses = Counter(term.value for step in every.values() for term in step.terms)
    uses[last] += 1
    return uses


def _flattened(every: Numbered, last: int) -> Numbered:
    """Merge sums that only feed another sum into it, and add up equal terms."""
    uses, found = _uses(every, last), dict(every)
    for number, step in every.items():
        if step.merge != "sum" or step.layer is not None or len(step.terms) < 2:
            continue
        terms: list[Term] = []
        for term in step.terms:
            inner = found.get(term.value)
            if inner is not None and _is_inner_sum(inner, term, step) and uses[term.value] == 1:
                terms += inner.terms
                del found[term.value]
            else:
                terms.append(term)
        found[number] = replace(step, terms=_added(terms))
    return found


def _is_inner_sum(inner: Step, term: Term, outer: Step) -> bool:
    plain_sum = inner.merge == "sum" and inner.layer is None and len(inner.terms) > 1
    return plain_sum and term.plain and inner.shape == outer.shape


def _added(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Add the factors of equal terms up."""
    steps, found = Steps(), dict[tuple[object, ...], Term]()
    for term in terms:
        key = (term.value, term.part, term.transform, id(term.numbers))
        if key in found and not term.gain.learned:
            factor = found[key].gain.value + term.gain.value
            unscaled = steps.scaled(found[key], 1.0 / (found[key].gain.value or 1.0), "")
            term = steps.scaled(unscaled, factor, "")
        found[key] = term
    return tuple(found.values())


def _ordered(every: Numbered, last: int) -> Numbered:
    """Renumber, with copies where the inputs of a merge are not in the order of their numbers."""
    found: Numbered = {}
    number: dict[int, int] = {}

    def put(step: Step) -> int:
        found[len(found)] = step
        return len(found) - 1

    for old, step in every.items():
        terms = [replace(term, value=number[term.value]) for term in step.terms]
        if step.merge != "sum" and len(terms) > 1:
            newest = -1
            for place, term in enumerate(terms):
                if term.value <= newest:
                    copy = put(Step((term,), term.shape, step.place))
                    terms[place] = Term(copy, term.shape)
                newest = terms[place].value
        number[old] = put(replace(step, terms=tuple(terms)))
    assert number[last] == len(found) - 1
    return found


def _places(every: Numbered, solo: set[int]) -> list[Place]:
    """Gather steps into nodes; modules of `solo` stand alone."""
    uses = _uses(every, len(every) - 1)
    yielding: dict[int, Place] = {}
    places = []
    for number, step in every.items():
        if number == 0:
            continue
        if step.layer is None:
            place = Place(number, step, step.terms)
            places.append(place)
        else:
            term = step.terms[0]
            before = yielding.get(term.value) if term.plain and uses[term.value] == 1 else None
            if before is None or not _follows(before, step.layer, solo):
                before = Place(number, None, step.terms)
                places.append(before)
            place = before
            place.layers.append(step.layer)
        place.last = number
        yielding[number] = place
    return places


def _follows(place: Place, weighed: Weighed, solo: set[int]) -> bool:
    """Tell whether a layer may stand behind those of a node."""
    row = place.layers
    if len(row) >= MAX_ROW or any(_key(each) in solo for each in (*row[-1:], weighed)):
        return False
    if not row:
        return True
    if not _is_pointwise(weighed.layer):
        return _is_window(weighed.layer) and all(_is_pointwise(each.layer) for each in row)
    if not all(_is_pointwise(each.layer) or _is_window(each.layer) for each in row):
        return False  # pooling and resizing stand alone
    return _is_window(row[0].layer) or _is_pointwise(row[-1].layer)


def _is_window(layer: AbstractLayer) -> bool:
    return isinstance(layer, Conv | DepthwiseConv)


def _is_pointwise(layer: AbstractLayer) -> bool:
    """Tell whether a layer keeps shapes: norms, nonlinearities, gates."""
    return not isinstance(layer, AbstractWindow) and layer.output((8, 9, 9), 8, 1) == (8, 9, 9)


def _key(weighed: Weighed) -> int:
    """Return which weights a layer has; 0 for none."""
    return 0 if weighed.module is None else _owner(weighed.module)


def _owner(module: nn.Module) -> int:
    """Return what two calls with the same weights have in common.

    Modules that hold the same parameter are one; running statistics are each tied node's own.
    """
    first = next(iter(module.parameters()), None)
    return id(module) if first is None else id(first)


def _ties(places: list[Place]) -> tuple[dict[int, str], set[int]]:
    """Return the tie of each place (by its first step), and weights that must stand alone."""
    users: dict[int, list[Place]] = {}
    for place in places:
        for key in {_key(each) for each in place.layers} - {0}:
            users.setdefault(key, []).append(place)
    repeated = {
        key
        for place in places
        for key, count in Counter(map(_key, place.layers)).items()
        if key and count > 1
    }
    ties: dict[int, str] = {}
    torn = set(repeated)
    for key, members in users.items():
        if len(members) < 2:
            continue
        keys = {tuple(map(_key, place.layers)) for place in members}
        rows = {tuple((each.layer, each.stride, each.width) for each in p.layers) for p in members}
        if len(keys) > 1 or len(rows) > 1:
            torn.add(key)
        else:
            ties.update(dict.fromkeys((place.first for place in members), f"tie{key}"))
    number = {name: f"tied{place}" for place, name in enumerate(dict.fromkeys(ties.values()))}
    return {first: number[name] for first, name in ties.items()}, torn


def _architecture(
    places: list[Place], ties: dict[int, str], head: Literal["classifier", "none"]
) -> Architecture:
    index = {0: 0} | {place.last: number for number, place in enumerate(places, start=1)}
    nodes, edges, names = [Node(name="input")], [], Counter[str]()
    for number, place in enumerate(places, start=1):
        merge = place.merge
        name = _node_name(place, names)
        nodes.append(
            replace(
                _node(place),
                merge=merge.merge if merge is not None else "sum",
                scale=merge.scale if merge is not None and len(place.terms) > 1 else "auto",
                tie=ties.get(place.first),
                name=name,
            )
        )
        edges += _edges(place, index, number)
    return Architecture(tuple(nodes), tuple(edges), head=head)


def _node_name(place: Place, names: Counter[str]) -> str:
    where = place.layers[0].place if place.layers else place.merge.place if place.merge else ""
    name = where.replace(": ", ".") or "node"
    names[name] += 1
    return name if names[name] == 1 else f"{name}-{names[name]}"


def _node(place: Place) -> Node:
    if not place.layers:
        return Node()
    layers = [each.layer for each in place.layers]
    where = place.layers[0].place
    operation = _operation(layers, where)
    strides = [each.stride for each in place.layers if each.stride > 1]
    entry = OPERATIONS.get(operation)
    width = None if entry.keeps_channels else place.layers[-1].width
    return Node(operation, width=width, stride=strides[0] if strides else 1)


def _operation(layers: list[AbstractLayer], where: str) -> str:
    """Return the name of a row of layers, and make sure that it means exactly these layers."""
    alone = len(layers) == 1 and _is_window(layers[0])
    text = "+".join(write_token(layer, carries_stride=alone) for layer in layers)
    try:
        name = row_name(text)
        meant = [replace(layer, strided=False) for layer in OPERATIONS.get(name).layers]
    except NasError as error:
        raise refused(where, f"is '{text}': {error.what}", error.fix or "Change it.") from error
    if meant != [replace(layer, strided=False) for layer in layers]:
        raise refused(
            where,
            f"has a number that '{text}' does not hold",
            "Written operations hold an eps of one digit and slopes of whole percents.",
        )
    return name


def _edges(place: Place, index: dict[int, int], number: int) -> list[Edge]:
    """Return the edges into a node; where shapes differ, one of the largest maps is the main."""
    ports = place.merge.ports if place.merge is not None and place.merge.ports else ()
    ports = ports or ("default",) * len(place.terms)
    largest = max(place.terms, key=lambda term: (term.transform == "auto", term.shape[1]))
    stacked = place.merge is not None and place.merge.merge == "stack"
    uneven = any(t.shape != largest.shape or t.transform != "auto" for t in place.terms)
    edges, given = [], False
    for term, port in zip(place.terms, ports, strict=True):
        if uneven and not stacked and not given and term == largest:
            port, given = "main", True
        source = index[term.value]
        edges.append(Edge(source, number, term.transform, port, term.part, term.gain))
    return edges

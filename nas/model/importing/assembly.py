"""From steps to an architecture: rows of layers become operations, merges the fronts of nodes.

A node begins where a tensor is merged, split, scaled or read twice, and takes in what follows: a
convolution with its norm and nonlinearity, or norm and nonlinearity with their convolution. Modules
that are called more than once make ties; where the calls are not followed by the same layers,
the shared module gets nodes of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal, final

from torch import nn

from nas.errors import NasError
from nas.model.importing.ordering import Numbered, prepared, uses
from nas.model.importing.values import Step, Steps, Term, Weighed, refused
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import (
    AbstractLayer,
    AbstractWindow,
    BatchNorm,
    Conv,
    DepthwiseConv,
    LayerNorm,
)
from nas.topology.operation_tokens import write_token
from nas.topology.operations import OPERATIONS, row_name

MAX_ROW = 8
NORMS = (BatchNorm, LayerNorm)
"""Layers that tied nodes may keep for themselves."""


@final
@dataclass
class Place:
    """A node in the making: a merge (or the reading of one term), then layers.

    Args:
        first: Number of its first step.
        merge: The merge it begins with, None where it reads one plain term.
        terms: What it reads; in the order of its edges once these are made.
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
    every = prepared(steps.every, output.value)
    solo: set[int] = set()
    while True:
        places = _places(every, solo)
        ties, torn = _ties(places)
        if not torn:
            break
        solo |= torn
    return Assembly(_architecture(places, ties, head), tuple(places))


def _places(every: Numbered, solo: set[int]) -> list[Place]:
    """Gather steps into nodes; modules of `solo` stand alone."""
    readers = uses(every, len(every) - 1)
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
            before = yielding.get(term.value) if term.plain and readers[term.value] == 1 else None
            if before is None or not _follows(before, step.layer, solo):
                before = Place(number, None, step.terms)
                places.append(before)
            place = before
            place.layers.append(step.layer)
        place.last = number
        yielding[number] = place
    # By their values, so that nodes stand in the order in which merges read them.
    return sorted(places, key=lambda place: place.last)


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
    """Return what two calls with the same weights have in common: their first parameter.

    Statistics of a norm may differ: tied nodes keep their own.
    """
    first = next(iter(module.parameters()), None)
    return id(module) if first is None else id(first)


@final
@dataclass(frozen=True)
class Tie:
    """Which nodes share weights by one name, and whether each keeps norms of its own."""

    name: str
    own_norms: bool


def _ties(places: list[Place]) -> tuple[dict[int, Tie], set[int]]:
    """Return the tie of each place (by its first step), and weights that must stand alone."""
    users: dict[int, list[Place]] = {}
    torn: set[int] = set()
    for place in places:
        counts = Counter(_key(each) for each in place.layers)
        torn |= {key for key, count in counts.items() if key and count > 1}
        for key in counts.keys() - {0}:
            users.setdefault(key, []).append(place)
    ties: dict[int, Tie] = {}
    for key, members in users.items():
        if len(members) < 2:
            continue
        own_norms = _own_norms(members)
        if own_norms is None:
            torn.add(key)
            continue
        name = next((ties[p.first].name for p in members if p.first in ties), f"tie{len(ties)}")
        ties |= {place.first: Tie(name, own_norms) for place in members}
    return ties, torn


def _own_norms(members: list[Place]) -> bool | None:
    """Tell whether nodes share all but their norms; False if those, too, None if still less."""
    rows = {tuple((each.layer, each.width) for each in place.layers) for place in members}
    keys = [[_key(each) for each in place.layers] for place in members]
    if len(rows) > 1:
        return None
    columns = list(zip(members[0].layers, zip(*keys, strict=True), strict=True))
    if all(len(set(found)) == 1 for _, found in columns):
        return False
    norms = [found for each, found in columns if isinstance(each.layer, NORMS) and any(found)]
    others = [found for each, found in columns if not isinstance(each.layer, NORMS)]
    distinct = all(len(set(found)) == len(members) for found in norms)
    return True if distinct and all(len(set(found)) == 1 for found in others) else None


def _architecture(
    places: list[Place], ties: dict[int, Tie], head: Literal["classifier", "none"]
) -> Architecture:
    index = {0: 0} | {place.last: number for number, place in enumerate(places, start=1)}
    nodes, edges, names = [Node(name="input")], [], Counter[str]()
    for number, place in enumerate(places, start=1):
        merge = place.merge
        name = _node_name(place, names)
        tie = ties.get(place.first)
        nodes.append(
            replace(
                _node(place),
                merge=merge.merge if merge is not None else "sum",
                scale=merge.scale if merge is not None and len(place.terms) > 1 else "auto",
                tie=tie.name if tie is not None else None,
                own_norms=tie is not None and tie.own_norms,
                name=name,
            )
        )
        carried = sorted(zip(_edges(place, index, number), place.terms, strict=True), key=_edge)
        place.terms = tuple(term for _, term in carried)
        edges += [edge for edge, _ in carried]
    return Architecture(tuple(nodes), tuple(edges), head=head)


def _edge(carried: tuple[Edge, Term]) -> Edge:
    return carried[0]


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

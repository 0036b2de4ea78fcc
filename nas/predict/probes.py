"""What a profile measures: a small network around each piece of a space, then random members.

A piece is measured inside a network, from an image to logits, because that is what every runtime
can run and every meter can time: a convolution brings the image to the piece's shape, the piece
follows, a head ends it. Such a network is one more sum of pieces, so its latency enters the fit
like any other and nothing has to be subtracted by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from nas.cost.pieces import Piece
from nas.errors import ConfigError, NasError
from nas.predict.features import NetworkFeatures, network_features
from nas.seeds import derive_seed
from nas.space.base import AbstractSpace
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.identity import executed_id
from nas.topology.layers import Shape
from nas.topology.operations import OPERATIONS

SURVEYED = 100
"""Random members in which pieces are looked for, beside those that cover all choices."""

REPEATS = 3
"""Times an operation that keeps its shape stands in its probe: one alone hides in the noise."""

TRIES = 20
"""Draws for each wanted member before a small space counts as exhausted."""

_STEM = "conv1x1"


@final
@dataclass(frozen=True)
class Planned:
    """One network to measure."""

    kind: Literal["piece", "member"]
    label: str
    architecture: Architecture


def planned_networks(
    space: AbstractSpace, input_shape: Shape, num_classes: int, samples: int, seed: int
) -> list[Planned]:
    """Return everything a profile of a space measures, in order; equal for equal arguments.

    Args:
        space: The space.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.
        samples: Random members.
        seed: Of the members.

    Raises:
        ConfigError: If `samples` is below 8, too few to say how far predictions are off.
        ArchitectureError: If a member cannot be computed at this shape.
    """
    if samples < 8:
        raise ConfigError(
            f"{samples} random members are too few: the intervals are learned from at least 8.",
            fix="Leave --samples out for the default.",
        )
    drawn = list(_members(space, samples, seed))
    surveyed = [planned.architecture for planned in drawn[:SURVEYED]]
    surveyed += [space.build(decisions) for decisions in space.cover()]
    found = {
        piece
        for architecture in surveyed
        for piece, _ in network_features(architecture, input_shape, num_classes).executed
    }
    probes: dict[str, Planned] = {}
    for piece in sorted(found, key=repr):
        for planned in _probes(piece, input_shape, num_classes):
            probes.setdefault(executed_id(planned.architecture), planned)
    return [*probes.values(), *drawn]


def _members(space: AbstractSpace, samples: int, seed: int) -> Iterator[Planned]:
    seen: set[str] = set()
    for index in range(TRIES * samples):
        rng = np.random.default_rng(derive_seed(seed, "latency_member", index))
        architecture = space.build(space.sample(rng))
        identity = executed_id(architecture)
        if identity not in seen:
            seen.add(identity)
            yield Planned("member", f"member {index}", architecture)
        if len(seen) == samples:
            return


def _probes(piece: Piece, input_shape: Shape, num_classes: int) -> Iterator[Planned]:
    """Yield the networks that show a piece; none where no convolution reaches its shape."""
    for architecture in _candidates(piece, input_shape):
        with suppress(NasError):
            own = network_features(architecture, input_shape, num_classes)
            if _contains(own, piece):
                yield Planned("piece", _label(piece), architecture)


def _contains(own: NetworkFeatures, piece: Piece) -> bool:
    """Tell whether a piece is there, with its own weights or with those it is tied to."""
    wanted = _label(piece)
    return any(_label(each) == wanted for each, _ in own.executed)


def _label(piece: Piece) -> str:
    shapes = f"{'x'.join(map(str, piece.source))} to {'x'.join(map(str, piece.target))}"
    return f"{piece.kind} {piece.name}, {shapes}" + (f" /{piece.stride}" * (piece.stride > 1))


def _candidates(piece: Piece, input_shape: Shape) -> Iterator[Architecture]:
    try:
        if piece.kind == "operation":
            yield _operation_probe(piece, input_shape)
        elif piece.kind == "adapter":
            yield _adapter_probe(piece, input_shape)
        elif piece.kind == "merge":
            yield from (_merge_probe(piece, degree, input_shape) for degree in (2, 4))
        elif piece.kind == "head":
            yield _assembled([_stem(input_shape, piece.source)], [])
    except NasError:
        return  # such as a shape that no whole stride reaches


def _stem(before: Shape, after: Shape, name: str = "stem") -> Node:
    return Node(_STEM, width=after[0], stride=max(1, round(before[1] / after[1])), name=name)


def _assembled(nodes: list[Node], extra: list[Edge]) -> Architecture:
    """Chain nodes behind an input, with further edges."""
    chain = [Edge(index, index + 1) for index in range(len(nodes))]
    return Architecture((Node(name="input"), *nodes), (*chain, *extra), ("probe",))


def _operation_probe(piece: Piece, input_shape: Shape) -> Architecture:
    operation = OPERATIONS.get(piece.name)
    width = None if operation.keeps_channels else piece.target[0]
    repeats = REPEATS if piece.source == piece.target and piece.stride == 1 else 1
    nodes = [
        Node(piece.name, width=width, stride=piece.stride, name=f"op{index}")
        for index in range(repeats)
    ]
    # An operation that reads the image itself needs no stem, and a stem would change its shape.
    stem = [] if piece.source == input_shape else [_stem(input_shape, piece.source)]
    return _assembled([*stem, *nodes], [])


def _adapter_probe(piece: Piece, input_shape: Shape) -> Architecture:
    stem = [] if piece.source == input_shape else [_stem(input_shape, piece.source)]
    base = len(stem)
    if piece.name in OPERATIONS:
        join = Node(width=None if OPERATIONS.get(piece.name).keeps_channels else piece.target[0])
        nodes = (Node(name="input"), *stem, join)
        edges = (
            *(Edge(index, index + 1) for index in range(base)),
            Edge(base, base + 1, piece.name),
        )
        return Architecture(nodes, edges, ("probe",))
    transform = piece.name if piece.name in ("project", "zero_pad") else "auto"
    other = _stem(piece.source, piece.target, "other")
    return _assembled([*stem, other, Node(name="join")], [Edge(base, base + 2, transform)])


def _merge_probe(piece: Piece, degree: int, input_shape: Shape) -> Architecture:
    passed = [Node(name=f"pass{index}") for index in range(degree - 1)]
    join = Node(merge=piece.name, name="join")
    nodes = [_stem(input_shape, piece.source), *passed, join]
    return _assembled(nodes, [Edge(index, degree + 1) for index in range(1, degree)])

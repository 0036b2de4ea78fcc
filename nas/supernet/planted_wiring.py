"""Planted wirings: a data set whose labels a network of known edges has given.

Whether a relaxation finds wirings at all can be told only where the right one is known. A teacher
is a member of a space of eight nodes with few edges; it labels random images, and a student that
shares the teacher's frozen node operations has to find its edges from the labels. The operations
are random orthogonal maps: no edge is better than another in itself, and no state is lost. The
last node reads every node, so each has a say in the labels; with weights that learn, or a readout
of one node, many wirings give the same labels and there is nothing to find.

Labels are drawn from the teacher's softmax rather than its largest logit: cross-entropy is then
least at the teacher itself, and not at a sharper network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from nas.seeds import derive_seed
from nas.space import AbstractSpace, Choice, Decisions, OneOf, SubsetOf
from nas.space.choices import Answer, Option
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture, Edge, Node
from nas.training.parts import DataPart, FiveParts, Normalisation

PlantedEdge = tuple[int, int]
"""Source and target; 0 is the input, the operations count from 1."""
Question = Literal["subsets", "options"]
"""Edges asked per node as a set of inputs, or each for itself as one of {none, identity}."""


@final
@dataclass(frozen=True)
class PlantedSetup:
    """Sizes of the problem.

    Args:
        nodes: Operations; the first reads the input and has no choice.
        edges: Edges of the teacher among the optional ones.
        channels: Of every state; images are vectors of as many numbers, 1 x 1 pixels.
        classes: Of the labels.
        sharpness: Standard deviation of the teacher's logits for states of unit length.
        images: Of the weights' part and as many of the gates' part.
        question: How edges are asked.
        merge: Of the nodes.
    """

    nodes: int = 8
    edges: int = 9
    channels: int = 16
    classes: int = 10
    sharpness: float = 3.0
    images: int = 2048
    question: Question = "subsets"
    merge: str = "sum"

    @property
    def optional(self) -> tuple[PlantedEdge, ...]:
        """All edges that there are to find."""
        return tuple(
            (source, target) for target in range(2, self.nodes + 1) for source in range(target)
        )


@final
class PlantedSpace(AbstractSpace):
    """All wirings of a chain of nodes that each read some of the earlier ones.

    Args:
        setup: Sizes.
    """

    name = "planted"
    summary = "free wirings of equal nodes with a readout of all of them"

    def __init__(self, setup: PlantedSetup) -> None:
        self.setup = setup

    @cached_property
    def _choices(self) -> tuple[Choice, ...]:
        # Below one joint choice, as in a staged space: what edges govern is then looked up once.
        return (OneOf("stage1.pattern", (Option("free", self._questions()),)),)

    def _questions(self) -> tuple[Choice, ...]:
        setup = self.setup
        if setup.question == "options":
            either = (Option("none"), Option("identity"))
            return tuple(OneOf(edge_choice(edge), either) for edge in setup.optional)
        return tuple(
            SubsetOf(node_choice(target), tuple(node_label(source) for source in range(target)))
            for target in range(2, setup.nodes + 1)
        )

    @property
    def choices(self) -> tuple[Choice, ...]:
        """One joint choice with a single option, which opens the questions about edges."""
        return self._choices

    def decisions(self, edges: frozenset[PlantedEdge]) -> Decisions:
        """Return the member that has these of the optional edges."""

        def ask(choice: Choice) -> Answer:
            if isinstance(choice, SubsetOf):
                target = next(t for _, t in edges if node_choice(t) == choice.name)
                return [node_label(source) for source in range(target) if (source, target) in edges]
            if choice.name == "stage1.pattern":
                return "free"
            return "identity" if choice.name in {edge_choice(edge) for edge in edges} else "none"

        return self.walk(ask)

    def _has(self, decisions: Mapping[str, Answer], edge: PlantedEdge) -> bool:
        if self.setup.question == "options":
            return decisions[edge_choice(edge)] == "identity"
        chosen = decisions[node_choice(edge[1])]
        return isinstance(chosen, list) and node_label(edge[0]) in chosen

    def build(self, decisions: Mapping[str, Answer]) -> Architecture:
        """Return the member: its nodes, and a last one that sums all of them."""
        decisions = self.normalise(decisions)
        setup = self.setup
        last = setup.nodes + 1
        nodes = [Node(name=node_label(0))]
        nodes += [
            Node("conv1x1", setup.merge, "rsqrt", width=setup.channels, name=node_label(number))
            for number in range(1, last)
        ]
        nodes.append(Node("identity", "sum", "rsqrt", name="out"))
        edges = [Edge(0, 1)]
        transform = "identity" if setup.question == "options" else "auto"
        edges += [Edge(*edge, transform) for edge in setup.optional if self._has(decisions, edge)]
        edges += [Edge(source, last) for source in range(1, last)]
        return Architecture(
            tuple(nodes), tuple(edges), self.stage_patterns(decisions), zero_allowed=True
        )

    def stage_patterns(self, decisions: Mapping[str, Answer]) -> tuple[str, ...]:
        """Return `free`, whatever the edges."""
        return ("free",)

    def known(self) -> dict[str, Decisions]:
        """Return nothing: no wiring of this space was published."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Return the sizes."""
        return {"kind": "planted", **asdict(self.setup)}


def node_label(number: int) -> str:
    """Return the name of a node."""
    return f"op{number}" if number else "in"


def node_choice(target: int) -> str:
    """Return the name of the question for a node's inputs."""
    return f"stage1.{node_label(target)}.inputs"


def edge_choice(edge: PlantedEdge) -> str:
    """Return the name of the question for one edge."""
    return f"stage1.{node_label(edge[1])}.from_{node_label(edge[0])}"


@final
@dataclass(frozen=True, eq=False)
class Planted:
    """A problem with a known answer.

    Args:
        setup: Sizes.
        space: Of the students.
        edges: The teacher's edges among the optional ones.
        arrays: The teacher's weights, slot by slot.
        parts: Images and labels; only the weights' and the gates' part have more than one.
        seed: What all of it was drawn from.
        entropy: Mean entropy of the teacher's labels, in nats: the least loss there is.
    """

    setup: PlantedSetup
    space: PlantedSpace
    edges: frozenset[PlantedEdge]
    arrays: Mapping[str, np.ndarray[Any, np.dtype[Any]]] = field(repr=False)
    parts: FiveParts = field(repr=False)
    seed: int = 0
    entropy: float = 0.0

    def supernet(self, *, shared: bool = True) -> Supernet:
        """Return a student: with the teacher's weights, or with fresh ones of its own."""
        setup = self.setup
        found = Supernet(
            self.space,
            (setup.channels, 1, 1),
            setup.classes,
            seed=derive_seed(self.seed, "student", 0),
        )
        if shared:
            self.give_weights(found)
        return found

    @torch.no_grad()
    def give_weights(self, student: Supernet) -> None:
        """Copy the teacher's weights into every slot that both have."""
        for key, value in student.weights.slots():
            if key in self.arrays:
                value.copy_(torch.from_numpy(self.arrays[key]))


def plant(setup: PlantedSetup, seed: int, *, shuffled: bool = False) -> Planted:
    """Draw a teacher and let it label images.

    Args:
        setup: Sizes.
        seed: Of edges, operations, images and labels; the same edges for both questions.
        shuffled: Whether the labels are dealt to the images at random: nothing is to be found.
    """
    space = PlantedSpace(setup)
    supernet = Supernet(space, (setup.channels, 1, 1), setup.classes, seed=seed)
    _draw_weights(supernet, setup.sharpness, seed)
    edges = random_wiring(setup, np.random.default_rng(derive_seed(seed, "planted edges", 0)))
    rng = np.random.default_rng(derive_seed(seed, "planted images", 0))
    shape = (2 * setup.images, setup.channels, 1, 1)
    images = rng.standard_normal(shape).astype(np.float32)
    with torch.no_grad():
        teacher = space.build(space.decisions(edges))
        chances = supernet.train()(torch.from_numpy(images), teacher).double().softmax(1)
    labels = _drawn_labels(chances.numpy(), rng)
    if shuffled:
        labels = rng.permutation(labels)
    parts = _parts(images, labels, setup)
    entropy = float(torch.special.entr(chances).sum(1).mean())
    return Planted(setup, space, edges, supernet.state_arrays(), parts, seed, entropy)


def random_wiring(setup: PlantedSetup, rng: np.random.Generator) -> frozenset[PlantedEdge]:
    """Draw edges uniformly among the sets of that size that give every node an input."""
    optional = setup.optional
    while True:
        chosen = [optional[i] for i in rng.choice(len(optional), setup.edges, replace=False)]
        if len({target for _, target in chosen}) == setup.nodes - 1:
            return frozenset(chosen)


@torch.no_grad()
def _draw_weights(supernet: Supernet, sharpness: float, seed: int) -> None:
    for key, value in supernet.weights.slots():
        generator = torch.Generator().manual_seed(derive_seed(seed, f"planted {key}", 0))
        if value.dim() == 4:
            value.copy_(_orthogonal(value.shape[0], generator)[:, :, None, None])
        elif value.dim() == 2:
            drawn = torch.randn(value.shape, generator=generator)
            value.copy_(drawn * sharpness / value.shape[1] ** 0.5)


def _orthogonal(size: int, generator: torch.Generator) -> Tensor:
    """Draw from the uniform law of orthogonal matrices (Mezzadri 2007, arXiv:math-ph/0609050)."""
    drawn = torch.randn(size, size, generator=generator, dtype=torch.float64)
    basis, triangle = torch.linalg.qr(drawn)
    matrix: Tensor = basis * triangle.diagonal().sign()
    return matrix.float()


def _drawn_labels(
    chances: np.ndarray[Any, np.dtype[np.float64]], rng: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.int64]]:
    level = rng.random((len(chances), 1))
    drawn = np.asarray(chances.cumsum(1) < level).sum(axis=1)
    labels: np.ndarray[Any, np.dtype[np.int64]] = drawn.clip(max=chances.shape[1] - 1)
    return labels


def _parts(
    images: np.ndarray[Any, np.dtype[np.float32]],
    labels: np.ndarray[Any, np.dtype[np.int64]],
    setup: PlantedSetup,
) -> FiveParts:
    plain = Normalisation((0.0,) * setup.channels, (1.0,) * setup.channels)

    def part(start: int, stop: int) -> DataPart:
        return DataPart(images, labels, np.arange(start, stop), plain)

    none = part(0, 1)
    count = setup.images
    return FiveParts(part(0, count), part(count, 2 * count), none, none, part(0, 2 * count))

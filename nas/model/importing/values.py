"""What a module computed, as steps: merges of earlier values, and layers on them.

A `Term` is a value as an edge carries it: a part of its channels, times a gain. Splits, constant
factors and views cost no step; whatever reads a term takes them along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

from torch import Tensor, nn

from nas.errors import ArchitectureError
from nas.topology.graph import PLAIN, WHOLE, Gain, Part
from nas.topology.layers import AbstractLayer, Shape


@final
@dataclass(frozen=True)
class Term:
    """A value on its way.

    Args:
        value: Number of the step that computes it.
        shape: Channels, height, width behind part and transform.
        part: Which of how many equal groups of channels.
        gain: What it is multiplied with.
        numbers: The learned numbers of the gain.
        transform: Of the edge that will carry it.
        flat: Whether the module sees it as `(batch, channels * height * width)`.
    """

    value: int
    shape: Shape
    part: Part = WHOLE
    gain: Gain = PLAIN
    numbers: Tensor | None = None
    transform: str = "auto"
    flat: bool = False

    @property
    def parameter(self) -> Tensor | None:
        """The parameter that its learned numbers are, or are a view of."""
        if self.numbers is None or self.numbers._base is None:
            return self.numbers
        return self.numbers._base

    @property
    def plain(self) -> bool:
        """Whether it is the value itself."""
        return self.part == WHOLE and self.gain == PLAIN and self.transform == "auto"


@final
@dataclass(frozen=True)
class Weighed:
    """A layer and the module that holds its weights.

    Args:
        layer: The layer; it carries no stride by itself.
        stride: How far its window moves.
        width: Output channels.
        module: Owner of the weights, None without weights.
        place: Where it stands in the imported module.
    """

    layer: AbstractLayer
    stride: int
    width: int
    module: nn.Module | None
    place: str


@final
@dataclass(frozen=True)
class Step:
    """One value: the input, a merge of terms, or a layer on a term.

    Args:
        terms: What it reads; none for the input.
        shape: Channels, height, width.
        place: The module whose code computed it.
        merge: Name of the merge.
        scale: Of the merge.
        module: Owner of the merge's weights, None without weights.
        ports: Of the terms, where they are not all alike.
        layer: The layer; None for merges.
    """

    terms: tuple[Term, ...]
    shape: Shape
    place: str
    merge: str = "sum"
    scale: str = "none"
    module: nn.Module | None = None
    ports: tuple[str, ...] = ()
    layer: Weighed | None = None


@final
@dataclass
class Steps:
    """The steps so far; step 0 is the input."""

    every: list[Step] = field(default_factory=list)
    renamed: dict[int, Term] = field(default_factory=dict)
    """Values that were changed in place, and what they are now."""

    def add(self, step: Step, *, flat: bool = False) -> Term:
        """Append a step and return its value.

        Raises:
            ArchitectureError: If it reads appended zeros elsewhere than in a sum with a map.
        """
        padded = [term for term in step.terms if term.transform != "auto"]
        if padded and (step.merge == "stack" or step.layer or len(padded) == len(step.terms)):
            raise refused(
                step.place, "reads appended channels of zeros", "They can be added to a map only."
            )
        self.every.append(step)
        return Term(len(self.every) - 1, step.shape, flat=flat)

    def whole(self, term: Term, place: str) -> Term:
        """Return a term that is a value itself, by a step that computes it."""
        if term.plain:
            return term
        return self.add(Step((replace(term, flat=False),), term.shape, place), flat=term.flat)

    def layer(self, term: Term, weighed: Weighed, *, flat: bool | None = None) -> Term:
        """Append a layer."""
        before = replace(term, flat=False)
        layer = replace(weighed.layer, strided=weighed.stride > 1)
        shape = layer.output(term.shape, weighed.width, weighed.stride)
        step = Step((before,), shape, weighed.place, layer=weighed)
        return self.add(step, flat=term.flat if flat is None else flat)

    def scaled(self, term: Term, factor: float, place: str) -> Term:
        """Multiply by a constant."""
        if term.gain.learned:
            term = self.whole(term, place)
        value = term.gain.value * factor
        return replace(term, gain=PLAIN if value == 1.0 else Gain("fixed", value))

    def weighted(self, term: Term, numbers: Tensor, place: str) -> Term:
        """Multiply by one learned number, or one per channel."""
        if term.gain != PLAIN:
            term = self.whole(term, place)
        kind = "scalar" if numbers.numel() == 1 else "channel"
        return replace(term, gain=Gain(kind, 1.0), numbers=numbers)

    def taken(self, term: Term, start: int, length: int, place: str) -> Term:
        """Take channels from `start` on.

        Raises:
            ArchitectureError: If they are no group out of equally large ones.
        """
        channels = term.shape[0]
        if length < 1 or channels % length or start % length:
            raise refused(
                place,
                f"takes channels {start} to {start + length - 1} of {channels}",
                "A part has to be one of several equally large groups of channels.",
            )
        if term.gain.learned or term.transform != "auto":
            term = self.whole(term, place)
        index, count = start // length, channels // length
        part = (term.part[0] * count + index, term.part[1] * count)
        return replace(term, part=part, shape=(length, *term.shape[1:]))

    def merged(self, merge: str, terms: Sequence[Term], place: str, **more: object) -> Term:
        """Append a merge of terms of one shape, or of a map and numbers for its channels.

        Raises:
            ArchitectureError: If shapes meet that no merge brings together.
        """
        largest = max((term.shape for term in terms), key=lambda shape: shape[1] * shape[2])
        stacked = merge == "stack"
        for term in terms:
            spread = term.shape[1:] == (1, 1) and not stacked
            same = stacked or term.shape[0] == largest[0]
            if not same or not (term.shape[1:] == largest[1:] or spread):
                raise refused(
                    place,
                    f"merges {term.shape} with {largest}",
                    "Only tensors of one shape, or maps with one number per channel, merge.",
                )
        channels = sum(term.shape[0] for term in terms) if stacked else largest[0]
        flat = all(term.flat for term in terms)
        plain = tuple(replace(term, flat=False) for term in terms)
        step = Step(plain, (channels, *largest[1:]), place, merge)
        return self.add(replace(step, **more), flat=flat)  # type: ignore[arg-type]


def refused(place: str, what: str, fix: str) -> ArchitectureError:
    """Build the error for something that cannot be imported."""
    return ArchitectureError(f"{place or 'The module'} {what}, which cannot be imported.", fix=fix)

"""What a merge learns, as data: sizes, whose it is, how it starts, how often it multiplies."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal, final

Shape = tuple[int, int, int]

Start = Literal["zeros", "ones", "kernel", "matrix", "small"]
"""How numbers start: constants; aligned with the identity; normal by the root of the last size, or
a hundredth of that (where a start at 0 would never move)."""

Applied = Literal["never", "image", "position", "every"]
"""How often a parameter is the matrix of a product: not at all, once per image, once per position
of the image, once per position of every input."""


@final
@dataclass(frozen=True)
class Share:
    """A size that follows the channels: `channels // divisor`, at least `least`."""

    divisor: int
    least: int = 1


Size = int | Literal["channels", "inputs"] | Share
"""A number, the node's channels, its live inputs, or a share of the channels."""


@final
@dataclass(frozen=True)
class MergeParameter:
    """One learned tensor of a merge.

    Args:
        name: Attribute of the torch module.
        shape: Sizes; of each input's tensor where there is one per input.
        per: `input` (the module stacks them along a first dimension, oldest input first) or `node`.
        start: How it starts. What a weight starts at may depend on its input's role; then the
            numbers here are what is added to that start, so that a weight shared between wirings
            starts the same wherever it is met first.
        applied: How often it multiplies a matrix; scaling alone is no multiply-add.
        newest_without: Newest inputs that have none, for `per` of `input`.
        least_degree: Live inputs below which there is none.
    """

    name: str
    shape: tuple[Size, ...] = (1,)
    per: Literal["input", "node"] = "input"
    start: Start = "zeros"
    applied: Applied = "never"
    newest_without: int = 0
    least_degree: int = 2

    def sizes(self, channels: int, degree: int) -> tuple[int, ...]:
        """Return the shape of one tensor at so many channels and live inputs."""
        return tuple(_size(size, channels, degree) for size in self.shape)

    def tensors(self, degree: int) -> int:
        """Return how many tensors there are: one per input that has one, or one of the node."""
        if degree < self.least_degree:
            return 0
        return 1 if self.per == "node" else max(0, degree - self.newest_without)

    def numbers(self, channels: int, degree: int) -> int:
        """Return the trainable numbers."""
        return self.tensors(degree) * prod(self.sizes(channels, degree))

    def macs(self, merged: Shape, degree: int) -> int:
        """Return the multiply-adds on one image.

        Args:
            merged: Shape of an input, `(channels, height, width)`.
            degree: Live inputs.
        """
        positions = merged[1] * merged[2]
        times = {"never": 0, "image": 1, "position": positions, "every": positions * degree}
        return self.numbers(merged[0], degree) * times[self.applied]


def _size(size: Size, channels: int, degree: int) -> int:
    if isinstance(size, Share):
        return max(size.least, channels // size.divisor)
    if isinstance(size, int):
        return size
    return channels if size == "channels" else degree

"""What merge modules have in common, and the registry of those that a name asks for.

A declared merge keeps its arithmetic in `combine`, a function of inputs and weights: the network
calls it with its own parameters, the supernet with slices of shared ones, so both compute the same.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, final

import torch
from torch import Tensor, nn

from nas.registry import Registry
from nas.topology.merges import Merge
from nas.topology.merges.parameters import Start

SMALL = 0.01
"""Share of the usual spread at which parameters with the start `small` begin."""

Weights = Mapping[str, Tensor]
"""The tensors of a merge by parameter; those per input stacked, oldest first."""


class AbstractMerge(nn.Module, abc.ABC):
    """Combine the inputs of a node.

    Shape:
        inputs: two or more tensors `(batch, channels, height, width)`, oldest source first; all
            equal in shape but for `Stacked`, whose inputs may differ in channels.
        returns: `(batch, channels, height, width)`; never one of the inputs.
    """

    @abc.abstractmethod
    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Combine the tensors."""


@final
@dataclass(frozen=True)
class MergeSetup:
    """What a declared merge is built for.

    Args:
        rule: The merge.
        degree: Live inputs, at least 2.
        channels: Of every input.
        factor: What the result is multiplied with, by the scale in force.
        roles: What each input is, oldest first.
    """

    rule: Merge
    degree: int
    channels: int
    factor: float
    roles: tuple[str, ...]


class AbstractDeclaredMerge(AbstractMerge):
    """A merge whose parameters are those that `nas.topology.merges` declares under its name.

    A parameter per input has the shape `(inputs that have one, *sizes)`, one of the node `sizes`.

    Args:
        setup: What it is built for.
    """

    def __init__(self, setup: MergeSetup) -> None:
        super().__init__()
        self.setup = setup
        for declared in setup.rule.parameters:
            count = declared.tensors(setup.degree)
            sizes = declared.sizes(setup.channels, setup.degree)
            if count:
                shape = (count, *sizes) if declared.per == "input" else sizes
                value = torch.full(shape, float(declared.start == "ones"))
                self.register_parameter(declared.name, nn.Parameter(value))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Combine the tensors with the module's own parameters."""
        return self.combine(inputs, dict(self.named_parameters()))

    @abc.abstractmethod
    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Combine the tensors with the given weights."""

    def coefficients(self, weights: Weights) -> Tensor | None:
        """Return what each input is multiplied with, `(inputs,)`, if that is all that happens."""
        return None

    def gates(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that only scale: like norms and biases they are never decayed."""
        named = dict(self.named_parameters())
        for declared in self.setup.rule.parameters:
            if declared.applied == "never" and declared.name in named:
                yield named[declared.name]

    @torch.no_grad()
    def fill(self, generator: torch.Generator) -> None:
        """Give every parameter its declared start."""
        for declared in self.setup.rule.parameters:
            value = dict(self.named_parameters()).get(declared.name)
            if value is not None:
                value.copy_(started(value.shape, declared.start, generator))


class AbstractWeightedSum(AbstractDeclaredMerge):
    """A sum of the inputs with one number each, whatever these follow from."""

    @abc.abstractmethod
    def coefficients(self, weights: Weights) -> Tensor:
        """Return what each input is multiplied with, `(inputs,)`, the factor included."""

    def combine(self, inputs: Sequence[Tensor], weights: Weights) -> Tensor:
        """Return `sum_e c_e x_e`."""
        return weighted_sum(inputs, list(self.coefficients(weights).unbind(0)))


def started(shape: torch.Size, start: Start, generator: torch.Generator) -> Tensor:
    """Return numbers as a parameter with this start has them at first, on the CPU."""
    if start in ("zeros", "ones"):
        return torch.full(shape, float(start == "ones"))
    spread = (SMALL if start == "small" else 1.0) / math.sqrt(shape[-1])
    return torch.randn(shape, generator=generator).mul_(spread)


def add_up(inputs: Sequence[Tensor], factor: float = 1.0) -> Tensor:
    """Return `factor` times the sum of two or more tensors, without a temporary per input."""
    total = inputs[0] + inputs[1]
    for tensor in inputs[2:]:
        total = total.add_(tensor)
    return total if factor == 1.0 else total.mul_(factor)


def weighted_sum(inputs: Sequence[Tensor], numbers: Sequence[Tensor]) -> Tensor:
    """Return the sum of tensors times numbers, or times tensors that broadcast over them."""
    total = inputs[0] * numbers[0]
    for tensor, number in zip(inputs[1:], numbers[1:], strict=True):
        total = torch.addcmul(total, tensor, number)
    return total


def pointwise(x: Tensor, matrix: Tensor) -> Tensor:
    """Return a 1x1 convolution with `matrix` `(out, in)` of `(batch, in, height, width)`."""
    return torch.nn.functional.conv2d(x, matrix[:, :, None, None])


Builder = Callable[[MergeSetup], AbstractDeclaredMerge]
BuilderType = TypeVar("BuilderType", bound=Builder)

MERGE_MODULES: Registry[Builder] = Registry("merge module", package="nas.model.merges")


def merge_module(*names: str) -> Callable[[BuilderType], BuilderType]:
    """Register the decorated class as the module of merges with the weight `module`.

    Args:
        names: Of the merges, without numbers in brackets.

    Raises:
        ConfigError: If a name is taken.
    """

    def decorate(build: BuilderType) -> BuilderType:
        for name in names:
            MERGE_MODULES.add(name, build)
        return build

    return decorate

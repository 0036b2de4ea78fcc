"""Initial weights by fan-in and in-degree: what reaches the output is as large as what came in.

A weight behind a merge of d inputs has variance `2 / (fan_in d)` (Chen et al. 2024,
arXiv:2402.17440; for d = 1 He et al. 2015, arXiv:1502.01852): uncorrelated inputs add up to d times
the second moment of one, and a rectifier halves it. Both facts are followed through the wiring
instead of being assumed: the second moment and the mean of every state are carried along, so that
joins, gains, means, norms and rectifiers in front of or behind a convolution all count as what they
do; merges with a module of their own are run, as they start, on drawn inputs. Rectified inputs are
not uncorrelated (their means are positive), which the published formula leaves out: behind
`conv+relu` it lets activations grow with the in-degree, here they do not.

Weights of norms, gates and heads stay as the default has them. A tied weight is filled for the
first place that it stands in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.cost.shapes import NodeStep
from nas.model.layer_modules import ChannelNorm, GateLayer
from nas.model.merges import AbstractDeclaredMerge
from nas.model.merges.linear import PairwiseMean, Projected, Stacked, pairwise_coefficients

if TYPE_CHECKING:
    from nas.model.network import AbstractWired, NodeModule

RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish)
"""Activations that pass about half of a symmetric input."""

NORMS = (_BatchNorm, ChannelNorm, nn.GroupNorm)

_DRAWN_IMAGES = 4
_DRAWN_SIDE = 16
"""Images and side of the tensors on which a merge is measured."""

_LEAST_MEAN = 0.01
"""Share of the moment up to which a measured mean is that of the draw, ten times its variance."""

RECTIFIED_MEAN = 1 / math.sqrt(2 * math.pi)
"""Mean of a rectified standard normal number."""


@final
@dataclass(frozen=True)
class Signal:
    """What is known of a state.

    Args:
        moment: Mean square.
        mean: Root mean square of the channels' means.
    """

    moment: float = 1.0
    mean: float = 0.0

    def times(self, factor: float) -> Signal:
        """Return what is left of it after a factor."""
        return Signal(self.moment * factor**2, self.mean * abs(factor))

    def rectified(self) -> Signal:
        """Return it behind a rectifier; a signal that is positive already passes."""
        if self.mean:
            return self
        return Signal(self.moment / 2, RECTIFIED_MEAN * math.sqrt(self.moment))


@torch.no_grad()
def fill_by_in_degree(
    wired: AbstractWired, generator: torch.Generator, start: Signal | None = None
) -> Signal:
    """Fill the convolutions of a network or cell in place; return what its last state is.

    Args:
        wired: Filled by the default already; only convolutions and slices are drawn again.
        generator: Source of the weights, on the CPU.
        start: What comes in, by default of mean square 1.
    """
    filled: set[int] = set()
    return _fill_wired(wired, generator, start or Signal(), filled)


def _fill_wired(
    wired: AbstractWired, generator: torch.Generator, start: Signal, filled: set[int]
) -> Signal:
    states = [start]
    for step in wired.plan.steps[1:]:
        module = cast("NodeModule", wired.nodes[str(step.index)])
        inputs = [states[entry.edge.source] for entry in step.inputs]
        for position, entry in enumerate(step.inputs):
            if str(position) in module.adapters:
                row = _leaves(module.adapters[str(position)])
                inputs[position] = _through(row, inputs[position], generator, filled)
            inputs[position] = inputs[position].times(entry.adapter.gain.value)
        merged = _merged(step, module, inputs, generator, filled)
        for part in module.operation:
            merged = _through(_leaves(part), merged, generator, filled)
        if module.cell is not None:
            merged = _fill_wired(module.cell, generator, merged, filled)
        states.append(merged)
    return states[-1]


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    yield from (part for part in module.modules() if not list(part.children()))


def _through(
    row: Iterable[nn.Module], signal: Signal, generator: torch.Generator, filled: set[int]
) -> Signal:
    """Fill the convolutions of a row of layers; return the signal behind it."""
    for layer in row:
        if isinstance(layer, GateLayer):
            continue  # the inside of a gate sees one number per channel
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            _draw(layer.weight, 1.0 / (fan_in * max(signal.moment, 1e-12)), generator, filled)
            signal = Signal()
        elif isinstance(layer, NORMS):
            signal = Signal()
        elif isinstance(layer, RECTIFIERS):
            signal = signal.rectified()
    return signal


def _draw(weight: Tensor, variance: float, generator: torch.Generator, filled: set[int]) -> None:
    if id(weight) in filled:
        return
    filled.add(id(weight))
    weight.copy_(torch.randn(weight.shape, generator=generator).mul_(math.sqrt(variance)))


def _merged(
    step: NodeStep,
    module: NodeModule,
    inputs: Sequence[Signal],
    generator: torch.Generator,
    filled: set[int],
) -> Signal:
    """Return what a merge makes of its inputs; slices are drawn so that its mean square is 1."""
    if not inputs:
        return Signal(0.0)
    if module.merge is None:
        return inputs[0]
    channels = [entry.adapter.target[0] for entry in step.inputs]
    if isinstance(module.merge, Stacked):
        shares = [count / sum(channels) for count in channels]
        moment = sum(share * each.moment for share, each in zip(shares, inputs, strict=True))
        mean = sum(share * each.mean**2 for share, each in zip(shares, inputs, strict=True))
        return Signal(moment, math.sqrt(mean))
    if isinstance(module.merge, Projected):
        total = sum(channels[0] * each.moment for each in inputs) * module.merge.factor**2
        for weight in module.merge.slices:
            _draw(weight, 1.0 / max(total, 1e-12), generator, filled)
        return Signal()
    if isinstance(module.merge, AbstractDeclaredMerge):
        return _measured(module.merge, inputs, channels[0])
    numbers = [step.factor] * len(inputs)
    if isinstance(module.merge, PairwiseMean):
        numbers = pairwise_coefficients(len(inputs))
    # Deviations are taken to be uncorrelated; means all point the same way.
    weighed = [each.times(number) for each, number in zip(inputs, numbers, strict=True)]
    spread = sum(each.moment - each.mean**2 for each in weighed)
    mean = sum(each.mean for each in weighed)
    return Signal(spread + mean**2, mean)


def _measured(merge: AbstractDeclaredMerge, inputs: Sequence[Signal], channels: int) -> Signal:
    """Return what a merge with a module of its own makes, as it starts, of drawn inputs.

    A sum of its numbers would be wrong for most: a softmax starts as a mean, a product is neither.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (_DRAWN_IMAGES, channels, _DRAWN_SIDE, _DRAWN_SIDE)
    drawn = [
        torch.randn(shape, generator=generator)
        .mul_(math.sqrt(max(each.moment - each.mean**2, 0.0)))
        .add_(each.mean)
        for each in inputs
    ]
    example = next(merge.parameters(), drawn[0])
    output = merge([each.to(example) for each in drawn])
    moment = float(output.square().mean())
    mean = float(output.mean((0, 2, 3)).square().mean().sqrt())
    return Signal(moment, mean if mean**2 > _LEAST_MEAN * moment else 0.0)

"""Run a program on shared weights: the same arithmetic as the stand-alone `Network`.

A member is an argument here, never a state of modules: two threads may run two members at once.
Layers of this package run as plain functions on weight slices; a plugin's layer runs through the
module that `nas.model` builds for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, Self, cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.cost.shapes import Adapter
from nas.errors import ConfigError
from nas.model.adapters import fixed_modules
from nas.model.layers import build_layer
from nas.model.merges import (
    CONCATENATION_LIMIT,
    AbstractDeclaredMerge,
    MergeSetup,
    add_up,
    build_declared,
    merge_setup,
    pairwise_mean,
)
from nas.model.network import zero_images
from nas.supernet.slots import EdgeCall, LayerCall, NodeCall, Program, SlotUse
from nas.topology.layers import AbstractLayer, BatchNorm, Conv, DepthwiseConv, ReLU

Norm = Callable[[str, Tensor, Tensor | None, Tensor | None, float], Tensor]
"""From a norm's site, its input, scale and shift (if it has them) and the number added to its
variance to its output."""


class WeightSource(Protocol):
    """Whatever gives a member its weights: shared slots, or a hypernetwork's output."""

    def read(self, use: SlotUse) -> Tensor:
        """Return the tensor of shape `use.shape`."""


@final
@dataclass(frozen=True)
class Statistics:
    """Batch-norm statistics of one member.

    Args:
        values: Mean and unbiased variance, `(channels,)` each, by site.
    """

    values: Mapping[str, tuple[Tensor, Tensor]]

    @classmethod
    def average(cls, several: Sequence[Self]) -> Self:
        """Return the mean of several measurements of one member."""
        return cls(
            {
                site: (
                    torch.stack([each.values[site][0] for each in several]).mean(0),
                    torch.stack([each.values[site][1] for each in several]).mean(0),
                )
                for site in several[0].values
            }
        )


def batch_norm(
    site: str, x: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float
) -> Tensor:
    """Normalise by the batch's own statistics."""
    return F.batch_norm(x, None, None, weight, bias, True, 0.0, epsilon)


@final
@dataclass
class RecordingNorm:
    """Normalise by the batch's statistics and keep them."""

    values: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __call__(
        self, site: str, x: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float
    ) -> Tensor:
        """Normalise, and file mean and variance under the site."""
        mean, variance = x.new_zeros(x.shape[1]), x.new_ones(x.shape[1])
        # Momentum 1: what is left in the running statistics is this batch's.
        y = F.batch_norm(x, mean, variance, weight, bias, True, 1.0, epsilon)
        self.values[site] = (mean, variance)
        return y


@final
@dataclass(frozen=True)
class FixedNorm:
    """Normalise by given statistics."""

    statistics: Statistics

    def __call__(
        self, site: str, x: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float
    ) -> Tensor:
        """Normalise by the site's statistics."""
        if site not in self.statistics.values:
            raise ConfigError(
                f"The statistics hold nothing for the norm '{site}'.",
                why="They were measured on another architecture.",
                fix="Recalibrate this architecture.",
            )
        mean, variance = self.statistics.values[site]
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, epsilon)


def run_program(program: Program, x: Tensor, weights: WeightSource, norm: Norm) -> Tensor:
    """Return the state of the program's last node for `(batch, *program.plan.input_shape)`."""
    states: list[Tensor | None] = [x]
    for call, frees in zip(program.calls, program.frees, strict=True):
        states.append(run_node(call, states, x, weights, norm))
        for source in frees:
            states[source] = None
    return cast(Tensor, states[-1])


def run_node(
    call: NodeCall,
    states: Sequence[Tensor | None],
    like: Tensor,
    weights: WeightSource,
    norm: Norm,
) -> Tensor:
    """Merge a node's inputs and compute its operation or cell."""
    merged = merge_inputs(call, states, like, weights, norm)
    merged = run_layers(call.layers, merged, weights, norm)
    return merged if call.cell is None else run_program(call.cell, merged, weights, norm)


def merge_inputs(
    call: NodeCall,
    states: Sequence[Tensor | None],
    like: Tensor,
    weights: WeightSource,
    norm: Norm,
) -> Tensor:
    """Merge a node's inputs; zeros where it has none."""
    if not call.inputs:
        return zero_images(like, call.step.merged)
    inputs = [adapt(edge, states, weights, norm) for edge in call.inputs]
    return merge_adapted(call, inputs, weights)


def adapt(
    edge: EdgeCall, states: Sequence[Tensor | None], weights: WeightSource, norm: Norm
) -> Tensor:
    """Return what an edge delivers."""
    x = cast(Tensor, states[edge.source])
    return run_adapter(edge.adapter, edge.layers, x, weights, norm)


def run_adapter(
    adapter: Adapter, layers: tuple[LayerCall, ...], x: Tensor, weights: WeightSource, norm: Norm
) -> Tensor:
    """Bring one tensor to its target's shape."""
    for fixed in _fixed(adapter):
        x = fixed(x)
    return run_layers(layers, x, weights, norm)


@lru_cache(maxsize=4096)
def _fixed(adapter: Adapter) -> tuple[nn.Module, ...]:
    """Return the part of an adapter that has no weights, as `nas.model` builds it."""
    return tuple(fixed_modules(adapter))


def merge_adapted(call: NodeCall, inputs: list[Tensor], weights: WeightSource) -> Tensor:
    """Merge what a node's edges, one or more, deliver."""
    step = call.step
    if len(inputs) == 1:
        return inputs[0]
    form = step.merge.weight
    if form in ("stacked", "pairwise", "module"):
        return _whole_merge(call, inputs, weights)
    if form == "identity":
        return add_up(inputs, step.factor)
    values = [weights.read(edge.weight) for edge in call.inputs if edge.weight is not None]
    if form == "scalar":
        scaled = [value * step.factor for value in values]
        total = inputs[0] * scaled[0]
        for tensor, value in zip(inputs[1:], scaled[1:], strict=True):
            total = torch.addcmul(total, tensor, value)
        return total
    return projected_sum(inputs, values, step.factor)


def _whole_merge(call: NodeCall, inputs: list[Tensor], weights: WeightSource) -> Tensor:
    """Merge by a rule that is no weighted sum of its inputs."""
    if call.step.merge.weight == "stacked":
        return torch.cat(inputs, dim=1)
    if call.step.merge.weight == "pairwise":
        return pairwise_mean(inputs)
    values = {}
    for parameter in call.merge:
        read = [weights.read(use) for use in parameter.uses]
        values[parameter.name] = torch.stack(read) if parameter.per_input else read[0]
    return _declared_merge(merge_setup(call.step)).combine(inputs, values)


@lru_cache(maxsize=1024)
def _declared_merge(setup: MergeSetup) -> AbstractDeclaredMerge:
    """Return a module whose arithmetic is run on other weights; its own are never read."""
    return build_declared(setup)


def projected_sum(inputs: list[Tensor], slices: list[Tensor], factor: float = 1.0) -> Tensor:
    """Return `factor * sum_e W_e x_e`, as one convolution or as several, whichever is faster."""
    first = inputs[0]
    if first.device.type != "cpu" or first.numel() * len(inputs) <= CONCATENATION_LIMIT:
        kernel = _kernel(torch.cat(slices, dim=1), factor)
        return F.conv2d(torch.cat(inputs, dim=1), kernel)
    total = F.conv2d(first, _kernel(slices[0], factor))
    for tensor, weight in zip(inputs[1:], slices[1:], strict=True):
        total = total.add_(F.conv2d(tensor, _kernel(weight, factor)))
    return total


def _kernel(weight: Tensor, factor: float) -> Tensor:
    return (weight if factor == 1.0 else weight * factor)[:, :, None, None]


def run_layers(
    layers: tuple[LayerCall, ...], x: Tensor, weights: WeightSource, norm: Norm
) -> Tensor:
    """Run an operation's layers one after the other."""
    for call in layers:
        x = _run_layer(call, x, [weights.read(use) for use in call.weights], norm)
    return x


def _run_layer(call: LayerCall, x: Tensor, values: list[Tensor], norm: Norm) -> Tensor:
    layer = call.layer
    if isinstance(layer, BatchNorm):
        scale, shift = values or (None, None)
        return norm(call.site, x, scale, shift, layer.eps)
    if isinstance(layer, ReLU):
        return F.relu(x)
    if isinstance(layer, (Conv, DepthwiseConv)):
        stride = call.stride if layer.strided else 1
        groups = x.shape[1] if isinstance(layer, DepthwiseConv) else layer.groups
        bias = values[1] if layer.bias else None
        return F.conv2d(x, values[0], bias, stride, layer.margins, layer.dilation, groups)
    # Noise such as dropout belongs to training; statistics and scores are taken without it.
    training = norm is batch_norm or bool(getattr(norm, "training", False))
    module = _module(layer, call.in_channels, call.width, call.stride, training)
    if not call.weights:
        return cast(Tensor, module(x))
    names = [use.key.rpartition("|")[2] for use in call.weights]
    named = dict(zip(names, values, strict=True))
    return cast(Tensor, torch.func.functional_call(module, named, (x,)))


@lru_cache(maxsize=1024)
def _module(
    layer: AbstractLayer, in_channels: int, width: int, stride: int, training: bool
) -> nn.Module:
    return build_layer(layer, in_channels, width, stride).train(training)

"""Initial weights, drawn from one seed: aligned with the identity, or as published networks use.

*Aligned*: every convolution, depthwise filter, projection slice and adapter starts as the identity
plus small noise, so that a node computes nearly the same whatever wiring it stands in. That decides
whether weights can be shared between wirings at all (after 200 steps of path training on the digits
data: mean accuracy 0.94 of the members of `tiny_exhaustive`, 0.28 with the default). *Default*:
normal with the variance of He et al. 2015 (arXiv:1502.01852), fan-out for convolutions as published
residual networks use; what a network trained alone should start from (60 steps on the same data,
chains of separable convolutions: 0.96, aligned 0.67). *In-degree*: the default, with convolutions
drawn anew by fan-in and in-degree (`nas.model.in_degree`), for networks without norms.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.errors import ConfigError
from nas.model.layer_modules import ChannelAffine, ChannelNorm, GateLayer, TokenMixer
from nas.model.merges import AbstractDeclaredMerge, Projected

Initialisation = Literal["aligned", "default", "in_degree"]
DEFAULT_NOISE = 0.1
"""Standard deviation of the noise, as a share of that of the default initialisation."""
GATE_DEVIATION = 0.01
"""Standard deviation of the weights inside an aligned gate."""


def check_initialisation(name: str) -> None:
    """Refuse an unknown kind of initialisation.

    Raises:
        ConfigError: If there is no initialisation of that name.
    """
    if name not in get_args(Initialisation):
        raise ConfigError(
            f"Unknown initialisation '{name}'.",
            fix=f"Known initialisations: {', '.join(get_args(Initialisation))}.",
        )


@torch.no_grad()
def aligned_(
    weight: Tensor, generator: torch.Generator, noise: float = DEFAULT_NOISE, groups: int = 1
) -> Tensor:
    """Fill a weight with the identity plus noise, in place.

    More outputs than inputs: output `o` copies input `o mod inputs`. Fewer: output `o` averages
    the inputs `i` with `i mod outputs = o`, so that widening and narrowing again is the identity.

    Args:
        weight: `(out, in)` of a projection slice, or `(out, in / groups, height, width)` of a
            convolution; a depthwise one has `in / groups = 1`.
        generator: Source of the noise, on the CPU.
        noise: Standard deviation relative to `sqrt(2 / fan_in)`.
        groups: Groups of a convolution; each copies or averages its own inputs.

    Returns:
        The weight.
    """
    kernel = weight.reshape(*weight.shape, 1, 1) if weight.dim() == 2 else weight
    outputs, inputs, height, width = kernel.shape
    deviation = noise * math.sqrt(2.0 / (inputs * height * width))
    drawn = torch.randn(kernel.shape, generator=generator).mul_(deviation)
    drawn[:, :, height // 2, width // 2] += _identity(outputs // groups, inputs).repeat(groups, 1)
    weight.copy_(drawn.reshape(weight.shape))
    return weight


def _identity(outputs: int, inputs: int) -> Tensor:
    if outputs >= inputs:
        return torch.eye(inputs).repeat(-(-outputs // inputs), 1)[:outputs]
    spread = torch.eye(outputs).repeat(1, -(-inputs // outputs))[:, :inputs]
    return spread / spread.sum(dim=1, keepdim=True)


@torch.no_grad()
def default_(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Fill a convolution weight from a normal distribution of variance `2 / fan_out`, in place."""
    outputs, _, height, width = weight.shape
    deviation = math.sqrt(2.0 / (outputs * height * width))
    return weight.copy_(torch.randn(weight.shape, generator=generator).mul_(deviation))


@torch.no_grad()
def initialise_head(head: nn.Linear, generator: torch.Generator) -> None:
    """Fill a classifier: weights uniform within `1 / sqrt(inputs)`, biases 0."""
    bound = head.in_features**-0.5
    head.weight.copy_(torch.rand(head.weight.shape, generator=generator).mul_(2).sub_(1) * bound)
    if head.bias is not None:
        head.bias.zero_()


def initialise(
    module: nn.Module,
    generator: torch.Generator,
    kind: Initialisation = "aligned",
    noise: float = DEFAULT_NOISE,
) -> None:
    """Fill every weight below `module`, shared ones once, in the order of its modules.

    Batch norms start with scale 1, shift 0 and fresh statistics. Modules of unknown classes, those
    of plugins, keep what they have.

    Raises:
        ConfigError: If `kind` is unknown.
    """
    check_initialisation(kind)
    filled: set[int] = set()
    for part in module.modules():
        parameters = [id(parameter) for parameter in part.parameters(recurse=False)]
        if parameters and filled.issuperset(parameters):
            continue  # tied: filled through the first of its users
        filled.update(parameters)
        _fill(part, generator, kind, noise)


def _fill(part: nn.Module, generator: torch.Generator, kind: Initialisation, noise: float) -> None:
    if isinstance(part, nn.Conv2d):
        _fill_convolution(part, generator, kind, noise)
    elif isinstance(part, nn.Linear):
        initialise_head(part, generator)
        if isinstance(part, TokenMixer) and kind == "aligned":
            aligned_(part.weight, generator, noise)
    elif isinstance(part, ChannelNorm | ChannelAffine):
        nn.init.ones_(part.weight)
        nn.init.zeros_(part.bias)
    elif isinstance(part, _BatchNorm):
        part.reset_parameters()
    elif isinstance(part, AbstractDeclaredMerge):
        part.fill(generator)
    elif isinstance(part, Projected):
        _fill_slices(part, generator, kind, noise)


@torch.no_grad()
def _fill_convolution(
    part: nn.Conv2d, generator: torch.Generator, kind: Initialisation, noise: float
) -> None:
    if kind == "default":
        default_(part.weight, generator)
    elif isinstance(part, GateLayer):
        drawn = torch.randn(part.weight.shape, generator=generator)
        part.weight.copy_(drawn.mul_(GATE_DEVIATION))  # every channel is let through alike
    else:
        aligned_(part.weight, generator, noise, part.groups)
    if part.bias is not None:
        nn.init.zeros_(part.bias)


@torch.no_grad()
def _fill_slices(
    merge: Projected, generator: torch.Generator, kind: Initialisation, noise: float
) -> None:
    slices = list(merge.slices)
    channels = slices[0].shape[0]
    drawn = torch.randn((len(slices), channels, channels), generator=generator)
    if kind == "aligned":
        drawn.mul_(noise * math.sqrt(2.0 / channels)).add_(torch.eye(channels))
    else:  # undo the factor: what runs then has the variance 2 / (inputs x channels)
        drawn.mul_(math.sqrt(2.0 / (len(slices) * channels)) / merge.factor)
    for weight, values in zip(slices, drawn, strict=True):
        weight.copy_(values)

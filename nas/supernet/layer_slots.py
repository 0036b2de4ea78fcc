"""The slots of layers: which shared tensors a row of layers reads, and how they start.

Convolutions and batch norms are spelt out, because they run as plain functions. Every other layer
is what `nas.model` builds for it: its parameters are its slots, whatever they are called, and a
narrower member reads leading slices of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, final

from torch import nn

from nas.model.layer_modules import (
    ChannelAffine,
    ChannelGate,
    ChannelNorm,
    GateLayer,
    TokenMixer,
)
from nas.model.layers import build_layer
from nas.supernet.sharing_rule import Owner
from nas.topology.layers import (
    AbstractFree,
    AbstractLayer,
    AbstractNorm,
    BatchNorm,
    Conv,
    DepthwiseConv,
    Shape,
)

Filling = Literal["kernel", "ones", "zeros", "classifier", "matrix", "small", "module"]
"""How a slot starts: aligned kernel, constants, uniformly by its inputs (classifier), normally by
its last size (matrix, or a hundredth of it), or as its plugin's module does."""

_OWN = (ChannelAffine, ChannelGate, ChannelNorm, TokenMixer)


@final
@dataclass(frozen=True)
class SlotUse:
    """One tensor that a member reads.

    Args:
        key: The slot.
        shape: Leading slice of the slot that is read.
        filling: How the slot starts.
        parameter: Name in the stand-alone `Network`; `name[i]` is one element of a vector.
        layer: The layer it belongs to, with its arguments, where its start depends on them: where
            `filling` is `module`, and of a convolution in groups.
    """

    key: str
    shape: tuple[int, ...]
    filling: Filling
    parameter: str
    layer: tuple[AbstractLayer, int, int, int] | None = None


@final
@dataclass(frozen=True)
class LayerCall:
    """One layer with its weights; `site` names the norm's statistics (its module's name).

    `scale` is the slot that a batch norm's statistics are filed under: of its scale, also where the
    norm has none. It is None for every other layer.
    """

    layer: AbstractLayer
    stride: int
    weights: tuple[SlotUse, ...]
    site: str
    in_channels: int
    width: int
    scale: SlotUse | None = None


def operation_calls(
    slot: Owner,
    module: str,
    layers: tuple[AbstractLayer, ...],
    shape: Shape,
    width: int,
    stride: int,
    first: int = 0,
) -> tuple[LayerCall, ...]:
    """Return one call per layer; `first` is the number of the first layer's module."""
    calls = []
    for number, general in enumerate(layers):
        layer = general.at(shape)
        name = f"{module}.{first + number}"
        own = slot.below(str(number))
        weights = _layer_uses(own, name, layer, shape[0], width, stride)
        scale = _scale_use(own, name, shape[0]) if isinstance(layer, BatchNorm) else None
        calls.append(LayerCall(layer, stride, weights, name, shape[0], width, scale))
        shape = layer.output(shape, width, stride)
    return tuple(calls)


def _scale_use(slot: Owner, module: str, channels: int) -> SlotUse:
    return SlotUse(slot.norm("weight"), (channels,), "ones", f"{module}.weight")


def _layer_uses(
    slot: Owner, module: str, layer: AbstractLayer, channels: int, width: int, stride: int
) -> tuple[SlotUse, ...]:
    if isinstance(layer, AbstractFree):
        return ()
    if isinstance(layer, (Conv, DepthwiseConv)):
        return _kernel_uses(slot, module, layer, channels, width, stride)
    if isinstance(layer, BatchNorm):
        if not layer.affine:
            return ()
        shift = SlotUse(slot.norm("bias"), (channels,), "zeros", f"{module}.bias")
        return (_scale_use(slot, module, channels), shift)
    key = slot.norm if isinstance(layer, AbstractNorm) else slot.weight
    arguments = (layer, channels, width, stride)
    return tuple(
        SlotUse(
            key(name),
            shape,
            filling,
            f"{module}.{name}",
            arguments if filling == "module" else None,
        )
        for name, shape, filling in _parameters(*arguments)
    )


def _kernel_uses(
    slot: Owner,
    module: str,
    layer: Conv | DepthwiseConv,
    channels: int,
    width: int,
    stride: int,
) -> tuple[SlotUse, ...]:
    outputs, inputs, owner = channels, 1, None
    if isinstance(layer, Conv):
        outputs, inputs = layer.channels(channels, width), channels // layer.groups
        owner = (layer, channels, width, stride) if layer.groups > 1 else None
    shape = (outputs, inputs, *layer.sides)
    kernel = SlotUse(slot.weight("weight"), shape, "kernel", f"{module}.weight", owner)
    if not layer.bias:
        return (kernel,)
    return (kernel, SlotUse(slot.weight("bias"), (outputs,), "zeros", f"{module}.bias"))


@lru_cache(maxsize=4096)
def _parameters(
    layer: AbstractLayer, channels: int, width: int, stride: int
) -> tuple[tuple[str, tuple[int, ...], Filling], ...]:
    """Return name, shape and start of the parameters of a layer's module."""
    module = build_layer(layer, channels, width, stride)
    return tuple(
        (name, tuple(value.shape), _filling(module, name))
        for name, value in module.named_parameters()
    )


def _filling(module: nn.Module, name: str) -> Filling:
    """Say how a parameter starts; modules of plugins start as they like."""
    if not isinstance(module, _OWN):
        return "module"
    owner, _, last = name.rpartition(".")
    part = module.get_submodule(owner)
    if last == "bias":
        return "zeros"
    if isinstance(part, (ChannelNorm, ChannelAffine)):
        return "ones"
    return "small" if isinstance(part, GateLayer) else "kernel"

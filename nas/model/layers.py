"""Torch modules for the primitive layers of `nas.topology.layers`, one builder per layer class.

The shapes and costs of a layer are written in `nas.topology.layers`, its arithmetic here; a
contract test holds one to the other. A plugin with a layer of its own registers a builder with
`layer_builder`. Weights come out uninitialised: `nas.model.initialise` fills them from a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from nas.errors import NotFoundError
from nas.model.layer_modules import (
    ChannelAffine,
    ChannelGate,
    ChannelNorm,
    Classifier,
    Convolution,
    GateLayer,
    GlobalAverage,
    Rectifier,
    Resize,
    Shuffle,
    TokenMixer,
)
from nas.topology.layers import (
    GELU,
    AbstractLayer,
    Affine,
    BatchNorm,
    ChannelShuffle,
    Conv,
    DepthwiseConv,
    Dropout,
    EffectiveSqueezeExcite,
    GlobalPool,
    Hardsigmoid,
    Hardswish,
    LayerNorm,
    LeakyReLU,
    Mish,
    Pool,
    ReLU,
    ReLU6,
    Shape,
    Sigmoid,
    SiLU,
    SqueezeExcite,
    TokenLinear,
    Upsample,
)
from nas.topology.operations import Operation

__all__ = ["Classifier", "Convolution", "build_layer", "build_operation", "layer_builder"]

LayerType = TypeVar("LayerType", bound=AbstractLayer)
Builder = Callable[[LayerType, int, int, int], nn.Module]

_BUILDERS: dict[type[AbstractLayer], Callable[..., nn.Module]] = {}


def layer_builder(
    layer_class: type[LayerType],
) -> Callable[[Builder[LayerType]], Builder[LayerType]]:
    """Register the decorated function as the builder of a layer class.

    The function gets the layer, its input channels, the node's width and the node's stride, and
    returns a module from `(batch, channels, height, width)` to `layer.output(...)`.
    """

    def decorate(build: Builder[LayerType]) -> Builder[LayerType]:
        _BUILDERS[layer_class] = build
        return build

    return decorate


def build_layer(layer: AbstractLayer, in_channels: int, width: int, stride: int = 1) -> nn.Module:
    """Return the module of one layer.

    Args:
        layer: The layer.
        in_channels: Channels that reach it.
        width: Output channels of the node it belongs to.
        stride: Stride of the node; only a strided layer uses it.

    Raises:
        NotFoundError: If no builder is registered for the layer's class.
    """
    try:
        build = _BUILDERS[type(layer)]
    except KeyError:
        known = ", ".join(sorted(entry.__name__ for entry in _BUILDERS))
        raise NotFoundError(
            f"No module is known for the layer '{type(layer).__name__}'.",
            fix=f"Register one with nas.model.layers.layer_builder. Known layers: {known}.",
        ) from None
    module: nn.Module = build(layer, in_channels, width, stride)
    return module


def build_operation(operation: Operation, shape: Shape, width: int, stride: int) -> nn.ModuleList:
    """Return the modules of an operation, one per layer, for an input of this shape."""
    shapes = operation.shapes(shape, width, stride)
    return nn.ModuleList(
        build_layer(layer.at(entry), entry[0], width, stride)
        for layer, entry in zip(operation.layers, shapes, strict=False)
    )


@layer_builder(Conv)
def _build_conv(layer: Conv, in_channels: int, width: int, stride: int) -> nn.Module:
    return Convolution(
        in_channels,
        layer.channels(in_channels, width),
        layer.sides,
        stride=stride if layer.strided else 1,
        padding=layer.margins,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias,
    )


@layer_builder(DepthwiseConv)
def _build_depthwise(layer: DepthwiseConv, in_channels: int, width: int, stride: int) -> nn.Module:
    return Convolution(
        in_channels,
        in_channels,
        layer.sides,
        stride=stride if layer.strided else 1,
        padding=layer.margins,
        dilation=layer.dilation,
        groups=in_channels,
        bias=layer.bias,
    )


@layer_builder(BatchNorm)
def _build_batch_norm(layer: BatchNorm, in_channels: int, width: int, stride: int) -> nn.Module:
    return nn.BatchNorm2d(in_channels, eps=layer.eps, affine=layer.affine)


@layer_builder(LayerNorm)
def _build_layer_norm(layer: LayerNorm, in_channels: int, width: int, stride: int) -> nn.Module:
    return ChannelNorm(in_channels, layer.eps)


@layer_builder(Affine)
def _build_affine(layer: Affine, in_channels: int, width: int, stride: int) -> nn.Module:
    return ChannelAffine(in_channels)


@layer_builder(Pool)
def _build_pool(layer: Pool, in_channels: int, width: int, stride: int) -> nn.Module:
    step = stride if layer.strided else 1
    if layer.kind == "max":
        return nn.MaxPool2d(layer.sides, step, layer.margins, ceil_mode=layer.ceil)
    return nn.AvgPool2d(layer.sides, step, layer.margins, layer.ceil, layer.count_padding)


@layer_builder(GlobalPool)
def _build_global(layer: GlobalPool, in_channels: int, width: int, stride: int) -> nn.Module:
    return GlobalAverage()


@layer_builder(SqueezeExcite)
def _build_gate(layer: SqueezeExcite, in_channels: int, width: int, stride: int) -> nn.Module:
    hidden = layer.hidden(in_channels)
    gate = nn.Sigmoid() if layer.gate == "sigmoid" else nn.Hardsigmoid()
    return ChannelGate(
        GateLayer(in_channels, hidden), nn.ReLU(), GateLayer(hidden, in_channels), gate
    )


@layer_builder(EffectiveSqueezeExcite)
def _build_effective_gate(
    layer: EffectiveSqueezeExcite, in_channels: int, width: int, stride: int
) -> nn.Module:
    return ChannelGate(GateLayer(in_channels, in_channels), nn.Hardsigmoid())


@layer_builder(ChannelShuffle)
def _build_shuffle(layer: ChannelShuffle, in_channels: int, width: int, stride: int) -> nn.Module:
    return Shuffle(layer.groups)


@layer_builder(Upsample)
def _build_resize(layer: Upsample, in_channels: int, width: int, stride: int) -> nn.Module:
    return Resize(layer.factor, layer.mode)


@layer_builder(TokenLinear)
def _build_tokens(layer: TokenLinear, in_channels: int, width: int, stride: int) -> nn.Module:
    assert layer.tokens is not None, "the resolution is filled in by `at`"
    return TokenMixer(layer.tokens, layer.tokens)


@layer_builder(Dropout)
def _build_dropout(layer: Dropout, in_channels: int, width: int, stride: int) -> nn.Module:
    return nn.Dropout(layer.rate)


@layer_builder(LeakyReLU)
def _build_leaky(layer: LeakyReLU, in_channels: int, width: int, stride: int) -> nn.Module:
    return nn.LeakyReLU(layer.slope)


def _pointwise(layer_class: type[AbstractLayer], module_class: type[nn.Module]) -> None:
    """Register a nonlinearity without arguments."""
    # Never in place: the input may be a state that other nodes read.
    layer_builder(layer_class)(lambda layer, in_channels, width, stride: module_class())


for _layer_class, _module_class in (
    (ReLU, Rectifier),
    (ReLU6, nn.ReLU6),
    (SiLU, nn.SiLU),
    (GELU, nn.GELU),
    (Mish, nn.Mish),
    (Sigmoid, nn.Sigmoid),
    (Hardsigmoid, nn.Hardsigmoid),
    (Hardswish, nn.Hardswish),
):
    _pointwise(_layer_class, _module_class)

"""Torch modules for the primitive layers of `nas.topology.layers`, one builder per layer class.

The shapes and costs of a layer are written in `nas.topology.layers`, its arithmetic here; a
contract test holds one to the other. A plugin with a layer of its own registers a builder with
`layer_builder`. Weights come out uninitialised: `nas.model.initialise` fills them from a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, final

from torch import nn

from nas.errors import NotFoundError
from nas.topology.layers import AbstractLayer, BatchNorm, Conv, DepthwiseConv, Pool, ReLU, Shape
from nas.topology.operations import Operation

LayerType = TypeVar("LayerType", bound=AbstractLayer)
Builder = Callable[[LayerType, int, int, int], nn.Module]

_BUILDERS: dict[type[AbstractLayer], Callable[..., nn.Module]] = {}


@final
class Convolution(nn.Conv2d):
    """A `torch.nn.Conv2d` whose weights wait for `nas.model.initialise`.

    Torch's own initialisation would cost time and draw from the global generator.
    """

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


@final
class Classifier(nn.Linear):
    """A `torch.nn.Linear` whose weights wait for `nas.model.initialise`."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


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
        build_layer(layer, entry[0], width, stride)
        for layer, entry in zip(operation.layers, shapes, strict=False)
    )


@layer_builder(Conv)
def _build_conv(layer: Conv, in_channels: int, width: int, stride: int) -> nn.Module:
    return Convolution(
        in_channels,
        layer.channels(in_channels, width),
        layer.kernel,
        stride=stride if layer.strided else 1,
        padding=layer.kernel // 2,
        bias=False,
    )


@layer_builder(DepthwiseConv)
def _build_depthwise(layer: DepthwiseConv, in_channels: int, width: int, stride: int) -> nn.Module:
    return Convolution(
        in_channels,
        in_channels,
        layer.kernel,
        stride=stride if layer.strided else 1,
        padding=layer.kernel // 2,
        groups=in_channels,
        bias=False,
    )


@layer_builder(BatchNorm)
def _build_batch_norm(layer: BatchNorm, in_channels: int, width: int, stride: int) -> nn.Module:
    return nn.BatchNorm2d(in_channels)


@layer_builder(ReLU)
def _build_relu(layer: ReLU, in_channels: int, width: int, stride: int) -> nn.Module:
    # Never in place: the input may be a state that other nodes read.
    return nn.ReLU()


@layer_builder(Pool)
def _build_pool(layer: Pool, in_channels: int, width: int, stride: int) -> nn.Module:
    odd = layer.kernel % 2 == 1
    step = stride if layer.strided or not odd else 1
    padding = layer.kernel // 2 if odd else 0
    if layer.kind == "max":
        return nn.MaxPool2d(layer.kernel, step, padding)
    return nn.AvgPool2d(layer.kernel, step, padding, count_include_pad=False)

"""What a node can compute, as data: one file per family, registered by name.

An `Operation` is a sequence of primitive layers and a few facts that identity, costs, the supernet
and the compiler read. `nas.model` builds its module from the layers; nothing else is needed for a
new operation than a file here (or in a plugin module) that calls `operation(...)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.registry import Paper, Registry
from nas.topology.layers import AbstractLayer, BatchNorm, Shape


@final
@dataclass(frozen=True)
class Operation:
    """A named sequence of layers.

    Args:
        name: Registered name, such as `conv3x3`.
        layers: Primitive layers in order of execution; none for the identity.
        zero: True if the operation yields zeros whatever it reads (an absent edge).
    """

    name: str
    layers: tuple[AbstractLayer, ...] = ()
    zero: bool = False

    @property
    def identity(self) -> bool:
        """Whether the operation returns its input unchanged."""
        return not self.layers and not self.zero

    @property
    def parametric(self) -> bool:
        """Whether the operation owns weights (the count is positive for any width)."""
        return any(layer.parameters(1, 1) for layer in self.layers)

    @property
    def normalised(self) -> bool:
        """Whether the output passed a norm, so that the scale of the input is lost."""
        return any(isinstance(layer, BatchNorm) for layer in self.layers)

    @property
    def keeps_channels(self) -> bool:
        """Whether output channels always equal input channels (pooling, identity, rectifier)."""
        return all(layer.channels(2, 5) == 2 for layer in self.layers)

    @property
    def can_stride(self) -> bool:
        """Whether one of its layers carries a stride."""
        return any(layer.strided for layer in self.layers)

    def shapes(self, shape: Shape, width: int, stride: int) -> tuple[Shape, ...]:
        """Return the input shape of every layer, and the output shape last."""
        shapes = [shape]
        for layer in self.layers:
            shapes.append(layer.output(shapes[-1], width, stride))
        return tuple(shapes)

    def parameters(self, shape: Shape, width: int, stride: int = 1) -> int:
        """Return the trainable numbers at this input shape and width."""
        shapes = self.shapes(shape, width, stride)
        return sum(
            layer.parameters(entry[0], width)
            for layer, entry in zip(self.layers, shapes, strict=False)
        )

    def macs(self, shape: Shape, width: int, stride: int = 1) -> int:
        """Return the multiply-adds on one image."""
        shapes = self.shapes(shape, width, stride)
        return sum(
            layer.macs(entry, width, stride)
            for layer, entry in zip(self.layers, shapes, strict=False)
        )


OPERATIONS: Registry[Operation] = Registry("operation", package=__name__)


def operation(
    name: str, *layers: AbstractLayer, paper: Paper | None = None, zero: bool = False
) -> Operation:
    """Register and return the operation `name` made of `layers`.

    Raises:
        ConfigError: If the name is taken.
    """
    entry = Operation(name, tuple(layers), zero)
    OPERATIONS.add(name, entry, paper)
    return entry

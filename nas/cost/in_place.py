"""Which rectifiers may overwrite what they read: those that read a tensor nobody else needs.

A convolution, norm or pooling does not need its own output to compute gradients, and inside of a
row of layers only the next one reads it. So a rectifier behind one works in place, as it does in
networks written by hand. A state that other nodes read is never overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence

from nas.cost.shapes import NodeStep
from nas.topology.layers import AbstractLayer, BatchNorm, Conv, DepthwiseConv, Pool, ReLU, ReLU6

_FRESH = (Conv, DepthwiseConv, BatchNorm, Pool)
"""Layers whose output is a new tensor that autograd does not keep for them."""


def in_place(layers: Sequence[AbstractLayer], *, fresh: bool = False) -> tuple[bool, ...]:
    """Tell of each layer of a row whether it overwrites what it reads.

    Args:
        layers: In order of execution, each reading the output of the one before it.
        fresh: Whether what the first layer reads is a new tensor that nobody else needs.
    """
    found = []
    for layer in layers:
        found.append(fresh and isinstance(layer, ReLU | ReLU6))
        fresh = isinstance(layer, _FRESH)
    return tuple(found)


def node_in_place(step: NodeStep) -> tuple[bool, ...]:
    """Tell of each layer of a node's operation whether it overwrites what it reads.

    A sum of several inputs is new. A tied node shares its layers with others, whose only input
    may be somebody else's; a stack may be kept for a later one.
    """
    if step.operation is None:
        return ()
    summed = len(step.inputs) > 1 and step.merge.weight == "identity"
    return in_place(step.operation.layers, fresh=summed and step.node.tie is None)

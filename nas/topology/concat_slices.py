"""Where a concatenation equals a sum of slices: which operations may share weights behind it.

A dense convolution behind a concatenation is a sum of slices, `W[x1; x2] = W1 x1 + W2 x2`, so every
input can own its slice, and wirings in which a node reads other inputs share those they have in
common. What stands in front of the convolution may cut the channels up as well, if it treats each
by itself (batch norm, activations, depthwise filters, pooling). Layer norm, squeeze-excitation,
grouped convolutions and shuffles do not: what they make of one input depends on which others are
stacked beside it. Behind those a node has separate weights for every set of inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from nas.topology.layers import AbstractLayer, BatchNorm, LayerNorm
from nas.topology.operations import OPERATIONS

NORMS: Mapping[str, tuple[AbstractLayer, ...]] = {
    "none": (),
    "batch": (BatchNorm(),),
    "layer": (LayerNorm(),),
}
"""Norms that may stand between a concatenation and an operation."""


@final
@dataclass(frozen=True)
class ConcatCase:
    """What holds for a row of layers behind a concatenation.

    Args:
        exact: Whether slices per input equal the concatenation.
        sums: Layers up to and with the first dense convolution, which adds the slices up; all of
            them where there is none.
        obstacle: Class of the layer that forbids slices, if one does.
    """

    exact: bool
    sums: int
    obstacle: str | None = None


def concat_case(layers: Sequence[AbstractLayer]) -> ConcatCase:
    """Tell whether a row of layers behind a concatenation equals slices per input.

    Args:
        layers: In order of execution.
    """
    for number, layer in enumerate(layers, start=1):
        if layer.channel_use == "sum":
            return ConcatCase(True, number)
        if layer.channel_use == "all":
            return ConcatCase(False, number, type(layer).__name__)
    return ConcatCase(True, len(layers))


def concat_table() -> dict[tuple[str, str], ConcatCase]:
    """Return the case of every norm in front of every registered operation."""
    return {
        (norm, name): concat_case((*row, *OPERATIONS.get(name).layers))
        for norm, row in NORMS.items()
        for name in OPERATIONS
    }

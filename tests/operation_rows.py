"""Written operations that together hold every layer with every argument."""

from __future__ import annotations

from math import lcm

from nas.topology.layers import ChannelShuffle, Conv
from nas.topology.operations import OPERATIONS

ROWS = (
    "bn+relu+conv3x3.g2",
    "conv7x7+bn+relu",
    "conv1x7.bias",
    "conv7x1.g2.bias+bn+silu",
    "conv3x3.d2+bn+leakyrelu10",
    "conv4x4.valid+ln",
    "conv2x2.p1+bn+relu",
    "conv1x1.w8+bn+relu6+dwconv3x3.s+bn+relu6+conv1x1+bn",
    "conv1x1.x4+bn+hardswish+dwconv5x5.bias.s+bn+hardswish+se.r4.hard+conv1x1+bn",
    "dwconv7x7.bias+ln+conv1x1.x4.bias+gelu+conv1x1.bias",
    "dwconv3x3.d2",
    "dwconv2x2.valid+bn.fixed+mish",
    "bn.eps1e-3+conv3x3+sigmoid",
    "conv3x3+bn.eps1e-3+hardsigmoid",
    "conv1x1+ese",
    "conv3x3+bn+se+relu",
    "se.w3",
    "up2+conv3x3+bn+relu",
    "up3.nearest",
    "conv1x1.g2+bn+shuffle2+dwconv3x3.s+bn+conv1x1.g2+bn",
    "affine+tokenlinear+affine",
    "bn+relu+dropout30+conv3x3",
    "globalpool+conv1x1.bias+silu",
    "maxpool3x3.valid",
    "maxpool2x2.ceil+conv1x1+bn",
    "maxpool3x3.ceil",
    "avgpool3x3.counted",
    "avgpool5x5.p1",
)


def divisor(name: str) -> int:
    """Return what has to divide the channels around an operation."""
    layers = OPERATIONS.get(name).layers
    groups = [layer.groups for layer in layers if isinstance(layer, (Conv, ChannelShuffle))]
    return lcm(*groups)


def keeps_positions(name: str) -> bool:
    """Whether stride 1 keeps every resolution."""
    layers = OPERATIONS.get(name).layers
    return all(layer.resolution(side, 1) == side for layer in layers for side in (5, 8, 11))

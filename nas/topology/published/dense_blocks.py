"""Dense blocks and the transitions between them, as all forms of DenseNet use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nas.topology.graph import Architecture
from nas.topology.published.assembly import Assembly

BOTTLENECK: Final = 4
"""Channels of the 1x1 convolution in front of a 3x3 one, in units of the growth."""


def dense_stages(
    net: Assembly, state: int, layers: Sequence[int], growth: int, channels: int, bc: bool
) -> Architecture:
    """Add dense blocks, transitions that halve the resolution, and the last norm with rectifier.

    Args:
        net: Holds the stem.
        state: The stem's last node.
        layers: Layers per block.
        growth: Channels every layer adds.
        channels: Of the stem.
        bc: Whether 1x1 convolutions stand in front of the 3x3 ones, and transitions halve the
            channels.
    """
    states = [state]
    for stage, count in enumerate(layers, start=1):
        if stage > 1:
            channels = channels // 2 if bc else channels
            states = [_transition(net, f"stage{stage}", states, channels)]
        for layer in range(count):
            states.append(_layer(net, f"stage{stage}.op{layer + 1}", states, growth, bc))
        channels += count * growth
    net.add("out", "bn_relu", *states, merge="stack")
    return net.architecture("dense", len(layers))


def _transition(net: Assembly, name: str, states: Sequence[int], channels: int) -> int:
    mixed = net.add(f"{name}.in", "bn_relu_conv1x1", *states, width=channels, merge="stack")
    return net.add(f"{name}.pool", "avg_pool2x2", mixed, stride=2)


def _layer(net: Assembly, name: str, states: Sequence[int], growth: int, bc: bool) -> int:
    if not bc:
        return net.add(name, "bn_relu_conv3x3", *states, width=growth, merge="stack")
    narrow = net.add(
        f"{name}.narrow", "bn_relu_conv1x1", *states, width=BOTTLENECK * growth, merge="stack"
    )
    return net.add(name, "bn_relu_conv3x3", narrow, width=growth)

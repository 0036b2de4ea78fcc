"""What the ImageNet forms of residual networks share: stem, four stages, and their depths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from nas.topology.graph import Architecture
from nas.topology.published.assembly import Assembly
from nas.topology.published.residual_blocks import Step, post_activation_block

BASIC: Final = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Blocks of two convolutions per stage, by depth."""
BOTTLENECK: Final = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Bottlenecks per stage, by depth."""
EXPANSION: Final = 4
"""Channels behind a bottleneck, in units of its stage's width."""

Steps = Callable[[int, int], Sequence[Step]]
"""From a stage's width and stride to the convolutions of its blocks."""


def imagenet_stem(net: Assembly, width: int) -> int:
    """Add a strided 7x7 convolution and a strided 3x3 maximum."""
    state = net.add("stem", "conv7x7+bn+relu", 0, width=width, stride=2)
    return net.add("stem.pool", "max_pool3x3", state, stride=2)


def residual_stages(blocks: Sequence[int], width: int, steps: Steps) -> Architecture:
    """Return stem and stages; shapes change by projections.

    Args:
        blocks: Blocks per stage.
        width: Of the first stage; every further stage doubles it.
        steps: Convolutions of a block.
    """
    net = Assembly()
    state = imagenet_stem(net, width)
    channels = width
    for stage, count in enumerate(blocks):
        for block in range(count):
            name = f"stage{stage + 1}.block{block + 1}"
            stride = 2 if stage and not block else 1
            row = steps(width * 2**stage, stride)
            changes = stride > 1 or row[-1].width != channels
            transform = "project" if changes else "auto"
            state = post_activation_block(net, name, state, row, transform)
            channels = row[-1].width
    return net.architecture("residual", len(blocks))

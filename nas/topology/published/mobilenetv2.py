"""MobileNetV2: inverted residuals; the skip joins thin states, filters per channel work wide."""

from __future__ import annotations

from typing import Final

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.published import IMAGENET, published_network
from nas.topology.published.assembly import Assembly, check_range

STAGES: Final = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks and stride of the first block."""
STEM_WIDTH, LAST_WIDTH = 32, 1280
EXPAND = "conv1x1.x{}+bn+relu6+"
FILTER = "dwconv3x3{}+bn+relu6+conv1x1+bn"


@published_network(
    "mobilenetv2",
    Paper("Sandler et al.", 2018, arxiv="1801.04381"),
    images=IMAGENET,
    classes=1000,
)
def mobilenetv2(width: float = 1.0) -> Architecture:
    """Network of inverted residuals for ImageNet.

    The dropout in front of the published classifier is left to the recipe.

    Args:
        width: Factor on all channels, which are rounded to multiples of 8; the last 1x1
            convolution never has fewer than 1280.

    Raises:
        ConfigError: If the width is out of range; the message names the nearest valid one.
    """
    check_range("mobilenetv2", "width", width, 0.05, 8)
    net = Assembly()
    channels = rounded(STEM_WIDTH * width)
    state = net.add("stem", "conv3x3+bn+relu6", 0, width=channels, stride=2)
    for stage, (expand, base, blocks, first) in enumerate(STAGES, start=1):
        wanted = rounded(base * width)
        row = EXPAND.format(expand) + FILTER.format(".s") if expand > 1 else FILTER.format("")
        for block in range(blocks):
            stride = 1 if block else first
            name = f"stage{stage}.block{block + 1}"
            inner = net.add(name, row, state, width=wanted, stride=stride)
            if stride == 1 and wanted == channels:
                inner = net.add(f"{name}.join", "identity", state, inner)
            state, channels = inner, wanted
    last = rounded(LAST_WIDTH * max(1.0, width))
    net.add("out", "conv1x1+bn+relu6", state, width=last)
    return net.architecture("inverted_residual", len(STAGES))


def rounded(channels: float, multiple: int = 8) -> int:
    """Return the nearest multiple, at least one, and the next one where a tenth would be lost."""
    near = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return near if near >= 0.9 * channels else near + multiple

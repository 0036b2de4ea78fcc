"""Wide ResNet in its ImageNet form: bottlenecks with a wider middle."""

from __future__ import annotations

from collections.abc import Sequence

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.published import IMAGENET, published_network
from nas.topology.published.assembly import MAX_WIDTH, check_range, choose
from nas.topology.published.imagenet_residual import BOTTLENECK, EXPANSION, residual_stages
from nas.topology.published.residual_blocks import Step


@published_network(
    "wrn",
    Paper("Zagoruyko and Komodakis", 2016, arxiv="1605.07146"),
    images=IMAGENET,
    classes=1000,
)
def wrn(depth: int = 50, width: int = 2, base: int = 64) -> Architecture:
    """Wide residual network for ImageNet: wide ResNet-50-2, 101-2.

    Args:
        depth: Layers with weights: 50, 101 or 152.
        width: Factor on the channels of the 3x3 convolutions.
        base: Channels of the stem; every stage but the first doubles what follows from them.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    blocks = choose("wrn", "depth", depth, BOTTLENECK)
    check_range("wrn", "width", width, 1, 32)
    check_range("wrn", "base", base, 1, MAX_WIDTH)

    def bottleneck(outer: int, stride: int) -> Sequence[Step]:
        return (
            Step("conv1x1", outer * width),
            Step("conv3x3", outer * width, stride),
            Step("conv1x1_bn", outer * EXPANSION),
        )

    return residual_stages(blocks, base, bottleneck)

"""ResNeXt: bottlenecks whose 3x3 convolution works in groups."""

from __future__ import annotations

from collections.abc import Sequence

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.published import IMAGENET, published_network
from nas.topology.published.assembly import MAX_WIDTH, check_range, choose
from nas.topology.published.imagenet_residual import BOTTLENECK, EXPANSION, residual_stages
from nas.topology.published.residual_blocks import Step


@published_network(
    "resnext",
    Paper("Xie et al.", 2016, arxiv="1611.05431"),
    images=IMAGENET,
    classes=1000,
)
def resnext(depth: int = 50, groups: int = 32, width: int = 4, base: int = 64) -> Architecture:
    """Aggregated residual network for ImageNet; 32x4d at 50 layers, 32x8d at 101.

    Args:
        depth: Layers with weights: 50, 101 or 152.
        groups: Groups of every 3x3 convolution.
        width: Channels of a group in the first stage; every further stage doubles them.
        base: Channels of the stem; every stage but the first doubles what follows from them.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    blocks = choose("resnext", "depth", depth, BOTTLENECK)
    check_range("resnext", "groups", groups, 1, 256)
    check_range("resnext", "width", width, 1, MAX_WIDTH // groups)
    check_range("resnext", "base", base, 1, MAX_WIDTH)
    row = f"conv3x3.g{groups}+bn+relu" if groups > 1 else "conv3x3"

    def bottleneck(outer: int, stride: int) -> Sequence[Step]:
        inner = outer // base * groups * width
        return (
            Step("conv1x1", inner),
            Step(row, inner, stride),
            Step("conv1x1_bn", outer * EXPANSION),
        )

    return residual_stages(blocks, base, bottleneck)

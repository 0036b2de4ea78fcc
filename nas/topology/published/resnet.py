"""ResNet in its ImageNet form: a 7x7 stem and four stages of basic blocks or bottlenecks."""

from __future__ import annotations

from collections.abc import Sequence

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import IMAGENET, published_network
from nas.topology.published.assembly import MAX_WIDTH, check_range, choose
from nas.topology.published.imagenet_residual import BASIC, BOTTLENECK, EXPANSION, residual_stages
from nas.topology.published.residual_blocks import Step

PLACES = {"3x3": (1, 2), "1x1": (2, 1)}
"""Strides of a bottleneck's first two convolutions where it halves the resolution."""


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return tuple({"depth": depth} for depth in (18, 34, 50))


@published_network(
    "resnet",
    Paper("He et al.", 2015, arxiv="1512.03385"),
    width_option="width",
    widths=(1, 512),
    depths=_depths,
    images=IMAGENET,
    classes=1000,
)
def resnet(depth: int = 50, width: int = 64, stride: str = "3x3") -> Architecture:
    """Residual network for ImageNet, of 18, 34, 50, 101 or 152 layers.

    Args:
        depth: Layers with weights; from 50 on the blocks are bottlenecks.
        width: Channels of the stem and the first stage; every further stage doubles them.
        stride: Where a bottleneck halves the resolution: at its `3x3` convolution, as is usual
            now, or at its first `1x1`, as published. Weights and parameters are the same.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    blocks = choose("resnet", "depth", depth, BASIC | BOTTLENECK)
    first, second = choose("resnet", "stride", stride, PLACES)
    check_range("resnet", "width", width, 1, MAX_WIDTH)

    def basic(inner: int, step: int) -> Sequence[Step]:
        return Step("conv3x3", inner, step), Step("conv3x3_bn", inner)

    def bottleneck(inner: int, step: int) -> Sequence[Step]:
        strides = (first, second) if step > 1 else (1, 1)
        return (
            Step("conv1x1", inner, strides[0]),
            Step("conv3x3", inner, strides[1]),
            Step("conv1x1_bn", inner * EXPANSION),
        )

    return residual_stages(blocks, width, basic if depth in BASIC else bottleneck)

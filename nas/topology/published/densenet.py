"""DenseNet in its ImageNet form: a 7x7 stem and four dense blocks."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.published import IMAGENET, published_network
from nas.topology.published.assembly import Assembly, check_range, choose
from nas.topology.published.dense_blocks import dense_stages
from nas.topology.published.imagenet_residual import imagenet_stem

FORMS = {
    121: (32, (6, 12, 24, 16)),
    161: (48, (6, 12, 36, 24)),
    169: (32, (6, 12, 32, 32)),
    201: (32, (6, 12, 48, 32)),
    264: (32, (6, 12, 64, 48)),
}
"""Growth, and layers per block, by depth."""


@published_network(
    "densenet",
    Paper("Huang et al.", 2016, arxiv="1608.06993"),
    smallest=29,
    images=IMAGENET,
    classes=1000,
)
def densenet(depth: int = 121, growth: int = 0, bc: bool = True) -> Architecture:
    """Dense network for ImageNet: DenseNet-121, 161, 169, 201 or 264.

    Args:
        depth: Layers with weights.
        growth: Channels every layer adds; 0 for the published number (48 at depth 161, else 32).
        bc: Bottlenecks in front of the 3x3 convolutions and transitions that halve the channels,
            as published. Without them the blocks have as many layers, each of one convolution.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    published, layers = choose("densenet", "depth", depth, FORMS)
    check_range("densenet", "growth", growth, 0, 512)
    growth = growth or published
    net = Assembly()
    stem = imagenet_stem(net, 2 * growth)
    return dense_stages(net, stem, layers, growth, 2 * growth, bc)

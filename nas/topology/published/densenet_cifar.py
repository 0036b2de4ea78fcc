"""DenseNet and DenseNet-BC for CIFAR: every layer reads the channels of all earlier ones."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import Assembly, check_range, layers_per_stage
from nas.topology.published.dense_blocks import dense_stages

STEM_WIDTH = 16


def _depths(input_shape: Shape) -> tuple[dict[str, int | bool], ...]:
    # As many blocks as the resolution bears halvings, 3 at most.
    stages = min(3, min(input_shape[1:]).bit_length())
    return tuple(
        {"depth": 2 * stages * layers + stages + 1, "stages": stages, "bc": True}
        for layers in (16, 9, 6, 3)
    )


@published_network(
    "densenet-cifar",
    Paper("Huang et al.", 2016, arxiv="1608.06993"),
    width_option="growth",
    widths=(1, 64),
    depths=_depths,
)
def densenet_cifar(
    depth: int = 40, growth: int = 12, bc: bool = False, stages: int = 3
) -> Architecture:
    """Dense network for CIFAR, of 3n + 4 layers (6n + 4 in its BC form) with 3 blocks.

    The BC form has 1x1 convolutions of 4 growth in front of the 3x3 ones, transitions that halve
    the channels, and a stem of 2 growth instead of 16 channels.

    Args:
        depth: Layers with weights.
        growth: Channels every layer adds.
        bc: The BC form.
        stages: Blocks; every one but the first starts at half the resolution.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    layers = layers_per_stage("densenet-cifar", depth, stages, 2 if bc else 1, stages + 1)
    check_range("densenet-cifar", "growth", growth, 1, 512)
    channels = 2 * growth if bc else STEM_WIDTH
    net = Assembly()
    stem = net.add("stem", "plain_conv3x3", 0, width=channels)
    return dense_stages(net, stem, (layers,) * stages, growth, channels, bc)

"""DenseNet and DenseNet-BC: every layer reads the channels of all earlier ones of its block."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import Assembly, check_range, layers_per_stage

HUANG = Paper("Huang et al.", 2016, arxiv="1608.06993")
STEM_WIDTH = 16
BOTTLENECK = 4
"""Channels of the 1x1 convolution in front of a 3x3 one, in units of the growth."""


def _stages(input_shape: Shape) -> int:
    """Return the most blocks, 3 at most, whose halvings the resolution bears."""
    return min(3, min(input_shape[1:]).bit_length())


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    stages = _stages(input_shape)
    return tuple(
        {"depth": stages * layers + stages + 1, "stages": stages} for layers in (12, 8, 5, 3)
    )


def _bottleneck_depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    stages = _stages(input_shape)
    return tuple(
        {"depth": 2 * stages * layers + stages + 1, "stages": stages} for layers in (16, 9, 6, 3)
    )


@published_network("densenet", HUANG, width_option="growth", widths=(1, 64), depths=_depths)
def densenet(
    depth: int = 40, growth: int = 12, bottleneck: bool = False, stages: int = 3
) -> Architecture:
    """Dense network of `depth` layers (3n + 4 with 3 blocks; 6n + 4 with bottlenecks).

    With `bottleneck` it is DenseNet-BC: 1x1 convolutions of 4 growth in front of the 3x3 ones,
    transitions that halve the channels, and a stem of 2 growth instead of 16 channels.

    Args:
        depth: Layers with weights.
        growth: Channels every layer adds.
        bottleneck: The BC form.
        stages: Blocks; every one but the first starts at half the resolution.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    per_layer = 2 if bottleneck else 1
    layers = layers_per_stage("densenet", depth, stages, per_layer, stages + 1)
    check_range("densenet", "growth", growth, 1, 512)
    channels = 2 * growth if bottleneck else STEM_WIDTH
    net = Assembly()
    states = [net.add("stem", "plain_conv3x3", 0, width=channels)]
    for stage in range(stages):
        for layer in range(layers):
            name = f"stage{stage + 1}.op{layer + 1}"
            states.append(_layer(net, name, states, growth, bottleneck))
        channels += layers * growth
        if stage < stages - 1:
            channels = channels // 2 if bottleneck else channels
            name = f"stage{stage + 2}"
            mixed = net.add(f"{name}.in", "bn_relu_conv1x1", *states, width=channels, merge="stack")
            states = [net.add(f"{name}.pool", "avg_pool2x2", mixed, stride=2)]
    net.add("out", "bn_relu", *states, merge="stack")
    return net.architecture("dense", stages)


@published_network(
    "densenet_bc", HUANG, width_option="growth", widths=(1, 64), depths=_bottleneck_depths
)
def densenet_bc(depth: int = 100, growth: int = 12, stages: int = 3) -> Architecture:
    """Dense network with bottlenecks and compression: `densenet` with `bottleneck`.

    Args:
        depth: Layers with weights, 6n + 4 with 3 blocks.
        growth: Channels every layer adds.
        stages: Blocks; every one but the first starts at half the resolution.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    return densenet(depth, growth, True, stages)


def _layer(net: Assembly, name: str, states: list[int], growth: int, bottleneck: bool) -> int:
    if not bottleneck:
        return net.add(name, "bn_relu_conv3x3", *states, width=growth, merge="stack")
    narrow = net.add(
        f"{name}.narrow", "bn_relu_conv1x1", *states, width=BOTTLENECK * growth, merge="stack"
    )
    return net.add(name, "bn_relu_conv3x3", narrow, width=growth)

"""Pre-activation ResNet: norm and rectifier in front, nothing on the skip and behind the sum."""

from __future__ import annotations

from collections.abc import Sequence

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import (
    MAX_WIDTH,
    Assembly,
    check_range,
    choose,
    layers_per_stage,
)
from nas.topology.published.residual_blocks import Step, pre_activation_block, skip_transform

EXPANSION = 4
FIRST_BOTTLENECK = 164
"""Published networks of this depth and more consist of bottlenecks."""
BLOCKS = {"auto": None, "basic": False, "bottleneck": True}


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return tuple({"depth": depth} for depth in (20, 14, 8, 32))


@published_network(
    "preresnet-cifar",
    Paper("He et al.", 2016, arxiv="1603.05027"),
    width_option="width",
    widths=(2, 256),
    depths=_depths,
)
def preresnet_cifar(
    depth: int = 110,
    width: int = 16,
    block: str = "auto",
    skip: str = "projection",
    stages: int = 3,
) -> Architecture:
    """Pre-activation residual network for CIFAR: 6n + 2 layers, 9n + 2 from 164 layers on.

    Args:
        depth: Layers with weights: stem, two (or three) per block, classifier.
        width: Channels of the stem and of the first stage; every further stage doubles them.
        block: `basic` (two 3x3 convolutions), `bottleneck` (1x1, 3x3, 1x1 to four times the
            channels), or `auto`: bottlenecks from 164 layers on, as published.
        skip: Where shapes change: `projection` (a bare 1x1 convolution of the normed and
            rectified state) or `zeropad`.
        stages: Stages; every one but the first halves the resolution.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    family = "preresnet-cifar"
    changed = skip_transform(family, skip)
    kind = choose(family, "block", block, BLOCKS)
    narrow = depth >= FIRST_BOTTLENECK if kind is None else kind
    blocks = layers_per_stage(family, depth, stages, 3 if narrow else 2, 2)
    check_range(family, "width", width, 1, MAX_WIDTH // EXPANSION)
    net = Assembly()
    state = net.add("stem", "plain_conv3x3", 0, width=width)
    channels = width
    for stage in range(stages):
        for number in range(blocks):
            stride = 2 if stage and not number else 1
            steps = _steps(width * 2**stage, stride, narrow)
            changes = stride > 1 or steps[-1].width != channels
            transform = changed if changes else "auto"
            name = f"stage{stage + 1}.block{number + 1}"
            state = pre_activation_block(net, name, state, steps, transform)
            channels = steps[-1].width
    net.add("out", "bn_relu", state)
    return net.architecture("residual", stages)


def _steps(width: int, stride: int, narrow: bool) -> Sequence[Step]:
    if not narrow:
        return Step("conv3x3", width, stride), Step("conv3x3", width)
    return (
        Step("conv1x1", width, stride),
        Step("conv3x3", width),
        Step("conv1x1", EXPANSION * width),
    )

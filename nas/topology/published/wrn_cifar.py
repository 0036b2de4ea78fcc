"""Wide residual networks for CIFAR: pre-activation blocks, few layers, many channels."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import (
    MAX_WIDTH,
    Assembly,
    check_percent,
    check_range,
    layers_per_stage,
)
from nas.topology.published.residual_blocks import Step, pre_activation_block


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return tuple({"depth": depth, "width": 4} for depth in (16, 10, 22))


@published_network(
    "wrn-cifar",
    Paper("Zagoruyko and Komodakis", 2016, arxiv="1605.07146"),
    width_option="base",
    widths=(1, 64),
    depths=_depths,
)
def wrn_cifar(
    depth: int = 28, width: int = 10, base: int = 16, dropout: float = 0.0, stages: int = 3
) -> Architecture:
    """Wide residual network for CIFAR, of 6n + 4 layers with the published 3 stages.

    A block that changes the number of channels projects the normalised input by a bare 1x1
    convolution; the others keep the input as it is.

    Args:
        depth: Convolutions, the shortcuts' included; 2 stages n + stages + 1.
        width: Factor on the channels of the stages.
        base: Channels of the stem; stage s has `base * width * 2^(s-1)`.
        dropout: Probability of dropping a number between the convolutions of a block, in whole
            percent.
        stages: Stages; every one but the first halves the resolution.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    family = "wrn-cifar"
    blocks = layers_per_stage(family, depth, stages, 2, stages + 1)
    check_range(family, "width", width, 1, 64)
    check_range(family, "base", base, 1, MAX_WIDTH)
    percent = check_percent(family, "dropout", dropout)
    second = f"bn+relu+dropout{percent}+conv3x3" if percent else "conv3x3"
    net = Assembly()
    state = net.add("stem", "plain_conv3x3", 0, width=base)
    channels = base
    for stage in range(stages):
        for block in range(blocks):
            wanted = base * width * 2**stage
            stride = 2 if stage and not block else 1
            steps = (Step("conv3x3", wanted, stride), Step(second, wanted))
            changes = wanted != channels or stride > 1
            name = f"stage{stage + 1}.block{block + 1}"
            transform = "project" if changes else "auto"
            state = pre_activation_block(net, name, state, steps, transform)
            channels = wanted
    net.add("out", "bn_relu", state)
    return net.architecture("residual", stages)

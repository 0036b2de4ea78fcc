"""Wide residual networks: pre-activation blocks, few layers, many channels."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import MAX_WIDTH, Assembly, check_range, layers_per_stage


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return tuple({"depth": depth} for depth in (16, 10, 22))


@published_network(
    "wide_resnet",
    Paper("Zagoruyko and Komodakis", 2016, arxiv="1605.07146"),
    width_option="width",
    widths=(1, 64),
    depths=_depths,
)
def wide_resnet(depth: int = 16, widen: int = 4, width: int = 16, stages: int = 3) -> Architecture:
    """Wide residual network of `depth` = 2 stages n + stages + 1 layers (6n + 4 with 3 stages).

    A block that changes the number of channels projects the normalised input by a bare 1x1
    convolution; the others keep the input as it is.

    Args:
        depth: Convolutions, the shortcuts' included.
        widen: Factor on the channels of the stages.
        width: Channels of the stem; stage s has `width * widen * 2^(s-1)`.
        stages: Stages; every one but the first halves the resolution.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    blocks = layers_per_stage("wide_resnet", depth, stages, 2, stages + 1)
    check_range("wide_resnet", "widen", widen, 1, 64)
    check_range("wide_resnet", "width", width, 1, MAX_WIDTH)
    net = Assembly()
    state = net.add("stem", "plain_conv3x3", 0, width=width)
    channels = width
    for stage in range(stages):
        for block in range(blocks):
            wanted = width * widen * 2**stage
            stride = 2 if stage and not block else 1
            name = f"stage{stage + 1}.block{block + 1}"
            if wanted != channels or stride > 1:
                state = _widening_block(net, name, state, wanted, stride)
            else:
                first = net.add(f"{name}.op1", "bn_relu_conv3x3", state, width=wanted)
                second = net.add(f"{name}.op2", "bn_relu_conv3x3", first, width=wanted)
                state = net.add(f"{name}.join", "identity", state, second)
            channels = wanted
    net.add("out", "bn_relu", state)
    return net.architecture("residual", stages)


def _widening_block(net: Assembly, name: str, state: int, width: int, stride: int) -> int:
    shared = net.add(f"{name}.in", "bn_relu", state)
    first = net.add(f"{name}.op1", "plain_conv3x3", shared, width=width, stride=stride)
    second = net.add(f"{name}.op2", "bn_relu_conv3x3", first, width=width)
    shortcut = net.add(f"{name}.shortcut", "plain_conv1x1", shared, width=width, stride=stride)
    return net.add(f"{name}.join", "identity", second, shortcut)

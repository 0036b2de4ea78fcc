"""PyramidNet: the number of channels grows a little at every block instead of doubling at few."""

from __future__ import annotations

from collections.abc import Sequence

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import Assembly, check_range, layers_per_stage
from nas.topology.published.residual_blocks import Step

FAMILY = "pyramidnet-cifar"
STAGES = 3
STEM_WIDTH = 16
EXPANSION = 4
LAST = "bn+relu+{}+bn"
"""The last convolution of a block has a norm behind it too."""


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return tuple({"depth": depth} for depth in (20, 14, 38))


@published_network(
    FAMILY,
    Paper("Han et al.", 2016, arxiv="1610.02915"),
    width_option="alpha",
    widths=(1, 1024),
    depths=_depths,
)
def pyramidnet_cifar(depth: int = 110, alpha: int = 48, bottleneck: bool = False) -> Architecture:
    """Pyramidal residual network for CIFAR, of 6n + 2 layers (9n + 2 with bottlenecks).

    Block k of N has `16 + floor(k alpha / N)` channels, four times that many with bottlenecks.
    Skips have no weights: 2x2 means where the resolution halves, zeros for what is new.

    Args:
        depth: Layers with weights.
        alpha: Channels that all blocks together add.
        bottleneck: Blocks of 1x1, 3x3 and 1x1 convolutions instead of two 3x3 ones.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    blocks = layers_per_stage(FAMILY, depth, STAGES, 3 if bottleneck else 2, 2)
    check_range(FAMILY, "alpha", alpha, 1, 4096)
    net = Assembly()
    state = net.add("stem", "conv3x3_bn", 0, width=STEM_WIDTH)
    total = STAGES * blocks
    for number in range(1, total + 1):
        stage, block = divmod(number - 1, blocks)
        stride = 2 if stage and not block else 1
        name = f"stage{stage + 1}.block{block + 1}"
        width = STEM_WIDTH + number * alpha // total
        state = _block(net, name, state, _steps(width, stride, bottleneck))
    net.add("out", "bn_relu", state)
    return net.architecture("residual", STAGES)


def _steps(width: int, stride: int, bottleneck: bool) -> Sequence[Step]:
    if not bottleneck:
        return Step("bn+conv3x3", width, stride), Step(LAST.format("conv3x3"), width)
    return (
        Step("bn+conv1x1", width),
        Step("bn_relu_conv3x3", width, stride),
        Step(LAST.format("conv1x1"), EXPANSION * width),
    )


def _block(net: Assembly, name: str, state: int, steps: Sequence[Step]) -> int:
    skip = state
    if any(step.stride > 1 for step in steps):
        skip = net.add(f"{name}.pool", "avgpool2x2.ceil", state, stride=2)
    for number, step in enumerate(steps, start=1):
        state = net.add(
            f"{name}.op{number}", step.operation, state, width=step.width, stride=step.stride
        )
    return net.add(f"{name}.join", "identity", (skip, "zero_pad"), state)

"""ResNet in its CIFAR form: post-activation blocks of two convolutions, 6n+2 layers."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import MAX_WIDTH, Assembly, check_range, layers_per_stage
from nas.topology.published.residual_blocks import Step, post_activation_block, skip_transform


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return tuple({"depth": depth} for depth in (20, 14, 8, 32))


@published_network(
    "resnet-cifar",
    Paper("He et al.", 2015, arxiv="1512.03385"),
    width_option="width",
    widths=(2, 256),
    depths=_depths,
)
def resnet_cifar(
    depth: int = 20, width: int = 16, skip: str = "zeropad", stages: int = 3
) -> Architecture:
    """Residual network for CIFAR, of 6n + 2 layers with the published 3 stages.

    Args:
        depth: Layers with weights: stem, two per block, classifier; 2 stages n + 2.
        width: Channels of the first stage; every further stage doubles them.
        skip: Where shapes change: `zeropad` (option A) or `projection` (option B, a strided 1x1
            convolution with batch norm).
        stages: Stages; every one but the first halves the resolution.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    changed = skip_transform("resnet-cifar", skip)
    blocks = layers_per_stage("resnet-cifar", depth, stages, 2, 2)
    check_range("resnet-cifar", "width", width, 1, MAX_WIDTH)
    net = Assembly()
    state = net.add("stem", "conv3x3", 0, width=width)
    for stage in range(stages):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            channels = width * 2**stage
            steps = (Step("conv3x3", channels, stride), Step("conv3x3_bn", channels))
            transform = changed if stride > 1 else "auto"
            name = f"stage{stage + 1}.block{block + 1}"
            state = post_activation_block(net, name, state, steps, transform)
    return net.architecture("residual", stages)

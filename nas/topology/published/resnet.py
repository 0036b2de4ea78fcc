"""ResNet in its CIFAR form: post-activation blocks of two convolutions, 6n+2 layers."""

from __future__ import annotations

from nas.errors import ConfigError
from nas.registry import Paper, suggest
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import MAX_WIDTH, Assembly, check_range, layers_per_stage

SHORTCUTS = ("zero_pad", "project")
_ALIASES = {"projection": "project"}


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return tuple({"depth": depth} for depth in (20, 14, 8, 32))


@published_network(
    "resnet",
    Paper("He et al.", 2015, arxiv="1512.03385"),
    width_option="width",
    widths=(2, 256),
    depths=_depths,
)
def resnet(
    depth: int = 20, width: int = 16, shortcut: str = "zero_pad", stages: int = 3
) -> Architecture:
    """Residual network of `depth` = 2 stages n + 2 layers (6n + 2 with the published 3 stages).

    Args:
        depth: Layers with weights: stem, two per block, classifier.
        width: Channels of the first stage; every further stage doubles them.
        shortcut: Where shapes change: `zero_pad` (option A) or `project` (option B, a strided
            1x1 convolution with batch norm; `projection` means the same).
        stages: Stages; every one but the first halves the resolution.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    shortcut = _ALIASES.get(shortcut, shortcut)
    if shortcut not in SHORTCUTS:
        near = suggest(shortcut, list(SHORTCUTS))
        raise ConfigError(
            f"resnet: 'shortcut' is '{shortcut}'.",
            fix=(f"Did you mean '{near}'? " if near else "")
            + f"Known shortcuts: {', '.join(SHORTCUTS)}.",
        )
    blocks = layers_per_stage("resnet", depth, stages, 2, 2)
    check_range("resnet", "width", width, 1, MAX_WIDTH)
    net = Assembly()
    state = net.add("stem", "conv3x3", 0, width=width)
    for stage in range(stages):
        for block in range(blocks):
            name = f"stage{stage + 1}.block{block + 1}"
            stride = 2 if stage and not block else 1
            channels = width * 2**stage
            first = net.add(f"{name}.op1", "conv3x3", state, width=channels, stride=stride)
            second = net.add(f"{name}.op2", "conv3x3_bn", first, width=channels)
            transform = shortcut if stride > 1 else "auto"
            state = net.add(f"{name}.join", "relu", (state, transform), second)
    return net.architecture("residual", stages)

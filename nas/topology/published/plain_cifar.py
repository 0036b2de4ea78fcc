"""Plain networks for CIFAR: a chain of convolutions, beside which He et al. set ResNet."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import MAX_WIDTH, Assembly, check_range, layers_per_stage


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return tuple({"depth": depth} for depth in (20, 14, 8, 5))


@published_network(
    "plain-cifar",
    Paper("He et al.", 2015, arxiv="1512.03385"),
    width_option="width",
    widths=(2, 256),
    depths=_depths,
)
def plain_cifar(depth: int = 20, width: int = 16, stages: int = 3) -> Architecture:
    """Chain of `depth` = stages n + 2 layers: stem, n convolutions per stage, classifier.

    Args:
        depth: Layers with weights.
        width: Channels of the first stage; every further stage doubles them.
        stages: Stages; every one but the first halves the resolution.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    layers = layers_per_stage("plain-cifar", depth, stages, 1, 2)
    check_range("plain-cifar", "width", width, 1, MAX_WIDTH)
    net = Assembly()
    state = net.add("stem", "conv3x3", 0, width=width)
    for stage in range(stages):
        for layer in range(layers):
            name = f"stage{stage + 1}.op{layer + 1}"
            stride = 2 if stage and not layer else 1
            state = net.add(name, "conv3x3", state, width=width * 2**stage, stride=stride)
    return net.architecture("chain", stages)

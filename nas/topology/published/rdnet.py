"""RDNet: dense connections with wide growth, modern blocks and a transition every few layers.

A layer is a 7x7 depthwise convolution, a layer norm and two 1x1 convolutions around a GELU; from
the third stage on a gate (eSE) follows. What it gives is scaled per channel, from nearly zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.errors import ConfigError
from nas.registry import Paper
from nas.topology.facts import Gain, Link
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.layers.windows import MAX_CHANNELS
from nas.topology.published import IMAGENET, published_network
from nas.topology.published.assembly import Assembly, check_range, choose, share

BOTTLENECK = 4
"""Channels between a layer's 1x1 convolutions, in units of those that it reads."""
MULTIPLE = 8
SCALE = Link(gain=Gain("channel", 1e-6))
GATED_FROM = 2
"""First stage with gates."""


@final
@dataclass(frozen=True)
class _Form:
    """A published size: first channels, growth per stage, stages that halve the resolution."""

    width: int
    growth: tuple[int, ...]
    halved: tuple[int, ...]


FORMS = {
    "tiny": _Form(64, (64, 104, *(128,) * 4, 224), (1, 2, 6)),
    "small": _Form(72, (64, 128, *(128,) * 7, 240, 240), (1, 2, 9)),
    "base": _Form(120, (96, 128, *(168,) * 7, 336, 336), (1, 2, 9)),
    "large": _Form(144, (128, 192, *(256,) * 8, 360, 360), (1, 2, 10)),
}


def _depths(input_shape: Shape) -> tuple[dict[str, str | int], ...]:
    return ({"size": "tiny"}, {"size": "small"}, {"size": "tiny", "layers": 2})


@published_network(
    "rdnet",
    Paper("Kim et al.", 2024, arxiv="2403.19588"),
    width_option="percent",
    widths=(8, 400),
    depths=_depths,
    smallest=32,
    images=IMAGENET,
    classes=1000,
)
def rdnet(size: str = "tiny", layers: int = 3, percent: int = 100) -> Architecture:
    """Revitalized dense network, in its ImageNet form.

    Args:
        size: `tiny`, `small`, `base` or `large`.
        layers: Layers of every stage; 3 published.
        percent: Channels, in percent of the published ones, rounded down to multiples of 8.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    form = choose("rdnet", "size", size, FORMS)
    check_range("rdnet", "layers", layers, 1, 64)
    check_range("rdnet", "percent", percent, 1, 1000)
    net = Assembly()
    channels = share(form.width, percent, MULTIPLE)
    states = [net.add("stem", "conv4x4.valid.bias+ln", 0, width=channels, stride=4)]
    for stage, growth in enumerate(form.growth):
        name = f"stage{stage + 1}"
        if stage:
            channels = channels // 2 // MULTIPLE * MULTIPLE
            stride = 2 if stage in form.halved else 1
            mix = "ln+conv2x2.valid.bias" if stride == 2 else "ln+conv1x1.bias"
            lower = net.add(
                f"{name}.lower", mix, *states, width=channels, stride=stride, merge="stack"
            )
            states = [lower]
        growth = share(growth, percent, MULTIPLE)
        for layer in range(layers):
            unit = f"{name}.op{layer + 1}"
            states.append(_layer(net, unit, states, channels, growth, stage >= GATED_FROM))
            channels += growth
    # The head's own pooling then meets a single position.
    net.add("out", "globalpool+ln", *states, merge="stack")
    return net.architecture("dense", len(form.growth))


def _layer(
    net: Assembly, name: str, states: list[int], channels: int, growth: int, gated: bool
) -> int:
    inner = BOTTLENECK * channels // MULTIPLE * MULTIPLE
    if inner > MAX_CHANNELS:
        raise ConfigError(
            f"rdnet: '{name}' would have {inner} channels inside, beyond {MAX_CHANNELS}.",
            fix="Use fewer layers, a smaller size or a lower percent.",
        )
    row = f"dwconv7x7.bias+ln+conv1x1.w{inner}.bias+gelu+conv1x1.bias"
    row = f"{row}+ese" if gated else row
    unit = net.add(name, row, *states, width=growth, merge="stack")
    return net.add(f"{name}.scaled", "identity", (unit, SCALE))

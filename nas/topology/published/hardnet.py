"""HarDNet: dense blocks whose layers read only what lies a power of two behind them.

Layer l of a block reads layer l - 2^n for every n with 2^n dividing l, and the more layers it
reads, the wider it is: growth * multiplier^n for the largest such n. A block gives its layers of
odd number and its last one to the 1x1 convolution behind it, but not its own input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import IMAGENET, published_network
from nas.topology.published.assembly import Assembly, check_range, choose, share

CONV3 = "conv3x3+bn+relu6"
CONV1 = "conv1x1+bn+relu6"
SEPARABLE = "conv1x1+bn+relu6+dwconv3x3+bn"
LOWER = "dwconv3x3+bn"


@final
@dataclass(frozen=True)
class _Form:
    """A published member: channels of the stem, then one entry per block."""

    stem: tuple[int, int]
    growth: tuple[int, ...]
    layers: tuple[int, ...]
    width: tuple[int, ...]
    halved: tuple[bool, ...]
    multiplier: float


FORMS = {
    39: _Form(
        stem=(24, 48),
        growth=(16, 20, 64, 160),
        layers=(4, 16, 8, 4),
        width=(96, 320, 640, 1024),
        halved=(True, True, True, False),
        multiplier=1.6,
    ),
    68: _Form(
        stem=(32, 64),
        growth=(14, 16, 20, 40, 160),
        layers=(8, 16, 16, 16, 4),
        width=(128, 256, 320, 640, 1024),
        halved=(True, False, True, True, False),
        multiplier=1.7,
    ),
    85: _Form(
        stem=(48, 96),
        growth=(24, 24, 28, 36, 48, 256),
        layers=(8, 16, 16, 16, 16, 4),
        width=(192, 256, 320, 480, 720, 1280),
        halved=(True, False, True, False, True, False),
        multiplier=1.7,
    ),
}


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return ({"depth": 68}, {"depth": 39}, {"depth": 85})


@published_network(
    "hardnet",
    Paper("Chao et al.", 2019, arxiv="1909.00948"),
    width_option="percent",
    widths=(5, 400),
    depths=_depths,
    smallest=29,
    images=IMAGENET,
    classes=1000,
)
def hardnet(depth: int = 68, separable: bool = False, percent: int = 100) -> Architecture:
    """Harmonic dense network of 39, 68 or 85 layers, in its ImageNet form.

    Published are 68, 85 and, with separable convolutions, 39DS and 68DS.

    Args:
        depth: 39, 68 or 85.
        separable: Depthwise separable convolutions, and strided depthwise ones in place of the
            poolings (the DS forms).
        percent: Channels, in percent of the published ones, rounded down to even numbers.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    form = choose("hardnet", "depth", depth, FORMS)
    check_range("hardnet", "percent", percent, 1, 1000)
    net = Assembly()
    narrow, wide = (share(width, percent, 2) for width in form.stem)
    state = net.add("stem1", CONV3, 0, width=narrow, stride=2)
    state = net.add("stem2", CONV1 if separable else CONV3, state, width=wide)
    state = net.add("stem3", LOWER if separable else "max_pool3x3", state, stride=2)
    for block, growth in enumerate(form.growth):
        name = f"stage{block + 1}"
        kept = _block(net, name, state, share(growth, percent, 2), form, block, separable)
        width = share(form.width[block], percent, 2)
        state = net.add(f"{name}.mix", CONV1, *kept, width=width, merge="stack")
        if form.halved[block]:
            lower = LOWER if separable else "max_pool2x2"
            state = net.add(f"{name}.lower", lower, state, stride=2)
    return net.architecture("harmonic", len(form.growth))


def _block(
    net: Assembly, name: str, state: int, growth: int, form: _Form, block: int, separable: bool
) -> list[int]:
    """Append a block; return the layers that its transition reads."""
    layers = [state]
    for layer in range(1, form.layers[block] + 1):
        power = (layer & -layer).bit_length() - 1
        sources = [layers[layer - 2**n] for n in range(power + 1)]
        width = int(growth * form.multiplier**power + 1) // 2 * 2
        operation = SEPARABLE if separable else CONV3
        unit = net.add(f"{name}.op{layer}", operation, *sources, width=width, merge="stack")
        layers.append(unit)
    return [*layers[1:-1:2], layers[-1]]

"""Res2Net: the 3x3 convolution of a bottleneck becomes a chain over groups of channels.

Group i reads its own part of the channels and what group i-1 gave; the last group is passed on
as it is. The first block of a stage changes the resolution: there no group reads another one and
the last group is pooled.
"""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.facts import Link
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.layers.windows import MAX_CHANNELS
from nas.topology.published import IMAGENET, published_network
from nas.topology.published.assembly import MAX_WIDTH, Assembly, check_range, choose

BLOCKS = {
    14: (1, 1, 1, 1),
    26: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
}
EXPANSION = 4
REFERENCE = 64
"""The width of a group is published for stages of this many planes; others scale it."""


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return ({"depth": 50}, {"depth": 101}, {"depth": 26}, {"depth": 14})


@published_network(
    "res2net",
    Paper("Gao et al.", 2019, arxiv="1904.01169"),
    width_option="base",
    widths=(3, 256),
    depths=_depths,
    images=IMAGENET,
    classes=1000,
)
def res2net(depth: int = 50, width: int = 26, scale: int = 4, base: int = 64) -> Architecture:
    """Residual network with `scale` groups of `width` channels per block, in its ImageNet form.

    Published are 26w4s, 14w8s, 48w2s, 26w6s and 26w8s of depth 50, and 26w4s of depth 101.

    Args:
        depth: 14, 26, 50 or 101.
        width: Channels of a group in the first stage.
        scale: Groups, at least 2.
        base: Channels of the stem; stage s gives `4 * base * 2^(s-1)`.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    blocks = choose("res2net", "depth", depth, BLOCKS)
    check_range("res2net", "width", width, 1, MAX_WIDTH)
    check_range("res2net", "scale", scale, 2, 64)
    check_range("res2net", "base", base, 1, MAX_WIDTH)
    last = base * 2 ** (len(blocks) - 1)
    check_range("res2net", "width", width, 1, REFERENCE * MAX_CHANNELS // (last * scale))
    net = Assembly()
    state = net.add("stem", "conv7x7+bn+relu", 0, width=base, stride=2)
    state = net.add("stem.pool", "max_pool3x3", state, stride=2)
    for stage, repeats in enumerate(blocks):
        planes = base * 2**stage
        inner = max(1, planes * width // REFERENCE)
        for block in range(repeats):
            name = f"stage{stage + 1}.block{block + 1}"
            if block:
                state = _block(net, name, state, inner, scale, EXPANSION * planes)
            else:
                stride = 2 if stage else 1
                state = _first_block(net, name, state, inner, scale, EXPANSION * planes, stride)
    return net.architecture("res2net", len(blocks))


def _block(net: Assembly, name: str, state: int, inner: int, scale: int, width: int) -> int:
    split = net.add(f"{name}.split", "conv1x1", state, width=inner * scale)
    groups: list[int] = []
    for group in range(scale - 1):
        part = (split, Link(part=(group, scale)))
        groups.append(net.add(f"{name}.op{group + 1}", "conv3x3", part, *groups[-1:], width=inner))
    rest = (split, Link(part=(scale - 1, scale)))
    mixed = net.add(f"{name}.mix", "conv1x1_bn", rest, *groups, width=width, merge="stack")
    return net.add(f"{name}.join", "relu", state, mixed)


def _first_block(
    net: Assembly, name: str, state: int, inner: int, scale: int, width: int, stride: int
) -> int:
    split = net.add(f"{name}.split", "conv1x1", state, width=inner * scale)
    groups: list[int] = []
    for group in range(scale - 1):
        part = (split, Link(part=(group, scale)))
        unit = net.add(f"{name}.op{group + 1}", "conv3x3", part, width=inner, stride=stride)
        groups.append(unit)
    rest = (split, Link(part=(scale - 1, scale)))
    groups.append(net.add(f"{name}.pool", "avgpool3x3.counted", rest, stride=stride))
    mixed = net.add(f"{name}.mix", "conv1x1_bn", *groups, width=width, merge="stack")
    return net.add(f"{name}.join", "relu", (state, "project"), mixed)

"""Cross-stage partial networks: half of a stage's channels go past its blocks.

What goes past and what the blocks gave meet in a 1x1 convolution. CSPResNet-50, CSPResNeXt-50 and
CSPDarknet-53 are as their authors configured them for Darknet (the residual blocks read a 1x1
convolution rather than a slice, and a first shortcut of too few channels is padded with zeros).
Their published parameter counts leave the norms out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import Assembly, check_range, choose, share

WANG = Paper("Wang et al.", 2019, arxiv="1911.11929")
IMAGES: Shape = (3, 256, 256)
LEAKY = "leakyrelu10"
CONV1 = f"conv1x1+bn+{LEAKY}"
CONV3 = f"conv3x3+bn+{LEAKY}"
STEM = 64
WIDTH = 128
RESNET_BLOCKS = {50: (3, 3, 5, 2)}
DARKNET_BLOCKS = {53: (1, 2, 8, 8, 4)}


@final
@dataclass(frozen=True)
class _Path:
    """Channels and operation of the two convolutions that open a stage."""

    past: int
    into: int
    operation: str


def _resnet_depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return ({"depth": 50},)


def _darknet_depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return ({"depth": 53},)


@published_network(
    "csp-resnet",
    WANG,
    width_option="percent",
    widths=(5, 400),
    depths=_resnet_depths,
    images=IMAGES,
    classes=1000,
)
def csp_resnet(depth: int = 50, percent: int = 100) -> Architecture:
    """Residual network of bottlenecks in cross-stage partial stages, in its ImageNet form.

    Args:
        depth: 50.
        percent: Channels, in percent of the published ones.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    return _bottlenecks("csp-resnet", depth, percent, groups=1)


@published_network("csp-resnext", WANG, images=IMAGES, classes=1000)
def csp_resnext(depth: int = 50, percent: int = 100, groups: int = 32) -> Architecture:
    """Network of grouped bottlenecks in cross-stage partial stages, in its ImageNet form.

    Args:
        depth: 50.
        percent: Channels, in percent of the published ones, rounded down to multiples of `groups`.
        groups: Groups of the 3x3 convolutions, at least 2.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    check_range("csp-resnext", "groups", groups, 2, 64)
    return _bottlenecks("csp-resnext", depth, percent, groups)


def _bottlenecks(family: str, depth: int, percent: int, groups: int) -> Architecture:
    blocks = choose(family, "depth", depth, RESNET_BLOCKS)
    check_range(family, "percent", percent, 1, 1000)
    grouped = groups > 1
    spatial = f"conv3x3.g{groups}+bn+{LEAKY}" if grouped else CONV3
    stem = share(STEM, percent, max(2, groups))
    net = Assembly()
    state = net.add("stem", f"conv7x7+bn+{LEAKY}", 0, width=stem, stride=2)
    state = net.add("stem.pool", "maxpool2x2.ceil", state, stride=2)
    outer = stem
    for stage, repeats in enumerate(blocks):
        name = f"stage{stage + 1}"
        width = share(WIDTH, percent, max(2, groups)) * 2**stage
        if stage:
            state = net.add(f"{name}.lower", spatial, state, width=outer, stride=2)
        # The two middle stages are entered without an activation.
        entry = CONV1 if stage in (0, len(blocks) - 1) else "conv1x1_bn"
        path = _Path(width, width if stage else stem, entry)
        past, state = _open(net, name, state, path)
        channels = path.into
        for block in range(repeats):
            unit = f"{name}.block{block + 1}"
            inner = width if grouped else width // 2
            first = net.add(f"{unit}.op1", CONV1, state, width=inner)
            second = net.add(f"{unit}.op2", spatial, first, width=inner)
            third = net.add(f"{unit}.op3", "conv1x1_bn", second, width=width)
            shortcut = state if channels == width else (state, "zero_pad")
            state = net.add(f"{unit}.join", LEAKY, shortcut, third)
            channels = width
        outer = 2 * width if grouped else width
        state = _close(net, name, past, state, width, outer)
    return net.architecture("csp", len(blocks))


@published_network(
    "csp-darknet",
    WANG,
    width_option="percent",
    widths=(5, 400),
    depths=_darknet_depths,
    images=IMAGES,
    classes=1000,
)
def csp_darknet(depth: int = 53, percent: int = 100) -> Architecture:
    """Darknet in cross-stage partial stages, in its ImageNet form.

    Args:
        depth: 53.
        percent: Channels, in percent of the published ones.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    blocks = choose("csp-darknet", "depth", depth, DARKNET_BLOCKS)
    check_range("csp-darknet", "percent", percent, 1, 1000)
    half = share(STEM // 2, percent)
    net = Assembly()
    state = net.add("stem", CONV3, 0, width=half)
    for stage, repeats in enumerate(blocks):
        name = f"stage{stage + 1}"
        width = half * 2 ** (stage + 1)
        # The first stage is too narrow to be halved; its blocks have bottlenecks instead.
        inner = width // 2 if stage else width
        state = net.add(f"{name}.lower", CONV3, state, width=width, stride=2)
        past, state = _open(net, name, state, _Path(inner, inner, CONV1))
        for block in range(repeats):
            unit = f"{name}.block{block + 1}"
            first = net.add(f"{unit}.op1", CONV1, state, width=width // 2)
            second = net.add(f"{unit}.op2", CONV3, first, width=inner)
            state = net.add(f"{unit}.join", "identity", state, second)
        state = _close(net, name, past, state, inner, width)
    return net.architecture("csp", len(blocks))


def _open(net: Assembly, name: str, state: int, path: _Path) -> tuple[int, int]:
    """Append the two convolutions that read a stage's input; return them."""
    past = net.add(f"{name}.past", path.operation, state, width=path.past)
    return past, net.add(f"{name}.into", path.operation, state, width=path.into)


def _close(net: Assembly, name: str, past: int, state: int, inner: int, width: int) -> int:
    """Append the transition behind the blocks, and the one that reads both paths."""
    behind = net.add(f"{name}.behind", CONV1, state, width=inner)
    return net.add(f"{name}.mix", CONV1, past, behind, width=width, merge="stack")

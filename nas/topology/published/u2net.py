"""U^2-Net: a U-shaped network whose every stage is a U-shaped block (RSU), for maps of saliency.

An RSU of height h goes down h - 2 poolings and up again, reading on its way up what it gave on
its way down, and adds what it read. Where maps are small already it dilates instead. Six side
maps, raised to the resolution of the input, are fused by a 1x1 convolution and a sigmoid: that map
is what the network returns. The side maps, which training may supervise too, are the nodes `side1`
to `side6`, in front of their resizing and their sigmoid.
"""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.facts import Link
from nas.topology.graph import Architecture
from nas.topology.published import published_network
from nas.topology.published.assembly import Assembly, check_range, share

QIN = Paper("Qin et al.", 2020, arxiv="2005.09007")
IMAGES = (3, 320, 320)
Widths = tuple[tuple[int, int], ...]
"""Inner and outer channels of RSU blocks, the one at the full resolution first."""

HEIGHTS = (7, 6, 5, 4, 0, 0)
"""Heights of the encoder's blocks; 0 stands for the block that dilates."""
DILATIONS = (1, 2, 4, 8)
POOL = "maxpool2x2.ceil"
MAIN = Link(port="main")
FULL: tuple[Widths, Widths] = (
    ((32, 64), (32, 128), (64, 256), (128, 512), (256, 512), (256, 512)),
    ((16, 64), (32, 64), (64, 128), (128, 256), (256, 512)),
)
SMALL: tuple[Widths, Widths] = (((16, 64),) * 6, ((16, 64),) * 5)


@published_network("u2net", QIN, images=IMAGES, classes=1)
def u2net(maps: int = 1, percent: int = 100) -> Architecture:
    """U^2-Net with the full channels (176.3 MB), which returns a map.

    Args:
        maps: Channels of the map.
        percent: Channels, in percent of the published ones.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    return _network("u2net", FULL, maps, percent)


@published_network("u2netp", QIN, images=IMAGES, classes=1)
def u2netp(maps: int = 1, percent: int = 100) -> Architecture:
    """U^2-Net with few channels (4.7 MB), which returns a map.

    Args:
        maps: Channels of the map.
        percent: Channels, in percent of the published ones.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    return _network("u2netp", SMALL, maps, percent)


def _network(family: str, widths: tuple[Widths, Widths], maps: int, percent: int) -> Architecture:
    check_range(family, "maps", maps, 1, 1024)
    check_range(family, "percent", percent, 1, 1000)
    down, up = (
        [(share(inner, percent), share(outer, percent)) for inner, outer in side] for side in widths
    )
    net = Assembly()
    states = [0]
    for stage, height in enumerate(HEIGHTS):
        state = states[-1]
        if stage:
            state = net.add(f"stage{stage + 1}.pool", POOL, state, stride=2)
        states.append(_block(net, f"stage{stage + 1}", [state], height, *down[stage]))
    given = [(len(HEIGHTS), states.pop())]
    for stage in reversed(range(len(up))):
        sources = [states.pop(), given[-1][1]]
        name = f"stage{stage + 1}d"
        given.append((stage + 1, _block(net, name, sources, HEIGHTS[stage], *up[stage])))
    sides = [net.add(f"side{level}", "conv3x3.bias", state, width=maps) for level, state in given]
    net.add("fused", "conv1x1.bias+sigmoid", *sides, width=maps, merge="stack")
    return net.architecture("nested_u", len(HEIGHTS) + len(up), head="none")


def _block(
    net: Assembly, name: str, sources: list[int], height: int, inner: int, outer: int
) -> int:
    """Append an RSU; of two sources the first one sets the resolution."""
    levels = height or len(DILATIONS)
    dilations = (1,) * (levels - 1) + (2,) if height else DILATIONS
    entry = _unit(net, f"{name}.in", sources, outer, 1)
    states = [_unit(net, f"{name}.down1", [entry], inner, dilations[0])]
    for level in range(1, levels):
        state = states[-1]
        if height and level < levels - 1:
            state = net.add(f"{name}.pool{level}", POOL, state, stride=2)
        states.append(_unit(net, f"{name}.down{level + 1}", [state], inner, dilations[level]))
    state = states.pop()
    for level in reversed(range(levels - 1)):
        dilation = 1 if height else dilations[level]
        width = inner if level else outer
        state = _unit(net, f"{name}.up{level + 1}", [states.pop(), state], width, dilation)
    return net.add(f"{name}.join", "identity", entry, state)


def _unit(net: Assembly, name: str, sources: list[int], width: int, dilation: int) -> int:
    """Append a convolution; the newer of two sources is raised to the first one's resolution."""
    operation = f"conv3x3.d{dilation}.bias+bn+relu" if dilation > 1 else "conv3x3.bias+bn+relu"
    first, *rest = sources
    main = (first, MAIN) if rest else first
    return net.add(name, operation, main, *rest, width=width, merge="stack")

"""CSPDenseNet: a dense block reads part of its input's channels, the rest goes past it.

Figure 3 of the paper has three places where the two may meet. Whatever the place, the transition
here gives the channels that DenseNet's would, so that with nothing going past and a late fusion
(`past=0,fusion=first`) the network is DenseNet. The paper gives no exact configuration.
"""

from __future__ import annotations

from nas.errors import ConfigError
from nas.registry import Paper
from nas.topology.facts import Link
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import IMAGENET, published_network
from nas.topology.published.assembly import Assembly, Source, check_range, choose

BLOCKS = {
    121: (6, 12, 24, 16),
    169: (6, 12, 32, 32),
    201: (6, 12, 48, 32),
    264: (6, 12, 64, 48),
}
BOTTLENECK = 4
"""Channels of the 1x1 convolution in front of a 3x3 one, in units of the growth."""
READY1 = "bn_relu_conv1x1"
READY3 = "bn_relu_conv3x3"
PAST = {0: (0, 1), 25: (1, 4), 50: (1, 2), 75: (3, 4)}
"""Percent of a block's input that may go past it, as groups of channels out of how many."""
FUSIONS = ("first", "last", "both")


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return ({"depth": 121}, {"depth": 169})


@published_network(
    "csp-densenet",
    Paper("Wang et al.", 2019, arxiv="1911.11929"),
    width_option="growth",
    widths=(2, 96),
    depths=_depths,
    smallest=29,
    images=IMAGENET,
    classes=1000,
)
def csp_densenet(
    depth: int = 121, growth: int = 32, past: int = 50, fusion: str = "both"
) -> Architecture:
    """Dense network with bottlenecks whose blocks read part of their input, in its ImageNet form.

    Args:
        depth: 121, 169, 201 or 264.
        growth: Channels every layer adds; even where quarters go past.
        past: Percent of a block's input that goes past it: 0, 25, 50 or 75.
        fusion: Where it meets the block's output: in front of the transition (`first`), behind it
            (`last`), or between two of them (`both`).

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    blocks = choose("csp-densenet", "depth", depth, BLOCKS)
    check_range("csp-densenet", "growth", growth, 2, 512)
    split = choose("csp-densenet", "past", past, PAST)
    if split[1] == 4 and growth % 2:
        raise ConfigError(
            f"csp-densenet: 'growth' is {growth}, but quarters of the channels need an even one.",
            fix=f"The nearest: growth={growth - 1} or growth={growth + 1}, or past=50.",
        )
    fusion = choose("csp-densenet", "fusion", fusion, {key: key for key in FUSIONS})
    net = Assembly()
    width = 2 * growth
    state = net.add("stem", "conv7x7+bn+relu", 0, width=width, stride=2)
    state = net.add("stem.pool", "max_pool3x3", state, stride=2)
    for block, layers in enumerate(blocks[:-1]):
        name = f"stage{block + 1}"
        past_it, read = _split(state, split)
        added = _layers(net, name, read, layers, growth)
        lost = width * split[0] // split[1]
        total = width + layers * growth
        width = total // 2
        mixed: list[Source] = [state, *added]
        if fusion != "first":
            inner = (total - lost) // 2 if fusion == "both" else width - lost
            behind = net.add(f"{name}.behind", READY1, *read, *added, width=inner, merge="stack")
            mixed = [*past_it, behind]
        if fusion != "last":
            mixed = [net.add(f"{name}.mix", READY1, *mixed, width=width, merge="stack")]
        state = net.add(f"{name}.pool", "avg_pool2x2", *mixed, stride=2, merge="stack")
    added = _layers(net, f"stage{len(blocks)}", _split(state, split)[1], blocks[-1], growth)
    net.add("out", "bn_relu", state, *added, merge="stack")
    return net.architecture("csp", len(blocks))


def _split(state: int, split: tuple[int, int]) -> tuple[list[Source], list[Source]]:
    """Return the edges that go past a block, and those that enter it."""
    count, groups = split
    if not count:
        return [], [state]
    parts: list[Source] = [(state, Link(part=(group, groups))) for group in range(groups)]
    return parts[:count], parts[count:]


def _layers(net: Assembly, name: str, read: list[Source], layers: int, growth: int) -> list[int]:
    """Append the dense layers of a block; return them."""
    added: list[int] = []
    for layer in range(1, layers + 1):
        unit = f"{name}.op{layer}"
        narrow = net.add(
            f"{unit}.narrow", READY1, *read, *added, width=BOTTLENECK * growth, merge="stack"
        )
        added.append(net.add(unit, READY3, narrow, width=growth))
    return added

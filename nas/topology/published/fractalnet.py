"""FractalNet: columns of 1, 2, 4, ... convolutions that meet in means, without any residual."""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.patterns import PATTERNS
from nas.topology.published import published_network
from nas.topology.published.assembly import MAX_STAGES, MAX_WIDTH, Assembly, check_range

MAX_DOUBLINGS = 3
"""Blocks double the channels up to 8 times the first width: 64, 128, 256, 512, 512."""


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    # Every block ends in a pooling, so the resolution bounds their number.
    blocks = max(1, min(5, min(input_shape[1:]).bit_length() - 1))
    return tuple({"columns": columns, "blocks": blocks} for columns in (3, 2, 4))


@published_network(
    "fractalnet",
    Paper("Larsson et al.", 2016, arxiv="1605.07648"),
    width_option="width",
    widths=(1, 256),
    depths=_depths,
    smallest=2,
)
def fractalnet(columns: int = 3, blocks: int = 5, width: int = 64) -> Architecture:
    """Fractal network of `blocks * 2^(columns - 1)` convolutions on its longest path.

    Every block is the pattern `fractal` (n-ary mean joins) followed by 2x2 max pooling.

    Args:
        columns: Columns of every block.
        blocks: Blocks; each halves the resolution at its end.
        width: Channels of the first block; they double up to 8 times this.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    check_range("fractalnet", "columns", columns, 1, 6)
    check_range("fractalnet", "blocks", blocks, 1, MAX_STAGES)
    check_range("fractalnet", "width", width, 1, MAX_WIDTH)
    net = Assembly()
    state = 0
    for block in range(blocks):
        channels = width * 2 ** min(block, MAX_DOUBLINGS)
        state = _block(net, f"stage{block + 1}", state, columns, channels)
        state = net.add(f"stage{block + 1}.pool", "max_pool2x2", state, stride=2)
    return net.architecture("fractal", blocks)


def _block(net: Assembly, name: str, state: int, columns: int, channels: int) -> int:
    topology = PATTERNS.get("fractal").wire(2**columns - 1)
    number = {0: state}
    for node in range(1, topology.num_nodes):
        sources = [number[source] for source in topology.sources(node)]
        if node in topology.joins:
            number[node] = net.add(f"{name}.join{node}", "identity", *sources, merge="mean")
        else:
            number[node] = net.add(f"{name}.op{node}", "conv3x3", *sources, width=channels)
    return number[topology.num_nodes - 1]

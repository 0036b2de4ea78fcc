"""Reversible coupling: two halves of the channels, each updated from the other."""

from nas.registry import Paper
from nas.topology.graph import Link, Topology
from nas.topology.patterns import connection_pattern
from nas.topology.wiring import Wiring

HALF = (1, 2)


@connection_pattern(
    "reversible",
    Paper("Gomez et al.", 2017, arxiv="1707.04585"),
    formula="y_1 = x_1 + F(x_2), y_2 = x_2 + G(y_1); so x_2 = y_2 - G(y_1), x_1 = y_1 - F(x_2)",
    exists=lambda size: size % 2 == 0,
    sizes="even numbers",
)
def reversible(size: int) -> Topology:
    """Split the channels in two, update the halves in turn, and stack them at the end.

    The stage's width must be even. The inputs of every pair follow from its outputs.
    """
    wiring = Wiring()
    first: int | tuple[int, Link] = (0, Link(part=(0, 2)))
    second: int | tuple[int, Link] = (0, Link(part=(1, 2)))
    for _ in range(size // 2):
        first = wiring.join(first, wiring.operation(second, width=HALF), merge="sum")
        second = wiring.join(second, wiring.operation(first, width=HALF), merge="sum")
    wiring.join(first, second, merge="stack")
    return wiring.topology()

"""Inception-ResNet wiring: branches of growing depth, stacked, projected, scaled and added."""

from nas.registry import Paper
from nas.topology.graph import Gain, Link, Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


def _per_block(branches: int) -> int:
    return branches * (branches + 1) // 2


@connection_pattern(
    "inception_residual",
    Paper("Szegedy et al.", 2016, arxiv="1602.07261"),
    formula="x <- x + s W [b_1(x); ...; b_k(x)], branch b_i of i operations",
    parameters=(
        Whole("branches", 3, 2, 6, "parallel branches k"),
        Whole("scale", 20, 1, 100, "the factor s on the branch sum, in percent"),
    ),
    exists=lambda size, branches, **_: size % _per_block(branches) == 0,
    sizes=lambda branches, **_: (
        f"multiples of {_per_block(branches)} (branches of 1 to {branches})"
    ),
)
def inception_residual(size: int, *, branches: int, scale: int) -> Topology:
    """Stack branches of 1, 2, ... operations, project by a 1x1, scale down, and add the input.

    The branches share the stage's width equally. Factors of 0.1 to 0.3 keep very wide networks
    stable, as the paper says.
    """
    wiring, state = Wiring(), 0
    gain = Link(gain=Gain("fixed", scale / 100))
    for _ in range(size // _per_block(branches)):
        ends = []
        for length in range(1, branches + 1):
            branch = state
            for _ in range(length):
                branch = wiring.operation(branch, width=(1, branches))
            ends.append(branch)
        stacked = wiring.join(*ends, merge="stack")
        state = wiring.join(state, (wiring.fixed("plain_conv1x1", stacked), gain))
    return wiring.topology()

"""ResMLP wiring: residual branches in pairs, each scaled per channel by learned numbers."""

from nas.registry import Paper
from nas.topology.graph import Gain, Link, Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "resmlp",
    Paper("Touvron et al.", 2021, arxiv="2105.03404"),
    formula="x <- x + g_1 * f(x); x <- x + g_2 * h(x), g learned per channel",
    parameters=(Whole("start", 1, 0, 8, "the factors start at 10^-start"),),
    exists=lambda size, **_: size % 2 == 0,
    sizes="even numbers",
)
def resmlp(size: int, *, start: int) -> Topology:
    """Alternate two kinds of residual branches, each with a learned factor per channel.

    Published with a linear layer across patches and a two-layer perceptron per patch; the factors
    start at 0.1 for 12 blocks, 1e-5 for 24 and 1e-6 for 36.
    """
    wiring, state = Wiring(), 0
    scaled = Link(gain=Gain("channel", 10.0**-start))
    for _ in range(size):
        state = wiring.join(state, (wiring.operation(state), scaled))
    return wiring.topology()

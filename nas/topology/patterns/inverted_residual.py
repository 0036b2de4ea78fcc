"""Inverted residual wiring: the skip joins the thin ends, the operation runs on the wide middle."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "inverted_residual",
    Paper("Sandler et al.", 2018, arxiv="1801.04381"),
    formula="x <- x + W_thin f(relu(W_wide x)), f on t times the channels",
    parameters=(Whole("expansion", 6, 1, 12, "the factor t of the middle"),),
)
def inverted_residual(size: int, *, expansion: int) -> Topology:
    """Expand by a 1x1, run the operation, project back without a rectifier, and add the input.

    Published with depthwise operations in the middle.
    """
    wiring, state, middle = Wiring(), 0, (expansion, 1)
    for _ in range(size):
        expanded = wiring.fixed("conv1x1", state, width=middle)
        branch = wiring.operation(expanded, width=middle)
        state = wiring.join(state, wiring.fixed("conv1x1_bn", branch))
    return wiring.topology()

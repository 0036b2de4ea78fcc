"""Ladder residual: each operation reads the stream before its predecessor was added."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "ladder",
    Paper("Zhang et al.", 2025, arxiv="2501.06589"),
    formula="x_i = x_(i-1) + f_i(x_(i-1-lag)); critical path ceil(n / (lag + 1))",
    parameters=(Whole("lag", 1, 0, 16, "operations that run at the same time, less one"),),
)
def ladder(size: int, *, lag: int) -> Topology:
    """Let operation i read the residual stream of `lag` operations earlier.

    So `lag + 1` operations need not wait for each other; with `lag=0` it is the residual wiring.
    """
    wiring, stream = Wiring(), [0]
    for index in range(size):
        branch = wiring.operation(stream[max(0, index - lag)])
        stream.append(wiring.join(stream[-1], branch))
    return wiring.topology()

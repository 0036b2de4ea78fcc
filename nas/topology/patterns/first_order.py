"""First-order wiring: a residual chain cut off behind its first-order terms, one broad layer."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "first_order",
    Paper("Bermeitinger et al.", 2023, arxiv="2309.08414"),
    formula="y = x + f_1(x) + ... + f_n(x), the first-order terms of (1 + f_n) ... (1 + f_1)",
    parameters=(Whole("layers", 1, 1, 64, "broad layers in a row"),),
    exists=lambda size, layers: size % layers == 0,
    sizes=lambda layers: "any size from 1" if layers == 1 else f"multiples of {layers}",
)
def first_order(size: int, *, layers: int) -> Topology:
    """Add all operations of the same state at once, in `layers` equal broad layers."""
    wiring, state = Wiring(), 0
    for _ in range(layers):
        branches = [wiring.operation(state) for _ in range(size // layers)]
        state = wiring.join(state, *branches)
    return wiring.topology()

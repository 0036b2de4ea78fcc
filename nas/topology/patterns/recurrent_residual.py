"""Recurrent residual wiring: operations that see their own output again, under a skip."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "recurrent_residual",
    Paper("Alom et al.", 2018, arxiv="1802.06955"),
    formula="o_0 = f(x), o_t = f(x + o_(t-1)) with one f; x <- x + o_T(o_T(x))",
    parameters=(
        Whole("steps", 2, 1, 8, "further runs T of every operation"),
        Whole("span", 2, 1, 8, "operations under one skip"),
    ),
    exists=lambda size, span, **_: size % span == 0,
    sizes=lambda span, **_: "any size from 1" if span == 1 else f"multiples of {span}",
)
def recurrent_residual(size: int, *, steps: int, span: int) -> Topology:
    """Run every operation `steps + 1` times on its input plus its last output, weights shared.

    The size counts every operation once. The paper's formula has a kernel for the input and one for
    the last output; with one for both there are as many weights as without recurrence.
    """
    wiring, state = Wiring(), 0
    for block in range(size // span):
        inside = state
        for place in range(span):
            tie = f"recurrent{block * span + place}"
            output = wiring.operation(inside, tie=tie)
            for _ in range(steps):
                output = wiring.operation(inside, output, tie=tie)
            inside = output
        state = wiring.join(state, inside)
    return wiring.topology()

"""Residual wiring: a skip around one or several operations, added back by a join."""

from nas.registry import Paper
from nas.topology.fixed_operations import GATES
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, Word, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "residual",
    Paper("He et al.", 2015, arxiv="1512.03385"),
    formula="x <- x + f_k(... f_1(x)), k the span; binom(n, j) paths through j operations at k = 1",
    parameters=(
        Whole("span", 1, 1, 8, "operations under one skip: 2 in basic blocks, 3 in bottlenecks"),
        Word("order", "plain", ("plain", "post", "pre"), "where the rectifiers stand"),
        Word("gate", "none", ("none", "se", "ese"), "gate on the branch"),
    ),
    exists=lambda size, span, **_: size % span == 0,
    sizes=lambda span, **_: "any size from 1" if span == 1 else f"multiples of {span}",
)
def residual(size: int, *, span: int, order: str, gate: str) -> Topology:
    """Alternate `span` operations and a join: `x <- x + f(x)`.

    At span 1 operation `l` is node `2l - 1` and its join node `2l`; the chain of joins is the
    identity path, so binom(size, k) paths run through exactly k operations (Veit et al. 2016,
    arXiv:1605.06431). `order=post` rectifies behind every sum, as He et al. 2015 do; `order=pre`
    leaves the skips bare and closes with a norm and a rectifier (He et al. 2016,
    arXiv:1603.05027), the operations being the pre-activated ones; `plain` does neither.
    """
    wiring, state = Wiring(), 0
    for _ in range(size // span):
        branch = state
        for _ in range(span):
            branch = wiring.operation(branch)
        if gate != "none":
            branch = wiring.fixed(GATES[gate], branch)
        if order == "post":
            state = wiring.fixed("relu", state, branch)
        else:
            state = wiring.join(state, branch)
    if order == "pre":
        wiring.fixed("bn_relu", state)
    return wiring.topology()

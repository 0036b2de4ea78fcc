"""Repetition: equal blocks of any wiring in a row."""

from nas.topology.graph import Topology
from nas.topology.patterns import Inner, Pattern, Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "repeated",
    formula="x <- F_i(x), `times` times with weights of their own",
    parameters=(
        Inner("inner", "one_shot", "wiring of a block"),
        Whole("times", 2, 1, 32, "blocks in a row"),
    ),
    exists=lambda size, inner, times: size % times == 0 and inner.exists(size // times),
    sizes=lambda inner, times: f"{times} times the sizes of {inner.name}: {inner.sizes}",
)
def repeated(size: int, *, inner: Pattern, times: int) -> Topology:
    """Put blocks of an inner pattern in a row, each with its own weights (`looped` shares them)."""
    wiring, topology, state = Wiring(), inner.wire(size // times), 0
    for _ in range(times):
        state = wiring.block(topology, state)
    return wiring.topology(topology.merge)

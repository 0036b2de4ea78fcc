"""Early exits: heads between the parts of any wiring."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Inner, Pattern, Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "early_exit",
    Paper("Wright et al.", 2023, arxiv="2309.09546"),
    formula="x_i = F_i(x_(i-1)), a prediction from every x_i",
    parameters=(
        Inner("inner", "residual", "wiring of the parts"),
        Whole("exits", 2, 1, 16, "heads before the last one"),
    ),
    exists=lambda size, inner, exits: size % (exits + 1) == 0 and inner.exists(size // (exits + 1)),
    sizes=lambda inner, exits: f"{exits + 1} times the sizes of {inner.name}: {inner.sizes}",
)
def early_exit(size: int, *, inner: Pattern, exits: int) -> Topology:
    """Cut the operations into equal parts and let each part but the last feed a head of its own."""
    wiring, state = Wiring(), 0
    topology = inner.wire(size // (exits + 1))
    for part in range(exits + 1):
        state = wiring.block(topology, state)
        if part < exits:
            wiring.mark_exit(state)
    return wiring.topology(topology.merge)

"""Looped wiring: one body run several times with the same weights, unrolled."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Inner, Pattern, Whole, Word, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "looped",
    Paper("Ng and Wang", 2024, arxiv="2409.14199"),
    formula="x <- F(x), `times` times with one set of weights",
    parameters=(
        Inner("inner", "residual", "the body F", fixed=True),
        Whole("times", 3, 1, 16, "how often the body runs"),
        Word("norms", "shared", ("shared", "own"), "whether every run has norms of its own"),
        Word("inject", "no", ("no", "yes"), "whether the input is added before every later run"),
    ),
    exists=lambda size, inner, **_: inner.exists(size),
    sizes=lambda inner, **_: f"the sizes of {inner.name}: {inner.sizes}",
)
def looped(size: int, *, inner: Pattern, times: int, norms: str, inject: str) -> Topology:
    """Run the body `times` times; the operations of all runs share weights.

    The size counts the body's operations once. Merges that learn weights (`concat`) keep them per
    run: what is shared are operations. `norms=own` keeps norms apart, as WideNet does (Xue
    et al. 2021, arXiv:2107.11817); `inject=yes` adds the input before every run but the first, as
    TrellisNet does (Bai et al. 2018, arXiv:1810.06682).
    """
    wiring, topology, state = Wiring(), inner.wire(size), 0
    for run in range(times):
        if run and inject == "yes":
            state = wiring.join(0, state, merge="sum")
        state = wiring.block(topology, state, tie="loop", own_norms=norms == "own")
    return wiring.topology(topology.merge)

"""P3D motifs: two operations in a row, side by side, or both, under one skip."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Word, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "p3d",
    Paper("Qiu et al.", 2017, arxiv="1711.10305"),
    formula="A: x + T(S(x)); B: x + S(x) + T(x); C: x + S(x) + T(S(x))",
    parameters=(Word("motif", "cycle", ("a", "b", "c", "cycle"), "one motif, or A, B, C in turn"),),
    exists=lambda size, **_: size % 2 == 0,
    sizes="even numbers",
)
def p3d(size: int, *, motif: str) -> Topology:
    """Wire pairs of operations S and T in one of three ways, each with a skip around the pair.

    Published with S a spatial and T a temporal convolution; the three motifs take turns.
    """
    wiring, state = Wiring(), 0
    for pair in range(size // 2):
        kind = "abc"[pair % 3] if motif == "cycle" else motif
        first = wiring.operation(state)
        second = wiring.operation(state if kind == "b" else first)
        ends = (state, second) if kind == "a" else (state, first, second)
        state = wiring.join(*ends)
    return wiring.topology()

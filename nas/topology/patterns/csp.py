"""Cross-stage partial wiring: a part of the channels passes a stage by."""

from nas.registry import Paper
from nas.topology.graph import Link, Topology
from nas.topology.patterns import Inner, Pattern, Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "csp",
    Paper("Wang et al.", 2019, arxiv="1911.11929"),
    formula="y = W [x'; W' stage(x'')], x = [x'; x'']",
    parameters=(
        Inner("inner", "residual", "wiring of the stage"),
        Whole("parts", 2, 2, 4, "groups of channels, of which one passes by"),
    ),
    exists=lambda size, inner, **_: inner.exists(size),
    sizes=lambda inner, **_: f"the sizes of {inner.name}: {inner.sizes}",
)
def csp(size: int, *, inner: Pattern, parts: int) -> Topology:
    """Send one group of channels past the stage; stack both ways and mix them by a 1x1.

    The stage runs on the other groups, at their share of the width; a 1x1 transition ends it.
    The number of groups must divide the channels of the stage's input.
    """
    wiring, stage = Wiring(), (parts - 1, parts)
    groups = [wiring.fixed("identity", (0, Link(part=(group, parts)))) for group in range(1, parts)]
    start = groups[0] if len(groups) == 1 else wiring.join(*groups, merge="stack")
    topology = inner.wire(size)
    end = wiring.embed(topology, start, width=stage)
    transition = wiring.fixed("conv1x1", end, width=stage)
    meeting = wiring.join((0, Link(part=(0, parts))), transition, merge="stack")
    wiring.fixed("conv1x1", meeting)
    return wiring.topology(topology.merge)

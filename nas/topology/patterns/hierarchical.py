"""Hierarchical wiring: levels of a few operations, and edges from every earlier level."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern


@connection_pattern(
    "hierarchical",
    Paper("López and Triesch", 2025, arxiv="2502.16003"),
    formula="x_b = F_b(x_(b-1)) + sum_(a < b) P_ab x_a",
    parameters=(Whole("level", 2, 1, 8, "operations of a level"),),
    exists=lambda size, level: size > level,
    sizes=lambda level: f"{level + 1} operations or more (two levels at least)",
)
def hierarchical(size: int, *, level: int) -> Topology:
    """Close each level of operations with a join that also reads all earlier levels.

    Every level sees every earlier level: `x_b <- F_b(x_{b-1}) + sum_{a<b} x_a`, `F_b` a few
    operations in a row (the last level has fewer where the size asks for it).
    """
    edges: set[tuple[int, int]] = set()
    joins: set[int] = set()
    levels, node = [0], 0
    for start in range(0, size, level):
        previous = levels[-1]
        for _ in range(min(level, size - start)):
            node += 1
            edges.add((previous, node))
            previous = node
        node += 1
        edges |= {(previous, node), *((earlier, node) for earlier in levels)}
        joins.add(node)
        levels.append(node)
    return Topology(node + 1, frozenset(edges), joins=frozenset(joins))

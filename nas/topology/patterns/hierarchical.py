"""Hierarchical wiring: levels of two operations, and cross-level edges from every earlier level."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import connection_pattern

OPERATIONS_PER_LEVEL = 2


@connection_pattern(
    "hierarchical",
    Paper("López and Triesch", 2025, arxiv="2502.16003"),
    exists=lambda size: size >= 3,
    sizes="3 operations or more (two levels at least)",
)
def hierarchical(size: int) -> Topology:
    """Close each level of two operations with a join that also reads all earlier levels.

    Every level sees every earlier level: `x_b <- F_b(x_{b-1}) + sum_{a<b} x_a`, `F_b` two
    operations in a row (the last level has one where `size` is odd).
    """
    edges: set[tuple[int, int]] = set()
    joins: set[int] = set()
    levels, node = [0], 0
    for start in range(0, size, OPERATIONS_PER_LEVEL):
        previous = levels[-1]
        for _ in range(min(OPERATIONS_PER_LEVEL, size - start)):
            node += 1
            edges.add((previous, node))
            previous = node
        node += 1
        edges |= {(previous, node), *((level, node) for level in levels)}
        joins.add(node)
        levels.append(node)
    return Topology(node + 1, frozenset(edges), joins=frozenset(joins))

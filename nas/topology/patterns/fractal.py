"""Fractal wiring: a rule that expands itself, with columns of 1, 2, 4, ... operations."""

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import connection_pattern


@connection_pattern(
    "fractal",
    Paper("Larsson et al.", 2016, arxiv="1605.07648"),
    exists=lambda size: (size + 1) & size == 0,
    sizes="2^C - 1 operations (C columns): 1, 3, 7, 15, ...",
    formula="f_(C+1)(x) = mean(f_C(f_C(x)), conv(x)); 2^C - 1 operations, longest path 2^(C-1)",
)
def fractal(size: int) -> Topology:
    """Expand `f_{C+1}(z) = join(f_C(f_C(z)), conv(z))` from `f_1(z) = conv(z)`.

    Joins that meet are collapsed into one mean over all their inputs (an n-ary mean, which is not
    the nested pairwise mean). C columns give 2^C - 1 operations and a longest path of 2^(C-1).
    """
    columns = (size + 1).bit_length() - 1
    rows = 2 ** (columns - 1)
    edges: set[tuple[int, int]] = set()
    joins: set[int] = set()
    state, next_node = 0, 1
    open_since = dict.fromkeys(range(columns), 0)  # column -> state its open operation will read
    for row in range(1, rows + 1):
        ending = [column for column in range(columns) if row % 2**column == 0]
        ends = []
        for column in reversed(ending):
            edges.add((open_since[column], next_node))
            ends.append(next_node)
            next_node += 1
        state = ends[0]
        if len(ends) > 1:
            edges |= {(end, next_node) for end in ends}
            joins.add(next_node)
            state = next_node
            next_node += 1
        open_since.update(dict.fromkeys(ending, state))
    return Topology(next_node, frozenset(edges), joins=frozenset(joins), merge="mean")

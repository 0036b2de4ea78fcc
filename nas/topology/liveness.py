"""How long tensors live: which of them a network holds while it runs its nodes in order.

A compiled network runs its nodes by number and frees a node's output behind the last node that
reads it. So the order of numbers decides how much is held at once; harmonic wiring, say, holds
far less than dense wiring (Chao et al. 2019, arXiv:1909.00948). Here tensors are counted, whatever
their size; `nas.cost.activations` weighs them in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nas.topology.graph import Architecture, Topology


def last_reads(reads: Sequence[Iterable[int]]) -> list[list[int]]:
    """Return, for every node, the nodes whose outputs nothing reads after it.

    Args:
        reads: Per node the nodes it reads; those have lower numbers.

    Returns:
        Per node the outputs that can go once it has run: its own, if nothing reads it. The last
        node's output is never among them.
    """
    final = len(reads) - 1
    last = list(range(len(reads)))
    for node, sources in enumerate(reads):
        for source in sources:
            last[source] = node
    gone: list[list[int]] = [[] for _ in reads]
    for source in range(final):
        gone[last[source]].append(source)
    return gone


def live_tensors(graph: Topology | Architecture) -> list[int]:
    """Return how many outputs of nodes are held while each node runs, its own included.

    The input counts as long as something reads it. A cell counts as one node.
    """
    if isinstance(graph, Topology):
        reads = [list(graph.sources(node)) for node in range(graph.num_nodes)]
    else:
        reads = [[edge.source for edge in graph.inputs(n)] for n in range(len(graph.nodes))]
    held, counts = 0, []
    for gone in last_reads(reads):
        held += 1
        counts.append(held)
        held -= len(gone)
    return counts


def peak_live_tensors(graph: Topology | Architecture) -> int:
    """Return the largest number of outputs of nodes that are held at once."""
    return max(live_tensors(graph))

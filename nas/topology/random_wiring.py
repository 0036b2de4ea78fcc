"""From a random graph to a wiring: an orientation, an input and an output.

Xie et al. 2019, arXiv:1904.01569, number the nodes of a random graph and let every edge run from
the lower to the higher number. Which numbers the nodes get is a choice of its own here. They keep
the weights of the sums positive by a sigmoid; here these are free numbers that start at 1.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.pattern_parameters import Whole, Word
from nas.topology.wiring import Wiring

if TYPE_CHECKING:
    import networkx as nx

RANDOM_WIRING = Paper("Xie et al.", 2019, arxiv="1904.01569")

SEED = Whole("seed", 0, 0, 999_999, "of the random graph and of a random order")
ORDER = Word(
    "order",
    "index",
    ("index", "random", "breadth", "core"),
    "how edges are oriented: by the generator's numbers, by a random order, breadth-first from "
    "the best-connected operation, or best-connected operations first",
)


def oriented(graph: nx.Graph[int], order: str, seed: int) -> Topology:
    """Orient an undirected graph of operations, and give it an input and an output.

    Args:
        graph: Nodes 0 to n-1.
        order: `index`, `random`, `breadth` or `core`.
        seed: Of a random order.

    Returns:
        A wiring of n operations: those without a predecessor read the input; if nothing reads
        several of them, their mean is the output.
    """
    rank = {node: place for place, node in enumerate(_ordered(graph, order, seed))}
    sources: dict[int, list[int]] = {place: [] for place in range(len(rank))}
    for first, second in graph.edges:
        low, high = sorted((rank[first], rank[second]))
        sources[high].append(low)
    wiring = Wiring()
    for place in range(len(rank)):  # node 0 is the input, so operations are numbered from 1
        wiring.operation(
            *(source + 1 for source in sorted(sources[place])), *_input(sources[place])
        )
    read = {source for found in sources.values() for source in found}
    ends = [place + 1 for place in range(len(rank)) if place not in read]
    if len(ends) > 1:
        wiring.join(*ends, merge="mean")
    return wiring.topology("weighted")


def _input(found: list[int]) -> tuple[int, ...]:
    return () if found else (0,)


def _ordered(graph: nx.Graph[int], order: str, seed: int) -> list[int]:
    nodes = sorted(graph.nodes)
    if order == "random":
        random.Random(seed).shuffle(nodes)
    by_degree = sorted(nodes, key=lambda node: (-graph.degree[node], node))
    if order == "core":
        return by_degree
    if order == "breadth":
        import networkx as nx

        found: dict[int, None] = {}
        for start in by_degree:
            if start not in found:
                reached = [start, *(node for _, node in nx.bfs_edges(graph, start))]
                found.update(dict.fromkeys(reached))
        return list(found)
    return nodes

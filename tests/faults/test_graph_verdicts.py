"""Random digraphs: what is refused, and why, is what an independent library says of them."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from typing import Any

import networkx as nx
import pytest
import torch
from scale import scaled

from nas.errors import NasError, TopologyError
from nas.model.network import Network
from nas.topology.graph import Architecture, Edge, Node, Topology
from nas.topology.identity import structural_id
from nas.topology.serial import load_architecture

COUNT = 10_000
"""Digraphs at full scale."""


def digraphs(count: int, seed: int) -> Iterator[nx.DiGraph[Any]]:
    """Yield digraphs of 2 to 9 nodes, from almost empty to almost full, half of them acyclic."""
    draw = random.Random(seed)
    for number in range(count):
        nodes = draw.randrange(2, 10)
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_nodes_from(range(nodes))
        density = draw.choice((0.1, 0.3, 0.6, 0.9))
        for source in range(nodes):
            for target in range(nodes):
                forwards = source < target or (number % 2 and draw.random() < 0.2)
                if forwards and draw.random() < density:
                    graph.add_edge(source, target)
        if number % 3:  # most of them hold a path from end to end, so that many are networks
            nx.add_path(graph, range(nodes))
        yield graph


def shuffled(graph: nx.DiGraph[Any], draw: random.Random) -> nx.DiGraph[Any]:
    """Return the graph under other names, its nodes and edges in another order."""
    names = [f"n{number}" for number in graph]
    draw.shuffle(names)
    named = nx.relabel_nodes(graph, dict(zip(graph, names, strict=True)))
    other: nx.DiGraph[Any] = nx.DiGraph()
    other.add_nodes_from(draw.sample(sorted(named), len(named)))
    edges = list(named.edges)
    draw.shuffle(edges)
    other.add_edges_from(edges)
    return other


def is_cycle(graph: nx.DiGraph[Any], text: str) -> bool:
    """Tell whether `a→b→a` is a way round in the graph."""
    names = text.split("→")
    return names[0] == names[-1] and all(
        graph.has_edge(source, target) for source, target in itertools.pairwise(names)
    )


@pytest.mark.fault("G-F2", "D1", "D2", "D3", "D4")
def test_any_digraph_is_taken_or_refused_as_networkx_judges_it() -> None:
    draw = random.Random(1)
    verdicts = {"cycle": 0, "ends": 0, "taken": 0}
    for graph in digraphs(scaled(COUNT), seed=2):
        named = shuffled(graph, draw)
        starts = sorted(node for node, degree in named.in_degree if not degree)
        ends = sorted(node for node, degree in named.out_degree if not degree)
        try:
            topology = Topology.from_networkx(named)
        except TopologyError as error:
            if nx.is_directed_acyclic_graph(named):
                verdicts["ends"] += 1
                wrong = starts if len(starts) != 1 else ends
                assert len(wrong) != 1 and str(wrong) in error.what, error.what
            else:
                verdicts["cycle"] += 1
                found = re.search(r"cycle: (.*)\.$", error.what)
                assert found is not None and is_cycle(named, found[1]), error.what
            assert error.fix
        else:
            verdicts["taken"] += 1
            assert nx.is_directed_acyclic_graph(named) and len(starts) == len(ends) == 1
            assert nx.is_isomorphic(topology.to_networkx(), named)
    assert min(verdicts.values()) > scaled(COUNT) / 20, verdicts


def is_network(graph: nx.DiGraph[Any]) -> bool:
    """Tell whether numbered nodes stand in order and all lie between the first and the last."""
    nodes, last = set(graph), len(graph) - 1
    return (
        all(source < target for source, target in graph.edges)
        and nx.descendants(graph, 0) | {0} == nodes
        and nx.ancestors(graph, last) | {last} == nodes
    )


def reason(graph: nx.DiGraph[Any], what: str) -> bool:
    """Tell whether a refusal names what is wrong with the graph."""
    if found := re.search(r"cycle: (\S+?)\.?$", what.splitlines()[0]):
        names = [int(name) for name in found[1].split("→")]
        return nx.is_simple_path(graph, names[:-1]) and graph.has_edge(names[-2], names[-1])
    if found := re.search(r"Edge \((\d+), (\d+)\) runs backwards", what):
        return graph.has_edge(int(found[1]), int(found[2])) and int(found[1]) > int(found[2])
    if found := re.search(r"Node (\d+) is disconnected", what):
        node, last = int(found[1]), len(graph) - 1
        return not (nx.has_path(graph, 0, node) and nx.has_path(graph, node, last))
    return False


OPERATIONS = ("identity", "conv3x3", "relu", "avg_pool3x3", "bn_relu", "separable3x3")


def network_of(graph: nx.DiGraph[Any], draw: random.Random, widths: Any = (None,)) -> Architecture:
    """Return the graph as a network with random operations and merges."""
    nodes = [
        Node(draw.choice(OPERATIONS), draw.choice(("sum", "mean", "concat")), width=width)
        for width in draw.choices(widths, k=len(graph))
    ]
    return Architecture((Node(), *nodes[1:]), tuple(Edge(*pair) for pair in graph.edges))


def renumbered(network: Architecture, draw: random.Random) -> Architecture:
    """Return the network with its nodes in another topological order."""
    graph: nx.DiGraph[int] = nx.DiGraph([(edge.source, edge.target) for edge in network.edges])
    keys = {node: draw.random() for node in graph}
    keys[0], keys[len(graph) - 1] = -1.0, 2.0
    order = list(nx.lexicographical_topological_sort(graph, key=lambda node: keys[node]))
    place = {node: index for index, node in enumerate(order)}
    return Architecture(
        tuple(network.nodes[node] for node in order),
        tuple(Edge(place[edge.source], place[edge.target]) for edge in network.edges),
    )


@pytest.mark.fault("G-F2", "D1", "D2", "D3", "D4", "D9")
def test_files_of_random_graphs_are_read_as_networkx_judges_them() -> None:
    draw = random.Random(3)
    taken: list[nx.DiGraph[Any]] = []
    for graph in digraphs(scaled(COUNT), seed=4):
        edges = draw.sample(sorted(map(list, graph.edges)), graph.number_of_edges())
        data = {"schema": "nas.architecture/1", "nodes": [{} for _ in graph], "edges": edges}
        try:
            load_architecture(data)
        except TopologyError as error:
            assert not is_network(graph) and reason(graph, error.what), (edges, error.what)
        else:
            assert is_network(graph), edges
            taken.append(graph)
    assert scaled(COUNT) / 10 < len(taken) < scaled(COUNT) * 9 / 10
    for graph in taken:
        network = network_of(graph, draw)
        assert structural_id(renumbered(network, draw)) == structural_id(network)


@pytest.mark.fault("G-F2", "D5", "D6")
def test_random_networks_run_or_are_refused_by_our_own_error() -> None:
    draw = random.Random(5)
    images = torch.zeros(2, 4, 8, 8)
    ran = refused = 0
    for graph in digraphs(scaled(COUNT) // 10, seed=6):
        if not is_network(graph):
            continue
        network = network_of(graph, draw, widths=(None, 4, 6))
        strided = Architecture(
            tuple(
                Node(node.operation, node.merge, width=node.width, stride=draw.choice((1, 1, 2, 4)))
                for node in network.nodes
            ),
            network.edges,
        )
        try:
            module = Network(strided, (4, 8, 8), 10)
        except NasError:
            refused += 1
            continue
        with torch.no_grad():
            assert module.eval()(images).shape == (2, 10)
        ran += 1
    assert ran > 10 and refused > 0

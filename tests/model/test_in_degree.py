"""Initial weights by fan-in and in-degree: the formula, and what it is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scale import scaled

from nas.model.network import Network
from nas.topology.graph import Architecture, Edge, Gain, Node
from nas.topology.merges import MERGES
from nas.topology.patterns import PATTERNS
from nas.topology.stages import stage_architecture

DAGS = scaled(100)
WIDTH = 64


def random_dag(seed: int, operation: str) -> Architecture:
    rng = np.random.default_rng(seed)
    nodes, edges = [Node()], []
    for node in range(1, int(rng.integers(4, 13))):
        nodes.append(Node(operation, width=WIDTH))
        degree = int(rng.integers(1, min(node, 4) + 1))
        edges += [Edge(int(s), node) for s in sorted(rng.choice(node, degree, replace=False))]
    return replace(Architecture.pruned(nodes, edges), head="none")


def second_moment(architecture: Architecture, initialisation: str, seed: int) -> float:
    net = Network(
        architecture,
        (WIDTH, 4, 4),
        1,
        initialisation=initialisation,  # type: ignore[arg-type]
        seed=seed,
    )
    x = torch.randn(32, WIDTH, 4, 4, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return float(net.eval()(x).square().mean())


@pytest.mark.parametrize("operation", ["relu+conv1x1", "plain_conv1x1"])
def test_the_second_moment_stays_within_a_factor_of_two_from_input_to_output(
    operation: str,
) -> None:
    for seed in range(DAGS):
        assert 0.5 < second_moment(random_dag(seed, operation), "in_degree", seed) < 2


def test_the_default_lets_it_grow_with_the_in_degrees() -> None:
    found = [second_moment(random_dag(seed, "relu+conv1x1"), "default", seed) for seed in range(10)]
    assert max(found) > 4


def test_rectified_outputs_are_kept_at_half_whatever_the_in_degrees() -> None:
    for seed in range(DAGS):
        found = second_moment(random_dag(seed, "conv1x1+relu"), "in_degree", seed)
        assert 0.2 < found < 1.2


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_the_variance_is_the_published_one(degree: int) -> None:
    """2 / (fan_in in_degree) behind rectifiers, for inputs that were normalised alike."""
    nodes = [Node(), *(Node("relu+conv1x1", width=64) for _ in range(degree + 1))]
    edges = [Edge(0, each) for each in range(1, degree + 1)]
    edges += [Edge(each, degree + 1) for each in range(1, degree + 1)]
    net = Network(
        Architecture(tuple(nodes), tuple(edges)), (64, 2, 2), 2, initialisation="in_degree"
    )
    weight = next(
        part.weight
        for part in net.nodes[str(degree + 1)].modules()
        if isinstance(part, torch.nn.Conv2d)
    )
    expected = 2 / (64 * degree)
    assert float(weight.detach().var()) == pytest.approx(expected, rel=0.08)


def test_joins_gains_and_means_count_as_what_they_do() -> None:
    def variance(merge: str, gain: float) -> float:
        nodes = (
            Node(),
            Node("relu+conv1x1", width=64),
            Node("identity", merge),
            Node("relu+conv1x1", width=64),
        )
        edges = (Edge(0, 1), Edge(0, 2), Edge(1, 2, gain=Gain("fixed", gain)), Edge(2, 3))
        net = Network(Architecture(nodes, edges), (64, 2, 2), 2, initialisation="in_degree")
        convolutions = [part for part in net.modules() if isinstance(part, torch.nn.Conv2d)]
        return float(convolutions[-1].weight.detach().var())

    assert variance("sum", 1.0) == pytest.approx(2 / (64 * 2), rel=0.08)
    assert variance("mean", 1.0) == pytest.approx(2 / (64 * 0.5), rel=0.08)
    assert variance("sum", 0.5) == pytest.approx(2 / (64 * 1.25), rel=0.08)


HEAVY_TAILED = {"product", "one_plus_raw_mask"}
"""Products of independent numbers: a few of them make up most of the second moment."""


@pytest.mark.parametrize("merge", sorted({*MERGES} - HEAVY_TAILED - {"stack"}))
def test_every_merge_counts_as_what_it_makes_at_the_start(merge: str) -> None:
    stage = stage_architecture(
        PATTERNS.get("dense").wire(5),
        width=WIDTH,
        operation="relu+conv1x1",
        merge=merge,
        stem="relu+conv1x1",
    )
    found = [second_moment(replace(stage, head="none"), "in_degree", seed) for seed in range(4)]
    assert 0.5 < float(np.mean(found)) < 2


def test_slices_of_a_concatenation_and_norms_start_a_signal_anew() -> None:
    nodes = (
        Node(),
        Node("relu+conv1x1", width=WIDTH),
        Node("relu+conv1x1", "concat", width=WIDTH),
        Node("conv1x1", width=WIDTH),
        Node("relu+conv1x1", width=WIDTH),
    )
    edges = (Edge(0, 1), Edge(0, 2), Edge(1, 2), Edge(2, 3), Edge(3, 4))
    network = replace(Architecture(nodes, edges), head="none")
    assert 0.5 < second_moment(network, "in_degree", 0) < 2


def test_a_tied_weight_is_drawn_once_and_seeds_decide_it() -> None:
    nodes = (Node(), *(Node("relu+conv1x1", width=4, tie="t") for _ in range(3)))
    chain = Architecture(nodes, (Edge(0, 1), Edge(1, 2), Edge(2, 3)))

    def weights(seed: int) -> torch.Tensor:
        net = Network(chain, (4, 2, 2), 2, initialisation="in_degree", seed=seed)
        return torch.cat([value.detach().flatten() for value in net.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))

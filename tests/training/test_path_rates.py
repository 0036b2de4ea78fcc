"""Learning rates by path lengths: the published rule, its trap, and the weighted form."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scale import scaled

from nas.errors import ConfigError
from nas.topology.edge_scales import scale_topology
from nas.topology.graph import Architecture, Edge, Gain, Node
from nas.topology.measures import path_lengths
from nas.topology.patterns import PATTERNS
from nas.topology.stages import stage_architecture
from nas.training.path_rates import rate_factor, weighted_moments


def built(pattern: str, size: int, scale: str = "unscaled") -> Architecture:
    return stage_architecture(scale_topology(PATTERNS.get(pattern).wire(size), scale), width=4)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 50, 200])
@pytest.mark.parametrize("rule", ["cell_paths", "weighted_paths"])
def test_a_chain_of_l_operations_has_l_to_the_minus_three_halves(size: int, rule: str) -> None:
    assert rate_factor(built("chain", size), rule) == pytest.approx(size**-1.5, rel=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [2, 4, 8, 16])
def test_the_literal_rule_explodes_on_a_stack_of_residual_blocks(size: int) -> None:
    cubes = sum(math.comb(size, length) * length**3 for length in range(size + 1))
    assert rate_factor(built("residual", size), "cell_paths") == pytest.approx(cubes**-0.5)
    if size == 16:
        assert (2**size, cubes, size**3) == (65_536, 39_845_888, 4_096)


@pytest.mark.parametrize("size", [4, 16, 64, 256])
def test_scaled_branches_keep_the_weighted_rule_bounded_at_any_depth(size: int) -> None:
    cubes = weighted_moments(built("residual", size, "inverse_root_depth"))[3]
    # A sum of L independent branches, each with weight 1/L: at most e times Poisson's E[k^3] = 5.
    expected = sum(math.comb(size, k) * (1 / size) ** k * k**3 for k in range(size + 1))
    assert cubes == pytest.approx(expected)
    assert cubes < 5 * math.e


@pytest.mark.parametrize(
    ("pattern", "size"), [("dense", 24), ("dense_bc", 24), ("inception", 24), ("log_dense", 24)]
)
def test_concatenated_inputs_share_one_signal(pattern: str, size: int) -> None:
    mass, length, _, cubes = weighted_moments(built(pattern, size))
    assert mass == pytest.approx(1.0)
    assert 1 <= length <= 2 * size
    assert 1 <= cubes <= (2 * size) ** 3


def test_cells_are_measured_alone_and_the_longest_winded_one_decides() -> None:
    short, long = built("chain", 2), built("chain", 3)
    nodes = (Node(), Node(cell=short), Node(cell=long), Node(cell=short))
    stack = Architecture(nodes, tuple(Edge(node, node + 1) for node in range(3)))
    assert rate_factor(stack, "cell_paths") == pytest.approx(3**-1.5)
    assert rate_factor(stack, "weighted_paths") == pytest.approx(7**-1.5)


def test_fixed_leaves_the_rate_as_it_is() -> None:
    assert rate_factor(built("residual", 16), "fixed") == 1.0


def random_networks() -> Iterator[Architecture]:
    for seed in range(scaled(100)):
        rng = np.random.default_rng(seed)
        nodes, edges = [Node()], []
        for node in range(1, int(rng.integers(3, 9))):
            operation = str(rng.choice(["conv3x3", "identity", "conv1x1"]))
            merge = str(rng.choice(["sum", "mean", "pairwise_mean"]))
            width = None if operation == "identity" else 4
            nodes.append(Node(operation, merge, width=width))
            for source in rng.permutation(node)[: int(rng.integers(1, 4))]:
                value = float(rng.choice([0.5, 1.0, 2.0]))
                edges.append(Edge(int(source), node, gain=Gain("fixed", value)))
        yield Architecture.pruned(nodes, edges)


def test_weighted_moments_are_those_of_all_paths_enumerated() -> None:
    for network in random_networks():
        expected = [0.0] * 4
        for weight, length in _walk(network, 0):
            for power in range(4):
                expected[power] += weight * length**power
        assert weighted_moments(network) == pytest.approx(expected)


def _walk(network: Architecture, node: int) -> Iterator[tuple[float, int]]:
    if node == len(network.nodes) - 1:
        yield 1.0, 0
        return
    for edge in network.edges:
        if edge.source == node:
            target = network.nodes[edge.target]
            sources = sorted(each.source for each in network.inputs(edge.target))
            factor = edge.gain.value * _share(
                target.merge, sources.index(edge.source), len(sources)
            )
            own = int(target.operation != "identity")
            for weight, length in _walk(network, edge.target):
                yield weight * factor**2, length + own


def _share(merge: str, place: int, degree: int) -> float:
    """Return what a merge multiplies its inputs with; each nested mean halves what came before."""
    if merge == "pairwise_mean" and degree > 1:
        means_behind = degree - 1 if place == 0 else degree - place
        return 0.5**means_behind
    return 1 / degree if merge == "mean" else 1.0


def test_without_gains_and_means_the_weights_are_counts() -> None:
    for pattern, size in [("residual", 5), ("dense", 5), ("hierarchical", 6)]:
        architecture = built(pattern, size)
        counted = path_lengths(architecture)
        if PATTERNS.get(pattern).wire(size).merge == "sum":
            cubes = sum(count * length**3 for length, count in counted.items())
            assert weighted_moments(architecture)[3] == pytest.approx(cubes)


def test_paths_beyond_all_numbers_are_refused_and_the_way_out_named() -> None:
    for rule, other in (("cell_paths", "weighted_paths"), ("weighted_paths", "cell_paths")):
        match = rf"no learning rate is left[\s\S]*inverse_root_depth[\s\S]*'{other}'"
        with pytest.raises(ConfigError, match=match):
            rate_factor(_stacked(4), rule)  # type: ignore[arg-type]


def _stacked(levels: int) -> Architecture:
    """Return cells in cells: 300 residual blocks, each of them 300 blocks."""
    cell = built("residual", 300)
    for _ in range(levels - 1):
        nodes = (Node(), *(Node(cell=cell) for _ in range(4)))
        cell = Architecture(nodes, tuple(Edge(node, node + 1) for node in range(4)))
    return cell

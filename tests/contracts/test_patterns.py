"""One suite for every registered pattern, unasked; and the closed forms of the known ones."""

from __future__ import annotations

import networkx as nx
import pytest
from scale import scaled

from nas.errors import ConfigError, NotFoundError, TopologyError
from nas.topology.graph import Topology
from nas.topology.measures import longest_path
from nas.topology.merges import MERGES
from nas.topology.patterns import MAX_SIZE, PATTERNS, connection_pattern

NAMES = list(PATTERNS)
SIZES = [(name, size) for name in NAMES for size in range(1, 21) if PATTERNS.get(name).exists(size)]


def test_the_patterns_of_the_catalogue_are_registered() -> None:
    named = {"chain", "residual", "dense", "fractal", "hierarchical", "harmonic", "free"}
    assert named <= set(NAMES)


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_a_pattern_wires_as_many_operations_as_it_was_asked_for(name: str, size: int) -> None:
    assert len(PATTERNS.get(name).wire(size).operations) == size


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_every_node_lies_between_input_and_output(name: str, size: int) -> None:
    topology = PATTERNS.get(name).wire(size)
    graph, last = topology.to_networkx(), topology.num_nodes - 1
    assert nx.descendants(graph, 0) | {0} == set(range(topology.num_nodes))
    assert nx.ancestors(graph, last) | {last} == set(range(topology.num_nodes))


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_a_wiring_is_numbered_in_topological_order_and_always_the_same(
    name: str, size: int
) -> None:
    topology = PATTERNS.get(name).wire(size)
    assert all(source < target for source, target in topology.edges)
    assert topology == PATTERNS.get(name).wire(size)
    assert topology.merge in MERGES


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_joins_are_nodes_with_several_inputs_and_never_the_input(name: str, size: int) -> None:
    topology = PATTERNS.get(name).wire(size)
    assert 0 not in topology.joins
    for join in topology.joins - ({topology.num_nodes - 1} if topology.optional else set()):
        assert len(topology.sources(join)) > 1


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_the_smallest_answer_to_the_optional_edges_is_still_a_wiring(name: str, size: int) -> None:
    """What stays when all optional edges are off leads from the input to something."""
    topology = PATTERNS.get(name).wire(size)
    assert topology.optional <= topology.edges
    assert any(source == 0 for source, _ in topology.edges - topology.optional)


@pytest.mark.parametrize("name", NAMES)
def test_a_pattern_describes_itself(name: str) -> None:
    pattern = PATTERNS.get(name)
    assert pattern.name == name
    assert pattern.summary.endswith(".")
    assert pattern.sizes


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_do_not_exist_are_refused_with_those_that_do(name: str) -> None:
    pattern = PATTERNS.get(name)
    missing = [n for n in (-1, 0, 1, 2, 4, 6, MAX_SIZE + 1) if n < 1 or not pattern.exists(n)]
    smallest = next(n for n in range(1, MAX_SIZE) if pattern.exists(n))
    for size in {*missing, MAX_SIZE + 1}:
        message = rf"'{name}' does not exist for {size} operations[\s\S]*sizes are {smallest}\b"
        with pytest.raises(TopologyError, match=message):
            pattern.wire(size)


def test_an_unknown_pattern_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match=r"pattern 'fractl'[\s\S]*'fractal'[\s\S]*chain, dense"):
        PATTERNS.get("fractl")


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'chain' is registered already[\s\S]*taken are"):

        @connection_pattern("chain")
        def chain(size: int) -> Topology:
            return PATTERNS.get("chain").wire(size)


# Closed forms.


@pytest.mark.parametrize("size", range(1, scaled(200)))
def test_edges_follow_the_closed_forms(size: int) -> None:
    def edges(name: str) -> int:
        return len(PATTERNS.get(name).wire(size).edges)

    assert edges("chain") == size
    assert edges("dense") == size * (size + 1) // 2
    assert edges("harmonic") == 2 * size - size.bit_count()
    assert edges("residual") == 3 * size


def test_the_published_harmonic_wiring_of_eight_has_fifteen_edges() -> None:
    assert len(PATTERNS.get("harmonic").wire(8).edges) == 15


@pytest.mark.parametrize("columns", range(1, 8))
def test_a_fractal_has_its_closed_forms(columns: int) -> None:
    fractal = PATTERNS.get("fractal").wire(2**columns - 1)
    assert len(fractal.operations) == 2**columns - 1
    assert longest_path(fractal) == 2 ** (columns - 1)
    assert max((len(fractal.sources(join)) for join in fractal.joins), default=1) == columns
    assert fractal.merge == "mean"


@pytest.mark.parametrize("size", range(3, 21))
def test_every_level_of_a_hierarchy_reads_every_earlier_level(size: int) -> None:
    hierarchy = PATTERNS.get("hierarchical").wire(size)
    levels = [0, *sorted(hierarchy.joins)]
    assert len(levels) - 1 == -(-size // 2)
    for position, level in enumerate(levels[1:], start=1):
        assert set(levels[:position]) <= set(hierarchy.sources(level))

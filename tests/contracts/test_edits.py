"""Every kind of edit: what it makes is valid, undone exactly, and survives a file."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import INPUT_SHAPE, architectures

from nas.cost.count import cost
from nas.topology.edits import EDITS, Lineage, crossover_edit, dump_edit, load_edit, random_edits
from nas.topology.graph import Architecture, Edge, Node

SEEDS = st.integers(0, 2**32 - 1)
KINDS = sorted(EDITS)


def check(network: Architecture) -> object:
    return cost(network, INPUT_SHAPE, 10)


INNER = Architecture((Node(), Node("conv3x3"), Node()), (Edge(0, 1), Edge(0, 2), Edge(1, 2)))
MIDDLE = Architecture(
    (Node(), Node(cell=INNER, motif="inner"), Node(cell=INNER, motif="inner")),
    (Edge(0, 1), Edge(0, 2), Edge(1, 2)),
)
NESTED = Architecture(
    (
        Node(),
        Node(cell=MIDDLE, motif="middle"),
        Node(cell=INNER, motif="inner"),
        Node(cell=MIDDLE, motif="middle"),
        Node("conv3x3"),
    ),
    (Edge(0, 1), Edge(0, 2), Edge(1, 2), Edge(2, 3), Edge(1, 4), Edge(3, 4)),
)


@pytest.mark.parametrize("name", KINDS)
def test_its_name_is_that_of_its_class(name: str) -> None:
    assert EDITS.get(name).name == name
    assert EDITS.get(name).__doc__


@pytest.mark.parametrize("name", [name for name in KINDS if name != "graft"])
@given(network=architectures(cells=1) | st.just(NESTED), seed=SEEDS)
def test_it_is_undone_exactly_and_survives_a_file(
    name: str, network: Architecture, seed: int
) -> None:
    edits = random_edits(network, np.random.default_rng(seed), check=check, edits=[name])
    for edit in edits:
        child = edit.apply(network)
        back = edit.undo(network)
        assert back.apply(child) == network
        assert back.undo(child).apply(network) == child
        for known in (edit, back):
            written = json.loads(json.dumps(dump_edit(known), allow_nan=False))
            assert load_edit(written) == known


@given(first=architectures(), second=architectures(), seed=SEEDS)
def test_a_graft_is_undone_exactly_and_survives_a_file(
    first: Architecture, second: Architecture, seed: int
) -> None:
    graft = crossover_edit(first, second, np.random.default_rng(seed), check=check)
    if graft is not None:
        child = graft.apply(first)
        assert graft.undo(first).apply(child) == first
        assert load_edit(json.loads(json.dumps(dump_edit(graft)))) == graft


@pytest.mark.parametrize("name", [name for name in KINDS if name != "graft"])
def test_it_is_drawn_for_some_network(name: str) -> None:
    rng = np.random.default_rng(0)
    assert random_edits(NESTED, rng, check=check, edits=[name], count=3)


@given(network=architectures(), seed=SEEDS, count=st.integers(0, 6))
def test_a_lineage_replays_to_the_child_and_back(
    network: Architecture, seed: int, count: int
) -> None:
    edits = random_edits(network, np.random.default_rng(seed), check=check, count=count)
    lineage = Lineage.of(network, edits)
    child = lineage.replay(network)
    check(child)
    assert Lineage.load(json.loads(json.dumps(lineage.dump()))) == lineage
    for edit in lineage.undo(network):
        child = edit.apply(child)
    assert child == network

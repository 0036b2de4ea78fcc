"""Partitions of weight sharing: counted, drawn evenly, never over budget."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scale import scaled

from nas.cost.count import cost
from nas.cost.sharing_partitions import Partition, SharingSearch
from nas.errors import ConfigError
from nas.model.network import Network
from nas.topology.patterns import PATTERNS
from nas.topology.published import build_published_text
from nas.topology.stages import stage_architecture

SHAPE, CLASSES = (4, 6, 6), 3
BELL = [1, 1, 2, 5, 15, 52, 203, 877]


def search(pattern: str = "chain", size: int = 4, own_norms: bool = True) -> SharingSearch:
    built = stage_architecture(PATTERNS.get(pattern).wire(size), width=4)
    return SharingSearch(built, SHAPE, CLASSES, own_norms)


@pytest.mark.parametrize("size", range(1, 8))
def test_alike_operations_have_as_many_partitions_as_bell_numbers_say(size: int) -> None:
    found = search(size=size)
    every = list(found.partitions())
    assert found.count() == len(every) == len(set(every)) == BELL[size]


@pytest.mark.parametrize("own_norms", [True, False])
@pytest.mark.parametrize(("pattern", "size"), [("chain", 4), ("fractal", 3)])
def test_the_parameters_of_every_partition_are_those_of_the_built_network(
    pattern: str, size: int, own_norms: bool
) -> None:
    found = search(pattern, size, own_norms)
    for partition in found.partitions():
        architecture = found.apply(partition)
        held = Network(architecture, SHAPE, CLASSES)
        counted = sum(value.numel() for value in held.parameters())
        assert found.parameters(partition) == counted
        assert found.smallest <= counted <= found.largest


@settings(deadline=None, max_examples=scaled(150))
@given(st.integers(0, 10**6), st.floats(0, 1.2))
def test_a_drawn_partition_never_exceeds_its_budget(seed: int, share: float) -> None:
    found = SharingSearch(build_published_text("resnet-cifar:depth=14"), (3, 32, 32), 10)
    budget = int(found.smallest + share * (found.largest - found.smallest))
    partition = found.sample(np.random.default_rng(seed), budget)
    built = found.apply(partition)
    assert cost(built, (3, 32, 32), 10).parameters == found.parameters(partition) <= budget


def test_the_count_under_a_budget_is_that_of_the_enumeration() -> None:
    found = search("residual", 5)
    sizes = [found.parameters(partition) for partition in found.partitions()]
    for budget in range(found.smallest, found.largest + 200, 97):
        assert found.count(budget) == sum(size <= budget for size in sizes)
        fitting = list(found.partitions(budget))
        assert all(found.parameters(partition) <= budget for partition in fitting)
        assert len(fitting) == found.count(budget)


def test_every_partition_that_fits_is_drawn_alike() -> None:
    found, rng = search("chain", 4), np.random.default_rng(0)
    budget = (found.smallest + found.largest) // 2
    every = list(found.partitions(budget))
    draws = scaled(20_000)
    seen: Counter[Partition] = Counter(found.sample(rng, budget) for _ in range(draws))
    assert set(seen) == set(every)
    expected = draws / len(every)
    chi_squared = sum((seen[each] - expected) ** 2 / expected for each in every)
    assert chi_squared < len(every) + 5 * (2 * len(every)) ** 0.5


def test_moves_stay_within_the_budget_and_reach_every_partition_that_fits() -> None:
    found, rng = search("chain", 4), np.random.default_rng(0)
    budget = (found.smallest + found.largest) // 2
    every = set(found.partitions(budget))
    partition = found.sample(rng, budget)
    seen = {partition}
    for _ in range(60 * len(every)):
        moved = found.neighbour(partition, rng, budget)
        assert moved in every
        assert moved != partition
        partition = moved
        seen.add(partition)
    assert seen == every
    alone = search("chain", 1)
    only = alone.sample(rng)
    assert alone.neighbour(only, rng) == only


def test_astronomical_numbers_of_partitions_are_counted_and_drawn() -> None:
    found = SharingSearch(build_published_text("resnet-cifar:depth=110"), (3, 32, 32), 10)
    assert found.count() > 10**60
    half = (found.smallest + found.largest) // 2
    assert found.parameters(found.sample(np.random.default_rng(0), half)) <= half


def test_shared_weights_are_one_tensor_and_norms_stay_apart() -> None:
    found = search("chain", 3)
    net = Network(found.apply(((1, 3), (2,))), SHAPE, CLASSES)
    first, other = (net.nodes[number].operation for number in ("1", "3"))
    assert first[0].weight is other[0].weight  # type: ignore[index,union-attr]
    assert first[1].weight is not other[1].weight  # type: ignore[index,union-attr]
    net(torch.randn(2, *SHAPE)).sum().backward()


@pytest.mark.parametrize(
    ("partition", "match"),
    [
        (((1, 9),), r"names node 9, which is not there"),
        (((1, 2), (2, 3)), r"is in two groups"),
        (((1, 2),), r"cannot share weights[\s\S]*SharingSearch.classes"),
    ],
)
def test_impossible_partitions_are_refused(partition: Partition, match: str) -> None:
    built = stage_architecture(PATTERNS.get("chain").wire(3), width=8)  # the first reads 4 channels
    with pytest.raises(ConfigError, match=match):
        SharingSearch(built, SHAPE, CLASSES).apply(
            partition if "two" not in match else ((2, 3), (3,))
        )


def test_more_alike_operations_than_can_be_searched_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"401 operations are alike; partitions of at most 400"):
        assert search("chain", 401).classes


def test_a_budget_below_all_partitions_names_the_smallest() -> None:
    found = search()
    with pytest.raises(ConfigError, match=rf"No partition has 1 [\s\S]*at least {found.smallest}"):
        found.sample(np.random.default_rng(0), 1)

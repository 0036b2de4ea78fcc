"""What every zero-cost score promises, on every wiring there is."""

from __future__ import annotations

import copy
import math
from functools import cache

import pytest
import torch

from nas.errors import DataError, TrialError
from nas.model.network import Network
from nas.space import space_from_dict
from nas.topology.patterns import PATTERNS
from nas.zero_cost.base import ZERO_COST, ZeroCostScore

NAMES = list(ZERO_COST)
SHAPE = (3, 8, 8)
SIZES = {name: PATTERNS.get(name).smallest(3) for name in PATTERNS}


@cache
def network(pattern: str) -> Network:
    space = space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "stages",
            "name": "one",
            "stages": [
                {
                    "pattern": pattern,
                    "depth": SIZES[pattern],
                    "width": 8,
                    "operation": "conv3x3",
                    "merge": "concat",
                }
            ],
        }
    )
    architecture = space.build(space.cover()[0])
    return Network(architecture, SHAPE, 10, initialisation="default", seed=1)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, *SHAPE, generator=generator), torch.arange(8) % 10


@pytest.mark.parametrize("name", NAMES)
def test_a_score_is_one_file_of_its_name_with_its_paper_unless_it_only_counts(name: str) -> None:
    entry = ZERO_COST.get(name)
    assert entry.function.__module__ == f"nas.zero_cost.scores.{name}"
    assert entry.reads in ("labels", "images", "nothing")
    assert entry.trivial == (ZERO_COST.paper(name) is None)


@pytest.mark.parametrize("pattern", list(PATTERNS))
@pytest.mark.parametrize("name", NAMES)
def test_it_is_finite_and_the_same_again_on_every_pattern(name: str, pattern: str) -> None:
    images, labels = batch()
    first, second = (ZERO_COST.get(name).score(network(pattern), images, labels) for _ in range(2))
    assert math.isfinite(first)
    assert first == second


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_the_network_and_the_global_generator_as_they_were(name: str) -> None:
    own = copy.deepcopy(network("residual")).eval()
    images, labels = batch()
    torch.nn.functional.cross_entropy(own(images), labels).backward()
    before = {key: value.clone() for key, value in own.state_dict().items()}
    gradients = [value.grad.clone() for value in own.parameters() if value.grad is not None]
    torch.manual_seed(5)
    ZERO_COST.get(name).score(own, images, labels)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
    assert all(torch.equal(before[key], value) for key, value in own.state_dict().items())
    assert all(
        torch.equal(first, value.grad)
        for first, value in zip(gradients, own.parameters(), strict=True)
        if value.grad is not None
    )
    assert not own.training
    assert not any(module._forward_hooks for module in own.modules())
    assert not images.requires_grad


@pytest.mark.parametrize("name", NAMES)
def test_another_order_of_the_batch_gives_the_same_score_where_it_says_so(name: str) -> None:
    entry = ZERO_COST.get(name)
    images, labels = batch()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(3))
    own = copy.deepcopy(network("dense")).double()
    first = entry.score(own, images.double(), labels)
    second = entry.score(own, images.double()[order], labels[order])
    if not entry.order_matters:
        assert second == pytest.approx(first, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_what_it_says_and_no_more(name: str) -> None:
    entry = ZERO_COST.get(name)
    images, labels = batch()
    first = entry.score(network("residual"), images, labels)
    if entry.reads != "labels":
        assert entry.score(network("residual"), images, (labels + 1) % 10) == first
    if entry.reads == "nothing":
        assert entry.score(network("residual"), 2 * images.flip(0), labels) == first
    else:
        assert entry.score(network("residual"), 0.5 * images.flip(3) - 1, labels) != first


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_labels_or_of_one_image_is_refused(name: str) -> None:
    images, labels = batch()
    for count, number in ((1, 1), (4, 3)):
        with pytest.raises(DataError, match=f"got {count} images and {number} labels"):
            ZERO_COST.get(name).score(network("chain"), images[:count], labels[:number])


def test_a_score_that_is_not_finite_fails() -> None:
    images, labels = batch()
    entry = ZeroCostScore("broken", lambda *_: math.nan)
    with pytest.raises(TrialError, match="zero-cost score 'broken' is nan"):
        entry.score(network("chain"), images, labels)

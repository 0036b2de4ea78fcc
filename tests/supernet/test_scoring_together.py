"""Scoring many members at once, and where their batch-norm statistics come from."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scale import scaled
from supernet_cases import SHAPE, digits, digits_supernet, images, shaken, space

from nas.errors import TrialError
from nas.space import AbstractSpace, space_from_dict
from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import ScoringData, score, score_all, scoring_data
from nas.supernet.scoring.shared_passes import Expressions, SharedPass, in_shared_order
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture
from nas.training.evaluate import evaluate


def small_cells() -> AbstractSpace:
    declaration = space("nasbench201").to_dict()
    stages = [{"cells": 1, "width": width} for width in (4, 8)]
    return space_from_dict({**declaration, "stages": stages})


def overlapping_widths() -> AbstractSpace:
    stage = {
        "pattern": {"choices": ["chain", "residual"]},
        "depth": 2,
        "width": {"choices": [4, 6, 8]},
        "operation": "conv3x3",
        "merge": "sum",
    }
    stages = [stage, {**stage, "stride": 2}, {**stage, "stride": 2}]
    declaration = {"schema": "nas.space/1", "kind": "stages", "name": "overlapping"}
    return space_from_dict({**declaration, "cross_stage_edges": "choice", "stages": stages})


def data_for(policy: Recalibration, count: int = 24) -> ScoringData:
    labels = torch.arange(count) % 5
    measured = images(16, seed=1, dtype=torch.float32)
    return ScoringData(measured, images(count, seed=2, dtype=torch.float32), labels, policy)


def members_of(declared: AbstractSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [declared.build(declared.sample(rng)) for _ in range(count)]


SPACES = {
    "cells": small_cells,
    "wired_cnn": lambda: space("wired_cnn"),
    "tiny_exhaustive": lambda: space("tiny_exhaustive"),
    "widths": overlapping_widths,
}
POLICIES = [
    Recalibration(),
    Recalibration(policy="average", images=8, passes=2, compare=False),
    Recalibration(policy="none"),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.policy)
@pytest.mark.parametrize("name", list(SPACES))
def test_members_scored_together_score_exactly_as_alone(name: str, policy: Recalibration) -> None:
    declared = SPACES[name]()
    supernet = shaken(Supernet(declared, SHAPE, 5, seed=1)).train()
    members = members_of(declared, scaled(60))
    members += members[:2]  # a member may be asked for twice
    for member in members[:2]:
        supernet(images(16, dtype=torch.float32), member)  # moves the running statistics
    supernet.eval()
    data = data_for(policy)
    alone = [score(supernet, member, data, batch_size=10) for member in members]
    for seed, memory in itertools.product(range(2), (0, 50_000, 2**30)):
        order = np.random.default_rng(seed).permutation(len(members))
        together = score_all(
            supernet,
            [members[index] for index in order],
            data,
            batch_size=10,
            memory_bytes=memory,
        )
        assert together == [alone[index] for index in order]


def test_each_expression_is_computed_once_where_memory_allows() -> None:
    declared = small_cells()
    supernet = Supernet(declared, SHAPE, 5).eval()
    expressions = Expressions(supernet.weights, supernet.classify)
    outputs, alone = [], 0
    for member in members_of(declared, 40):
        program = supernet.program(member)
        outputs.append(expressions.member(program, supernet.head_uses(program)))
        single = Expressions(supernet.weights, supernet.classify)
        single.member(program, supernet.head_uses(program))
        alone += len(single.table) - 1
    order = in_shared_order(expressions.table, outputs)
    assert sorted(order) == list(range(40))
    ordered = [outputs[index] for index in order]
    x = images(2, dtype=torch.float32)
    counts = {}
    for memory in (0, 2**30):
        shared = SharedPass(expressions.table, ordered, memory)
        shared.run(x, lambda number: supernet_norm, lambda member, logits: None)
        counts[memory] = shared.computed
    needed, waiting = {0}, list(outputs)
    while waiting:  # nodes that nothing reads are never computed
        number = waiting.pop()
        if number not in needed:
            needed.add(number)
            waiting += expressions.table[number].inputs
    assert counts[2**30] == len(needed) - 1 < counts[0] <= alone


def supernet_norm(
    site: str,
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    epsilon: float,
) -> torch.Tensor:
    return torch.nn.functional.batch_norm(x, None, None, weight, bias, True, eps=epsilon)


def test_a_member_that_cannot_be_scored_is_reported_as_alone() -> None:
    declared = small_cells()
    supernet = Supernet(declared, SHAPE, 5).eval()
    with torch.no_grad():
        supernet.weights.slot("head|bias").fill_(float("nan"))
    with pytest.raises(TrialError, match="cross-entropy"):
        score_all(supernet, members_of(declared, 2), data_for(Recalibration()))


def test_running_averages_that_overflow_cost_a_member_nothing_but_the_number_beside_its_score() -> (
    None
):
    supernet = Supernet(small_cells(), SHAPE, 5)
    members = members_of(supernet.space, 2)
    for member in members:
        supernet(images(dtype=torch.float32), member)
    for value in supernet.running.buffers():
        value.fill_(float("inf"))
    supernet.eval()
    together = score_all(supernet, members, data_for(Recalibration()))
    assert together == [score(supernet, member, data_for(Recalibration())) for member in members]
    assert [each.uncalibrated for each in together] == [None, None]
    with pytest.raises(TrialError, match="cross-entropy"):
        score(supernet, members[0], data_for(Recalibration(policy="none")))


def test_both_numbers_are_kept_and_recalibration_is_worth_something() -> None:
    supernet = digits_supernet()
    train_paths(supernet, digits(400), PathConfig(epochs=4, batch_size=32), seed=0)
    supernet.eval()
    data = scoring_data(digits(400), 0, recalibration=Recalibration(images=256))
    found = score_all(supernet, members_of(supernet.space, 12), data)
    without = [each.uncalibrated for each in found]
    assert all(each is not None and each.count == len(data.labels) for each in without)
    assert found[0].to_dict()["uncalibrated"]["cross_entropy"] == without[0].cross_entropy
    with_it = np.mean([each.cross_entropy for each in found])
    assert with_it < np.mean([each.cross_entropy for each in without if each is not None])


def test_a_score_without_recalibration_is_that_of_the_running_averages() -> None:
    declared = space("tiny_exhaustive")
    supernet = Supernet(declared, SHAPE, 5)
    (member,) = members_of(declared, 1)
    for seed in range(3):
        supernet(images(16, seed=seed, dtype=torch.float32), member)
    network = Supernet(declared, SHAPE, 5).extract(member).train()
    for seed in range(3):
        network(images(16, seed=seed, dtype=torch.float32))
    supernet.eval()
    data = data_for(Recalibration(policy="none"))
    ours = score(supernet, member, data)
    theirs = evaluate(network, data.images, data.labels)
    assert ours.cross_entropy == pytest.approx(theirs.cross_entropy, rel=1e-5)
    assert ours.error == theirs.error


def test_scoring_and_measuring_leave_the_running_averages_alone() -> None:
    declared = space("tiny_exhaustive")
    supernet = Supernet(declared, SHAPE, 5)
    (member,) = members_of(declared, 1)
    supernet(images(16, dtype=torch.float32), member)
    before = supernet.running.arrays()
    with torch.no_grad():
        supernet(images(16, seed=1, dtype=torch.float32), member)
    supernet.eval()
    score(supernet, member, data_for(Recalibration()))
    after = supernet.running.arrays()
    assert before and all(np.array_equal(after[key], value) for key, value in before.items())


def test_averaged_statistics_are_the_mean_over_passes() -> None:
    declared = space("wired_cnn")
    supernet = shaken(Supernet(declared, SHAPE, 5).double()).eval()
    (member,) = members_of(declared, 1)
    x = images(24, seed=4)
    averaged = supernet.recalibrate(member, x, passes=3)
    single = [supernet.recalibrate(member, batch) for batch in x.chunk(3)]
    for site, (mean, variance) in averaged.values.items():
        means, variances = zip(*(each.values[site] for each in single), strict=True)
        torch.testing.assert_close(mean, sum(means) / 3)
        torch.testing.assert_close(variance, sum(variances) / 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"passes": 2}, "2 passes need the policy 'average'; 'pass' takes one"),
        ({"policy": "never"}, "policy"),
        ({"images": 0}, "images"),
    ],
)
def test_impossible_recalibrations_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Recalibration(**values)

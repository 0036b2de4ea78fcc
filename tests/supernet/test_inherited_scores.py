"""Scores with inherited weights, and how they rank members against training them alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from supernet_cases import digits, digits_supernet, space

from nas.errors import SpaceError
from nas.supernet.correlation import kendall_tau, tau_difference
from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.rank import (
    RankConfig,
    RankedMember,
    choose_members,
    rank_members,
    report,
)
from nas.supernet.recalibration import Recalibration
from nas.supernet.score import score, score_all, scoring_data
from nas.training.evaluate import evaluate
from nas.training.recipe import Recipe

RANK = RankConfig(members=4, seeds=2, recipe=Recipe(epochs=1, batch_size=64))


def test_a_score_is_that_of_the_extracted_network() -> None:
    tiny, supernet = space("tiny_exhaustive"), digits_supernet()
    train_paths(supernet, digits(), PathConfig(epochs=2, batch_size=32), seed=0)
    supernet.eval()
    data = scoring_data(digits(), 0, recalibration=Recalibration(images=64))
    assert len(data.recalibration) == 64
    architecture = tiny.build(tiny.sample(np.random.default_rng(0)))
    ours = score(supernet, architecture, data)
    statistics = supernet.recalibrate(architecture, data.recalibration)
    theirs = evaluate(supernet.extract(architecture, statistics), data.images, data.labels)
    assert ours.count == theirs.count == len(digits().validation)
    assert ours.error == theirs.error
    assert ours.cross_entropy == pytest.approx(theirs.cross_entropy, rel=1e-5)


def test_scores_do_not_depend_on_each_other_and_validation_can_be_cut() -> None:
    tiny, supernet = space("tiny_exhaustive"), digits_supernet().eval()
    data = scoring_data(digits(), 0, validation_images=50)
    assert len(data.labels) == 50
    rng = np.random.default_rng(0)
    members = [tiny.build(tiny.sample(rng)) for _ in range(3)]
    seen: list[int] = []
    before = torch.get_num_threads()
    together = score_all(supernet, members, data, on_score=lambda index, _: seen.append(index))
    assert torch.get_num_threads() == before
    assert seen == [0, 1, 2]
    assert together == [score(supernet, member, data) for member in members]


def test_more_classes_than_images_asked_for_leave_one_image_of_each() -> None:
    data = scoring_data(digits(), 0, recalibration=Recalibration(images=4), validation_images=3)
    assert len(data.recalibration) == 10
    assert sorted(data.labels.tolist()) == list(range(10))


def test_tau_equals_scipys_on_all_pairs_and_splits_by_family() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, 40).tolist(), rng.integers(0, 6, 40).tolist()
    families = ["a" if index % 2 else "b" for index in range(40)]
    tau = kendall_tau(first, second, families)
    assert tau.value == pytest.approx(kendalltau(first, second).statistic)
    assert tau.low <= tau.value <= tau.high
    left = [value for value, name in zip(first, families, strict=True) if name == "a"]
    right = [value for value, name in zip(second, families, strict=True) if name == "a"]
    alone = kendall_tau(left, right, ["a"] * len(left), "within")
    assert alone.value == pytest.approx(kendalltau(left, right).statistic)


def test_tau_within_and_between_see_different_pairs() -> None:
    truth, families = [1.0, 2.0, 11.0, 12.0], ["a", "a", "b", "b"]
    reversed_within = [2.0, 1.0, 12.0, 11.0]
    assert kendall_tau(reversed_within, truth, families, "within").value == pytest.approx(-1)
    assert kendall_tau(reversed_within, truth, families, "between").value == pytest.approx(1)
    nothing = kendall_tau([1.0, 2.0], [1.0, 2.0], ["a", "b"], "within")
    assert math.isnan(nothing.value) and str(nothing) == "-"
    assert nothing.to_dict() == {"value": None, "low": None, "high": None}


def test_ranking_trains_each_member_once_and_goes_on_where_it_stopped() -> None:
    supernet = digits_supernet()
    first: dict[str, RankedMember] = {}
    whole = rank_members(
        supernet, digits(), RANK, seed=0, on_member=lambda m, *_: first.update({m.member: m})
    )
    assert len(first) == 4 and [m.member for m in whole.members] == list(first)
    stored = {
        name: RankedMember.from_dict(json.loads(json.dumps(m.to_dict())))
        for name, m in list(first.items())[:2]
    }
    trained: list[str] = []
    again = rank_members(
        supernet,
        digits(),
        RANK,
        seed=0,
        finished=stored,
        on_member=lambda member, done, total: trained.append(f"{member.member} {done}/{total}"),
    )
    names = list(first)
    assert trained == [f"{names[2]} 3/4", f"{names[3]} 4/4"]
    assert again.to_dict() == whole.to_dict()
    text = whole.table()
    for row in ("supernet cross-entropy", "parameters", "MACs", "depth", "another seed (ceiling)"):
        assert row in text
    assert json.loads(json.dumps(whole.to_dict(), allow_nan=False))["schema"] == "nas.rank/1"
    assert whole.verdict() in text


def test_members_to_rank_are_distinct_networks() -> None:
    tiny = space("tiny_exhaustive")
    members = choose_members(tiny, 30, seed=1)
    assert len(members) == 30
    assert all(tiny.member_id(decisions) == name for name, decisions in members.items())
    assert members == choose_members(tiny, 30, seed=1) != choose_members(tiny, 30, seed=2)
    assert len(choose_members(tiny, None, seed=0)) == tiny.distinct()
    assert len(choose_members(space("wired_cnn"), 3, seed=0)) == 3


def test_training_all_members_of_a_large_space_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"wired_cnn.* too many to train all"):
        choose_members(space("wired_cnn"), None, seed=0)


def test_two_members_cannot_be_ranked() -> None:
    with pytest.raises(SpaceError, match="2 members cannot be ranked; at least 3"):
        report([ranked(0, 0.1), ranked(1, 0.2)], RANK)


def ranked(index: int, inherited: float, truth: float | None = None) -> RankedMember:
    value = inherited if truth is None else truth
    return RankedMember(
        member=str(index),
        decisions={},
        wiring="chain" if index % 2 else "dense",
        inherited_cross_entropy=inherited,
        inherited_error=inherited,
        cross_entropies=(value, value),
        errors=(value, value),
        parameters=100 + (index * 7) % 10,
        macs=100 + (index * 3) % 10,
        depth=3,
    )


def test_the_verdict_says_when_there_is_no_signal_and_when_there_is() -> None:
    rng = np.random.default_rng(0)
    good = report([ranked(index, index / 20) for index in range(20)], RANK)
    assert good.verdict().startswith("The supernet ranks better than parameters")
    noise = report([ranked(i, float(rng.random()), float(rng.random())) for i in range(20)], RANK)
    assert "does not rank" in noise.verdict()
    by_size = [
        ranked(i, 1 - (i * 7) % 10 / 10 + 0.3 * float(rng.random()), 1 - (i * 7) % 10 / 10)
        for i in range(20)
    ]
    assert "no better than parameters" in report(by_size, RANK).verdict()


def test_a_lead_within_the_noise_is_not_called_better() -> None:
    rng = np.random.default_rng(0)
    close = [
        replace(
            ranked(i, i / 20 + 0.2 * float(rng.random()), i / 20),
            parameters=round(1000 - 50 * i - 220 * float(rng.random())),
        )
        for i in range(20)
    ]
    verdict = report(close, RANK).verdict()
    assert "not for sure better than parameters (more) alone: it leads by +0." in verdict
    lead = tau_difference([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 4, 3], ["a"] * 4)
    assert (lead.value, lead.low, lead.high) == (0, 0, 0)


def test_a_ranking_judges_the_scores_that_the_search_went_by() -> None:
    supernet = digits_supernet().eval()
    own = RANK.model_copy(
        update={"members": 3, "recalibration_images": 20, "validation_images": 30}
    )
    found = rank_members(supernet, digits(), own, seed=0).members[0]
    data = scoring_data(digits(), 0, recalibration=Recalibration(images=20), validation_images=30)
    architecture = supernet.space.build(found.decisions)
    assert found.inherited_cross_entropy == score(supernet, architecture, data).cross_entropy

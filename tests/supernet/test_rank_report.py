"""The report and the verdict on made-up members whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from rank_cases import made_members
from scipy.stats import kendalltau, spearmanr

from nas.errors import SpaceError
from nas.supernet.trust.correlation import Estimate
from nas.supernet.trust.rank import CALIBRATED, CEILING, SUPERNET, report
from nas.supernet.trust.rank_table import rank_table
from nas.supernet.trust.verdict import ACROSS, NOT_TRUSTED, WITHIN, Evidence, judge


def test_the_numbers_are_those_of_scipy_and_every_predictor_is_there() -> None:
    members = made_members(36)
    found = report(members, "recipe")
    truth = [member.truth for member in members]
    inherited = [member.inherited_cross_entropy for member in members]
    supernet = found.predictor(SUPERNET)
    assert supernet.tau().value == pytest.approx(kendalltau(inherited, truth).statistic, abs=1e-12)
    rho = supernet.estimates["spearman", "all", False].value
    assert rho == pytest.approx(spearmanr(inherited, truth).statistic, abs=1e-12)
    first, second = zip(*(member.cross_entropies for member in members), strict=True)
    ceiling = found.predictor(CEILING).tau().value
    assert ceiling == pytest.approx(kendalltau(first, second).statistic, abs=1e-12)
    parameters = found.predictor("parameters")
    sizes = [-member.scores["parameters"] for member in members]
    assert parameters.tau().value == pytest.approx(kendalltau(sizes, truth).statistic, abs=1e-12)
    lead = parameters.leads["all"].value
    assert lead == pytest.approx(supernet.tau().value - parameters.tau().value)
    roles = [each.role for each in found.predictors]
    assert roles[0] == "supernet" and roles[-1] == "ceiling"
    assert {"calibrated", "control", "trivial", "zero-cost"} <= set(roles)


def test_the_document_is_plain_and_the_table_has_every_number() -> None:
    found = report(made_members(36), "recipe")
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["schema"] == "nas.rank/2"
    count = document["pairs"]["all"]
    assert count["all"] == 36 * 35 // 2 > count["open"] > 0
    assert sum(document["pairs"][name]["open"] for name in ("within", "between")) == count["open"]
    assert {name: each["members"] for name, each in document["families"].items()} == {
        "chain": 12, "dense": 12, "fractal": 12,
    }  # fmt: skip
    text = rank_table(found)
    for row in (SUPERNET, CALIBRATED, CEILING, "untrained supernet (control)", "synflow", "depth"):
        assert row in text
    assert f"{count['open']} of 630 pairs are closer than 2 standard errors" in text
    assert "five at random" in text and "anchors per family" in text
    assert f"verdict: {found.verdict.name}" in text


def test_a_supernet_that_ranks_is_trusted_also_across_families() -> None:
    found = report(made_members(90), "recipe")
    assert found.verdict.name == ACROSS
    assert found.predictor("untrained supernet (control)").tau().low < 0.1


def test_offsets_between_families_cost_the_raw_score_and_not_the_calibrated_one() -> None:
    found = report(made_members(90, offset=0.5), "recipe")
    raw, calibrated = (found.predictor(each).tau("between") for each in (SUPERNET, CALIBRATED))
    assert calibrated.value > 0.6 > raw.value + 0.2
    assert found.verdict.name == ACROSS


def test_noise_is_not_trusted_and_the_reason_has_the_numbers() -> None:
    found = report(made_members(60, inherited_noise=5.0), "recipe")
    assert found.verdict.name == NOT_TRUSTED
    assert "of the ceiling" in found.verdict.why and "80% are needed" in found.verdict.why


def test_a_baseline_that_knows_as_much_withholds_the_trust() -> None:
    found = report(made_members(60, size_knows=True), "recipe")
    assert found.verdict.name == NOT_TRUSTED
    assert "is not above parameters" in found.verdict.why


def test_a_truth_without_signal_trusts_nothing() -> None:
    rng = np.random.default_rng(0)
    members = [
        replace(each, cross_entropies=(float(rng.normal()), float(rng.normal())))
        for each in made_members(60)
    ]
    assert "no signal to rank by" in report(members, "recipe").verdict.why


def test_few_members_are_too_few_to_judge_by() -> None:
    found = report(made_members(12), "recipe")
    assert found.verdict.name == NOT_TRUSTED
    assert "0 members in families of 10 or more are too few to judge by" in found.verdict.why
    three = report(made_members(3), "recipe")
    assert three.calibration is None and three.verdict.name == NOT_TRUSTED
    assert rank_table(three)


def test_two_members_cannot_be_ranked() -> None:
    with pytest.raises(SpaceError, match="2 members cannot be ranked; at least 3"):
        report(made_members(2), "recipe")


def evidence(tau: float, low: float, rival: float = 0.2, lead: float = 0.1) -> Evidence:
    return Evidence(
        "it",
        Estimate(tau, low, 1),
        Estimate(0.8, 0.7, 0.9),
        "depth",
        Estimate(rival, 0, 1),
        Estimate(tau - rival, lead, 1),
    )


@pytest.mark.parametrize(
    ("within", "across", "expected"),
    [
        (evidence(0.7, 0.5), evidence(0.7, 0.5), ACROSS),
        (evidence(0.65, 0.5), evidence(0.65, 0.5), ACROSS),
        (evidence(0.63, 0.5), evidence(0.7, 0.5), NOT_TRUSTED),
        (evidence(0.7, 0.2), evidence(0.7, 0.5), NOT_TRUSTED),
        (evidence(0.7, 0.5, lead=-0.01), evidence(0.7, 0.5), NOT_TRUSTED),
        (evidence(0.7, 0.5), evidence(0.6, 0.5), WITHIN),
        (evidence(0.7, 0.5), evidence(0.7, 0.5, rival=0.5), WITHIN),
        (evidence(0.7, 0.5), None, WITHIN),
    ],
)
def test_the_rule_is_the_one_that_is_written_down(
    within: Evidence, across: Evidence | None, expected: str
) -> None:
    assert judge(within, across, {"a": 20, "b": 20}).name == expected


def test_one_family_has_nothing_across() -> None:
    found = judge(evidence(0.7, 0.5), evidence(0.7, 0.5), {"a": 40, "b": 3})
    assert found.name == WITHIN
    assert "1 family of 10 or more members" in found.why

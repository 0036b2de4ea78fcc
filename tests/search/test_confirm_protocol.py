"""The protocol on numbers: bins, naming, verdicts, and how often simulated searches claim."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scale import scaled

from nas.search.confirm.protocol import (
    Bins,
    Entrant,
    Named,
    Verdict,
    judge,
    make_bins,
    name_entrants,
    shortlist,
)
from nas.search.confirm.simulation import Scene, simulate
from nas.statistics import share

KINDS = ("hand_made", "random")
costs = st.lists(st.floats(0.01, 100), min_size=1, max_size=30)


@given(costs, st.integers(1, 6))
def test_bins_hold_the_front_in_equal_numbers_and_part_no_equals(
    points: list[float], count: int
) -> None:
    bins = make_bins(points, count)
    assert 1 <= len(bins) <= count
    assert list(bins.edges) == sorted(set(bins.edges))
    sizes = [sum(bins.find(each) == place for each in points) for place in range(len(bins))]
    assert min(sizes) >= 1
    if len(set(points)) == len(points) and len(bins) == count:
        assert max(sizes) - min(sizes) <= 1


def test_an_edge_lies_between_two_points_by_ratio() -> None:
    bins = make_bins([1.0, 2.0, 8.0, 9.0], 2)
    assert bins.edges == (4.0,)
    assert [bins.find(cost) for cost in (1.0, 4.0, 4.1, 1e9, None)] == [0, 0, 1, 1, 1]
    assert make_bins([5.0] * 4, 3) == Bins()
    assert make_bins([-1.0, 3.0], 2).edges == (1.0,)
    assert (bins.upper(0), bins.upper(1)) == (4.0, None)


@given(costs, st.integers(1, 4), st.integers(1, 3))
def test_a_shortlist_takes_the_first_of_every_bin(
    points: list[float], count: int, most: int
) -> None:
    bins = make_bins(points, count)
    chosen = shortlist(bins, points, most)
    for place, row in enumerate(chosen):
        here = [index for index, cost in enumerate(points) if bins.find(cost) == place]
        assert row == here[:most]
    assert sum(map(len, shortlist(bins, points, None))) == len(points)


def entrant(key: str, kind: str, cost: float | None, *errors: float) -> Entrant:
    return Entrant(key, kind, cost, dict(enumerate(errors)))


def test_validation_alone_names_the_candidate_and_the_rivals_in_its_reach() -> None:
    entrants = [
        entrant("a", "searched", 1.0, 0.3, 0.2),
        entrant("b", "searched", 1.5, 0.1, 0.3),
        entrant("c", "searched", 9.0, 0.1),
        entrant("d", "searched", 9.5),  # all its trainings failed
        entrant("cheap", "hand_made", 0.5, 0.2),
        entrant("slow", "hand_made", 99.0, 0.1),
        entrant("unmeasured", "random", None, 0.5),
    ]
    low, high = name_entrants(Bins((4.0,)), entrants)
    assert low == Named(0, "b", {"hand_made": "cheap"})
    assert high == Named(1, "c", {"hand_made": "slow", "random": "unmeasured"})
    (nobody,) = name_entrants(Bins(), entrants[3:4])
    assert nobody.candidate is None


def verdicts(
    tested: dict[str, list[float | None]], named: list[Named] | None = None, **options: Any
) -> list[Verdict]:
    scores = {
        key: {seed: error for seed, error in enumerate(errors) if error is not None}
        for key, errors in tested.items()
    }
    everyone = {"hand_made": "hand", "random": "rand"}
    return judge(named or [Named(0, "own", everyone)], scores, KINDS, **options)


OWN: list[float | None] = [0.10, 0.11, 0.09, 0.10, 0.12, 0.10]
WORSE: list[float | None] = [0.20, 0.22, 0.19, 0.21, 0.20, 0.19]
ALIKE: list[float | None] = [0.12, 0.09, 0.11, 0.10, 0.11, 0.10]


def test_a_gain_beats_every_named_rival() -> None:
    (both,) = verdicts({"own": OWN, "hand": WORSE, "rand": WORSE})
    assert both.outcome == "gain"
    assert both.p_holm is not None and both.p_holm < 0.05
    (one,) = verdicts({"own": OWN, "hand": WORSE, "rand": ALIKE})
    assert (one.outcome, one.why) == ("none found", "not beyond noise against rand")
    (lost,) = verdicts({"own": WORSE, "hand": OWN, "rand": OWN})
    assert (lost.outcome, lost.p_holm) == ("none found", 1.0)
    assert lost.why == "hand has the smaller test error, beyond noise"
    (behind,) = verdicts(
        {"own": ALIKE, "hand": WORSE, "rand": [each - 0.05 for each in ALIKE if each]}
    )
    assert behind.why == "rand has the smaller test error, beyond noise"


def test_holm_counts_all_bins_and_the_earlier_ones() -> None:
    named = [Named(0, "own", {"random": "rand"}), Named(1, "own", {"random": "alike"})]
    tested = {"own": OWN, "rand": WORSE, "alike": ALIKE}
    first, second = verdicts(tested, named)
    (alone,) = verdicts(tested, named[:1])
    assert alone.p_value is not None and first.p_holm == pytest.approx(2 * alone.p_value)
    assert second.outcome == "none found"
    (again,) = verdicts(tested, named[:1], earlier=[0.5, 0.4, 0.9])
    assert again.p_holm == pytest.approx(4 * alone.p_value)


@pytest.mark.parametrize(
    ("own", "why"),
    [
        (OWN[:2], "no claim: 2 seeds, a claim takes 5"),
        (OWN[:1], "no claim: 1 seed, a claim takes 5"),
        ([*OWN[:4], None, None], "no claim: 4 seeds, a claim takes 5"),
        ([], "no claim: 0 seeds, a claim takes 5"),
    ],
)
def test_too_few_pairs_claim_nothing_and_the_words_say_so(
    own: list[float | None], why: str
) -> None:
    (found,) = verdicts({"own": own, "hand": WORSE, "rand": WORSE})
    assert (found.outcome, found.p_holm, found.why) == ("no claim", None, why)
    assert found.p_value is None


def test_failed_trainings_leave_the_pairs_that_exist() -> None:
    (found,) = verdicts({"own": [None, *OWN[1:]], "hand": WORSE, "rand": [*WORSE[:5], None, 0.2]})
    assert [each.pairs for each in found.comparisons] == [5, 4]
    assert found.outcome == "no claim"
    hand = found.comparisons[0].difference
    assert hand is not None
    pairs = list(zip(OWN[1:], WORSE[1:], strict=True))
    mean = math.fsum((own or 0) - (worse or 0) for own, worse in pairs) / 5
    assert hand.mean == pytest.approx(mean)


def test_a_bin_without_candidate_or_rival_says_so() -> None:
    named = [Named(0, None, {}), Named(1, "own", {})]
    lacking, alone = verdicts({"own": OWN}, named)
    assert "no searched network of this bin could be trained" in lacking.why
    assert alone.why == "no claim: it has no rival"


@given(st.lists(st.floats(0, 1), min_size=5, max_size=8), st.integers(0, 1000))
def test_verdicts_do_not_depend_on_the_order_of_results(errors: list[float], seed: int) -> None:
    scores = dict(enumerate(errors))
    other = {index: 1 - error for index, error in scores.items()}
    named = [Named(0, "own", {"random": "rand"})]
    turned = {key: scores[key] for key in reversed(list(scores))}
    straight = judge(named, {"own": scores, "rand": other}, KINDS)
    assert judge(named, {"own": turned, "rand": other}, KINDS) == straight


NULLS = [
    Scene(),
    Scene(straw=20),
    Scene(noise="heavy_tailed", straw=20, correlation=0.5),
    Scene(noise="skewed", unequal=0.8, straw=20),
    Scene(failures=0.1, spread=2),
]


@pytest.mark.parametrize("scene", NULLS, ids=lambda scene: scene.noise)
def test_simulated_searches_rarely_claim_what_is_not_there(scene: Scene) -> None:
    searches = scaled(1000)
    claims = sum(simulate(scene, 1, index).claims > 0 for index in range(searches))
    # At full scale the share itself is to be small; at a tenth, no evidence that it is not.
    found = share(claims, searches)
    assert (found.value if searches == 1000 else found.low) <= 0.05


@pytest.mark.parametrize(
    "scene",
    [Scene(gain="all"), Scene(gain="one_network"), Scene(gain="all", noise="heavy_tailed")],
    ids=["all", "one network", "heavy tails"],
)
def test_simulated_searches_find_a_gain_of_two_standard_deviations(scene: Scene) -> None:
    searches = scaled(1000)
    claims = sum(simulate(scene, 2, index).claims > 0 for index in range(searches))
    assert share(claims, searches).value >= 0.8


def test_claims_are_true_of_the_named_rivals_where_rivals_are_unlike() -> None:
    searches = scaled(1000)
    found = [simulate(Scene(straw=20, spread=2, seeds_a=2), 5, at) for at in range(searches)]
    untrue = share(sum(each.untrue > 0 for each in found), searches)
    assert (untrue.value if searches == 1000 else untrue.low) <= 0.05
    # A rival that was not named may be better than the named one: more claims than untrue ones.
    assert sum(each.claims for each in found) > sum(each.untrue for each in found)


def test_naive_readings_claim_much_more_under_the_null() -> None:
    found = [simulate(Scene(), 3, index) for index in range(scaled(1000))]
    naive = [sum(each.naive_networks for each in found), sum(each.naive_seeds for each in found)]
    assert min(naive) > 0.25 * len(found)
    assert sum(each.claims > 0 for each in found) < 0.05 * len(found)


def test_simulated_noise_has_the_standard_deviation_it_says() -> None:
    import numpy as np

    from nas.search.confirm.simulation import _NOISES

    for draw in _NOISES.values():
        sample = draw(np.random.default_rng(0), (1, 200_000))
        assert float(sample.mean()) == pytest.approx(0, abs=0.02)
        assert float(sample.std()) == pytest.approx(1, abs=0.15)


def test_more_seeds_and_larger_gains_are_found_more_often() -> None:
    base = Scene(gain="all")

    def found(**changes: Any) -> int:
        scene = replace(base, **changes)
        return sum(simulate(scene, 4, index).claims > 0 for index in range(60))

    counts = [found(seeds_b=5), found(seeds_b=8), found(seeds_b=15)]
    assert counts == sorted(counts)
    assert found(size=0.5) < found(size=2.0)
    assert all(x <= y for x, y in itertools.pairwise([found(size=0.0), found(size=3.0)]))

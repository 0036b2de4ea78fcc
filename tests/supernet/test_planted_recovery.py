"""Relaxations find a planted edge set, and nothing where there is nothing (K19).

The set-up, the default of `PlantedSetup` and `Schedule`, was frozen beforehand;
`benchmarks/planted_topology.py` says how, and records five fresh seeds of every preset.
"""

from __future__ import annotations

import itertools
import statistics
from functools import cache

import numpy as np
import pytest
from scale import is_full_scale
from sklearn.metrics import average_precision_score

from nas.supernet.planted_recovery import (
    Recovery,
    Schedule,
    chance,
    keep_all,
    magnitude,
    question_of,
    random_wirings,
    recover_anew,
    recovery,
    student_config,
)
from nas.supernet.planted_wiring import PlantedSetup, plant
from nas.supernet.relaxation_config import RELAXATION_PRESETS, RelaxationSettings

SETUP = PlantedSetup()
PROMISED_F1 = 0.75
PROMISED_PRESETS = 4
SEEDS = range(5 if is_full_scale() else 1)
PRESETS = sorted(RELAXATION_PRESETS) if is_full_scale() else ["darts", "dnw"]


@cache
def found(preset: str, *, shuffled: bool = False) -> tuple[Recovery, ...]:
    lines = RELAXATION_PRESETS[preset]
    return tuple(recover_anew(lines, SETUP, seed=seed, shuffled=shuffled) for seed in SEEDS)


def mean_f1(recoveries: tuple[Recovery, ...]) -> float:
    return statistics.fmean(entry.f1 for entry in recoveries)


def test_relaxations_find_planted_edges() -> None:
    means = {preset: mean_f1(found(preset)) for preset in PRESETS}
    reached = [preset for preset, mean in means.items() if mean >= PROMISED_F1]
    assert len(reached) >= min(PROMISED_PRESETS, len(PRESETS)), means
    assert chance(SETUP) < keep_all(SETUP) < PROMISED_F1


def test_relaxations_find_nothing_in_shuffled_labels() -> None:
    drawn = np.array([random_wirings(plant(SETUP, seed), draws=1000) for seed in SEEDS])
    highest = float(np.quantile(drawn.mean(0), 0.99))
    means = {preset: mean_f1(found(preset, shuffled=True)) for preset in PRESETS}
    assert statistics.fmean(means.values()) <= highest < PROMISED_F1, means


def test_the_magnitude_baseline_ranks_edges_by_what_their_numbers_learned() -> None:
    few = Schedule(epochs=2)
    assert magnitude(plant(SETUP, 0), few, seed=0).f1 > 2 * chance(SETUP)


def test_wirings_drawn_like_the_teachers_are_hardly_better_than_chance() -> None:
    drawn = [statistics.fmean(random_wirings(plant(SETUP, seed), draws=200)) for seed in range(10)]
    assert chance(SETUP) - 0.05 < statistics.fmean(drawn) < chance(SETUP) + 0.1


def test_a_recovery_is_average_precision_and_f1_with_ties_in_random_order() -> None:
    scores = {(0, 2): 3.0, (1, 2): 1.0, (0, 3): 1.0, (1, 3): 1.0, (2, 3): 0.5}
    edges = frozenset({(0, 2), (1, 2), (2, 3)})
    got = recovery(scores, edges)
    truth = [edge in edges for edge in scores]
    assert got.average_precision == pytest.approx(
        average_precision_score(truth, list(scores.values()))
    )
    tied = [edge for edge, score in scores.items() if score == 1.0]
    orders = [[(0, 2), *order, (2, 3)] for order in itertools.permutations(tied)]
    shares = [len(set(order[:3]) & edges) / 3 for order in orders]
    assert got.f1 == pytest.approx(statistics.fmean(shares))


def test_keeping_all_edges_has_full_recall_and_the_precision_of_chance() -> None:
    precision, recall = chance(SETUP), 1.0
    assert keep_all(SETUP) == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize("preset", sorted(RELAXATION_PRESETS))
def test_a_student_keeps_a_presets_lines_and_has_frozen_weights(preset: str) -> None:
    lines = RELAXATION_PRESETS[preset]
    settings = RelaxationSettings(preset=preset)
    config = student_config(lines, Schedule())
    assert config.rules == [*settings.rules, "frozen_weights"]
    for name in ("gates", "alternation", "partial", "regularisers", "temperature", "operations"):
        assert getattr(config, name) == getattr(settings, name)
    assert student_config(lines, Schedule(), learned=True).rules == settings.rules


def test_edges_are_asked_as_the_gates_of_a_relaxation_answer() -> None:
    assert question_of(RELAXATION_PRESETS["darts"]) == "options"
    assert question_of(RELAXATION_PRESETS["dots"]) == "subsets"  # mixed, but with gates of edges
    assert question_of({"alternation": "one_level"}) == "subsets"

"""How alike two runtimes order networks."""

from __future__ import annotations

import numpy as np
import pytest
from scale import scaled
from scipy.stats import kendalltau, spearmanr

from nas.errors import ConfigError
from nas.objectives.runtime_agreement import Latencies, agreement

RNG = np.random.default_rng(0)


def column(name: str, values: list[float], error: float = 0.001) -> Latencies:
    array = np.asarray(values)
    return Latencies(name, array, error * array)


def test_correlations_are_those_of_scipy_within_their_intervals() -> None:
    for _ in range(scaled(20)):
        first = RNG.lognormal(size=30)
        second = first * RNG.lognormal(sigma=0.5, size=30)
        found = agreement(column("a", list(first)), column("b", list(second)))
        assert found.tau.value == pytest.approx(float(kendalltau(first, second).statistic))
        assert found.spearman.value == pytest.approx(float(spearmanr(first, second).statistic))
        assert found.tau.low <= found.tau.value <= found.tau.high


def test_a_pair_counts_as_reversed_only_beyond_the_errors_of_both() -> None:
    first = [1.0, 1.1, 2.0, 3.0]
    second = [1.2, 1.0, 2.0, 1.995]
    found = agreement(column("eager", first), column("ort", second))
    assert [(each.fast, each.slow) for each in found.reversals] == [(0, 1)]
    (only,) = found.reversals
    assert only.gain_first == pytest.approx(1 - 1 / 1.1)
    assert only.gain_second == pytest.approx(1 - 1 / 1.2)
    assert only.size == pytest.approx(1 - 1 / 1.1)
    assert found.pairs == 6
    assert found.told_apart == 5  # the third and the fourth differ by 0.25 % in the second
    noisy = agreement(column("eager", first, 0.1), column("ort", second, 0.1))
    assert noisy.reversals == ()
    assert found.to_dict()["reversed"] == 1
    assert noisy.to_dict()["largest_reversal"] == 0.0


def test_equal_columns_agree_wholly() -> None:
    values = list(RNG.lognormal(size=10))
    found = agreement(column("a", values), column("b", values))
    assert found.tau.value == pytest.approx(1.0)
    assert found.reversals == ()


def test_errors_are_those_of_repeating_where_these_are_larger() -> None:
    truth = RNG.lognormal(size=200)
    repeats = [truth * (1 + 0.05 * RNG.standard_normal(200)) for _ in range(2)]
    told = [0.001 * row for row in repeats]
    found = Latencies.of_repeats("ort", [list(row) for row in repeats], [list(r) for r in told])
    assert np.median(found.errors_ms / found.values_ms) == pytest.approx(0.05 / 2**0.5, rel=0.2)
    expected = float(kendalltau(*repeats).statistic)
    assert found.repeatability == pytest.approx(expected)
    once = Latencies.of_repeats("ort", [list(repeats[0])], [list(told[0])])
    assert once.repeatability is None
    assert np.allclose(once.errors_ms, told[0])


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Orders of 2 and 2 networks[\s\S]*at least 3"):
        agreement(column("a", [1.0, 2.0]), column("b", [1.0, 2.0]))
    with pytest.raises(ConfigError, match=r"Orders of 3 and 4 networks"):
        agreement(column("a", [1.0, 2.0, 3.0]), column("b", [1.0, 2.0, 3.0, 4.0]))
    with pytest.raises(ConfigError, match=r"measure every network once"):
        Latencies.of_repeats("a", [[1.0, 2.0], [1.0]], [[0.1, 0.1], [0.1]])

"""Made-up searches whose truth is known: how often does the protocol claim what is not there?

A scene says what is true of the networks and how their trainings scatter; a simulated search runs
the functions of `nas.search.confirm.protocol` on figures drawn from it. The unit of all errors is
the standard deviation of one training of one network over its seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np
import numpy.typing as npt

from nas.search.confirm.protocol import (
    RIVAL_KINDS,
    Entrant,
    Verdict,
    judge,
    make_bins,
    name_entrants,
)
from nas.search.confirm.results import named_keys
from nas.seeds import derive_seed

Noise = Literal["gaussian", "heavy_tailed", "skewed"]
Gain = Literal["none", "all", "one_bin", "one_network"]
Floats = npt.NDArray[np.float64]

FREEDOM: Final = 3
"""Degrees of freedom of heavy-tailed noise."""


@final
@dataclass(frozen=True)
class Scene:
    """What is true in a simulated search, and what the protocol spends.

    Args:
        gain: Whose true test error is smaller than that of the best rival, by `size`: nobody's,
            every searched network's, those of the first bin, or one network of each bin.
        size: The true gain, in standard deviations of one training.
        noise: How trainings scatter: normally, like Student's t with 3 degrees of freedom, or with
            a long tail of bad trainings; standard deviation 1 each.
        correlation: Of two networks' trainings with one seed.
        unequal: Spread of the networks' own standard deviations: their logarithms lie evenly
            within this distance of 0.
        spread: Standard deviation of the rivals' true errors above the best one's.
        straw: True error of the random rivals above that of the hand-made ones: where it is large,
            one comparison alone decides, which is the hardest null hypothesis.
        misleading: Standard deviation of a network's validation error around its test error, the
            same for all seeds.
        failures: Share of trainings that fail.
        bins: Bins.
        searched: Shortlisted networks per bin.
        rivals: Networks per kind of rival.
        seeds_a: Trainings that rank.
        seeds_b: Trainings that judge.
    """

    gain: Gain = "none"
    size: float = 2.0
    noise: Noise = "gaussian"
    correlation: float = 0.0
    unequal: float = 0.0
    spread: float = 0.0
    straw: float = 0.0
    misleading: float = 0.0
    failures: float = 0.0
    bins: int = 3
    searched: int = 3
    rivals: int = 6
    seeds_a: int = 3
    seeds_b: int = 10


@final
@dataclass(frozen=True)
class SimulatedSearch:
    """What one simulated search ended with.

    Args:
        verdicts: Of the protocol, per bin.
        untrue: Bins that claim a gain over a named rival that is truly as good; a claim that is
            true of the named rivals may still be one that a better rival, not named, would refute.
        trainings: What that cost.
        naive_networks: Whether the best of 5 networks, judged by the trainings that chose it, lies
            below one baseline by one standard error; the same number of trainings, shared evenly.
        naive_seeds: Whether the best of 5 trainings of one network lies below the mean of 5
            trainings of a baseline by its standard error.
    """

    verdicts: tuple[Verdict, ...]
    untrue: int
    trainings: int
    naive_networks: bool
    naive_seeds: bool

    @property
    def claims(self) -> int:
        """Bins that claim a gain."""
        return sum(each.outcome == "gain" for each in self.verdicts)


def simulate(scene: Scene, seed: int, index: int) -> SimulatedSearch:
    """Run one search of a scene; the same arguments give the same search."""
    rng = np.random.default_rng(derive_seed(seed, "simulated search", index))
    truth = _Truth(scene, rng)
    entrants = [
        Entrant(key, truth.kinds[key], truth.costs[key], row)
        for key, row in truth.trained(scene.seeds_a, truth.validation).items()
    ]
    searched = [each.cost for each in entrants if each.kind == "searched" and each.cost is not None]
    bins = make_bins(searched, scene.bins)
    named = name_entrants(bins, entrants)
    tested = truth.trained(scene.seeds_b, truth.test)
    verdicts = judge(named, tested, RIVAL_KINDS)
    spent = len(entrants) * scene.seeds_a + len(named_keys(named)) * scene.seeds_b
    return SimulatedSearch(
        tuple(verdicts),
        sum(truth.refutes(each) for each in verdicts),
        spent,
        truth.naive_networks(spent),
        truth.naive_seeds(),
    )


@final
class _Truth:
    """True errors of the networks of one search, and trainings drawn around them."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self.scene = scene
        self.rng = rng
        self.kinds: dict[str, str] = {}
        self.costs: dict[str, float] = {}
        errors: list[float] = []
        for place in range(scene.bins):
            for number in range(scene.searched):
                self._add(f"searched-{place}-{number}", "searched", place + number / 10)
                errors.append(-scene.size if self._gains(place, number) else 0.0)
        for kind in RIVAL_KINDS:
            for number in range(scene.rivals):
                self._add(f"{kind}-{number}", kind, number % scene.bins + 0.05)
                # The first of each kind is the best, and within every budget.
                worse = abs(rng.normal(0, scene.spread)) if number else 0.0
                errors.append(worse + (scene.straw if kind == "random" else 0.0))
        self.test = np.array(errors)
        self.validation = self.test + rng.normal(0, scene.misleading, len(errors))
        self.scale = np.exp(rng.uniform(-scene.unequal, scene.unequal, len(errors)))

    def _add(self, key: str, kind: str, cost: float) -> None:
        self.kinds[key] = kind
        self.costs[key] = 1.0 + cost

    def _gains(self, place: int, number: int) -> bool:
        rule: Mapping[str, bool] = {
            "none": False,
            "all": True,
            "one_bin": place == 0,
            "one_network": number == 0,
        }
        return rule[self.scene.gain]

    def trained(self, seeds: int, errors: Floats) -> dict[str, dict[int, float]]:
        """Return errors of trainings by network and seed; failed ones are missing."""
        table = self._draw(len(errors), seeds, errors)
        failed = self.rng.random(table.shape) < self.scene.failures
        return {
            key: {
                seed: float(table[place, seed]) for seed in range(seeds) if not failed[place, seed]
            }
            for place, key in enumerate(self.kinds)
        }

    def _draw(self, networks: int, seeds: int, errors: Floats) -> Floats:
        draw = _NOISES[self.scene.noise]
        shared = np.sqrt(self.scene.correlation) * draw(self.rng, (1, seeds))
        own = np.sqrt(1 - self.scene.correlation) * draw(self.rng, (networks, seeds))
        scale = self.scale[:networks] if networks == len(self.scale) else np.ones(networks)
        return np.asarray(errors[:, None] + scale[:, None] * (shared + own))

    def refutes(self, verdict: Verdict) -> bool:
        """Tell whether a verdict claims a gain over a rival that is truly as good."""
        if verdict.outcome != "gain" or verdict.candidate is None:
            return False
        true = dict(zip(self.kinds, self.test, strict=True))
        own = true[verdict.candidate]
        return any(own >= true[each.rival] for each in verdict.comparisons)

    def naive_networks(self, trainings: int) -> bool:
        """Choose the best of 5 networks by their trainings, and believe the same trainings."""
        each = max(2, trainings // 6)
        own = self._draw(5, each, np.full(5, self._best_searched()))
        baseline = self._draw(1, each, np.zeros(1))[0]
        best = own[np.argmin(own.mean(axis=1))]
        error = np.sqrt((best.var(ddof=1) + baseline.var(ddof=1)) / each)
        return bool(baseline.mean() - best.mean() > error)

    def naive_seeds(self) -> bool:
        """Report the best of 5 trainings beside the mean of a baseline."""
        own = self._draw(1, 5, np.full(1, self._best_searched()))[0]
        baseline = self._draw(1, 5, np.zeros(1))[0]
        return bool(baseline.mean() - own.min() > np.sqrt(baseline.var(ddof=1) / 5))

    def _best_searched(self) -> float:
        return 0.0 if self.scene.gain == "none" else -self.scene.size


def _gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.normal(size=shape)


def _heavy_tailed(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    deviation = np.sqrt(FREEDOM / (FREEDOM - 2))
    return np.asarray(rng.standard_t(FREEDOM, size=shape) / deviation)


def _skewed(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.exponential(size=shape) - 1


_NOISES: Final[dict[Noise, Callable[[np.random.Generator, tuple[int, int]], Floats]]] = {
    "gaussian": _gaussian,
    "heavy_tailed": _heavy_tailed,
    "skewed": _skewed,
}

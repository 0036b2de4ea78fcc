"""One predictor of stand-alone cross-entropy from inherited scores, cheap features and anchors.

Inherited scores of different families do not lie on one scale: sharing treats wirings unequally. A
few members of each family that were trained alone, the anchors, put them there. The candidates are
the single features as they are, and ridge regressions on some of them with an offset per family
(as in few-shot predictors that mix zero-cost scores with trained members, White et al. 2021,
arXiv:2104.01177). Cross-validation chooses, and a regression is taken only where it ranks held-out
members better than the best single feature does; so the choice is never worse than its best part,
but for what cross-validation itself misjudges.

The result is linear and plain numbers: a run keeps it in its log and scores its front with it
without torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import ConfigError
from nas.supernet.trust.correlation import MemberPairs, kendall_tau

INHERITED = "inherited"
CHEAP = ("parameters", "macs", "depth")
_LOGARITHMIC = frozenset({"parameters", "macs", "snip", "grad_norm"})
_SMALLEST = 1e-12
FOLDS = 5
REPEATS = 4
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
LEAST_ANCHORS = 10
ANCHOR_DRAWS = 10

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Anchors:
    """Members with everything that may predict them.

    Args:
        features: One column per name: `inherited` (cross-entropy, smaller is better) and scores
            of which larger is better, such as `parameters` and `synflow`.
        families: One per member.
    """

    features: Mapping[str, Sequence[float]]
    families: tuple[str, ...]

    def column(self, name: str) -> Floats:
        """Return a feature, logarithms taken where it spans orders of magnitude."""
        values = np.asarray(self.features[name], dtype=np.float64)
        return np.log(np.clip(values, _SMALLEST, None)) if name in _LOGARITHMIC else values

    def part(self, name: str) -> Floats:
        """Return a feature as a ranking: smaller is better."""
        return self.column(name) if name == INHERITED else -self.column(name)

    def matrix(self, names: Sequence[str]) -> Floats:
        """Return columns, `(members, names)`."""
        columns = [self.column(name) for name in names]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.families), 0))

    def take(self, places: Sequence[int]) -> Anchors:
        """Return some of the members."""
        return Anchors(
            {name: [values[place] for place in places] for name, values in self.features.items()},
            tuple(self.families[place] for place in places),
        )


@final
@dataclass(frozen=True)
class Calibration:
    """A fitted predictor: intercept + sum of weight * feature + offset of the family, in nats.

    Args:
        candidate: What cross-validation chose: a feature's name, or a stack's.
        intercept: In nats.
        weights: By feature, for the columns as `Anchors.column` gives them.
        offsets: By family; families without anchors have no prediction.
    """

    candidate: str
    intercept: float
    weights: Mapping[str, float]
    offsets: Mapping[str, float]

    def predict(self, features: Mapping[str, float], family: str) -> float | None:
        """Return the cross-entropy of one member trained alone, in nats.

        None if its family has no anchors, or a feature is missing.
        """
        if family not in self.offsets or any(features.get(name) is None for name in self.weights):
            return None
        one = Anchors({name: [features[name]] for name in self.weights}, (family,))
        parts = [weight * float(one.column(name)[0]) for name, weight in self.weights.items()]
        return math.fsum([self.intercept, self.offsets[family], *parts])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "candidate": self.candidate,
            "intercept": self.intercept,
            "weights": dict(self.weights),
            "offsets": dict(self.offsets),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        return cls(
            str(values["candidate"]),
            float(values["intercept"]),
            {str(name): float(value) for name, value in values["weights"].items()},
            {str(name): float(value) for name, value in values["offsets"].items()},
        )


@final
@dataclass(frozen=True)
class CrossValidated:
    """How a calibration predicts members it was not fitted to.

    Args:
        calibration: Fitted to all anchors.
        held_out: One prediction per member, by calibrations (choice included) that never saw it.
        taus: Of every candidate, by its name, in the cross-validation that chose.
    """

    calibration: Calibration
    held_out: tuple[float, ...]
    taus: Mapping[str, float]


def calibrate(anchors: Anchors, truth: Sequence[float], *, seed: int = 0) -> CrossValidated:
    """Choose and fit a predictor, and cross-validate choice and fit together.

    Where every fold chooses the same single feature, the held-out predictions are that feature
    itself, so that they rank exactly as it does.

    Args:
        anchors: Members trained alone.
        truth: Their cross-entropies, in nats.
        seed: Of the folds.

    Raises:
        ConfigError: If there are fewer than 10 anchors.
    """
    if len(truth) < LEAST_ANCHORS:
        raise ConfigError(
            f"{len(truth)} members cannot calibrate a ranking; at least {LEAST_ANCHORS} are "
            "needed.",
            fix="Train more members alone.",
        )
    target = np.asarray(truth, dtype=np.float64)
    taus = _taus(anchors, target, seed)
    chosen = _best(taus)
    held_out = np.zeros(len(target))
    choices = set()
    for repeat in range(REPEATS):
        for rest, out in _folds(anchors.families, seed + 1 + repeat):
            own = anchors.take(rest)
            choice = _best(_taus(own, target[rest], seed))
            choices.add(choice)
            fitted = _fit(choice, own, target[rest])
            held_out[out] += _beside(fitted, anchors.take(out), target[rest]) / REPEATS
    if len(choices) == 1 and (only := choices.pop()) in anchors.features:
        held_out = anchors.part(only)
    else:
        held_out += target.mean()
    return CrossValidated(_fit(chosen, anchors, target), tuple(map(float, held_out)), taus)


def anchors_needed(
    anchors: Anchors, truth: Sequence[float], per_family: Sequence[int], *, seed: int = 0
) -> dict[int, dict[str, float]]:
    """Return how well calibrations from few anchors rank the other members.

    Args:
        anchors: Members trained alone.
        truth: Their cross-entropies, in nats.
        per_family: Numbers of anchors per family to try; those that leave fewer than two other
            members of some family are left out.
        seed: Of the draws of anchors.

    Returns:
        By number of anchors, mean tau over draws: `all`, `within` and `between` families.
    """
    target = np.asarray(truth, dtype=np.float64)
    names = np.asarray(anchors.families)
    groups = [np.flatnonzero(names == family) for family in sorted(set(anchors.families))]
    rng = np.random.default_rng(seed)
    found: dict[int, dict[str, float]] = {}
    for count in per_family:
        if count * len(groups) < LEAST_ANCHORS or any(len(group) < count + 2 for group in groups):
            continue
        draws = [_few(anchors, target, groups, count, rng) for _ in range(ANCHOR_DRAWS)]
        found[count] = {key: _mean([one[key] for one in draws]) for key in draws[0]}
    return found


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _few(
    anchors: Anchors, target: Floats, groups: list[Any], count: int, rng: np.random.Generator
) -> dict[str, float]:
    used = sorted(int(place) for group in groups for place in rng.permutation(group)[:count])
    rest = [place for place in range(len(target)) if place not in set(used)]
    few, others = anchors.take(used), anchors.take(rest)
    fitted = _fit(_best(_taus(few, target[used], 0)), few, target[used])
    pairs = MemberPairs(others.families, samples=0)
    predicted = list(_predict(fitted, others))
    truth = list(target[rest])
    return {
        "all": pairs.correlate("tau", predicted, truth).value,
        "within": pairs.correlate("tau", predicted, truth, "within").value,
        "between": pairs.correlate("tau", predicted, truth, "between").value,
    }


def _stacks(anchors: Anchors) -> dict[str, tuple[str, ...]]:
    """Return the features of every regression; each has offsets of the families too."""
    names = tuple(anchors.features)
    base = (INHERITED,) if INHERITED in names else ()
    cheap = (*base, *(name for name in CHEAP if name in names))
    stacks = {"family": (), "inherited + family": base, "inherited + sizes + family": cheap}
    return {**stacks, "everything": names}


def _taus(anchors: Anchors, target: Floats, seed: int) -> dict[str, float]:
    """Return the tau of every candidate on members it was not fitted to."""
    taus = {name: kendall_tau(anchors.part(name), target) for name in anchors.features}
    folds = _folds(anchors.families, seed)
    for stack in _stacks(anchors):
        predicted = np.zeros(len(target))
        for rest, out in folds:
            fitted = _fit(stack, anchors.take(rest), target[rest])
            predicted[out] = _beside(fitted, anchors.take(out), target[rest])
        taus[stack] = kendall_tau(predicted, target)
    return {name: -1.0 if math.isnan(tau) else tau for name, tau in taus.items()}


def _best(taus: Mapping[str, float]) -> str:
    """Return the candidate with the largest tau; the earlier, simpler one of equals."""
    return max(taus, key=lambda name: taus[name])


def _folds(families: Sequence[str], seed: int) -> list[tuple[list[int], list[int]]]:
    """Return what stays and what is held out, each family spread over all folds."""
    rng = np.random.default_rng(seed)
    names = np.asarray(families)
    held: list[list[int]] = [[] for _ in range(FOLDS)]
    dealt = 0
    for family in sorted(set(families)):
        for place in rng.permutation(np.flatnonzero(names == family)):
            held[dealt % FOLDS].append(int(place))
            dealt += 1
    everything = range(len(names))
    return [(sorted(set(everything) - set(out)), sorted(out)) for out in held if out]


def _fit(candidate: str, anchors: Anchors, target: Floats) -> Calibration:
    stacks = _stacks(anchors)
    if candidate in stacks:
        return _ridge(candidate, stacks[candidate], anchors, target)
    return _line(candidate, anchors, target)


def _line(name: str, anchors: Anchors, target: Floats) -> Calibration:
    """Put one feature on the scale of nats without changing how it ranks."""
    column, sign = anchors.part(name), 1.0 if name == INHERITED else -1.0
    centred = column - column.mean()
    slope = float(centred @ target) / max(float(centred @ centred), _SMALLEST)
    # Its direction is not up for choice: a rising slope keeps the order of the part.
    slope = max(slope, 1e-6)
    intercept = float(target.mean() - slope * column.mean())
    zeros = dict.fromkeys(sorted(set(anchors.families)), 0.0)
    return Calibration(name, intercept, {name: sign * slope}, zeros)


def _ridge(candidate: str, names: tuple[str, ...], anchors: Anchors, target: Floats) -> Calibration:
    """Fit standardised features and family offsets by ridge regression."""
    families = sorted(set(anchors.families))
    raw = anchors.matrix(names)
    scale = raw.std(axis=0)
    scale = np.where(scale > _SMALLEST, scale, np.inf)  # a constant feature says nothing
    members = [[float(family == own) for family in families] for own in anchors.families]
    columns = np.hstack([(raw - raw.mean(axis=0)) / scale, np.asarray(members)])
    intercept, weights = ridge(columns, target)
    slopes = weights[: len(names)] / scale
    return Calibration(
        candidate,
        float(intercept - slopes @ raw.mean(axis=0)),
        {name: float(slope) for name, slope in zip(names, slopes, strict=True)},
        dict(zip(families, map(float, weights[len(names) :]), strict=True)),
    )


def ridge(columns: Floats, target: Floats) -> tuple[float, Floats]:
    """Return intercept and weights; the penalty is that of the least leave-one-out error.

    With the singular values of the centred columns every left-out residual is in closed form,
    (y - prediction) / (1 - leverage), so no penalty is fitted more than once.

    Args:
        columns: `(members, features)`.
        target: `(members,)`.
    """
    centre, mean = columns.mean(axis=0), target.mean()
    left, values, right = np.linalg.svd(columns - centre, full_matrices=False)
    seen = left.T @ (target - mean)
    best: tuple[float, Floats] | None = None
    for penalty in PENALTIES:
        shrunk = values**2 / (values**2 + penalty)
        leverage = (left**2) @ shrunk + 1 / len(target)
        errors = (target - mean - left @ (shrunk * seen)) / (1 - leverage)
        loss = float(errors @ errors)
        if best is None or loss < best[0]:
            best = loss, right.T @ (values / (values**2 + penalty) * seen)
    assert best is not None
    return float(mean - centre @ best[1]), best[1]


def _beside(calibration: Calibration, anchors: Anchors, seen: Floats) -> Floats:
    """Return predictions less the mean truth that the calibration saw.

    That mean is low where the members held out are high; left in, predictions of different folds
    would rank members backwards wherever there is little signal.
    """
    moved: Floats = _predict(calibration, anchors) - seen.mean()
    return moved


def _predict(calibration: Calibration, anchors: Anchors) -> Floats:
    """Return predictions; a family without anchors gets the mean of the offsets."""
    mean = math.fsum(calibration.offsets.values()) / max(1, len(calibration.offsets))
    offsets = np.asarray([calibration.offsets.get(family, mean) for family in anchors.families])
    weights = np.asarray(list(calibration.weights.values()))
    sums: Floats = anchors.matrix(list(calibration.weights)) @ weights
    return calibration.intercept + offsets + sums

"""Predicts the latency of networks on one device from networks that were measured there.

A measured network keeps its measured value; everything else is predicted, with an interval. All
networks of one predictor have one input shape: latencies at another say nothing about this one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from nas.cost.pieces import Piece
from nas.errors import ConfigError
from nas.predict.additive_fit import AdditiveFit
from nas.predict.design import Design
from nas.predict.device_prior import (
    DeviceLatencies,
    Standardised,
    cold_prior,
    fit_device,
    learned_prior,
)
from nas.predict.features import NetworkFeatures, network_features
from nas.predict.intervals import interval_width, widths_by_others
from nas.topology.graph import Architecture
from nas.topology.identity import executed_id
from nas.topology.layers import Shape

Floats = NDArray[np.float64]
Flag = Literal["unknown_pieces", "outside"]

FEWEST = 4
"""Measured networks below which nothing is predicted."""

FEWEST_TO_CALIBRATE = 8
UNKNOWN_ABOVE = 0.05
"""Share of a network's rough time in pieces never measured above which it is flagged."""

OUTSIDE_BY = 1.5
"""Factor beyond the measured latencies above which a prediction is flagged."""


@final
@dataclass(frozen=True)
class Prediction:
    """The latency of one network.

    Args:
        latency_ms: The measured value where there is one, else the predicted one.
        low_ms: Lower end of the 95 % interval.
        high_ms: Its upper end.
        measured_ms: The measured value, None if there is none.
        predicted_ms: The predicted value; of a measured network, what is predicted from all.
        source: Where `latency_ms` comes from.
        flags: `unknown_pieces`: part of the network runs operations or shapes of which nothing was
            measured. `outside`: far faster or slower than everything measured.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    measured_ms: float | None
    predicted_ms: float
    source: Literal["predicted", "measured"]
    flags: tuple[Flag, ...] = ()


@final
@dataclass(frozen=True)
class Quality:
    """How well members are predicted that the fit did not see, one left out at a time.

    Args:
        networks: Members.
        within_10_percent: Share predicted within 10 % of the measured value.
        median_error: Median relative error.
        spearman: Rank correlation of predicted and measured; 0 where either are all equal.
        inside: Share inside their 95 % intervals, each as wide as the other members say.
        noise: Relative standard deviation around what the pieces add up to.
    """

    networks: int
    within_10_percent: float
    median_error: float
    spearman: float
    inside: float
    noise: float


@final
@dataclass(frozen=True)
class MeasuredNetwork:
    """One network and its latency on one device.

    Args:
        architecture: The network.
        latency_ms: Its latency.
        relative_error: Standard error of the latency, relative to it.
        is_member: Whether it is a network as they are predicted, not a probe of one piece; only
            members calibrate intervals.
    """

    architecture: Architecture
    latency_ms: float
    relative_error: float = 0.0
    is_member: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.latency_ms) and self.latency_ms > 0):
            raise ConfigError(
                f"A latency of {self.latency_ms} ms is not possible: it is a positive number.",
                fix="Measure the network again.",
            )
        if not (math.isfinite(self.relative_error) and self.relative_error >= 0):
            raise ConfigError(
                f"A relative error of {self.relative_error} is not possible: it is 0 or more.",
                fix="Give 0 where the error is not known.",
            )


@final
class LatencyPredictor:
    """Fitted when it is first asked, and again after something new was observed.

    Args:
        measured: Networks measured on the device.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.
        others: Networks measured on other devices, a prior for this one; used from two devices on.
    """

    def __init__(
        self,
        measured: Iterable[MeasuredNetwork],
        input_shape: Shape,
        num_classes: int,
        *,
        others: Iterable[Sequence[MeasuredNetwork]] = (),
    ) -> None:
        self.input_shape = input_shape
        self.num_classes = num_classes
        self._measured: dict[str, MeasuredNetwork] = {}
        self._others = tuple(tuple(own) for own in others)
        self._fitted: _Fitted | None = None
        for network in measured:
            self._measured[executed_id(network.architecture)] = network

    def observe(
        self, architecture: Architecture, latency_ms: float, relative_error: float = 0.0
    ) -> None:
        """Learn from a network measured on the device; its value is kept and returned from now on.

        Raises:
            ConfigError: If the latency is no positive number.
        """
        own = MeasuredNetwork(architecture, latency_ms, relative_error)
        self._measured[executed_id(architecture)] = own
        self._fitted = None

    def predict(
        self, architecture: Architecture, input_shape: Shape, num_classes: int
    ) -> Prediction:
        """Return a network's latency, measured or predicted.

        Raises:
            ConfigError: If fewer than four networks are measured, or the shapes are others than
                those measured at.
            ArchitectureError: If the network cannot be computed at this shape.
        """
        if (input_shape, num_classes) != (self.input_shape, self.num_classes):
            raise ConfigError(
                f"Latencies were measured at {_shown(self.input_shape)} and {self.num_classes} "
                f"classes, not at {_shown(input_shape)} and {num_classes} classes.",
                why="Other images take other times, and nothing was learned about them.",
                fix="Build a profile for this shape: nas latency build SPACE "
                f"--input {_shown(input_shape)} --classes {num_classes}.",
            )
        return self.predict_all([architecture])[0]

    def predict_all(self, architectures: Sequence[Architecture]) -> list[Prediction]:
        """Return the latencies of many networks at the shapes measured at.

        Raises:
            ConfigError: If fewer than four networks are measured.
            ArchitectureError: If one cannot be computed.
        """
        if not architectures:
            return []
        fitted = self._fit()
        own = [self._features(architecture) for architecture in architectures]
        middles, spreads = fitted.predict(own)
        return [
            self._prediction(fitted, *entry)
            for entry in zip(architectures, own, middles, spreads, strict=True)
        ]

    def piece_latencies(self) -> list[tuple[Piece, float]]:
        """Return what each measured piece adds to a network it stands in, in milliseconds.

        Raises:
            ConfigError: If fewer than four networks are measured.
        """
        fitted = self._fit()
        alone = [_alone(piece) for piece in fitted.design.pieces]
        matrix = fitted.design.matrix(alone)
        matrix[:, fitted.design.constants] = 0.0
        milliseconds = math.exp(fitted.speed) * (matrix @ fitted.fit.weights)
        return list(zip(fitted.design.pieces, map(float, milliseconds), strict=True))

    def quality(self) -> Quality:
        """Return how well measured members are predicted from all other measurements.

        Raises:
            ConfigError: If fewer than four networks are measured.
        """
        fitted = self._fit()
        errors, deviations = fitted.fit.left_out()
        chosen = fitted.calibrating
        logs = fitted.fit.seen.log_ms[chosen]
        off = np.abs(np.expm1(-errors[chosen]))
        scores = errors[chosen] / deviations[chosen]
        inside = np.abs(scores) <= widths_by_others(scores)
        return Quality(
            networks=int(chosen.sum()),
            within_10_percent=float((off <= 0.1).mean()),
            median_error=float(np.median(off)),
            spearman=_rank_correlation(logs - errors[chosen], logs),
            inside=float(inside.mean()),
            noise=fitted.fit.noise,
        )

    @property
    def noise(self) -> float:
        """Relative standard deviation of a network's latency around what its pieces add up to."""
        return self._fit().fit.noise

    def _prediction(
        self,
        fitted: _Fitted,
        architecture: Architecture,
        own: NetworkFeatures,
        middle: float,
        spread: float,
    ) -> Prediction:
        predicted = math.exp(middle)
        known = self._measured.get(executed_id(architecture))
        if known is None:
            value, reach, flags = predicted, fitted.width * spread, fitted.flags(own, middle)
        else:
            value, reach, flags = float(known.latency_ms), 1.96 * known.relative_error, ()
        return Prediction(
            latency_ms=value,
            low_ms=value * math.exp(-reach),
            high_ms=value * math.exp(reach),
            measured_ms=float(known.latency_ms) if known else None,
            predicted_ms=predicted,
            source="measured" if known else "predicted",
            flags=flags,
        )

    def _features(self, architecture: Architecture) -> NetworkFeatures:
        return network_features(architecture, self.input_shape, self.num_classes)

    def _fit(self) -> _Fitted:
        if self._fitted is None:
            if len(self._measured) < FEWEST:
                raise ConfigError(
                    f"{len(self._measured)} networks are measured; a prediction needs {FEWEST}.",
                    fix="Build a profile: nas latency build SPACE.",
                )
            own = self._latencies(self._measured.values())
            others = [self._latencies(networks) for networks in self._others]
            members = [network.is_member for network in self._measured.values()]
            self._fitted = _Fitted.of(own, others, np.array(members))
        return self._fitted

    def _latencies(self, networks: Iterable[MeasuredNetwork]) -> DeviceLatencies:
        entries = list(networks)
        return DeviceLatencies(
            tuple(self._features(entry.architecture) for entry in entries),
            np.array([entry.latency_ms for entry in entries]),
            np.array([entry.relative_error for entry in entries]),
        )


def _rank_correlation(left: Floats, right: Floats) -> float:
    if not (np.ptp(left) and np.ptp(right)):
        return 0.0
    return float(spearmanr(left, right).statistic)


def _alone(piece: Piece) -> NetworkFeatures:
    """Return the features that one piece on the longest path adds."""
    own = ((piece, 1),)
    return NetworkFeatures(own, own, piece.macs, piece.bytes, piece.macs, 1, int(piece.macs > 0))


@final
@dataclass(frozen=True)
class _Fitted:
    """A fit, ready to predict features."""

    design: Design
    standardised: Standardised
    fit: AdditiveFit
    speed: float
    width: float
    calibrating: NDArray[np.bool_]

    @classmethod
    def of(
        cls, own: DeviceLatencies, others: Sequence[DeviceLatencies], members: NDArray[np.bool_]
    ) -> _Fitted:
        everything = [*own.networks, *(each for other in others for each in other.networks)]
        design = Design.of(everything)
        prior = learned_prior(design, others) if len(others) > 1 else cold_prior(design)
        calibrating = members if members.sum() >= FEWEST_TO_CALIBRATE else np.ones_like(members)
        kept = [each for each, keep in zip(own.networks, calibrating, strict=True) if keep]
        standardised = Standardised.of(kept)
        fit, speed = fit_device(design, prior, own, standardised)
        errors, deviations = fit.left_out()
        width = interval_width((errors / deviations)[calibrating])
        return cls(design, standardised, fit, speed, width, calibrating)

    def predict(self, networks: Sequence[NetworkFeatures]) -> tuple[Floats, Floats]:
        """Return the logarithms of the latencies and their standard deviations."""
        means, variances = self.fit.predict(
            self.design.matrix(networks), self.standardised(networks)
        )
        unknown = np.array([self.design.unknown_share(own) for own in networks])
        # A piece that nothing is known of takes its rough time give or take that time.
        return means + self.speed, np.sqrt(variances + self.fit.noise**2 + unknown**2)

    def flags(self, own: NetworkFeatures, middle: float) -> tuple[Flag, ...]:
        """Return what is to be said about a prediction."""
        found: list[Flag] = []
        if self.design.unknown_share(own) > UNKNOWN_ABOVE:
            found.append("unknown_pieces")
        logs = self.fit.seen.log_ms[self.calibrating] + self.speed
        reach = math.log(OUTSIDE_BY)
        if not logs.min() - reach <= middle <= logs.max() + reach:
            found.append("outside")
        return tuple(found)


def _shown(shape: Shape) -> str:
    return "x".join(map(str, shape))

"""What is believed of a device before it is measured: nothing, or what other devices have shown.

Without other devices, a network takes the rough milliseconds of its totals, and operations and
pieces deviate from that by amounts the measurements decide. With other devices, each is fitted that
way first; their weights, freed of each device's own speed, give mean and covariance of a new
device's weights (a hierarchical linear model: the covariance has one direction per device, so that
a new device is first of all a blend of known ones). A unit of freedom along the mean leaves the new
device's speed open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from nas.predict.additive_fit import (
    AdditiveFit,
    Observations,
    Prior,
    Term,
    fit_additive,
    positive_sums,
)
from nas.predict.design import Design, interaction_inputs
from nas.predict.features import NetworkFeatures

Floats = NDArray[np.float64]

OWN_DEVIATION = 0.3
"""Expected deviation of a weight by itself, as a part of its spread among the other devices."""

UNSEEN_DEVIATION = 0.03
"""Expected deviation along what no other device has shown, as a part of a cold prior's."""


@final
@dataclass(frozen=True)
class DeviceLatencies:
    """Latencies of some networks on one device.

    Args:
        networks: What they run.
        latencies_ms: Their latencies.
        relative_errors: Standard error of each, relative.
    """

    networks: tuple[NetworkFeatures, ...]
    latencies_ms: Floats
    relative_errors: Floats


@final
@dataclass(frozen=True)
class Standardised:
    """Centre and scale of the smooth correction's inputs."""

    centre: Floats
    scale: Floats

    @classmethod
    def of(cls, networks: Sequence[NetworkFeatures]) -> Standardised:
        """Learn centre and scale; a feature that never varies is ignored."""
        raw = interaction_inputs(networks)
        scale = raw.std(0)
        return cls(raw.mean(0), np.where(scale > 1e-9, scale, np.inf))

    def __call__(self, networks: Sequence[NetworkFeatures]) -> Floats:
        """Return `(networks, features)`."""
        return np.asarray((interaction_inputs(networks) - self.centre) / self.scale)


def cold_prior(design: Design) -> Prior:
    """Return the prior of a device about which nothing is known."""
    mean = design.block("core")
    spread = {"core": 1.0, "path": 0.3, "group": 0.5, "piece": 0.3, "live": 0.3}
    terms = [Term("speed", mean[:, None], 1.0, 0.3)]
    for block, amplitude in spread.items():
        factors = np.diag(design.block(block))
        factors = factors[:, factors.any(0)]
        if factors.shape[1]:
            terms.append(Term(block, factors, amplitude))
    return Prior(mean, tuple(terms), floor=mean)


def learned_prior(design: Design, others: Sequence[DeviceLatencies]) -> Prior:
    """Return the prior of a device of which others are known.

    Args:
        design: Columns of the new device's fit.
        others: Latencies of networks on at least two other devices.
    """
    return prior_of_weights(design, np.array([relative_weights(design, own) for own in others]))


def prior_of_weights(design: Design, weights: Floats) -> Prior:
    """Return the prior that the weights of other devices make.

    Args:
        design: Columns of the new device's fit.
        weights: `(devices, columns)`, at least two devices, as `relative_weights` gives them.
    """
    mean = weights.mean(0)
    around = (weights - mean).T / np.sqrt(len(weights) - 1)
    cold = cold_prior(design)
    terms = (
        Term("speed", mean[:, None], 1.0, 0.3),
        Term("devices", around, 1.0, 0.5),
        Term("own", np.diag(np.sqrt((around**2).sum(1))), OWN_DEVIATION, 0.7),
        *(
            Term(f"cold {term.name}", term.factors, UNSEEN_DEVIATION * term.amplitude)
            for term in cold.terms[1:]
        ),
    )
    return Prior(mean, terms, cold.floor, cold.smooth, cold.noise)


def fit_device(
    design: Design, prior: Prior, own: DeviceLatencies, standardised: Standardised
) -> tuple[AdditiveFit, float]:
    """Fit one device.

    Returns:
        The fit, and the logarithm of the device's speed that its latencies were divided by.
    """
    matrix = design.matrix(own.networks)
    logs = np.log(own.latencies_ms)
    speed = float(np.median(logs - np.log(positive_sums(prior, matrix, prior.mean))))
    seen = Observations(matrix, standardised(own.networks), logs - speed, own.relative_errors)
    return fit_additive(prior, seen), speed


def relative_weights(design: Design, own: DeviceLatencies) -> Floats:
    """Return a device's weights, scaled so that its median network takes its rough time."""
    cold = cold_prior(design)
    fit, _ = fit_device(design, cold, own, Standardised.of(own.networks))
    return fit.weights / float(np.median(fit.sums / (fit.seen.matrix @ cold.mean)))

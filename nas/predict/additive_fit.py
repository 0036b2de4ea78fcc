"""A Bayesian fit of latencies that are additive in milliseconds and uncertain in proportion.

A network's latency is a sum over its columns, `m = X w`, while errors are relative: noise, clocks
and caches scale with the time itself. So `log y = log(X w) + g(z) + noise`, where `g` is a small
Gaussian process over whole-network features (the interactions that no sum holds) and the noise has
Student's t distribution, so that a reading during a burst of load bends nothing. The sum inside the
logarithm is linearised at the current solution (Gauss-Newton); what is left is a Gaussian process
with kernel `A S A' + K_g`, `A` the rows of `X` over their `m`, whose few prior spreads are those of
largest marginal likelihood (Rasmussen and Williams 2006, Gaussian Processes for Machine Learning,
ch. 2 and 5). The t distribution enters as weights (Lange, Little and Taylor 1989, JASA 84:881).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Floats = NDArray[np.float64]

DEGREES_OF_FREEDOM = 8.0
"""Of the noise: near a normal distribution for what is usual, forgetful of bursts."""

PASSES = 8
STEP = 0.7
"""Most that one pass may move a network's logarithm: a longer step would leave the linear part."""

FLOOR = 0.02
"""Least part of the floor's sum that a sum is taken for, should it come out near or below zero."""

SMALLEST_NOISE = 1e-3
LARGEST_SMOOTH = 0.3
"""A correction that may move latencies further than this would explain bursts of load as well."""


@final
@dataclass(frozen=True)
class Term:
    """One part of the prior over weights: spread along some directions, by an unknown amount.

    Args:
        name: For people.
        factors: `(columns, directions)`; the prior covariance is `amplitude^2 * F F'`.
        amplitude: Where the amplitude is expected.
        spread: Standard deviation of its logarithm around that.
    """

    name: str
    factors: Floats
    amplitude: float
    spread: float = 1.0


@final
@dataclass(frozen=True)
class Prior:
    """What is believed of the weights before anything is measured.

    Args:
        mean: Mean weight by column.
        terms: What spreads around it.
        floor: Weights whose sums are positive and of the order of the latencies.
        smooth: Expected amplitude of the smooth correction, as a part of the latency.
        noise: Expected relative noise of one latency.
    """

    mean: Floats
    terms: tuple[Term, ...]
    floor: Floats
    smooth: float = 0.03
    noise: float = 0.02


@final
@dataclass(frozen=True)
class Observations:
    """Measured networks.

    Args:
        matrix: `(networks, columns)`.
        inputs: `(networks, features)` of the smooth correction.
        log_ms: Logarithm of the latency, divided by the fit's scale.
        relative_errors: Standard error of each measurement, relative.
    """

    matrix: Floats
    inputs: Floats
    log_ms: Floats
    relative_errors: Floats


@final
@dataclass(frozen=True)
class AdditiveFit:
    """A fitted model.

    Args:
        prior: What it began with.
        seen: What it was fitted to.
        amplitudes: Of each term, then of the smooth correction.
        noise: Relative standard deviation of one latency around its sum.
        weights: Posterior mean by column.
        sums: `X w` of the observations.
        trust: Weight of each observation; well below 1 for outliers.
    """

    prior: Prior
    seen: Observations
    amplitudes: Floats
    noise: float
    weights: Floats
    sums: Floats
    trust: Floats

    def predict(self, matrix: Floats, inputs: Floats) -> tuple[Floats, Floats]:
        """Predict networks.

        Args:
            matrix: `(networks, columns)`.
            inputs: `(networks, features)`.

        Returns:
            Mean and variance of the logarithm of the latency, without the noise of one network.
        """
        sums = positive_sums(self.prior, matrix, self.weights)
        rows = matrix / sums[:, None]
        cross = self._cross(rows, inputs)
        mean = np.log(sums) + self._smooth(inputs, self.seen.inputs) @ self._alpha
        half = solve_triangular(self._cholesky, cross.T, lower=True)
        own = self.amplitudes[-1] ** 2 + sum(
            (amplitude * rows @ term.factors) ** 2 @ np.ones(term.factors.shape[1])
            for amplitude, term in zip(self.amplitudes, self.prior.terms, strict=False)
        )
        return mean, np.maximum(own - (half**2).sum(0), 0.0)

    def left_out(self) -> tuple[Floats, Floats]:
        """Predict every observation from all others, in closed form.

        Returns:
            Errors of the logarithm (observed less predicted) and the standard deviations that were
            predicted for them, noise included.
        """
        inverse = cho_solve((self._cholesky, True), np.eye(len(self.sums)))
        spread = np.diag(inverse)
        errors = self._alpha / spread
        noise = self._noises(np.ones_like(self.trust))
        variances = np.maximum(1 / spread - self._noises(self.trust), 0.0) + noise
        return errors, np.sqrt(variances)

    def _noises(self, trust: Floats) -> Floats:
        return self.noise**2 / trust + self.seen.relative_errors**2

    @cached_property
    def _rows(self) -> Floats:
        return self.seen.matrix / self.sums[:, None]

    @cached_property
    def _cholesky(self) -> Floats:
        kernel = self._cross(self._rows, self.seen.inputs)
        kernel[np.diag_indices_from(kernel)] += self._noises(self.trust)
        return np.asarray(np.linalg.cholesky(kernel))

    @cached_property
    def _alpha(self) -> Floats:
        response = np.clip(self.seen.log_ms - np.log(self.sums), -STEP, STEP)
        response += self._rows @ (self.weights - self.prior.mean)
        return np.asarray(cho_solve((self._cholesky, True), response))

    def _cross(self, rows: Floats, inputs: Floats) -> Floats:
        kernel = self._smooth(inputs, self.seen.inputs)
        for amplitude, term in zip(self.amplitudes, self.prior.terms, strict=False):
            kernel += amplitude**2 * (rows @ term.factors) @ (self._rows @ term.factors).T
        return kernel

    def _smooth(self, left: Floats, right: Floats) -> Floats:
        return np.asarray(self.amplitudes[-1] ** 2 * smooth_kernel(left, right))


def positive_sums(prior: Prior, matrix: Floats, weights: Floats) -> Floats:
    """Return `X w`, kept above a small part of what the floor's weights give."""
    return np.asarray(np.maximum(matrix @ weights, FLOOR * (matrix @ prior.floor)))


def smooth_kernel(left: Floats, right: Floats) -> Floats:
    """Return the squared exponential kernel of standardised features, `(left, right)`."""
    squares = np.zeros((len(left), len(right)))
    for one, other in zip(left.T, right.T, strict=True):  # all at once would take six times as much
        squares += (one[:, None] - other[None, :]) ** 2
    return np.asarray(np.exp(-0.5 * squares / max(1, left.shape[1])))


def fit_additive(prior: Prior, seen: Observations) -> AdditiveFit:
    """Fit the weights, the prior's spreads and the noise.

    Args:
        prior: What is believed beforehand.
        seen: At least one measured network.
    """
    weights, trust = prior.mean, np.ones(len(seen.log_ms))
    logs, _ = _expected(prior)
    fitted: AdditiveFit | None = None
    for _ in range(PASSES):
        sums = positive_sums(prior, seen.matrix, weights)
        response = np.clip(seen.log_ms - np.log(sums), -STEP, STEP)
        response += seen.matrix @ (weights - prior.mean) / sums
        kernels = _kernels(prior, seen, sums)
        logs = _largest_evidence(prior, seen, kernels, response, trust, logs)
        found = AdditiveFit(
            prior, seen, np.exp(logs[:-1]), float(np.exp(logs[-1])), weights, sums, trust
        )
        weights = _posterior(found)
        trust = _trust(found, weights)
        fitted = found
    assert fitted is not None
    sums = positive_sums(prior, seen.matrix, weights)
    return AdditiveFit(prior, seen, fitted.amplitudes, fitted.noise, weights, sums, fitted.trust)


def _kernels(prior: Prior, seen: Observations, sums: Floats) -> list[Floats]:
    rows = seen.matrix / sums[:, None]
    own = [projected @ projected.T for projected in (rows @ term.factors for term in prior.terms)]
    return [*own, smooth_kernel(seen.inputs, seen.inputs)]


def _posterior(found: AdditiveFit) -> Floats:
    pulled = found._rows.T @ found._alpha
    moved = np.zeros_like(pulled)
    for amplitude, term in zip(found.amplitudes, found.prior.terms, strict=False):
        moved += amplitude**2 * term.factors @ (term.factors.T @ pulled)
    return found.prior.mean + moved


def _trust(found: AdditiveFit, weights: Floats) -> Floats:
    """Weigh observations as a t distribution does, by their residuals."""
    seen = found.seen
    sums = positive_sums(found.prior, seen.matrix, weights)
    smooth = found._smooth(seen.inputs, seen.inputs) @ found._alpha
    squares = (seen.log_ms - np.log(sums) - smooth) ** 2 / found._noises(np.ones(len(sums)))
    return (DEGREES_OF_FREEDOM + 1) / (DEGREES_OF_FREEDOM + squares)


def _expected(prior: Prior) -> tuple[Floats, Floats]:
    """Return centre and standard deviation of the logarithms of all spreads and the noise."""
    centres = np.log([*(term.amplitude for term in prior.terms), prior.smooth, prior.noise])
    return centres, np.array([*(term.spread for term in prior.terms), 1.0, 1.0])


def negative_evidence(
    logs: Floats,
    kernels: Sequence[Floats],
    response: Floats,
    trust: Floats,
    square_errors: Floats,
) -> tuple[float, Floats]:
    """Return the negative logarithm of the marginal likelihood, and its gradient.

    Args:
        logs: Logarithms of one amplitude per kernel, then of the noise.
        kernels: Each `(networks, networks)`, to be multiplied by its squared amplitude.
        response: What is explained, `(networks,)`.
        trust: The noise's variance is divided by it, per network.
        square_errors: Variance of each measurement beside the noise.

    Returns:
        The value up to a constant; 1e10 where the covariance is not positive definite.
    """
    scales = np.exp(2 * logs)
    noise = scales[-1] / trust
    kernel = sum(scale * own for scale, own in zip(scales, kernels, strict=False))
    try:
        lower = np.linalg.cholesky(kernel + np.diag(noise + square_errors))
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(logs)
    inverse = cho_solve((lower, True), np.eye(len(response)))
    alpha = inverse @ response
    value = 0.5 * response @ alpha + np.log(np.diag(lower)).sum()
    pull = inverse - np.outer(alpha, alpha)
    slopes = [scale * (pull * own).sum() for scale, own in zip(scales, kernels, strict=False)]
    slopes.append(float((np.diag(pull) * noise).sum()))
    return float(value), np.array(slopes)


def _largest_evidence(
    prior: Prior,
    seen: Observations,
    kernels: Sequence[Floats],
    response: Floats,
    trust: Floats,
    start: Floats,
) -> Floats:
    """Return the logarithms of spreads and noise with the largest posterior density."""
    centres, spreads = _expected(prior)
    errors = seen.relative_errors**2

    def loss(logs: Floats) -> tuple[float, Floats]:
        value, slopes = negative_evidence(logs, kernels, response, trust, errors)
        off = (logs - centres) / spreads
        return value + 0.5 * float(off @ off), slopes + off / spreads

    bounds = [(centre - 6, centre + 4) for centre in centres[:-2]]
    bounds.append((centres[-2] - 6, np.log(LARGEST_SMOOTH)))
    bounds.append((np.log(SMALLEST_NOISE), np.log(1.0)))
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 25},
    )
    return np.asarray(found.x)

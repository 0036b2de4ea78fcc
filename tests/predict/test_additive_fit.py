"""The fit of additive latencies, against references that share no code with it."""

from __future__ import annotations

import numpy as np
import pytest

from nas.predict.additive_fit import (
    Observations,
    Prior,
    Term,
    fit_additive,
    negative_evidence,
    smooth_kernel,
)


def problem(
    number: int = 60, noise: float = 0.01, seed: int = 0
) -> tuple[Prior, Observations, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = np.array([1.0, 0.4, 2.0, 0.7])
    matrix = rng.uniform(0.1, 1.0, (number, 4))
    logs = np.log(matrix @ weights) + noise * rng.standard_normal(number)
    prior = Prior(
        np.ones(4),
        (Term("speed", np.ones((4, 1)), 1.0), Term("each", np.eye(4), 0.5)),
        floor=np.ones(4),
    )
    seen = Observations(matrix, rng.standard_normal((number, 2)), logs, np.zeros(number))
    return prior, seen, weights


def test_planted_weights_are_found() -> None:
    prior, seen, weights = problem(200, noise=0.005)
    fit = fit_additive(prior, seen)
    assert fit.weights == pytest.approx(weights, rel=0.03)
    assert 0.0025 < fit.noise < 0.006, "a t distribution has a smaller scale than deviation"


def test_one_in_ten_readings_during_a_burst_bends_nothing() -> None:
    prior, seen, weights = problem(120)
    logs = seen.log_ms.copy()
    logs[::10] += 1.0
    fit = fit_additive(prior, Observations(seen.matrix, seen.inputs, logs, seen.relative_errors))
    assert fit.weights == pytest.approx(weights, rel=0.08)
    assert fit.trust[::10].max() < 0.1 < 0.5 < np.median(fit.trust)


def test_the_gradient_of_the_evidence_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(1)
    features = [rng.standard_normal((12, 3)), rng.standard_normal((12, 2))]
    kernels = [own @ own.T for own in features]
    arguments = (kernels, rng.standard_normal(12), rng.uniform(0.3, 1.2, 12), np.full(12, 0.01))
    logs = np.array([-0.3, 0.2, -1.0])
    _, slopes = negative_evidence(logs, *arguments)
    for index in range(3):
        step = np.zeros(3)
        step[index] = 1e-5
        ahead = negative_evidence(logs + step, *arguments)[0]
        behind = negative_evidence(logs - step, *arguments)[0]
        assert slopes[index] == pytest.approx((ahead - behind) / 2e-5, rel=1e-6)


def test_the_evidence_is_that_of_a_normal_density() -> None:
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(2)
    kernel = np.diag(rng.uniform(0.5, 2.0, 5))
    response, trust = rng.standard_normal(5), rng.uniform(0.5, 1.5, 5)
    value, _ = negative_evidence(np.log([2.0, 0.3]), [kernel], response, trust, np.full(5, 0.1))
    covariance = 4 * kernel + np.diag(0.09 / trust + 0.1)
    expected = multivariate_normal(np.zeros(5), covariance).logpdf(response)
    assert value == pytest.approx(-expected - 2.5 * np.log(2 * np.pi))


def test_a_covariance_that_is_none_has_no_evidence() -> None:
    value, slopes = negative_evidence(
        np.zeros(2), [-np.eye(3) * 5], np.ones(3), np.ones(3), np.zeros(3)
    )
    assert value == 1e10
    assert not slopes.any()


def test_leaving_one_out_in_closed_form_equals_leaving_it_out() -> None:
    prior, seen, _ = problem(25)
    fit = fit_additive(prior, seen)
    errors, deviations = fit.left_out()
    rows = seen.matrix / fit.sums[:, None]
    kernel = fit.amplitudes[-1] ** 2 * smooth_kernel(seen.inputs, seen.inputs)
    for amplitude, term in zip(fit.amplitudes, prior.terms, strict=False):
        kernel += amplitude**2 * rows @ term.factors @ term.factors.T @ rows.T
    response = seen.log_ms - np.log(fit.sums) + rows @ (fit.weights - prior.mean)
    for out in (0, 7, 24):
        rest = np.delete(np.arange(25), out)
        noisy = kernel[np.ix_(rest, rest)] + np.diag(fit.noise**2 / fit.trust[rest])
        pull = np.linalg.solve(noisy, kernel[rest, out])
        assert errors[out] == pytest.approx(response[out] - pull @ response[rest])
        variance = kernel[out, out] - kernel[out, rest] @ pull + fit.noise**2
        assert deviations[out] == pytest.approx(np.sqrt(variance))


def test_predictions_at_the_observations_are_the_fitted_ones() -> None:
    prior, seen, _ = problem(40)
    fit = fit_additive(prior, seen)
    means, variances = fit.predict(seen.matrix, seen.inputs)
    assert means == pytest.approx(seen.log_ms, abs=5 * fit.noise)
    assert (variances < fit.noise**2).mean() > 0.9
    far = fit.predict(100 * np.eye(4), np.full((4, 2), 50.0))[1]
    assert far.min() > variances.max()


def test_sums_that_would_be_negative_stay_positive() -> None:
    prior, seen, _ = problem(10)
    logs = np.linspace(-12, 3, 10)
    fit = fit_additive(prior, Observations(seen.matrix, seen.inputs, logs, seen.relative_errors))
    means, variances = fit.predict(seen.matrix, seen.inputs)
    assert np.isfinite(means).all()
    assert np.isfinite(variances).all()

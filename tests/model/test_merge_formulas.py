"""Merges against formulas written anew in numpy, and the members of a family they reduce to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nas.model.merges import AbstractDeclaredMerge, MergeSetup, PairwiseMean, build_declared
from nas.topology.merges import MERGES, SCALE_POWER

Array = NDArray[np.float64]
Given = dict[str, Array]
SHAPE = (2, 6, 3, 4)
"""Batch, channels, height, width."""


def declared(name: str, degree: int, scale: str = "auto") -> AbstractDeclaredMerge:
    rule = MERGES.get(name)
    factor = degree ** SCALE_POWER[rule.resolve_scale(scale)]
    roles = rule.input_roles(["default"] * degree)
    return build_declared(MergeSetup(rule, degree, SHAPE[1], factor, roles)).double()


def inputs_of(degree: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(degree, *SHAPE))


def merged(name: str, inputs: Array, scale: str = "auto", **weights: Array | float) -> Array:
    """Run a merge; weights that are not given have their start, or are drawn."""
    module = declared(name, len(inputs), scale)
    module.fill(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for key, value in weights.items():
            own = module.get_parameter(key)
            own.copy_(torch.as_tensor(value, dtype=torch.float64).expand(own.shape))
        result: Array = module([torch.from_numpy(x) for x in inputs]).numpy()
    return result


def numbers(x: Array) -> Array:
    """Bring numbers per input in front of images: `(inputs, 1, 1, 1, 1)`."""
    return np.asarray(x.reshape(-1, 1, 1, 1, 1))


def softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def gelu(x: Array) -> Array:
    return np.asarray(x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))))


def low_rank(x: Array, w: Given) -> Array:
    return np.einsum("or,rc,bchw->bohw", w["up"], w["down"], x)


def selective_kernel(x: Array, w: Given) -> Array:
    pooled = x.sum(0).mean((2, 3))
    hidden = np.maximum(pooled @ w["squeeze"].T, 0)
    scores = np.einsum("bh,ech->ebc", hidden, w["select"])
    return np.asarray((softmax(scores, 0)[..., None, None] * x).sum(0))


def mudd(x: Array, w: Given) -> Array:
    newest = x[-1]
    normed = newest / np.sqrt((newest**2).mean(1, keepdims=True) + 1e-6)
    hidden = gelu(np.einsum("kc,bchw->bkhw", w["keys"], normed))
    dynamic = np.einsum("ek,bkhw->ebhw", w["values"], hidden)[:, :, None]
    static = numbers(w["static"]) + numbers(np.eye(len(x))[-1])
    return np.asarray(((dynamic + static) * x).sum(0))


def grn_v3(x: Array, w: Given) -> Array:
    looked = np.maximum(np.einsum("c,ebchw->ebhw", w["query"], x), 0)[:, :, None]
    return np.asarray(((w["weights"][:, None, :, None, None] + looked) * x).sum(0))


FORMULAS: dict[str, Callable[[Array, Given], Array]] = {
    "weighted_normalised": lambda x, w: (numbers(softmax(w["logits"], 0)) * x).sum(0),
    "weighted_fast": lambda x, w: (
        (numbers(np.maximum(w["weights"], 0)) * x).sum(0)
        / (np.maximum(w["weights"], 0).sum() + 1e-4)
    ),
    "weighted_zero": lambda x, w: (numbers(w["weights"] + 1) * x).sum(0) - x[-1],
    "product": lambda x, w: x.prod(0),
    "one_plus_mask": lambda x, w: (1 + 1 / (1 + np.exp(-x[:-1].sum(0)))) * x[-1],
    "one_plus_raw_mask": lambda x, w: (1 + x[:-1].sum(0)) * x[-1],
    "selective_kernel": selective_kernel,
    "softmax_b": lambda x, w: (softmax(w["b"] * x, 0) * x).sum(0),
    "power_mean_p": lambda x, w: (np.maximum(x, 1e-7) ** w["p"]).mean(0) ** (1 / w["p"]),
    "laurel_rw": lambda x, w: w["alpha"] * x[-1] + w["beta"] * x[:-1].sum(0),
    "laurel_lr": lambda x, w: x.sum(0) + low_rank(x[:-1].sum(0), w),
    "laurel_pa": lambda x, w: x[-1] + x[-2] + low_rank((numbers(w["gamma"]) * x[:-2]).sum(0), w),
    "laurel_rw_lr": lambda x, w: (
        w["alpha"] * x[-1] + w["beta"] * (x[:-1].sum(0) + low_rank(x[:-1].sum(0), w))
    ),
    "laurel_rw_lr_pa": lambda x, w: (
        w["alpha"] * x[-1]
        + w["beta"] * (x[-2] + low_rank(x[-2] + (numbers(w["gamma"]) * x[:-2]).sum(0), w))
    ),
    "dwa": lambda x, w: (numbers(w["weights"]) * x).sum(0) + x[-1],
    "grn_v2": lambda x, w: (w["weights"][:, None, :, None, None] * x).sum(0),
    "grn_v3": grn_v3,
    "mudd": mudd,
}


def test_every_declared_merge_has_a_formula_here() -> None:
    assert set(FORMULAS) == {name for name in MERGES if MERGES.get(name).weight == "module"}


@pytest.mark.parametrize("name", sorted(FORMULAS))
@given(degree=st.integers(3, 5), seed=st.integers(0, 1000))
def test_a_merge_is_its_formula_at_random_weights(name: str, degree: int, seed: int) -> None:
    rng, inputs = np.random.default_rng(seed), inputs_of(degree, seed)
    module = declared(name, degree, "none")
    weights = {key: rng.normal(size=value.shape) for key, value in module.named_parameters()}
    if name == "power_mean_p":
        weights["p"] = np.abs(weights["p"]) + 0.5
    wanted = FORMULAS[name](inputs, weights)
    found = merged(name, inputs, "none", **weights)
    assert np.abs(found - wanted).max() < 1e-10 * max(1.0, np.abs(wanted).max())


def test_equal_weights_are_the_sum_and_the_mean() -> None:
    inputs = inputs_of(4)
    for equal in (-2.0, 0.0, 0.7):
        assert np.allclose(
            merged("weighted_normalised", inputs, logits=equal), inputs.mean(0), atol=1e-12
        )
    fast = merged("weighted_fast", inputs, weights=3.0)
    assert np.abs(fast - inputs.mean(0)).max() < 1e-4 / (4 * 3.0) * np.abs(inputs.mean(0)).max()
    assert np.allclose(merged("grn_v2", inputs, weights=1.0), inputs.sum(0), atol=1e-12)
    assert np.allclose(merged("grn_v2", inputs, "mean", weights=1.0), inputs.mean(0), atol=1e-12)


def test_a_weighted_sum_that_starts_at_zero_ignores_its_newest_input_at_first() -> None:
    inputs = inputs_of(3)
    assert np.allclose(merged("weighted_zero", inputs), inputs[:-1].sum(0), atol=1e-12)
    assert np.allclose(
        merged("weighted_zero", inputs, weights=np.array([[0.0], [0.0], [1.0]])), inputs.sum(0)
    )


def test_softmax_b_leads_from_the_mean_to_the_maximum() -> None:
    apart = np.random.default_rng(0).permuted(
        np.broadcast_to(np.arange(4.0)[:, None, None, None, None] / 5, (4, *SHAPE)), axis=0
    )
    assert np.allclose(merged("softmax_b", apart, b=0.0), apart.mean(0), atol=1e-14)
    assert np.abs(merged("softmax_b", apart, b=200.0) - apart.max(0)).max() < 2e-8
    anything = inputs_of(4)
    middle = [merged("softmax_b", anything, b=b) for b in (0.0, 0.5, 1.0, 4.0, 200.0)]
    for less, more in itertools.pairwise(middle):
        assert (less <= more + 1e-12).all()


def test_power_means_lead_from_the_mean_to_the_maximum_of_positive_inputs() -> None:
    positive = np.abs(inputs_of(4)) + 0.1
    assert np.allclose(merged("power_mean_p", positive, p=1.0), positive.mean(0), rtol=1e-12)
    assert np.allclose(
        merged("power_mean_p", positive, p=-1.0), merged("power_mean_p", positive, p=0.01)
    )
    largest = merged("power_mean_p", positive, p=1e4)
    assert np.allclose(largest, positive.max(0), rtol=2e-4)
    assert np.isfinite(merged("power_mean_p", inputs_of(4), p=300.0)).all()


def test_a_mask_of_zero_leaves_the_trunk_as_it_is() -> None:
    mask, trunk = inputs_of(2)
    assert np.array_equal(merged("one_plus_raw_mask", np.stack([0 * mask, trunk])), trunk)
    closed = merged("one_plus_mask", np.stack([0 * mask - 800, trunk]))
    assert np.array_equal(closed, trunk)
    assert np.allclose(merged("one_plus_mask", np.stack([0 * mask, trunk])), 1.5 * trunk)


def test_a_fractal_join_is_the_mean_of_all_and_not_of_nested_pairs() -> None:
    inputs = inputs_of(3)
    pairs = PairwiseMean()([torch.from_numpy(x) for x in inputs]).numpy()
    assert np.allclose(pairs, ((inputs[0] + inputs[1]) / 2 + inputs[2]) / 2, atol=1e-14)
    assert np.abs(pairs - inputs.mean(0)).max() > 0.1
    two = PairwiseMean()([torch.from_numpy(x) for x in inputs[:2]]).numpy()
    assert np.allclose(two, inputs[:2].mean(0), atol=1e-14)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("weighted_normalised", "mean"),
        ("selective_kernel", "mean"),
        ("softmax_b", "mean"),
        ("laurel_rw", "sum"),
        ("laurel_lr", "sum"),
        ("laurel_rw_lr", "sum"),
        ("grn_v2", "sum"),
        ("dwa", "newest"),
        ("mudd", "newest"),
    ],
)
@given(degree=st.integers(2, 5))
def test_a_fresh_merge_is_the_plain_one_it_replaces(name: str, start: str, degree: int) -> None:
    inputs = inputs_of(degree)
    wanted = {"mean": inputs.mean(0), "sum": inputs.sum(0), "newest": inputs[-1]}[start]
    assert np.allclose(merged(name, inputs), wanted, atol=1e-12)

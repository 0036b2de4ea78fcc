"""K18: the second-order gradient of the gates, against closed forms and finite differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from supernet_cases import digits, images, one_stage, shaken
from torch import Tensor

from nas.supernet.alternations import ALTERNATIONS, Step
from nas.supernet.alternations.first_order import FirstOrder
from nas.supernet.alternations.second_order import SecondOrder, SecondOrderOptions
from nas.supernet.bilevel import difference_gradient, unrolled_gradient
from nas.supernet.relaxation import Relaxation
from nas.supernet.relaxed_training import RelaxationConfig, RelaxedTraining
from nas.supernet.supernet import Supernet

RATE = 0.3


class Quadratic:
    """L_train = w'Aw/2 + w'Ba + c'w and L_val = |w - d|^2/2 + e'a + a'Fa/2."""

    def __init__(self, seed: int, weights: int = 5, gates: int = 3) -> None:
        rng = np.random.default_rng(seed)
        root = rng.normal(size=(weights, weights))
        self.a = torch.from_numpy(root @ root.T)
        self.b = torch.from_numpy(rng.normal(size=(weights, gates)))
        self.c, self.d, self.w = torch.from_numpy(rng.normal(size=(3, weights)))
        self.e, start = torch.from_numpy(rng.normal(size=(2, gates)))
        self.f = torch.from_numpy(rng.normal(size=(gates, gates)))
        self.gates = start.requires_grad_()

    def train(self, weights: Sequence[Tensor]) -> Tensor:
        w = torch.cat(list(weights))
        return 0.5 * w @ self.a @ w + w @ self.b @ self.gates + self.c @ w

    def validation(self, weights: Sequence[Tensor]) -> Tensor:
        w = torch.cat(list(weights))
        own = self.e @ self.gates + 0.5 * self.gates @ self.f @ self.gates
        return 0.5 * (w - self.d).square().sum() + own

    def closed_form(self) -> Tensor:
        gates = self.gates.detach()
        moved = self.w - RATE * (self.a @ self.w + self.b @ gates + self.c)
        direct = self.e + 0.5 * (self.f + self.f.T) @ gates
        return direct - RATE * self.b.T @ (moved - self.d)


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_the_step_on_a_quadratic_bilevel_problem_is_the_closed_form(seed: int) -> None:
    problem = Quadratic(seed)
    weights = [problem.w[:2], problem.w[2:]]
    for way in (unrolled_gradient, difference_gradient):
        found = way(problem.train, problem.validation, weights, problem.gates, RATE)
        torch.testing.assert_close(found, problem.closed_form(), rtol=1e-9, atol=1e-9)
    assert torch.equal(torch.cat(weights), problem.w)


def test_a_step_of_zero_is_the_first_order() -> None:
    problem = Quadratic(0)
    found = unrolled_gradient(problem.train, problem.validation, [problem.w], problem.gates, 0.0)
    (first,) = torch.autograd.grad(problem.validation([problem.w]), [problem.gates])
    torch.testing.assert_close(found, first)


def tiny_training(**options: object) -> tuple[RelaxedTraining, Step]:
    """A training in float64 on a few images, at a step where gates and weights are off 0."""
    stage = one_stage("sum", "weighted", patterns=("free",), depth=2)
    supernet = shaken(Supernet(stage, (3, 8, 8), 5).double())
    relaxation = Relaxation(stage, operations="mixed").double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        noise = torch.randn(relaxation.logits.shape, generator=generator, dtype=torch.float64)
        relaxation.logits.copy_(noise)
    config = RelaxationConfig(gate_warmup_epochs=0, weight_decay=0.01, **options)  # type: ignore[arg-type]
    training = RelaxedTraining(supernet, relaxation, digits(), config, seed=0)
    labels = torch.tensor([0, 1, 2, 3])
    step = training._step(images(seed=1), labels, 0.05)
    validation = images(seed=2), labels.flip(0)
    training.gate_images = lambda _: validation  # type: ignore[method-assign]
    return training, step


def test_the_whole_supernets_gradient_is_that_of_the_loss_one_step_ahead() -> None:
    training, step = tiny_training()
    loss, gradient = SecondOrder().gate_gradient(training, step)
    assert loss > 0
    logits = training.relaxation.logits
    shapes = training.active(step)
    slots = training.supernet.weights

    def ahead() -> float:
        weights = {key: slots.slot(key).detach().requires_grad_() for key in shapes}
        with slots.replaced(weights):
            value = training.loss(step.mixing, training.values(step), step.batch)
        slopes = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
        moved = {}
        for (key, weight), slope in zip(weights.items(), slopes, strict=True):
            change = torch.zeros_like(weight) if slope is None else slope.clone()
            if weight.dim() >= 2:
                read = tuple(slice(size) for size in shapes[key])
                change[read] += 0.01 * weight.detach()[read]
            moved[key] = (weight - 0.05 * change).detach()
        with torch.no_grad(), slots.replaced(moved):
            return float(
                training.loss(step.mixing, training.values(step), training.gate_images(step))
            )

    touched = torch.nonzero(gradient).flatten().tolist()
    assert len(touched) > 5
    size = 1e-4
    for position in touched:
        logits.data[position] += size
        above = ahead()
        logits.data[position] -= 2 * size
        below = ahead()
        logits.data[position] += size
        estimate = (above - below) / (2 * size)
        assert float(gradient[position]) == pytest.approx(estimate, rel=1e-4, abs=1e-7)


def test_the_second_order_differs_from_the_first_and_the_difference_form_is_near() -> None:
    training, step = tiny_training()
    _, first = FirstOrder().gate_gradient(training, step)
    training.baseline = None
    _, exact = SecondOrder().gate_gradient(training, step)
    training.baseline = None
    near = SecondOrder(SecondOrderOptions(finite_difference=True))
    _, difference = near.gate_gradient(training, step)
    training.baseline = None
    _, nothing = SecondOrder(SecondOrderOptions(xi=0.0)).gate_gradient(training, step)
    term = (exact - first).norm()
    assert term > 0.01 * first.norm()
    assert (difference - exact).norm() < 1e-2 * term
    torch.testing.assert_close(nothing, first)


def test_looking_ahead_leaves_the_weights_alone() -> None:
    training, step = tiny_training()
    before = training.supernet.state_arrays()
    ALTERNATIONS.get("second_order")().gate_gradient(training, step)
    after = training.supernet.state_arrays()
    assert all(np.array_equal(before[key], after[key]) for key in before)

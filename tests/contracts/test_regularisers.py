"""Every registered regulariser: a finite term with right gradients, declared by one line."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from supernet_cases import SHAPE, one_stage, space

from nas.errors import ConfigError
from nas.supernet.declared_parts import make_part
from nas.supernet.fitting import Fitting
from nas.supernet.gate_samplers import answers_of
from nas.supernet.regularisers import REGULARISERS
from nas.supernet.regularisers.entropy import entropies
from nas.supernet.relaxation import Relaxation
from nas.supernet.relaxation_config import RelaxationSettings
from nas.supernet.supernet import Supernet

NAMES = list(REGULARISERS)
SPACES = ["wired_cnn", "nasbench201_c8n1"]


@pytest.mark.parametrize("where", SPACES)
@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_of_a_term_equals_finite_differences(name: str, where: str) -> None:
    supernet = Supernet(space(where), SHAPE, 5)
    relaxation = Relaxation(space(where), operations="mixed").double()
    part = make_part(REGULARISERS, name, "relaxation.regularisers.0")
    settings = RelaxationSettings(regularisers=[name], operations="mixed")
    if part.misfit(Fitting(space(where), settings, SHAPE)) is not None:
        return
    part.prepare(supernet, relaxation)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        relaxation.logits.copy_(torch.from_numpy(rng.normal(size=len(relaxation.logits))))
    context = relaxation.sample(rng)
    term = part.term(relaxation, context)
    assert term.shape == () and bool(term.isfinite())
    (gradient,) = torch.autograd.grad(term, [relaxation.logits])
    moved = np.flatnonzero(gradient.numpy())
    assert len(moved) > 0
    assert not gradient[~relaxation.touched(context)].any()
    for position in moved[:8]:
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                relaxation.logits[position] += sign * 1e-6
                values.append(float(part.term(relaxation, context).detach()))
                relaxation.logits[position] -= sign * 1e-6
        estimate = (values[0] - values[1]) / 2e-6
        assert float(gradient[position]) == pytest.approx(estimate, rel=1e-3, abs=1e-8)


@pytest.mark.parametrize("edges", ["sigmoid", "k_subsets", "toponet"])
@pytest.mark.parametrize("name", NAMES)
def test_slopes_are_finite_where_probabilities_are_0_and_1(name: str, edges: str) -> None:
    declared = one_stage("sum", "concat", patterns=("free",), depth=4)
    relaxation = Relaxation(declared, operations="mixed", edges=edges).double()
    part = make_part(REGULARISERS, name, "relaxation.regularisers.0")
    settings = RelaxationSettings(regularisers=[name], operations="mixed")
    if part.misfit(Fitting(declared, settings, SHAPE)) is not None:
        return
    part.prepare(Supernet(declared, SHAPE, 5), relaxation)
    member = declared.sample(np.random.default_rng(1))
    if edges != "k_subsets":  # it reaches few members
        relaxation.to_vertex(member)
    closed = []
    for choice in relaxation.every_choice():
        if not relaxation.is_sampled(choice) and len(answers_of(choice)) > 2:
            closed.append((choice, answers_of(choice)[0]))
            relaxation.close(*closed[-1])
    assert len(closed) > 1
    (gradient,) = torch.autograd.grad(
        part.term(relaxation, relaxation.likeliest()),
        [relaxation.logits],
        allow_unused=True,
        materialize_grads=True,
    )
    assert bool(gradient.isfinite().all())


def test_a_closed_answer_has_no_entropy_and_no_slope() -> None:
    probabilities = torch.tensor([0.0, 0.25, 0.75, 1.0], dtype=torch.float64, requires_grad=True)
    terms = entropies(probabilities)
    terms.sum().backward()
    quarter, rest = 0.25 * math.log(4), 0.75 * math.log(4 / 3)
    assert terms.tolist() == pytest.approx([0, quarter, rest, 0])
    assert probabilities.grad is not None
    slopes = [0, math.log(4) - 1, math.log(4 / 3) - 1, -1]
    assert probabilities.grad.tolist() == pytest.approx(slopes)


@pytest.mark.parametrize("name", NAMES)
def test_the_factor_moves_linearly_from_start_to_strength(name: str) -> None:
    line = {"name": name, "strength": 3.0, "start": 1.0}
    part = make_part(REGULARISERS, line, "relaxation.regularisers.0")
    assert [part.factor(progress) for progress in (0.0, 0.5, 1.0)] == [1.0, 2.0, 3.0]
    constant = make_part(REGULARISERS, {"name": name, "strength": 3.0}, "here")
    assert constant.factor(0.0) == constant.factor(1.0) == 3.0


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_option_is_named_with_those_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"The regulariser '{name}' has no option 'strenght'"):
        make_part(REGULARISERS, {"name": name, "strenght": 1.0}, "relaxation.regularisers.0")

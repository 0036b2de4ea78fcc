"""Every registered regulariser: a finite term with right gradients, declared by one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from supernet_cases import SHAPE, space

from nas.errors import ConfigError
from nas.supernet.declared_parts import make_part
from nas.supernet.fitting import Fitting
from nas.supernet.regularisers import REGULARISERS
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

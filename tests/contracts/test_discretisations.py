"""Every registered discretisation: a member of the context, without touching what was trained."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from supernet_cases import digits, one_stage

from nas.errors import ConfigError
from nas.supernet.declared_parts import PartDeclaration, make_part
from nas.supernet.discretisations import DISCRETISATIONS
from nas.supernet.relaxed_training import RelaxationConfig, RelaxedTraining, make_relaxation
from nas.supernet.supernet import Supernet

NAMES = list(DISCRETISATIONS)
LINES: dict[str, PartDeclaration] = {"budget": {"name": "budget", "macs_share": 0.9}}


@cache
def training(name: str) -> RelaxedTraining:
    stage = one_stage("sum", "weighted", patterns=("free",))
    settings = RelaxationConfig.model_validate(
        {
            "epochs": 1,
            "batch_size": 16,
            "operations": "mixed",
            "discretisation": LINES.get(name, name),
        }
    )
    supernet = Supernet(stage, (1, 8, 8), 10, seed=0)
    return RelaxedTraining(
        supernet, make_relaxation(supernet, settings), digits(60), settings, seed=0
    )


def settled(name: str, seed: int) -> tuple[dict[str, object], RelaxedTraining]:
    trained = training(name)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        noise = torch.from_numpy(rng.normal(size=len(trained.relaxation.logits)))
        trained.relaxation.logits.copy_(noise)
    context = trained.relaxation.sample(rng)
    member = trained.settle(context)
    assert all(member[key] == answer for key, answer in context.sampled.items())
    return dict(member), trained


@pytest.mark.parametrize("name", NAMES)
def test_what_is_settled_is_a_member_of_the_context_and_the_same_twice(name: str) -> None:
    for seed in range(3):
        member, trained = settled(name, seed)
        again, _ = settled(name, seed)
        assert trained.supernet.space.normalise(member) == member == again  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_settling_leaves_weights_and_gates_as_they_were(name: str) -> None:
    trained = training(name)
    weights = trained.supernet.state_arrays()
    logits = trained.relaxation.logits.detach().clone()
    trained.settle(trained.relaxation.likeliest())
    assert torch.equal(trained.relaxation.logits.detach(), logits)
    after = trained.supernet.state_arrays()
    assert all(np.array_equal(weights[key], after[key]) for key in weights)


@pytest.mark.parametrize("name", NAMES)
def test_closed_answers_are_not_chosen(name: str) -> None:
    trained = training(name)
    relaxation = trained.relaxation
    choice = next(c for c in relaxation.every_choice() if c.name == "stage1.op1.operation")
    relaxation.close(choice, "conv3x3")
    try:
        assert trained.settle(relaxation.likeliest())[choice.name] == "mbconv3x3"
    finally:
        relaxation.reopen(choice, "conv3x3")


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_option_of_a_discretisation_is_named(name: str) -> None:
    line = LINES.get(name, name)
    options = dict(line) if isinstance(line, dict) else {"name": line}
    with pytest.raises(ConfigError, match=rf"The discretisation '{name}' has no option 'nope'"):
        make_part(DISCRETISATIONS, {**options, "nope": 1}, "relaxation.discretisation")

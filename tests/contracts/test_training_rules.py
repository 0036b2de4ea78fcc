"""Every registered training rule: resumes with equal bits, keeps the graphs valid, adds numbers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from supernet_cases import digits

from nas.errors import ConfigError
from nas.space import AbstractSpace, space_from_dict
from nas.supernet.declared_parts import PartDeclaration, make_part
from nas.supernet.loop import Checkpoint
from nas.supernet.relaxation_config import RelaxationSettings
from nas.supernet.relaxed_training import (
    RelaxationConfig,
    RelaxedTraining,
    make_relaxation,
    train_relaxation,
)
from nas.supernet.supernet import Supernet
from nas.supernet.training_rules import TRAINING_RULES

NAMES = list(TRAINING_RULES)
LINES: dict[str, PartDeclaration] = {
    "projection": {"name": "projection", "macs_share": 0.4, "every_steps": 1},
    "gradual_pruning": {"name": "gradual_pruning", "below": 0.99, "count": 2, "growth": 1.0},
    "operation_reduction": {"name": "operation_reduction", "every_epochs": 1},
}
"""Lines of rules that would do nothing, or nothing yet, by their defaults."""


@cache
def small() -> AbstractSpace:
    """One stage of free wiring with every kind of choice."""
    return space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "stages",
            "name": "small",
            "stages": [
                {
                    "pattern": {"choices": ["free", "chain"]},
                    "depth": 2,
                    "width": {"choices": [2, 4]},
                    "operation": {"choices": ["conv1x1", "conv3x3", "identity"], "per": "node"},
                    "merge": {"choices": ["sum", "weighted"], "per": "node"},
                }
            ],
        }
    )


def config(name: str, **more: object) -> RelaxationConfig:
    settings: dict[str, object] = {
        "epochs": 3,
        "batch_size": 16,
        "warmup_epochs": 0.0,
        "gate_warmup_epochs": 0.0,
        "gate_learning_rate": 0.3,
        "operations": "mixed",
        "rules": [LINES.get(name, name)],
    }
    return RelaxationConfig.model_validate(settings | more)


def train(
    name: str, stop_after: int | None = None, state: Checkpoint | None = None
) -> RelaxedTraining:
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    settings = config(name)
    supernet = Supernet(small(), (1, 8, 8), 10, seed=0)
    _, training = train_relaxation(
        supernet,
        make_relaxation(supernet, settings),
        digits(60),
        settings,
        seed=0,
        should_stop=should_stop,
        state=state,
    )
    return training


@cache
def whole(name: str) -> RelaxedTraining:
    return train(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_interrupted_mid_epoch_and_resumed_gives_equal_bits(name: str) -> None:
    expected = whole(name).checkpoint()
    steps = int(expected["progress"][0])
    assert steps >= 6
    for stop in (1, steps // 2 + 1):
        found = train(name, state=train(name, stop_after=stop).checkpoint()).checkpoint()
        assert set(found) == set(expected)
        for key, value in expected.items():
            assert np.array_equal(found[key], value, equal_nan=value.dtype.kind == "f"), key


@pytest.mark.parametrize("name", NAMES)
def test_what_a_rule_remembers_is_plain_arrays(name: str) -> None:
    for rule in whole(name).rules:
        for value in rule.arrays().values():
            assert isinstance(value, np.ndarray) and value.dtype != object


@pytest.mark.parametrize("name", NAMES)
def test_members_stay_valid_and_computable_under_a_rule(name: str) -> None:
    training = whole(name)
    rng = np.random.default_rng(0)
    for _ in range(5):
        context = training.relaxation.sample(rng)
        for member in (training.relaxation.draw(context, rng), training.settle(context)):
            assert small().normalise(member) == member
            small().build(member)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_option_of_a_rule_is_named(name: str) -> None:
    line = LINES.get(name, name)
    options = dict(line) if isinstance(line, dict) else {"name": line}
    with pytest.raises(ConfigError, match=rf"The training rule '{name}' has no option 'nope'"):
        make_part(TRAINING_RULES, {**options, "nope": 1}, "relaxation.rules.0")


def test_rules_are_named_in_the_settings_by_one_line() -> None:
    settings = RelaxationSettings(rules=[LINES.get(name, name) for name in NAMES])
    assert len(settings.rules) == len(NAMES)

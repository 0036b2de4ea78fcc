"""Self-distillation: the vote of snapshots, what a checkpoint holds, and flatter minima (K20)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from scale import scaled
from supernet_cases import digits, one_stage

from nas.space import AbstractSpace, space_from_dict
from nas.supernet.health.gaps import sharpness
from nas.supernet.relaxed_training import (
    RelaxationConfig,
    RelaxedTraining,
    make_relaxation,
    train_relaxation,
)
from nas.supernet.supernet import Supernet
from nas.supernet.training_report import EpochHealth
from nas.supernet.training_rules.self_distillation import SelfDistillation

RULE = {"name": "self_distillation", "every_epochs": 0.5, "temperature": 2.0}
PAIRS = scaled(20)
EPOCHS = 16


def train(
    *rules: object, epochs: int = 2, seed: int = 0, images: int = 130, steps: int | None = None
) -> RelaxedTraining:
    space = one_stage("sum", "mean", patterns=("free",))
    config = RelaxationConfig(
        operations="mixed",
        rules=list(rules),
        epochs=epochs,
        batch_size=32,
        learning_rate=0.05,
        gate_learning_rate=0.05,
        gate_warmup_epochs=1,
    )
    supernet = Supernet(space, (1, 8, 8), 10, seed=seed)
    relaxation = make_relaxation(supernet, config)
    done = 0

    def should_stop() -> bool:
        nonlocal done
        done += 1
        return steps is not None and done > steps

    _, training = train_relaxation(
        supernet, relaxation, digits(images), config, seed=seed, should_stop=should_stop
    )
    return training


def the_rule(training: RelaxedTraining) -> SelfDistillation:
    (rule,) = training.rules
    assert isinstance(rule, SelfDistillation)
    return rule


def test_the_first_steps_have_no_teacher_and_the_latest_snapshots_stay() -> None:
    early = train(RULE, steps=1)
    assert early.last is not None
    logits = torch.zeros(32, 10)
    assert the_rule(early).weight_loss(early, early.last, logits) is None
    late = train({**RULE, "teachers": 2}, epochs=3)
    assert len(the_rule(late).snapshots) == 2
    newest = the_rule(late).snapshots[-1]
    key, value = next(iter(late.supernet.weights.slots()))
    assert newest.weights[key].shape == value.shape


def test_the_term_is_the_divergence_from_the_mean_of_the_teachers() -> None:
    training = train(RULE, epochs=2)
    rule, step = the_rule(training), training.last
    assert step is not None and len(rule.snapshots) >= 2
    student = torch.randn(len(step.batch[0]), 10, requires_grad=True)
    term = rule.weight_loss(training, step, student)
    assert term is not None
    before = {key: value.detach().clone() for key, value in training.supernet.weights.slots()}
    votes = []
    for snapshot in rule.snapshots:
        with torch.no_grad():
            for key, value in training.supernet.weights.slots():
                value.copy_(snapshot.weights[key])
            with training.relaxation.at(snapshot.logits):
                values = training.relaxation.values(step.context)
                logits = training.logits(step.mixing, values, step.batch[0])
        votes.append((logits / 2.0).softmax(-1))
    with torch.no_grad():
        for key, value in training.supernet.weights.slots():
            value.copy_(before[key])
    vote = torch.stack(votes).mean(0)
    expected = (vote * (vote.log() - (student / 2.0).log_softmax(-1))).sum(-1).mean() * 4.0 * 2.0
    torch.testing.assert_close(term, expected)
    perfect = 2.0 * vote.log()
    least = rule.weight_loss(training, step, perfect)
    assert least is not None and float(least) == pytest.approx(0.0, abs=1e-5)


def test_the_checkpoint_holds_the_snapshots() -> None:
    whole = train(RULE, epochs=2)
    arrays = whole.checkpoint()
    names = [name for name in arrays if name.startswith("rules/0/")]
    assert any(name == "rules/0/1/logits" for name in names)
    again = SelfDistillation()
    again.load_arrays(the_rule(whole).arrays())
    for first, second in zip(the_rule(whole).snapshots, again.snapshots, strict=True):
        assert torch.equal(first.logits, second.logits)
        assert all(torch.equal(first.weights[key], second.weights[key]) for key in first.weights)


@cache
def small_space() -> AbstractSpace:
    stage = {
        "pattern": "free",
        "depth": 2,
        "width": 8,
        "operation": {"choices": ["conv3x3", "identity"], "per": "node"},
    }
    return space_from_dict(
        {"schema": "nas.space/1", "kind": "stages", "name": "small", "stages": [stage]}
    )


def late_sharpness(*rules: str, seed: int) -> float:
    """Mean sharpness over the last third of a training, on 192 images of the gates' part."""
    config = RelaxationConfig(
        operations="mixed",
        rules=list(rules),
        epochs=EPOCHS,
        batch_size=32,
        learning_rate=0.2,
        gate_learning_rate=0.05,
        gate_warmup_epochs=1,
    )
    supernet = Supernet(small_space(), (1, 8, 8), 10, seed=seed)
    relaxation = make_relaxation(supernet, config)
    training = RelaxedTraining(supernet, relaxation, digits(250), config, seed=seed)
    batches = [training.gate_batches.at(step) for step in range(6)]
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    seen: list[float] = []

    def look(report: EpochHealth, *_: object) -> None:
        if report.epoch > EPOCHS - EPOCHS // 3:
            seen.append(sharpness(training, (images, labels)))

    training.run(look)
    return float(np.mean(seen))


def test_sharpness_is_lower_with_self_distillation_than_without() -> None:
    ratios = [
        late_sharpness("self_distillation", seed=seed) / late_sharpness(seed=seed)
        for seed in range(30, 30 + PAIRS)
    ]
    assert np.exp(np.log(ratios).mean()) < 0.95, ratios

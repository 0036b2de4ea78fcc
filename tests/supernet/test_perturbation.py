"""Perturbation: an answer is as strong as the loss is higher without it, whatever its gate says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import pytest
import torch
from supernet_cases import digits, one_stage

from nas.space import OneOf, Option, SubsetOf
from nas.supernet.discretisations import Trained
from nas.supernet.discretisations.perturbation import (
    Perturbation,
    PerturbationOptions,
    without,
)
from nas.supernet.gate_samplers import answers_of
from nas.supernet.mixtures.mixture import Mixing
from nas.supernet.relaxation import Context, GateValues, Relaxation
from nas.supernet.relaxed_training import RelaxationConfig, train_relaxation
from nas.supernet.supernet import Supernet

CHOICE = OneOf("x", (Option("conv3x3"), Option("conv1x1"), Option("identity")))
EDGES = SubsetOf("y", ("a", "b", "c"))


def test_what_is_taken_away_leaves_its_share_to_the_others() -> None:
    mixed = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    assert without(CHOICE, mixed, 0).tolist() == pytest.approx([0, 0.6, 0.4])
    assert without(CHOICE, torch.tensor([1.0, 0.0, 0.0]), 0).tolist() == [0, 0.5, 0.5]
    assert without(EDGES, mixed, 1).tolist() == pytest.approx([0.5, 0, 0.2])
    assert mixed.tolist() == [0.5, 0.3, 0.2]


def pretended(
    relaxation: Relaxation, loss: Callable[[GateValues], float], events: list[str]
) -> Trained:
    """A training whose loss is a formula of the gate values."""

    @contextmanager
    def undone() -> Iterator[None]:
        events.append("begin")
        yield
        events.append("end")

    def tune(mixing: Mixing, values: GateValues, number: int, rate: float) -> None:
        events.append(f"tune {number} {rate}")

    return Trained(
        supernet=cast(Supernet, None),
        relaxation=relaxation,
        mix=lambda context: cast(Mixing, None),
        loss=lambda mixing, values: loss(values),
        tune=tune,
        undone=undone,
        seed=3,
    )


def worth(relaxation: Relaxation, context: Context) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        choice.name: torch.rand(len(answers_of(choice)), generator=generator)
        for choice in context.relaxed
    }


def test_the_option_that_is_missed_most_wins_against_its_gate() -> None:
    space = one_stage("sum", "mean", patterns=("free",))
    relaxation = Relaxation(space, operations="mixed")
    with torch.no_grad():
        relaxation.logits.copy_(torch.linspace(0, 0.5, len(relaxation.logits)))
    context = relaxation.sample(np.random.default_rng(0))
    value = worth(relaxation, context)

    def loss(values: GateValues) -> float:
        return -sum(float((values[name] * value[name]).sum()) for name in value)

    events: list[str] = []
    trained = pretended(relaxation, loss, events)
    options = PerturbationOptions(tuning_steps=2, learning_rate=0.5)
    member = Perturbation(options).settle(trained, context)
    assert member == space.normalise(member)
    for choice in context.relaxed:
        if isinstance(choice, OneOf):
            best = choice.options[int(value[choice.name].argmax())].value
            assert member[choice.name] == best
        else:
            gate = relaxation.gate(choice)
            usual = relaxation.sampler(choice).settle(gate)
            drop = (value[choice.name] * relaxation.probabilities(choice)).detach()
            order = drop.argsort(descending=True)[: len(usual)].tolist()  # type: ignore[arg-type]
            expected = [choice.items[position] for position in sorted(order)]
            assert member[choice.name] == expected
    assert events[0] == "begin" and events[-1] == "end"
    assert events[1:-1] == ["tune 0 0.5", "tune 1 0.5"] * len(context.relaxed)


def test_closed_answers_never_win() -> None:
    space = one_stage("sum", "mean", patterns=("free",))
    relaxation = Relaxation(space, operations="mixed")
    context = relaxation.sample(np.random.default_rng(0))
    choice = next(c for c in context.relaxed if isinstance(c, OneOf) and len(c.options) > 1)
    relaxation.close(choice, choice.options[0].value)

    def loss(values: GateValues) -> float:
        return -float(values[choice.name][0])

    member = Perturbation().settle(pretended(relaxation, loss, []), context)
    assert member[choice.name] != choice.options[0].value


def test_tuning_between_decisions_is_undone_and_repeats() -> None:
    space = one_stage("sum", "mean", patterns=("free",))
    supernet = Supernet(space, (1, 8, 8), 10, seed=0)
    config = RelaxationConfig(
        operations="mixed",
        epochs=1,
        gate_warmup_epochs=0,
        batch_size=32,
        discretisation={"name": "perturbation", "tuning_steps": 1},
    )
    relaxation = Relaxation(space, operations="mixed")
    _, training = train_relaxation(supernet, relaxation, digits(), config, seed=0)
    before = training.checkpoint()
    first = training.preferred(2, np.random.default_rng(0))
    after = training.checkpoint()
    assert set(before) == set(after)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert first == training.preferred(2, np.random.default_rng(0))
    assert all(member == space.normalise(member) for member in first)

"""Relaxed training: which images and which logits a step uses, resuming, diagnostics."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import numpy as np
import pytest
import torch
from supernet_cases import digits, digits_supernet, space

from nas.errors import DataError
from nas.supernet.health import gate_health
from nas.supernet.loop import Checkpoint
from nas.supernet.proposals import likeliest_members
from nas.supernet.regularisers import REGULARISERS, AbstractRegulariser
from nas.supernet.relaxation import Context, Relaxation
from nas.supernet.relaxed_training import RelaxationConfig, RelaxedTraining, train_relaxation
from nas.training.parts import DataPart, FiveParts

CONFIG = RelaxationConfig(epochs=2, batch_size=32, warmup_epochs=0.0, gate_warmup_epochs=0.25)
AT_ONCE = CONFIG.model_copy(update={"gate_warmup_epochs": 0.0})


class Untouchable:
    """Stands for a part of the data that must not be read."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"relaxed training read '{name}' of a part it must not see")

    def __len__(self) -> int:
        raise AssertionError("relaxed training asked for the size of a part it must not see")


def only_two_parts() -> FiveParts:
    parts, hidden = digits(), Untouchable()
    return FiveParts(parts.weights, parts.gates, hidden, hidden, hidden)  # type: ignore[arg-type]


def run(
    stop_after: int | None = None, state: Checkpoint | None = None, alternation: str = "first_order"
) -> Checkpoint:
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    relaxation = Relaxation(space("tiny_exhaustive"))
    config = CONFIG.model_copy(update={"alternation": alternation})
    _, training = train_relaxation(
        digits_supernet(),
        relaxation,
        only_two_parts(),
        config,
        seed=0,
        should_stop=should_stop,
        state=state,
    )
    return training.checkpoint()


def same(first: Checkpoint, second: Checkpoint) -> bool:
    return set(first) == set(second) and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_a_finished_relaxation_settles_alike_when_it_is_restored() -> None:
    schedule = {"start": 5.0, "end": 0.1}
    config = RelaxationConfig(**CONFIG.model_dump() | {"temperature": schedule, "epochs": 1})
    parts, declared = only_two_parts(), space("tiny_exhaustive")
    _, first = train_relaxation(digits_supernet(), Relaxation(declared), parts, config, seed=0)
    _, again = train_relaxation(
        digits_supernet(), Relaxation(declared), parts, config, seed=0, state=first.checkpoint()
    )
    assert again.relaxation.temperature == first.relaxation.temperature == pytest.approx(0.1)
    drawn = [
        likeliest_members(each.relaxation, 4, np.random.default_rng(0)) for each in (first, again)
    ]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("alternation", ["first_order", "one_level"])
def test_a_resumed_relaxation_equals_an_uninterrupted_one_bit_for_bit(alternation: str) -> None:
    whole = run(alternation=alternation)
    assert np.abs(whole["gates/logits"]).max() > 0
    for steps in (2, 5):
        assert same(
            run(state=run(stop_after=steps, alternation=alternation), alternation=alternation),
            whole,
        )


def test_a_gate_step_leaves_weights_and_unused_logits_alone() -> None:
    wired = space("wired_cnn")
    supernet = digits_supernet("wired_cnn")
    relaxation = Relaxation(wired)
    training = RelaxedTraining(supernet, relaxation, digits(), AT_ONCE, seed=0)
    before = supernet.state_arrays()
    training.train_step(*training.gate_batches.at(0), 0.0)
    assert training.last is not None
    context = training.last.context
    after = supernet.state_arrays()
    assert all(np.array_equal(before[key], after[key]) for key in before)
    moved = relaxation.logits.detach() != 0
    touched = relaxation.touched(context)
    assert moved.any() and not (moved & ~touched).any()


@final
class EdgesCost(AbstractRegulariser):
    """Mean probability of all edges."""

    def term(self, relaxation: Relaxation, context: Context) -> torch.Tensor:
        names = [c for c in relaxation.every_choice() if c.name.endswith(".inputs")]
        return torch.cat([relaxation.probabilities(choice) for choice in names]).mean() * 100


def test_a_regulariser_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    REGULARISERS.load()
    monkeypatch.setitem(REGULARISERS._entries, "edges_cost", EdgesCost)
    relaxation = Relaxation(space("wired_cnn"))
    config = RelaxationConfig(
        epochs=1,
        batch_size=64,
        gate_warmup_epochs=0,
        gate_learning_rate=0.3,
        regularisers=[{"name": "edges_cost", "strength": 1.0}],
    )
    train_relaxation(digits_supernet("wired_cnn"), relaxation, digits(), config, seed=0)
    assert gate_health.edge_share(relaxation) < 0.5


def test_no_images_for_the_gates_is_an_error() -> None:
    parts = digits()
    empty: DataPart = replace(parts.gates, rows=np.array([], dtype=np.int64))
    nothing = FiveParts(parts.weights, empty, parts.validation, parts.test, parts.training)
    relaxation = Relaxation(space("tiny_exhaustive"))
    with pytest.raises(
        DataError, match=r"0 images to train the gates on[\s\S]*alternation 'one_level'"
    ):
        train_relaxation(digits_supernet(), relaxation, nothing, CONFIG, seed=0)

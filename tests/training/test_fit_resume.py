"""A training that is left after any step goes on to the same bits, or says why it cannot."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scale import scaled
from torch import nn

from nas.errors import RunError
from nas.model.network import Network
from nas.run_store.weights import WeightStore
from nas.topology.published import PUBLISHED
from nas.training.data import load_data
from nas.training.fit import FitResult, Training, fit
from nas.training.fit_state import FitState
from nas.training.parts import DataPart, split_five
from nas.training.recipe import Recipe

EPOCHS = 3
RECIPES = {
    "sgd with dropout": Recipe(epochs=EPOCHS, batch_size=64, augmentation="flip_crop"),
    "adamw with everything": Recipe(
        epochs=EPOCHS,
        batch_size=64,
        optimizer="adamw",
        learning_rate=0.01,
        gradient_clip=1.0,
        mixup=0.4,
        label_smoothing=0.1,
        averaging="ema",
    ),
    "late average": Recipe(epochs=EPOCHS, batch_size=64, averaging="swa", average_from=0.5),
}
PATHS = Recipe(epochs=EPOCHS, batch_size=64, path_dropping="stochastic_depth(rate=0.5)")


@pytest.fixture(scope="module")
def images() -> DataPart:
    return split_five(load_data("digits"), 0).weights.limited(400, 0)


def noisy() -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 12, 3, padding=1, bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(12, 10),
        )


def wired() -> nn.Module:
    architecture = PUBLISHED.get("resnet-cifar").build(depth=8, width=4)
    return Network(architecture, (1, 8, 8), 10, seed=0)


def carried(state: FitState, folder: Path) -> FitState:
    """Return a state as another process finds it."""
    store = WeightStore(folder)
    sha = store.put(state.arrays, state.facts)
    return FitState(store.get(sha), store.metadata(sha))


def bits(module: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in module.state_dict().values())


def stopping(training: Training, steps: int) -> FitState:
    """Train until so many steps are done; return the state there."""
    while training.steps < steps and training.epoch(lambda: training.steps >= steps):
        pass
    assert training.steps == steps
    return training.state()


def finished(training: Training) -> FitResult:
    while not training.is_done:
        assert training.epoch() is not None
    return training.finish()


@pytest.mark.fault("G-D2")
@pytest.mark.parametrize(
    ("recipe", "network"),
    [*((recipe, noisy) for recipe in RECIPES.values()), (PATHS, wired)],
    ids=[*RECIPES, "dropped paths"],
)
def test_a_training_left_at_random_steps_ends_with_the_same_bits(
    images: DataPart, tmp_path: Path, recipe: Recipe, network: Callable[[], nn.Module]
) -> None:
    whole = network()
    expected = fit(whole, images, recipe, seed=5)
    cuts = np.random.default_rng(7).choice(np.arange(1, expected.steps), scaled(20))
    for cut in sorted(int(cut) for cut in cuts):
        left = stopping(Training(network(), images, recipe, seed=5), cut)
        torch.manual_seed(99)  # the generators of the process that goes on do not matter
        again = Training(network(), images, recipe, seed=5).restore(carried(left, tmp_path))
        result = finished(again)
        assert bits(again.module) == bits(whole), cut
        assert replace(result, seconds=0.0) == replace(expected, seconds=0.0)


@pytest.mark.fault("G-D2")
def test_a_training_may_be_left_again_and_again_and_after_each_epoch(
    images: DataPart, tmp_path: Path
) -> None:
    recipe = RECIPES["adamw with everything"]
    whole = noisy()
    expected = fit(whole, images, recipe, seed=1)
    state = Training(noisy(), images, recipe, seed=1).state()
    for cut in (1, 2, 6, 7, 12, expected.steps):
        training = Training(noisy(), images, recipe, seed=1).restore(carried(state, tmp_path))
        state = stopping(training, cut)
    last = Training(noisy(), images, recipe, seed=1).restore(carried(state, tmp_path))
    assert last.is_done
    last.finish()
    assert bits(last.module) == bits(whole)


def test_going_back_to_a_state_undoes_what_came_after_it(images: DataPart) -> None:
    training = Training(noisy(), images, RECIPES["late average"], seed=2)
    early = stopping(training, 4)
    finished(training)
    first = bits(training.module)
    finished(training.restore(early))
    assert bits(training.module) == first


def test_a_state_leaves_the_generators_of_the_process_alone(images: DataPart) -> None:
    before = torch.get_rng_state()
    training = Training(noisy(), images, RECIPES["sgd with dropout"], seed=2)
    training.restore(stopping(training, 3)).epoch()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.fault("B9")
def test_the_state_of_another_training_is_refused_and_the_difference_named(
    images: DataPart,
) -> None:
    recipe = RECIPES["sgd with dropout"]
    state = stopping(Training(noisy(), images, recipe, seed=0), 2)

    def refused(state: FitState, message: str, module: nn.Module | None = None) -> None:
        training = Training(module or noisy(), images, recipe, seed=0)
        with pytest.raises(RunError, match=message):
            training.restore(state)

    def changed(**stamp: object) -> FitState:
        return FitState(state.arrays, {**state.facts, "stamp": {**state.facts["stamp"], **stamp}})

    refused(changed(seed=1), "is of another training: its seed is 1, here it is 0")
    refused(changed(version=9), "its version is 9, here it is 1")
    refused(changed(recipe="0123"), "its recipe is '0123'")
    refused(FitState({}, {}), "its version is None")
    refused(state, "its network is 'Sequential', here it is '[0-9a-f]{64}'", wired())
    refused(
        state, r"does not fit the network: 10.bias, 10.weight\.", noisy().append(nn.Linear(10, 10))
    )
    narrow = {**state.arrays, "module/0.weight": np.zeros((1, 1, 3, 3), np.float32)}
    refused(FitState(narrow, state.facts), r"does not fit the network: 0.weight\.")
    odd = {**state.arrays, "optimizer/11.weight|exp_avg": np.zeros(3, np.float32)}
    refused(FitState(odd, state.facts), r"remembers '11.weight\|exp_avg' of the shape \[3\]")


@pytest.mark.fault("C14")
def test_other_surroundings_are_told_and_allowed(
    images: DataPart, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = RECIPES["sgd with dropout"]
    state = stopping(Training(noisy(), images, recipe, seed=0), 2)
    elsewhere = FitState(state.arrays, {**state.facts, "surroundings": {"torch": "1.0"}})
    with caplog.at_level(logging.WARNING, logger="nas"):
        Training(noisy(), images, recipe, seed=0).restore(elsewhere)
    assert "other surroundings" in caplog.text and "bits may differ" in caplog.text

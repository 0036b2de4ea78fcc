"""Every preset of a relaxation trains, moves its gates, resumes, settles, and refuses a misfit."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from supernet_cases import digits

from nas.errors import ConfigError
from nas.space import AbstractSpace, space_from_dict
from nas.supernet.loop import Checkpoint
from nas.supernet.relaxation_config import RELAXATION_PRESETS, RelaxationSettings
from nas.supernet.relaxation_parts import check_fit, check_parts
from nas.supernet.relaxed_training import (
    RelaxationConfig,
    RelaxedTraining,
    make_relaxation,
    train_relaxation,
)
from nas.supernet.supernet import Supernet

PRESETS = sorted(RELAXATION_PRESETS)
PUBLISHED = {
    "darts",
    "darts-2nd",
    "gdas",
    "pc-darts",
    "drnas",
    "gold",
    "rc-darts",
    "sd-darts",
    "dots",
    "dnw",
    "toponet",
}


def one_stage(pattern: str, **more: object) -> AbstractSpace:
    stage = {"pattern": pattern, "width": 8, **more}
    return space_from_dict(
        {"schema": "nas.space/1", "kind": "stages", "name": "contract", "stages": [stage]}
    )


@cache
def open_space() -> AbstractSpace:
    """Edges, operations and merges of every node are open."""
    return one_stage(
        "free",
        depth=3,
        operation={"choices": ["conv3x3", "conv1x1", "identity"], "per": "node"},
        merge={"choices": ["sum", "mean"], "per": "node"},
    )


@cache
def closed_space() -> AbstractSpace:
    """Nothing but a depth is open, and that is answered whole."""
    return one_stage("chain", depth={"choices": [2, 3]})


def train(
    preset: str, stop_after: int | None = None, state: Checkpoint | None = None
) -> RelaxedTraining:
    config = RelaxationConfig(
        preset=preset, epochs=2, batch_size=32, warmup_epochs=0.0, gate_warmup_epochs=0.5
    )
    supernet = Supernet(open_space(), (1, 8, 8), 10, seed=0)
    left = [stop_after]

    def should_stop() -> bool:
        if left[0] is None:
            return False
        left[0] -= 1
        return left[0] < 0

    relaxation = make_relaxation(supernet, config)
    _, training = train_relaxation(
        supernet, relaxation, digits(), config, seed=0, should_stop=should_stop, state=state
    )
    return training


def test_the_published_presets_are_there() -> None:
    assert set(PRESETS) >= PUBLISHED


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_trains_moves_its_gates_and_settles(preset: str) -> None:
    check_fit(RelaxationSettings(preset=preset), open_space())
    fresh = make_relaxation(
        Supernet(open_space(), (1, 8, 8), 10, seed=0), RelaxationConfig(preset=preset)
    )
    training = train(preset)
    logits = training.relaxation.logits.detach()
    assert logits.isfinite().all()
    assert (logits != fresh.logits.detach()).any()
    members = training.preferred(2, np.random.default_rng(0))
    assert members == [open_space().normalise(member) for member in members]
    assert members == training.preferred(2, np.random.default_rng(0))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_resumes_with_the_same_bits(preset: str) -> None:
    whole = train(preset).checkpoint()
    resumed = train(preset, state=train(preset, stop_after=5).checkpoint()).checkpoint()
    assert set(whole) == set(resumed)
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_refuses_a_space_that_leaves_nothing_open(preset: str) -> None:
    with pytest.raises(ConfigError, match=rf"preset '{preset}'[\s\S]*space 'contract'") as caught:
        check_fit(RelaxationSettings(preset=preset), closed_space())
    assert caught.value.why and caught.value.fix
    assert caught.value.where == "relaxation.preset"


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_written_beside_a_preset_wins(preset: str) -> None:
    settings = RelaxationSettings(
        preset=preset, gate_learning_rate=0.5, temperature={"end": 0.25}, alternation="first_order"
    )
    assert (settings.gate_learning_rate, settings.temperature.end) == (0.5, 0.25)
    assert settings.alternation == "first_order"
    again = RelaxationSettings(**settings.model_dump())
    assert again == settings
    assert [part.name for part in check_parts(settings)]

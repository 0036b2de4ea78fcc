"""Recipes: a stable hash, sensible bounds, and the schedule as it is drawn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nas.training.recipe import Recipe


def test_the_hash_names_the_settings_and_does_not_change_between_versions() -> None:
    assert Recipe().recipe_hash == "99577d3c6bc6"
    assert Recipe(**Recipe().as_dict()).recipe_hash == Recipe().recipe_hash


OTHER = {
    "optimizer": "adamw",
    "learning_rate": 0.2,
    "momentum": 0.8,
    "weight_decay": 0.0,
    "epochs": 3,
    "batch_size": 4,
    "schedule": "constant",
    "warmup_epochs": 0.0,
    "augmentation": "shift",
    "label_smoothing": 0.1,
    "gradient_clip": 1.0,
}


def test_every_setting_changes_the_hash() -> None:
    assert set(OTHER) == set(Recipe.model_fields)
    hashes = {Recipe(**{name: value}).recipe_hash for name, value in OTHER.items()}
    assert len(hashes | {Recipe().recipe_hash}) == len(OTHER) + 1


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"learning_rate": 0}, "greater than 0"),
        ({"learning_rate": float("nan")}, "finite number"),
        ({"learning_rate": 1e9}, "less than or equal to 100"),
        ({"momentum": 1.0}, "less than 1"),
        ({"epochs": -5}, "greater than or equal to 1"),
        ({"epochs": 10**9}, "less than or equal to 100000"),
        ({"batch_size": 0}, "greater than or equal to 1"),
        ({"optimizer": "sdg"}, "'sgd' or 'adamw'"),
        ({"augmentation": "cutmix"}, "'none', 'flip_crop' or 'shift'"),
        ({"gradient_clip": 0}, "greater than 0"),
        ({"learning_rat": 0.1}, "Extra inputs are not permitted"),
    ],
)
def test_absurd_settings_are_refused(settings: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        Recipe(**settings)  # type: ignore[arg-type]


@given(
    st.integers(1, 30),
    st.integers(1, 50),
    st.floats(0, 40),
    st.sampled_from(["cosine", "constant"]),
)
def test_the_learning_rate_rises_then_never_rises_again(
    epochs: int, steps_per_epoch: int, warmup_epochs: float, schedule: str
) -> None:
    recipe = Recipe(epochs=epochs, warmup_epochs=warmup_epochs, schedule=schedule)  # type: ignore[arg-type]
    rates = [
        recipe.learning_rate_at(step, steps_per_epoch) for step in range(epochs * steps_per_epoch)
    ]
    peak = rates.index(max(rates))
    assert peak <= len(rates) / 2
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(0 < rate <= recipe.learning_rate for rate in rates)
    assert max(rates) == recipe.learning_rate

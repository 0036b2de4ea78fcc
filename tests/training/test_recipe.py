"""Recipes: a stable hash, sensible bounds, and the schedule as it is drawn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from study_cases import study

from nas.errors import ConfigError
from nas.search.settings.resolve import resolve_config
from nas.training.named_recipes import NAMED_RECIPES
from nas.training.recipe import LATER_SETTINGS, Recipe


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
    "initialisation": "in_degree",
    "learning_rate_rule": "cell_paths",
    "path_dropping": "drop_path(rate=0.1)",
    "mixup": 0.2,
    "averaging": "ema",
    "average_decay": 0.9,
    "average_from": 0.5,
    "exit_weight": 0.3,
}


def test_every_setting_changes_the_hash() -> None:
    assert set(OTHER) == set(Recipe.model_fields)
    hashes = {Recipe(**{name: value}).recipe_hash for name, value in OTHER.items()}
    assert len(hashes | {Recipe().recipe_hash}) == len(OTHER) + 1


def test_settings_that_came_later_are_in_the_hash_only_where_they_are_used() -> None:
    assert set(Recipe.model_fields) >= LATER_SETTINGS
    for name in LATER_SETTINGS:
        default = Recipe.model_fields[name].default
        assert Recipe(**{name: default}).recipe_hash == Recipe().recipe_hash
        assert Recipe(**{name: OTHER[name]}).recipe_hash != Recipe().recipe_hash


@pytest.mark.parametrize("name", list(NAMED_RECIPES))
def test_a_name_stands_for_its_settings_and_for_nothing_else(name: str) -> None:
    named = Recipe.model_validate(name)
    assert named == Recipe(**NAMED_RECIPES[name])
    assert Recipe.model_validate(named.as_dict()).recipe_hash == named.recipe_hash
    over = Recipe.model_validate({"named": name, "epochs": 3})
    assert over == named.model_copy(update={"epochs": 3})


def test_the_modern_recipe_has_all_its_parts() -> None:
    modern = Recipe.model_validate("modern")
    assert (modern.schedule, modern.averaging) == ("cosine", "ema")
    assert modern.label_smoothing > 0
    assert modern.mixup > 0
    assert modern.path_dropping.startswith("stochastic_depth")


def test_a_search_and_a_study_may_name_their_recipe() -> None:
    config = resolve_config(
        {"space": "tiny_exhaustive", "confirm": {"recipe": {"named": "modern"}}}
    )
    assert config.confirm.recipe.mixup == Recipe.model_validate("modern").mixup
    assert config.confirm.recipe.epochs == 60  # of the search's own defaults
    assert study(recipe="modern").recipe == Recipe.model_validate("modern")


@pytest.mark.parametrize(
    ("given_recipe", "match"),
    [
        ("modren", r"no recipe 'modren'[\s\S]*'modern'"),
        ({"named": "modren"}, r"no recipe 'modren'"),
        ({"path_dropping": "drop_pth"}, r"'drop_pth'[\s\S]*'drop_path'"),
        ({"path_dropping": "drop_path(rate=3)"}, r"'rate' is 3"),
    ],
)
def test_unknown_names_are_refused_with_the_closest(given_recipe: object, match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        Recipe.model_validate(given_recipe)
    if isinstance(given_recipe, dict):
        with pytest.raises(ConfigError, match=r"where: config, key confirm.recipe"):
            resolve_config({"space": "tiny_exhaustive", "confirm": {"recipe": given_recipe}})


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
        ({"mixup": -1}, "greater than or equal to 0"),
        ({"averaging": "polyak"}, "'none', 'ema' or 'swa'"),
        ({"average_decay": 1.0}, "less than 1"),
        ({"initialisation": "zeros"}, "'default', 'aligned' or 'in_degree'"),
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

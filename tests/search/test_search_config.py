"""The config of a search: what is filled in, and every way to get it wrong."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path

import pytest

from nas.config_files import parse_document
from nas.errors import ConfigError, NasError, NotFoundError
from nas.search.settings import config as config_module
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.search.settings.presets import PRESETS
from nas.search.settings.resolve import read_search, resolve_config, resolve_space

SPACE = "tiny_exhaustive"


def test_a_space_alone_means_all_defaults() -> None:
    config = resolve_config(SPACE)
    assert config.objectives == ["cross_entropy", "latency"]
    assert config.search.batch == 16
    assert config.confirm.recipe.epochs == 60
    assert isinstance(config.space, dict)
    assert config.space["name"] == SPACE


@pytest.mark.parametrize("preset", list(PRESETS))
def test_what_the_user_writes_wins_over_the_preset(preset: str) -> None:
    config = resolve_config(
        {"space": SPACE, "preset": preset, "confirm": {"recipe": {"learning_rate": 0.3}}},
        options={"search.trials": 7},
        overrides=["supernet.training.epochs=3"],
    )
    assert config.confirm.recipe.learning_rate == 0.3
    assert config.confirm.recipe.batch_size == 64
    assert config.search.trials == 7
    assert config.supernet.training.epochs == 3


def test_presets_write_budgets_and_nothing_else() -> None:
    budgets = {"max_train_megapixels", "supernet", "search", "confirm", "latency"}
    for preset, written in PRESETS.items():
        assert set(written) <= budgets
        assert set(written.get("search", {})) <= {"trials"}
        resolve_config({"space": SPACE, "preset": preset})


def test_a_resolved_config_resolves_to_itself_from_plain_json() -> None:
    config = resolve_config(SPACE, overrides=["constraints={latency: {max: 2}}"])
    again = SearchConfig.model_validate(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert resolve_config(config.to_dict()) == config
    assert resolve_space(config).fingerprint == resolve_space(again).fingerprint


def test_constraints_are_kept_under_the_full_name() -> None:
    given = resolve_config(SPACE, overrides=["constraints=latency <= 2 ms"]).constraints
    assert given == {"latency_ms[eager,b1,fp32]": {"max": "2.0 ms"}}


def test_a_file_names_its_kind(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("schema: nas.search/1\nspace: tiny_exhaustive\nseed: 3\n")
    assert resolve_config(file).seed == 3
    file.write_text("schema: nas.wrong/1\n")
    with pytest.raises(ConfigError, match="neither a search nor a space: its schema is"):
        read_search(file)


BAD: list[tuple[str, type[NasError], str]] = [
    ("serach.trials=3", ConfigError, "Unknown key 'serach'[\\s\\S]*Did you mean 'search'"),
    ("search.trials=-3", ConfigError, "'search.trials' is -3; it must be at least 1"),
    ("search.trials=1e9", ConfigError, "'search.trials'"),
    ("search.trials=many", ConfigError, "'search.trials' is 'many'; it must be a whole number"),
    ("search.order=chaotic", ConfigError, "no choice"),
    ("search.trial_timeout_s=0", ConfigError, "greater than 0"),
    ("search.sampler=nsga3", NotFoundError, "Unknown sampler 'nsga3'[\\s\\S]*gp, nsga2"),
    ("supernet.sharing=family_", NotFoundError, "Unknown sharing policy[\\s\\S]*Did you mean"),
    ("supernet.sharing={norms: famly}", NotFoundError, "Unknown sharing policy 'famly'"),
    ("supernet.sharing={norms: auto}", ConfigError, "'auto' splits weights, and norms with them"),
    ("supernet.sharing={weigts: role}", ConfigError, "Did you mean 'weights'"),
    ("supernet={sharing: auto, weights: hypernetwork}", ConfigError, "'auto' splits kernels"),
    ("supernet.weights=hyper", ConfigError, "Choose one of: shared, hypernetwork"),
    ("supernet.recalibration.passes=3", ConfigError, "3 passes need the policy 'average'"),
    ("objectives=[eror]", NotFoundError, "Unknown objective 'eror'[\\s\\S]*Did you mean 'error'"),
    ("objectives=[]", ConfigError, "'objectives'"),
    ("objectives=[latency, latency_ms]", ConfigError, "are the same"),
    ("preset=tiny", ConfigError, "Choose one of: smoke, small, full"),
    ("confirm.seeds_b=1", ConfigError, "at least 2"),
    ("confirm.seeds_a=0", ConfigError, "'confirm.seeds_a' is 0; it must be at least 1"),
    ("confirm.bins=0", ConfigError, "at least 1"),
    ("confirm.seeds=5", ConfigError, "Unknown key 'confirm.seeds'[\\s\\S]*seeds_[ab]"),
    ("confirm.rivals=[swept_wiring]", NotFoundError, "Did you mean 'swept_wirings'"),
    ("confirm.rivals=[front]", ConfigError, "'front' is no rival"),
    ("confirm.rivals=[published, published]", ConfigError, "'published' is named twice"),
    (
        "confirm.recipes={rate_factors: [1, 2], decay_factors: [1]}",
        ConfigError,
        "2 recipes say nothing about the stability of a ranking",
    ),
    ("confirm.recipes.seeds=9", ConfigError, "recipes.seeds is 9, but there are 2 seeds A"),
    ("confirm.recipe.learning_rate=90", ConfigError, "recipes make a learning_rate of 225"),
    ("confirm.recipes.rate_factors=[0]", ConfigError, "greater than 0"),
    ("executor.kind=slurm", ConfigError, "Choose one of: local, ray, inline"),
    ("executor.workers=0", ConfigError, "at least 1"),
    ("seed=-1", ConfigError, "'seed' is -1"),
    ("space=wired_cn", NotFoundError, "Unknown space 'wired_cn'[\\s\\S]*Did you mean 'wired_cnn'"),
    ("plugins=[no_such_module]", NotFoundError, "no plugin module 'no_such_module'"),
    (
        "constraints={latency: {max: 1, min: 2}}",
        ConfigError,
        "'latency: {min: 2}' and 'latency: {max: 1}' contradict",
    ),
    (
        "constraints={latency: {max: 2}, latency_ms: {max: 1}}",
        ConfigError,
        "'latency: {max: 2}' and 'latency_ms: {max: 1}'",
    ),
    ("constraints={macs: {max: -5}}", ConfigError, "-5"),
]


@pytest.mark.parametrize(("assignment", "kind", "message"), BAD, ids=[bad[0] for bad in BAD])
def test_a_bad_key_is_refused_with_its_place(
    assignment: str, kind: type[NasError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        resolve_config(SPACE, overrides=[assignment])


@pytest.mark.parametrize("name", ["wired_cnnn", "nothing"])
def test_what_is_neither_space_nor_file_is_not_found(name: str) -> None:
    with pytest.raises(NotFoundError, match=f"neither a config file nor a space '{name}'"):
        resolve_config(name)


def test_the_place_of_a_wrong_value_is_file_and_line() -> None:
    document = parse_document(
        "schema: nas.search/1\nspace: tiny_exhaustive\nsearch:\n  trials: 0\n", "mine.yaml"
    )
    with pytest.raises(ConfigError) as caught:
        resolve_config(document)
    assert caught.value.where == "mine.yaml:4, key search.trials"


def test_every_field_of_the_config_has_its_meaning_under_it() -> None:
    tree = ast.parse(inspect.getsource(config_module))
    for model in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for field, below in zip(model.body, [*model.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                assert is_text, f"{model.name}.{ast.unparse(field.target)}"


def test_a_bound_keeps_its_unit_and_one_without_is_asked_about_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    written = resolve_config(SPACE, overrides=["constraints=latency <= 2 us"])
    assert not caplog.records
    assert resolve_config(written.to_dict()) == written
    (bound,) = Goals.of(written).constraints
    assert (bound.upper, bound.bare) == (0.002, False)
    bare = resolve_config(SPACE, overrides=["constraints=latency <= 0.002"])
    assert "write '0.002 s'" in caplog.text
    caplog.clear()
    assert Goals.of(bare).constraints[0].bare
    assert not caplog.records

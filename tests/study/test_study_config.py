"""The file of a study: what is refused, where, and with which way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scale import CHECKOUT
from study_cases import TWO, study

from nas.config_files import parse_document
from nas.errors import ConfigError, NotFoundError, RunError
from nas.study.config import StudyConfig
from nas.study.resolve import check_same_study, make_methods, read_study, resolve_study

EXAMPLES = sorted((CHECKOUT / "examples" / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_sound(path: Path) -> None:
    config = resolve_study(path)
    assert StudyConfig.model_validate(config.to_dict()) == config
    assert len(make_methods(config)) == len(config.methods)


def test_one_seed_has_no_spread() -> None:
    with pytest.raises(ConfigError, match="study of 1 seed has no spread") as caught:
        study(seeds=1)
    assert caught.value.fix == "Write seeds: 5; at least 2."


@pytest.mark.parametrize(
    ("keys", "kind", "match"),
    [
        ({"methods": [{"name": "chain"}]}, ConfigError, "has no kind"),
        ({"methods": [{"kind": "wirring"}]}, NotFoundError, "Unknown study method 'wirring'"),
        ({"methods": [{"kind": "wiring"}]}, ConfigError, "'name' is missing"),
        ({"methods": [{"kind": "random", "member": 2}]}, ConfigError, "Unknown key 'member'"),
        ({"methods": [{"kind": "wiring", "name": "chian"}]}, ConfigError, "no hand-made wiring"),
        ({"methods": [{"kind": "published", "name": "x"}]}, NotFoundError, "published network 'x'"),
        ({"methods": [TWO[0], TWO[0]]}, ConfigError, "Two methods.* called 'chain'"),
        ({"methods": []}, ConfigError, "methods"),
        ({"data": ["digits", "digits"]}, ConfigError, "data set 'digits' stands twice"),
        ({"spaces": ["tiny_exhaustive"] * 2}, ConfigError, "space 'tiny_exhaustive' stands twice"),
        ({"methods": [{"kind": "random", "label": "two\nlines"}]}, ConfigError, "label"),
        ({"methods": [{"kind": "random", "label": ""}]}, ConfigError, "label"),
        ({"control": "dens"}, ConfigError, "control 'dens' is no method"),
        ({"spaces": ["wired"]}, NotFoundError, "wired"),
        ({"match": {"macs": 0}}, ConfigError, "at least 1"),
        ({"match": {"macs": 5, "tolerance": 0.9}}, ConfigError, "at most 0.5"),
        ({"name": "A b"}, ConfigError, "is not a name for a run"),
        ({"seedz": 3}, ConfigError, "Unknown key 'seedz'"),
        ({"recipe": {"epochs": 0}}, ConfigError, "recipe.epochs"),
        ({"recipe": 3}, ConfigError, "recipe"),
        (
            {"methods": [{"kind": "search", "settings": {"seed": 1}}]},
            ConfigError,
            "'seed' of a search inside a study is the study's own",
        ),
        (
            {"methods": [{"kind": "search", "settings": {"search": {"trails": 1}}}]},
            ConfigError,
            "Unknown key 'search.trails'",
        ),
    ],
)
def test_bad_values_are_refused(keys: dict[str, Any], kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        study(**keys)


def test_a_bad_method_is_named_with_its_line() -> None:
    text = (
        "schema: nas.study/1\nname: x\ndata: [digits]\nspaces: [tiny_exhaustive]\n"
        "methods:\n  - {kind: random}\n  - {kind: wiring, name: chian}\n"
    )
    with pytest.raises(ConfigError) as caught:
        resolve_study(parse_document(text, "x.yaml"))
    assert caught.value.where == "x.yaml:7, key methods.1"


def test_a_search_is_no_study(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("schema: nas.search/1\n")
    with pytest.raises(ConfigError, match=r"no study: its schema is 'nas.search/1'"):
        read_study(file)


def test_the_recipe_is_that_of_a_search_where_the_file_is_silent() -> None:
    assert study().recipe.augmentation == "shift"
    assert study(recipe={"augmentation": "none"}).recipe.gradient_clip == 1.0


def test_a_changed_file_is_refused_naming_the_key() -> None:
    before = study().to_dict()
    check_same_study(before, study(), "here")
    changes = {
        "recipe.epochs": {"recipe": {"epochs": 2}},
        "seed": {"seed": 5},
        "methods.1.name": {"methods": [TWO[0], {"kind": "wiring", "name": "fractal"}]},
        "match": {"match": {"macs": 5}},
        "methods": {"methods": [TWO[0]]},
        "spaces.0.": {"spaces": ["wired_cnn"]},
    }
    for key, keys in changes.items():
        with pytest.raises(RunError, match=rf"file has changed: {key}"):
            check_same_study(before, study(**keys), "here")


def test_a_key_that_an_older_version_did_not_know_has_its_default() -> None:
    kept = study().to_dict()
    del kept["latency"]["warm_up"], kept["timeout_s"]
    check_same_study(kept, study(), "here")
    with pytest.raises(RunError, match=r"timeout_s is 5\.0"):
        check_same_study(kept, study(timeout_s=5.0), "here")
    with pytest.raises(RunError, match="file has changed: former is empty"):
        check_same_study({**study().to_dict(), "former": 1}, study(), "here")

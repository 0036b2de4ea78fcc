"""Space files: what is refused, with place and way out, and what a user's own file can hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.errors import ConfigError, NasError, NotFoundError, SpaceError
from nas.space import load_space

GOOD = """\
schema: nas.space/1
kind: stages
name: mine
stages:
  - pattern: {choices: [chain, residual]}
    depth: {choices: [1, 2]}
    width: 8
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_a_file_of_the_users_own_works_by_path(tmp_path: Path) -> None:
    space = load_space(written(tmp_path, GOOD))
    assert (space.name, space.count()) == ("mine", 4)


def test_a_depth_choice_offers_only_the_sizes_a_pattern_exists_for(tmp_path: Path) -> None:
    text = GOOD.replace("[chain, residual]", "[chain, fractal]").replace("[1, 2]", "[2, 3, 7]")
    space = load_space(written(tmp_path, text))
    depths = {(member["stage1.pattern"], member["stage1.depth"]) for member in space.enumerate()}
    assert depths == {("chain", 2), ("chain", 3), ("chain", 7), ("fractal", 3), ("fractal", 7)}


REFUSED: list[tuple[str, str, type[NasError], str]] = [
    ("stages:", "stagse:", ConfigError, r"(?s)stagse.*mine.yaml:4.*Did you mean 'stages'"),
    ("depth:", "depht:", ConfigError, r"(?s)depht.*mine.yaml:6.*Did you mean 'depth'"),
    (
        "chain, residual",
        "chian",
        NotFoundError,
        r"(?s)Unknown pattern 'chian'.*Did you mean 'chain'",
    ),
    ("width: 8", "width: -8", ConfigError, r"(?s)-8.*mine.yaml:7.*width"),
    ("width: 8", "width: eight", ConfigError, r"(?s)eight.*mine.yaml:7.*width"),
    ("width: 8", "width: 1.5", ConfigError, r"(?s)1\.5.*mine.yaml:7.*width"),
    ("width: 8", "width: true", ConfigError, r"(?s)[Tt]rue.*mine.yaml:7.*width"),
    ("width: 8", "width: 8\n    width: 9", ConfigError, r"(?s)width.*mine.yaml:8"),
    ("width: 8", "width: 8\n    operation: conv3", NotFoundError, r"Unknown operation 'conv3'"),
    ("width: 8", "width: 8\n    merge: add", NotFoundError, r"(?s)Unknown merge 'add'.*sum"),
    ("width: 8", "width: {choices: []}", ConfigError, r"(?s)mine.yaml:7.*width"),
    ("depth: {choices: [1, 2]}", "depth: 0", ConfigError, r"(?s)0.*mine.yaml:6.*depth"),
    ("[1, 2]", "[1, 1]", SpaceError, r"offers an option twice"),
    ("kind: stages", "kind: rings", ConfigError, r"(?s)kind of space 'rings'.*stages, cells"),
    ("schema: nas.space/1", "schema: nas.space/9", ConfigError, r"(?s)nas\.space/9.*nas\.space/1"),
    ("schema: nas.space/1\n", "", ConfigError, r"(?s)schema is None.*Start the file with"),
    ("name: mine", "name: ../mine", ConfigError, r"(?s)\.\./mine.*mine.yaml:3"),
    ("name: mine", "name: mine\nplugins: [no_such_module_xyz]", NotFoundError, r"no_such_module"),
    ("stages:\n", "stages: []\nx:\n", ConfigError, r"mine.yaml"),
    (
        "[chain, residual]",
        "[chain, fractal]",
        SpaceError,
        r"(?s)mine.yaml",
    ),
]


@pytest.mark.parametrize(("old", "new", "kind", "message"), REFUSED)
def test_a_wrong_file_is_refused_with_place_and_way_out(
    tmp_path: Path, old: str, new: str, kind: type[NasError], message: str
) -> None:
    text = GOOD.replace(old, new)
    if kind is SpaceError and "fractal" in new:
        text = text.replace("[1, 2]", "[2, 4]")
    with pytest.raises(kind, match=message):
        load_space(written(tmp_path, text))


@pytest.mark.fault("C9")
def test_a_pattern_that_exists_for_no_depth_names_both_keys(tmp_path: Path) -> None:
    text = GOOD.replace("[chain, residual]", "[fractal]").replace("[1, 2]", "[2, 4]")
    with pytest.raises(
        SpaceError,
        match=r"(?s)'fractal' exists for none of the depths \[2, 4\].*"
        r"stage1.pattern and stage1.depth",
    ):
        load_space(written(tmp_path, text))


@pytest.mark.fault("D6")
def test_a_space_that_cannot_be_computed_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    text = GOOD.replace("width: 8", "width: 8\n    stride: 2\n    operation: identity")
    text = text.replace("name: mine", "name: mine\nstem: identity")
    with pytest.raises(SpaceError, match=r"(?s)cannot be built.*'identity'"):
        load_space(written(tmp_path, text))


def test_an_unknown_space_lists_what_there_is() -> None:
    with pytest.raises(
        NotFoundError, match=r"(?s)Unknown space 'wired_cn'.*Did you mean 'wired_cnn'"
    ):
        load_space("wired_cn")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nowhere\.yaml"):
        load_space(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_utf8_names_the_offset(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(GOOD.encode() + b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"UTF-8"):
        load_space(path)


@pytest.mark.fault("C11")
def test_a_plugin_that_fails_on_import_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_plugin_module.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = GOOD.replace("name: mine", "name: mine\nplugins: [broken_plugin_module]")
    with pytest.raises(ConfigError, match=r"broken_plugin_module' fails on import: ZeroDivision"):
        load_space(written(tmp_path, text))


def test_a_plugin_brings_its_own_operation_and_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_wiring_module.py").write_text(
        "from nas.topology.graph import Topology\n"
        "from nas.topology.layers import BatchNorm, Conv\n"
        "from nas.topology.operations import operation\n"
        "from nas.topology.patterns import connection_pattern\n"
        "operation('conv7x7_test', Conv(strided=True, kernel=7), BatchNorm())\n"
        "@connection_pattern('every_other_test')\n"
        "def every_other(size):\n"
        "    edges = {(i, i + 1) for i in range(size)} | {(i, i + 2) for i in range(size - 1)}\n"
        "    return Topology(size + 1, frozenset(edges))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    text = GOOD.replace("name: mine", "name: mine\nplugins: [own_wiring_module]")
    text = text.replace("[chain, residual]", "[every_other_test]")
    text = text.replace("width: 8", "width: 8\n    operation: conv7x7_test")
    space = load_space(written(tmp_path, text))
    assert space.wiring(next(space.enumerate())) == "every_other_test"

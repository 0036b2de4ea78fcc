"""`nas config`: what it writes passes its own check, and what is wrong is named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.cli.main import run
from nas.config_files import load_document
from nas.search.settings.resolve import resolve_config

Captured = pytest.CaptureFixture[str]


def write(folder: Path, text: str) -> Path:
    path = folder / "search.yaml"
    path.write_text(text)
    return path


def test_a_new_file_is_sound_and_can_be_shown(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "mine.yaml"
    assert run(["config", "init", str(path), "--preset", "smoke", "--seed", "7"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert run(["config", "check", str(path)]) == 0
    assert capsys.readouterr() == (f"{path}: sound (nas.search/1)\n", "")
    assert run(["config", "show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["schema"], shown["preset"], shown["seed"]) == ("nas.search/1", "smoke", 7)


def test_what_is_shown_is_sound_itself_and_stays_the_same(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path, "schema: nas.search/1\nspace: skip\npreset: smoke\n")
    assert run(["config", "show", str(path)]) == 0
    first = capsys.readouterr().out
    path.write_text(first)
    assert run(["config", "show", str(path)]) == 0
    assert capsys.readouterr().out == first


def test_a_preset_changes_budgets_and_written_keys_win(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path, "schema: nas.search/1\nspace: skip\n")

    def trials(*options: str) -> int:
        assert run(["config", "show", str(path), "--json", *options]) == 0
        return int(json.loads(capsys.readouterr().out)["search"]["trials"])

    small, smoke = trials(), trials("--set", "preset=smoke")
    assert smoke < small
    assert trials("--set", "preset=smoke", "--set", "search.trials=5") == 5


def test_a_file_that_exists_is_never_overwritten(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path, "precious")
    assert run(["config", "init", str(path)]) == 2
    assert f"error: {path} exists already." in capsys.readouterr().err
    assert path.read_text() == "precious"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, capsys: Captured) -> None:
    assert run(["config", "init", str(tmp_path / "no" / "a.yaml")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


def test_bad_settings_are_refused_before_the_file_is_written(
    tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "a.yaml"
    assert run(["config", "init", str(path), "--preset", "smok"]) == 2
    assert "Did you mean 'smoke'?" in capsys.readouterr().err
    assert not path.exists()


def test_a_misspelt_key_is_named_with_its_line(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path, "schema: nas.search/1\nspace: skip\nsearch:\n  trails: 5\n")
    assert run(["config", "check", str(path)]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: Unknown key 'search.trails'.\n")
    assert f"where: {path}:4, key search.trails\n" in error
    assert "fix: Did you mean 'trials'? Known keys: " in error


def test_an_override_is_checked_like_the_file(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path, "schema: nas.search/1\nspace: skip\n")
    assert run(["config", "check", str(path), "--set", "search.trials=-5"]) == 2
    error = capsys.readouterr().err
    assert "Key 'search.trials' is -5; it must be " in error
    assert "where: --set search.trials=-5, key search.trials" in error


@pytest.mark.parametrize("text", ["space: skip\n", "schema: nas.serch/1\n", "- 1\n", ""])
def test_a_file_has_to_say_what_it_is(text: str, tmp_path: Path, capsys: Captured) -> None:
    assert run(["config", "check", str(write(tmp_path, text))]) == 2
    error = capsys.readouterr().err
    assert "does not say what it is" in error
    for kind in ("search", "space", "study"):
        assert f"'schema: nas.{kind}/1'" in error


def test_a_missing_file_exits_with_3(tmp_path: Path, capsys: Captured) -> None:
    assert run(["config", "check", str(tmp_path / "nowhere.yaml")]) == 3
    assert "There is no file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "space", sorted((Path(__file__).resolve().parents[2] / "search_spaces").glob("*.yaml"))
)
def test_declared_spaces_are_sound(space: Path, capsys: Captured) -> None:
    assert run(["config", "check", str(space), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["kind"] == "nas.space/1"
    assert answer["ok"] is True


def test_the_schema_describes_every_key(tmp_path: Path, capsys: Captured) -> None:
    assert run(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    path = tmp_path / "a.yaml"
    run(["config", "init", str(path)])
    assert set(load_document(path).data) <= set(schema["properties"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("search: {sampler: nsga3}", "Unknown sampler 'nsga3'"),
        ("objectives: [eror]", "Unknown objective 'eror'"),
        ("constraints: {macs: {min: 5, max: 1}}", "contradict each other"),
        ("plugins: [no_such_module]", "no plugin module 'no_such_module'"),
        ("supernet: {sharing: all}", "Unknown sharing policy 'all'"),
    ],
)
def test_check_refuses_what_a_search_would(
    line: str, message: str, tmp_path: Path, capsys: Captured
) -> None:
    path = write(tmp_path, f"schema: nas.search/1\nspace: skip\n{line}\n")
    assert run(["config", "check", str(path)]) in (2, 3)
    assert message in capsys.readouterr().err


def test_check_and_init_refuse_an_unknown_space(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path, "schema: nas.search/1\nspace: skipp\n")
    assert run(["config", "check", str(path)]) == 3
    assert "Did you mean 'skip'?" in capsys.readouterr().err
    assert run(["config", "init", str(tmp_path / "new.yaml"), "--space", "skipp"]) == 3
    assert not (tmp_path / "new.yaml").exists()


def test_what_is_shown_is_what_a_search_would_do(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path, "schema: nas.search/1\nspace: skip\npreset: smoke\n")
    assert run(["config", "show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {**resolve_config(path).to_dict(), "space": "skip"} == shown

"""`nas study`: its estimate, its documents, and what it says to misuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scale import CHECKOUT

from nas.cli.main import run

FILE = """\
schema: nas.study/1
name: mini
data: [digits]
spaces: [tiny_exhaustive]
methods:
  - {kind: wiring, name: chain}
  - {kind: wiring, name: dense}
  - {kind: search, settings: {preset: smoke}}
seeds: 2
max_train_images: 200
test_images: 100
recipe: {epochs: 1}
latency: null
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mini.yaml"
    path.write_text(FILE)
    return path


def test_a_dry_run_prints_cells_and_time_and_writes_nothing(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["study", "mini.yaml", "--dry-run", "--json", "--workers", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "nas.study-estimate/1"
    assert [row["method"] for row in found["rows"]] == ["chain", "dense", "searched"]
    assert found["trainings"] == 6
    assert found["seconds"]["search"] > 0
    assert found["total_seconds"] == pytest.approx(sum(found["seconds"].values()), abs=0.2)
    assert [path.name for path in file.parent.iterdir()] == ["mini.yaml"]


def test_a_study_prints_its_table_and_fills_its_place_in_a_document(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "page.md").write_text("<!-- begin study mini -->\n<!-- end study mini -->\n")
    methods = "methods=[{kind: wiring, name: chain}, {kind: wiring, name: dense}]"
    words = ["study", "mini.yaml", "--set", methods, "--executor", "inline"]
    assert run([*words, "--markdown", "page.md"]) == 0
    table = capsys.readouterr().out
    assert "| chain |" in table
    assert "mean rank" in table
    assert "| chain |" in (file.parent / "page.md").read_text()
    assert run([*words, "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["schema"] == "nas.study-result/1"
    assert found["command"].startswith("nas study mini.yaml --set 'methods=[")
    assert "written: " in captured.err
    assert run(["config", "check", "mini.yaml"]) == 0
    assert run([*words, "--set", "seeds=3"]) == 2
    assert "file has changed: seeds is 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["none.yaml"], 3, "There is no file none.yaml"),
        (["mini.yaml", "--set", "seeds=1"], 2, "where: --set seeds=1, key seeds"),
        (["mini.yaml", "--set", "data=[nowhere.npz]"], 3, "nowhere.npz"),
        (["mini.yaml", "--executor", "many"], 3, "Unknown executor 'many'"),
        (["mini.yaml", "--workers", "0"], 2, "--workers"),
        (["mini.yaml", "--markdown", "none.md"], 3, "There is no document none.md"),
        (["mini.yaml", "--markdown", "mini.yaml"], 2, "has no place for the table"),
    ],
)
def test_misuse_is_told(
    file: Path, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["study", *words]) == code
    assert message in capsys.readouterr().err
    assert not (file.parent / "studies").exists()


def test_the_command_of_an_absolute_path_names_no_folder() -> None:
    from nas.cli.study import command_line

    path = CHECKOUT / "examples" / "studies" / "digits.yaml"
    assert command_line(path, ["seeds=3"]) == "nas study digits.yaml --set seeds=3"
    assert command_line(Path("a/b.yaml"), []) == "nas study a/b.yaml"
    shown = command_line(Path("b.yaml"), ["data=[/home/me/c.npz, d/e.npz]"])
    assert shown == "nas study b.yaml --set 'data=[c.npz, d/e.npz]'"

"""`nas data`: data on stdout, talk on stderr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from image_makers import made_images, save_image_folder
from typer.testing import CliRunner

from nas.cli.data import app
from nas.errors import NotFoundError

RUNNER = CliRunner()


def test_check_prints_shapes_classes_and_the_fingerprint() -> None:
    result = RUNNER.invoke(app, ["check", "digits"])
    assert result.exit_code == 0, result.output
    for part in ("1 x 8 x 8, uint8", "1350, 447", "fingerprint  7294be27", "duplicates   0 test"):
        assert part in result.stdout


def test_check_as_json_is_one_document_with_a_schema() -> None:
    document = json.loads(RUNNER.invoke(app, ["check", "digits", "--json"]).stdout)
    assert document["schema"] == "nas.data/1"
    assert document["classes"][3] == {"label": 3, "name": "3", "train": 137, "test": 46}


def test_convert_writes_the_file_and_says_what_to_type_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    save_image_folder(tmp_path / "set", *made_images(24, 3))
    output = tmp_path / "out.npz"
    result = RUNNER.invoke(
        app, ["convert", str(tmp_path / "set"), str(output), "--limit", "6", "--json"]
    )
    assert result.exit_code == 0, result.output
    assert output.is_file()
    assert json.loads(result.stdout)["count_train"] == 6
    assert "decoding: 24 images" in result.stderr
    assert f"--data {output}" in result.stderr


def test_a_class_name_with_brackets_is_printed_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    save_image_folder(tmp_path / "set", *made_images(24, 3))
    (tmp_path / "set" / "class0").rename(tmp_path / "set" / "[red]")
    assert "[red]" in RUNNER.invoke(app, ["check", str(tmp_path / "set")]).stdout


def test_an_unknown_set_is_the_error_of_the_library() -> None:
    assert isinstance(RUNNER.invoke(app, ["check", "digit"]).exception, NotFoundError)

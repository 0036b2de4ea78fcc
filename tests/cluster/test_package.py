"""What is sent to a cluster: what a search needs, nothing beside it, and no more than fits."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nas.cluster.code_files import code_of
from nas.cluster.package import LIMIT_BYTES, package_of
from nas.config_files import parse_document
from nas.errors import ConfigError, NotFoundError
from nas.search.settings.config import SearchConfig
from nas.sent_files import VARIABLE, located


def config(**keys: Any) -> SearchConfig:
    return SearchConfig.model_validate({"space": "tiny_exhaustive", **keys})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with code and data beside things that are nobody's business."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "mine.py").write_text(
        "import json\nimport helper\n\ndef late():\n    import lazy\n"
    )
    (tmp_path / "helper.py").write_text("from kit.parts import part\n")
    (tmp_path / "lazy.py").write_text("import torch, mine\n")
    (tmp_path / "unrelated.py").write_text("raise SystemExit('was started')\n")
    kit = tmp_path / "kit"
    (kit / "__pycache__").mkdir(parents=True)
    (kit / "__init__.py").write_text("")
    (kit / "parts.py").write_text("part = 1\n")
    (kit / "table.csv").write_text("1,2\n")
    (kit / "__pycache__" / "parts.pyc").write_bytes(b"x")
    (kit / ".secret").write_text("s3cret")
    (tmp_path / "photos" / "train" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "train" / "cat" / "1.png").write_bytes(b"cat")
    (tmp_path / "photos" / ".gitignore").write_text("*")
    (tmp_path / "set.npz").write_bytes(b"npz")
    return tmp_path


def test_code_goes_with_what_it_imports_from_beside_and_nothing_else(home: Path) -> None:
    names = [each.name for each in code_of(["mine"])]
    assert names == [
        *("helper.py", "kit/__init__.py", "kit/parts.py", "kit/table.csv", "lazy.py", "mine.py")
    ]


def test_what_is_installed_is_not_sent(home: Path) -> None:
    assert code_of(["numpy", "json", "sys", "nas.space"]) == []


def test_a_module_that_is_not_there_or_unreadable_is_told(home: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no module 'mien' to send[^$]*PYTHONPATH"):
        code_of(["mien"])
    (home / "broken.py").write_text("def f(:\n")
    with pytest.raises(ConfigError, match=r"broken\.py cannot be read"):
        code_of(["broken"])
    latency = {"devices": {"pi": "no.json"}}
    with pytest.raises(NotFoundError, match=r"'no\.json' does not exist, so it cannot be sent"):
        package_of(config(latency=latency))


def test_files_of_the_config_go_and_are_found_by_the_names_in_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    latency = {"devices": {"pi": "set.npz"}}
    package = package_of(config(data="photos", plugins=["mine"], latency=latency))
    package.write(home / "package.zip")
    there = home / "there"
    with zipfile.ZipFile(home / "package.zip") as archive:
        assert not [name for name in archive.namelist() if "secret" in name or ".git" in name]
        archive.extractall(there)
    monkeypatch.chdir(there)
    monkeypatch.setenv(VARIABLE, package.places_json())
    assert (Path(located("photos")) / "train/cat/1.png").read_bytes() == b"cat"
    assert Path(located("set.npz")).read_bytes() == b"npz"
    assert located("digits") == "digits"
    assert (there / "kit" / "parts.py").exists()


def test_a_function_in_a_file_and_one_in_a_module_go(home: Path) -> None:
    package = package_of(config(data="mine.py:late"))
    assert package.places == {"mine.py:late": "nas_submission/files/0/mine.py:late"}
    assert "helper.py" in package_of(config(data="mine:late")).files
    assert package_of(config(data="/on/the/cluster"), with_data=False).files == {}
    with pytest.raises(NotFoundError, match="Unknown data set 'digist'"):
        package_of(config(data="digist"))


def test_the_same_content_makes_the_same_bytes(home: Path) -> None:
    for name in ("one.zip", "two.zip"):
        package_of(config(data="set.npz", plugins=["mine"])).write(home / name)
        (home / "mine.py").touch()
    assert (home / "one.zip").read_bytes() == (home / "two.zip").read_bytes()


def test_a_package_that_is_too_large_names_its_largest_folder_and_is_not_sent(home: Path) -> None:
    large = home / "photos" / "train" / "dog"
    large.mkdir()
    for number in range(2):
        with (large / f"{number}.png").open("wb") as file:
            file.truncate(LIMIT_BYTES // 2 + 1)
    with pytest.raises(ConfigError) as told:
        package_of(config(data="photos")).write(home / "package.zip")
    assert "more than 100 MiB: its 3 files have 100 MiB, most of it in" in told.value.what
    assert told.value.where == "photos/train/dog"
    assert "--remote-data PATH" in str(told.value.fix)


@pytest.mark.parametrize("text", ["[1]", "{", '{"a": "/etc/passwd"}', '{"a": "x/../../b"}'])
def test_places_that_lead_elsewhere_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigError, match=f"{VARIABLE} is not what a submission sets"):
        located("a")


def test_the_order_of_a_job_is_read_back_and_nothing_else_is_one(tmp_path: Path) -> None:
    from nas.cluster.order import LogState, Order

    order = Order(verb="search", name="a-run", nas="1", copy=LogState(3, "0" * 64), more=("x",))
    (tmp_path / "order.json").write_text(order.to_json())
    assert Order.read(tmp_path) == order
    assert parse_document(order.to_json()).data == json.loads(order.to_json())
    for key, value in {"name": "../x", "surplus": 1, "copy": {"length": 1}}.items():
        (tmp_path / "order.json").write_text(
            json.dumps({**json.loads(order.to_json()), key: value})
        )
        with pytest.raises(ConfigError):
            Order.read(tmp_path)

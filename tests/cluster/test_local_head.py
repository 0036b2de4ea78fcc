"""The notes a local head leaves, and what is refused before one is started."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nas.cluster import local_head as module
from nas.cluster.http import is_loopback
from nas.cluster.local_head import check_ray, end_head, local_head, read_token
from nas.cluster.places import short_temporary_folder, state_folder
from nas.cluster.processes import process
from nas.errors import EnvironmentFault
from nas.run_store.lease import boot_id


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def note(tmp_path: Path, pid: int, begun: str, **fields: Any) -> Path:
    """Write the note of a head whose keeper is this process."""
    folder = tmp_path / "head"
    folder.mkdir()
    (folder / "token").write_text("a" * 64)
    state_folder().mkdir(parents=True, exist_ok=True)
    text = {
        "address": "http://127.0.0.1:9",
        "folder": str(folder),
        "keeper": {"pid": pid, "started": begun},
        "machine": boot_id(),
        "since": "2026-01-01T00:00:00+00:00",
        "ray": "2.60.0",
        **fields,
    }
    (state_folder() / "cluster.json").write_text(json.dumps(text))
    return folder


@pytest.mark.fault("F13")
def test_a_missing_or_old_ray_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.53.1")
    with pytest.raises(EnvironmentFault, match=r"Ray 2\.53\.1 is too old: at least 2\.54"):
        check_ray()

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(EnvironmentFault, match="Ray is not installed"):
        check_ray()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "3.0.0rc1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match="without its job server"):
        check_ray()


@pytest.mark.fault("F13", "F16", "G-S7")
def test_a_head_asks_for_a_token_listens_here_alone_and_takes_no_ray_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    environment = module._environment(tmp_path)
    assert environment["RAY_AUTH_MODE"] == "token"
    assert "RAY_ADDRESS" not in environment
    words = module._ray_command(tmp_path, 1, 2, 0)
    assert {"--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"} <= set(words)


def test_a_process_that_got_the_keepers_number_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        folder = note(tmp_path, stranger.pid, "1")
        head = local_head()
        assert head is not None
        assert not head.is_alive()
        assert end_head() is not None
        assert stranger.poll() is None
        assert not folder.exists()
        assert local_head() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_note_of_before_the_machine_was_started_anew_ends_nobody(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        itself = process(stranger.pid)
        assert itself is not None
        note(tmp_path, itself.pid, itself.started, machine="another start")
        assert end_head() is not None
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"address": 1, "keeper": 2}'])
def test_a_damaged_note_is_told(text: str) -> None:
    state_folder().mkdir(parents=True)
    (state_folder() / "cluster.json").write_text(text)
    with pytest.raises(EnvironmentFault, match="note on the local cluster is damaged"):
        local_head()


@pytest.mark.fault("F13", "F16")
def test_a_token_is_one_word_and_is_not_shown(tmp_path: Path) -> None:
    head_folder = note(tmp_path, os.getpid(), "1")
    assert read_token(head_folder / "token") == "a" * 64
    head = local_head()
    assert head is not None
    assert "aaaa" not in repr(head.endpoint())
    for bad in (b"", b"short", b"two words here", b"\xff\xfe" * 8, b"x" * 5000):
        (tmp_path / "token").write_bytes(bad)
        with pytest.raises(EnvironmentFault, match="token"):
            read_token(tmp_path / "token")


def test_a_heads_folder_leaves_room_for_the_names_of_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = short_temporary_folder()
    try:
        session = "r/session_2026-11-21_18-27-33_217263_1234567/sockets/plasma_store"
        assert len(f"{folder}/{session}") <= 103
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        folder.rmdir()


def test_only_this_machine_is_this_machine() -> None:
    assert is_loopback("http://127.0.0.1:8265")
    assert is_loopback("http://[::1]:8265")
    assert not is_loopback("http://127.0.0.1.evil.example:8265")
    assert not is_loopback("http://ray.example:8265")


def test_a_head_of_which_no_note_can_be_left_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk below the user's state must not leave a head that nobody knows of."""

    def full(path: Path, value: Any) -> None:
        raise EnvironmentFault("disk full", where=str(path), fix="Free some space.")

    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    folders: list[Path] = []

    def folder() -> Path:
        folders.append(short_temporary_folder())
        return folders[-1]

    monkeypatch.setattr(module, "_ray_command", lambda *_: sleeper)
    monkeypatch.setattr(module, "short_temporary_folder", folder)
    monkeypatch.setattr(module, "write_json", full)
    begun: list[subprocess.Popen[bytes]] = []
    launch = subprocess.Popen

    def noted(*words: Any, **options: Any) -> Any:
        child = launch(*words, **options)
        begun.append(child)
        return child

    monkeypatch.setattr(module.subprocess, "Popen", noted)
    with pytest.raises(EnvironmentFault, match="disk full"):
        module._launch("2.60.0", 1, 0)
    assert process(begun[0].pid) is None
    begun[0].wait()
    assert not folders[0].exists()

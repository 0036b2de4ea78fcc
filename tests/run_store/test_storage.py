"""Atomic files, the lock, fault hooks and weights."""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from run_store.forked import KILLED, in_child, start_child, wait_for
from scale import scaled

from nas.errors import ConfigError, EnvironmentFault, RunError
from nas.run_store import atomic, faults
from nas.run_store.lock import RunLock, owner_of
from nas.run_store.weights import WeightStore, serialize

OLD, NEW = b"old" * 100, b"new!" * 300


@pytest.mark.fault("A2", "G-R8", "G-R9")
def test_a_file_killed_at_every_step_of_writing_is_old_or_new_and_never_mixed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "front.json"
    kills = 0
    for count in range(1, 20):
        path.write_bytes(OLD)
        ended = in_child(lambda: atomic.write_bytes(path, NEW), fault=f"*:{count}")
        assert path.read_bytes() in (OLD, NEW)
        atomic.remove_stray_temporaries(tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == ["front.json"]
        if ended == 0:
            break
        assert ended == KILLED
        kills += 1
    assert kills == 5
    assert path.read_bytes() == NEW


@pytest.mark.fault("B2")
@pytest.mark.parametrize("site", ["atomic_before_write", "atomic_mid_write"])
def test_a_full_disk_keeps_the_old_file_and_leaves_no_temporary(
    tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "front.json"
    path.write_bytes(OLD)
    faults.forget_passes()
    monkeypatch.setenv(faults.VARIABLE, f"{site}:1:full")
    with pytest.raises(EnvironmentFault, match=r"(?s)disk full: cannot write front.json.*resume"):
        atomic.write_bytes(path, NEW)
    assert path.read_bytes() == OLD
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.fault("B15")
def test_a_link_is_replaced_by_a_write_and_refused_by_a_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(OLD)
    link = tmp_path / "view"
    link.symlink_to(outside)
    with pytest.raises(RunError, match="'view' is not a regular file; nothing in a run"):
        atomic.read_bytes(link)
    atomic.write_bytes(link, NEW)
    assert outside.read_bytes() == OLD
    assert not link.is_symlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RunError, match="'pipe' is not a regular file"):
        atomic.read_bytes(tmp_path / "pipe")


@pytest.mark.fault("B15")
def test_a_link_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "weights").symlink_to(tmp_path / "real")
    with pytest.raises(RunError, match=r"(?s)'weights' is not a folder.*by hand"):
        WeightStore(tmp_path / "weights").put({"a": np.zeros(1)})
    assert list((tmp_path / "real").iterdir()) == []
    with pytest.raises(EnvironmentFault, match="Cannot make the folder b"):
        atomic.make_folder(tmp_path / "missing" / "b")


def test_text_and_json_are_written_whole_and_nan_is_refused(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a", "naïve")
    atomic.write_json(tmp_path / "b", {"b": [1.5], "a": None})
    assert (tmp_path / "a").read_text(encoding="utf-8") == "naïve"
    assert (tmp_path / "b").read_text() == '{\n  "a": null,\n  "b": [\n    1.5\n  ]\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json(tmp_path / "b", float("nan"))


@pytest.mark.fault("B10")
def test_a_folder_that_cannot_be_written_is_found_out_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EnvironmentFault, match=r"(?s)Cannot write to the folder gone.*bring it"):
        atomic.probe_writable(tmp_path / "gone")
    atomic.probe_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(EnvironmentFault, match="Read-only file system"):
        atomic.probe_writable(tmp_path)
    with pytest.raises(EnvironmentFault, match="Cannot read x: Read-only"):
        atomic.read_bytes(tmp_path / "x")


def test_a_wrong_fault_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("before_append", "x:0", ":1", "x:y", "x:1:later"):
        monkeypatch.setenv(faults.VARIABLE, text)
        with pytest.raises(ConfigError, match=r"(?s)NAS_FAULT is '.*must be 'site:n'.*Unset"):
            faults.reach("before_append")


def test_a_second_owner_is_refused_within_a_second_and_told_who_and_since_when(
    tmp_path: Path,
) -> None:
    lock = RunLock(tmp_path / "lock", "mine")
    started = time.monotonic()
    message = rf"(?s)Run 'mine' is in use by pid {os.getpid()} on host .* since \d{{4}}-.*nas stop"
    with pytest.raises(RunError, match=message):
        RunLock(tmp_path / "lock", "mine")

    def second() -> None:
        with pytest.raises(RunError, match=message):
            RunLock(tmp_path / "lock", "mine")

    assert in_child(second) == 0
    assert time.monotonic() - started < 2
    owner = owner_of(tmp_path / "lock")
    assert owner is not None
    assert owner.pid == os.getpid()
    lock.release()
    lock.release()
    assert owner_of(tmp_path / "lock") is None
    RunLock(tmp_path / "lock", "mine").release()


@pytest.mark.fault("A16", "G-R11")
def test_the_lock_is_free_at_once_after_kill_9_even_if_a_forked_child_lives(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lock"
    ready, signal_ready = os.pipe()

    def own_and_fork() -> None:
        RunLock(path, "mine")
        start_child(lambda: (os.write(signal_ready, b"%d" % os.getpid()), time.sleep(5)))
        time.sleep(60)

    for _ in range(scaled(20)):
        pid = start_child(own_and_fork)
        orphan = int(os.read(ready, 20))
        assert owner_of(path) is not None
        os.kill(pid, signal.SIGKILL)
        assert wait_for(pid) == KILLED
        started = time.monotonic()
        RunLock(path, "mine").release()
        assert time.monotonic() - started < 1
        os.kill(orphan, signal.SIGKILL)
    os.close(ready)
    os.close(signal_ready)


def test_the_lock_is_not_inherited_by_programs_the_owner_starts(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "lock", "mine")
    assert lock._descriptor is not None
    assert not os.get_inheritable(lock._descriptor)
    lock.release()


@pytest.mark.fault("A16")
def test_a_child_that_was_forked_just_before_its_owner_died_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child holds the lock on until it runs for the first time; here that takes a while."""
    path = tmp_path / "lock"
    ready, signal_ready = os.pipe()

    def own_and_fork() -> None:
        release = RunLock.release

        def slowly(lock: RunLock) -> None:
            time.sleep(0.1)
            release(lock)

        monkeypatch.setattr(RunLock, "release", slowly)
        lock = RunLock(path, "mine")
        os.write(signal_ready, b"%d" % start_child(lambda: time.sleep(5)))
        time.sleep(60)
        lock.release()

    monkeypatch.setattr("nas.run_store.lock._PATIENCE_S", 20.0)
    pid = start_child(own_and_fork)
    orphan = int(os.read(ready, 20))
    os.kill(pid, signal.SIGKILL)
    wait_for(pid)
    RunLock(path, "mine").release()
    os.kill(orphan, signal.SIGKILL)
    os.close(ready)
    os.close(signal_ready)


def test_an_unreadable_owner_is_still_an_owner(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "lock", "mine")
    (tmp_path / "lock").write_text("nonsense")
    owner = owner_of(tmp_path / "lock")
    assert owner is not None
    assert (owner.pid, owner.host) == (0, "unknown")
    lock.release()
    assert owner_of(tmp_path / "nothing") is None


def test_a_lock_that_cannot_be_taken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(RunError, match="'link' is not a regular file"):
        RunLock(tmp_path / "link", "mine")
    with pytest.raises(EnvironmentFault, match="Cannot take the run's lock"):
        RunLock(tmp_path / "gone" / "lock", "mine")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(EnvironmentFault, match=r"(?s)cannot lock \(No locks.*local disk: --runs"):
        RunLock(tmp_path / "lock", "mine")
    assert owner_of(tmp_path / "lock") is None


named_arrays = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter("__metadata__".__ne__),
    st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_]).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0, max_side=3))
    ),
    max_size=4,
)


@given(named_arrays, st.dictionaries(st.text(max_size=4), st.integers(), max_size=4))
def test_weights_read_back_as_they_were_and_equal_content_gives_equal_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    tensors: dict[str, np.ndarray[Any, Any]],
    metadata: dict[str, int],
) -> None:
    store = WeightStore(tmp_path_factory.mktemp("run") / "weights")
    sha = store.put(tensors, metadata)
    found = store.get(sha)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found[name], tensor)
    assert store.metadata(sha) == metadata
    turned = dict(reversed(tensors.items()))
    assert serialize(turned, dict(reversed(metadata.items()))) == store.get_bytes(sha)


def test_strided_and_foreign_byte_orders_are_kept_by_value(tmp_path: Path) -> None:
    store = WeightStore(tmp_path / "weights")
    matrix = np.arange(12.0).reshape(3, 4)
    sha = store.put({"t": matrix.T, "b": matrix.astype(">f4"), "s": np.float32(3.0)})
    found = store.get(sha)
    np.testing.assert_array_equal(found["t"], matrix.T)
    np.testing.assert_array_equal(found["b"], matrix)
    assert found["s"].shape == ()
    assert store.metadata(sha) == {}


@pytest.mark.fault("B7", "B8", "G-R7")
def test_no_damaged_weights_are_ever_returned(tmp_path: Path) -> None:
    store = WeightStore(tmp_path / "weights")
    sha = store.put({"a": np.arange(10, dtype=np.float32)}, {"epoch": 3})
    path, whole = store.path(sha), store.path(sha).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(scaled(2_000)):
        data = bytearray(whole)
        if rng.random() < 0.5:
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        else:
            del data[rng.integers(len(data)) :]
        path.write_bytes(data)
        with pytest.raises(RunError, match=r"(?s)weights .* are damaged: their SHA-256.*--repair"):
            store.get(sha)
    assert store.put_bytes(whole) == sha
    assert store.metadata(sha) == {"epoch": 3}


def test_missing_or_foreign_weights_are_named(tmp_path: Path) -> None:
    store = WeightStore(tmp_path / "run" / "weights")
    doctor = re.escape(f"`nas doctor {tmp_path / 'run'}`")
    with pytest.raises(RunError, match=rf"(?s)weights abababababab are missing.*{doctor}"):
        store.get("ab" * 32)
    for wrong in ("../lock", "ab" * 31, "AB" * 32, "ab" * 32 + "\n"):
        with pytest.raises(RunError, match="is not the address of weights"):
            store.get(wrong)
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match=r"(?s)are not a safetensors file.*do not use them"):
        store.get(store.put_bytes(b"not safetensors"))


def test_what_weights_cannot_hold_is_refused(tmp_path: Path) -> None:
    store = WeightStore(tmp_path / "weights")
    with pytest.raises(RunError, match=r"(?s)'a' has the type object.*never objects"):
        store.put({"a": np.array([object()])})
    with pytest.raises(RunError, match=r"metadata of weights cannot be written as JSON"):
        store.put({}, {"a": float("inf")})
    reader = WeightStore(tmp_path / "weights", writable=False)
    with pytest.raises(RunError, match="was opened for reading"):
        reader.put({})
    with pytest.raises(RunError, match="was opened for reading"):
        reader.collect_garbage(())


def test_garbage_collection_deletes_only_what_is_not_kept(tmp_path: Path) -> None:
    store = WeightStore(tmp_path / "weights")
    assert store.names() == []
    shas = [store.put({"a": np.full(2, value)}) for value in range(3)]
    (tmp_path / "weights" / "README").write_text("mine")
    assert store.collect_garbage([shas[1]]) == sorted({shas[0], shas[2]})
    assert store.names() == [shas[1]]
    assert (tmp_path / "weights" / "README").exists()

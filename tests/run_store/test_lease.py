"""Runs on network file systems: one owner among machines, whatever their clocks say.

Other machines are forked processes that are told another boot id and a kernel without locks, as a
file system mounted without them has.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_store.forked import KILLED, in_child, start_child, wait_for

from nas.errors import EnvironmentFault, RunError
from nas.run_store import Run, lease, list_runs, lock
from nas.run_store.file_system import kind_among, network_kind
from nas.run_store.lease import Lease, RunLease, read_lease
from nas.run_store.lock import RunLock, owner_of

PATIENCE, RENEWAL = 5.0, 0.1
"""A living owner is given long, for a busy machine may hold it up; no test waits for that long."""
SHORT = 0.5
"""Enough for an owner that is stopped."""


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every folder be on a file system that other machines write to, and waiting be short."""
    monkeypatch.setattr(lock, "network_kind", lambda path: "nfs4")
    monkeypatch.setattr(lease, "PATIENCE_S", PATIENCE)
    monkeypatch.setattr(lease, "RENEW_S", RENEWAL)
    monkeypatch.setattr(lease, "SETTLE_S", 0.01)
    monkeypatch.setattr(lease, "_POLL_S", 0.05)


def without_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    with Run.create(tmp_path, "shared", {}, {}) as run:
        run.append({"kind": "stage_started", "stage": "explore"})
    return tmp_path / "shared"


@pytest.fixture(name="elsewhere")
def _elsewhere(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A process of another machine that owns the run and renews its lease."""
    ready, tell = os.pipe()
    monkeypatch.setattr("fcntl.flock", without_locks)

    def own() -> None:
        monkeypatch.setattr(lease, "boot_id", lambda: "another machine")
        monkeypatch.setattr("socket.gethostname", lambda: "node7")
        run = Run.open(path, write=True)
        signal.signal(signal.SIGUSR1, lambda *_: append_late(run))
        os.write(tell, b"1")
        while True:
            time.sleep(0.05)

    pid = start_child(own)
    assert os.read(ready, 1) == b"1"
    yield pid
    os.kill(pid, signal.SIGKILL)
    wait_for(pid)
    os.close(ready)
    os.close(tell)


def append_late(run: Run) -> None:
    """Append, and leave with 3 if that is refused because the run was taken over."""
    try:
        run.append({"kind": "verdict", "late": True})
    except RunError as error:
        os._exit(3 if "was taken over by" in str(error) else 4)
    os._exit(0)


@pytest.mark.fault("A17", "G-R11")
def test_a_run_of_another_machine_is_refused_at_once_and_the_way_to_take_it_is_named(
    path: Path, elsewhere: int
) -> None:
    started = time.monotonic()
    message = rf"(?s)'shared' is in use by pid {elsewhere} on host node7.*nas resume .* --take-over"
    with pytest.raises(RunError, match=message):
        Run.open(path, write=True)
    assert time.monotonic() - started < 1
    reader = Run.open(path)
    assert reader.state() == "running"
    assert str(reader.owner()).startswith(f"pid {elsewhere} on host node7")
    assert [summary.state for summary in list_runs(path.parent)] == ["running"]


@pytest.mark.fault("A17")
def test_a_living_owner_is_never_taken_over_and_a_dead_one_is(
    path: Path, elsewhere: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunError, match=r"(?s)'shared' is alive: pid \d+ on host node7.*nas stop"):
        Run.open(path, write=True, take_over=True)
    os.kill(elsewhere, signal.SIGSTOP)
    monkeypatch.setattr(lease, "PATIENCE_S", SHORT)
    with Run.open(path, write=True, take_over=True) as run:
        found = read_lease(path / "lease")
        assert found is not None and (found.pid, found.fence) == (os.getpid(), 3)
        run.append({"kind": "verdict"})


@pytest.mark.fault("A6", "A10", "A17")
def test_an_owner_that_slept_while_its_run_was_taken_can_append_nothing_any_more(
    path: Path, elsewhere: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(elsewhere, signal.SIGSTOP)
    monkeypatch.setattr(lease, "PATIENCE_S", SHORT)
    with Run.open(path, write=True, take_over=True) as run:
        os.kill(elsewhere, signal.SIGCONT)
        os.kill(elsewhere, signal.SIGUSR1)
        assert end_of(elsewhere) == 3
        run.append({"kind": "verdict", "late": False})
        time.sleep(3 * RENEWAL)
        run.append({"kind": "verdict", "late": False})
    assert [record.get("late") for record in Run.open(path).records()[2:]] == [False, False]


def end_of(pid: int) -> int:
    """Return how a child ended, and leave it to be waited for once more."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert found is not None
    return found.si_status


@pytest.mark.fault("A18", "G-R14")
@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0, -262.0, 262.0])
def test_clocks_that_differ_or_jump_change_nothing_about_a_lease(
    path: Path, elsewhere: int, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump_s)
    with pytest.raises(RunError, match="'shared' is alive"):
        Run.open(path, write=True, take_over=True)
    os.utime(path / "lease", (real() + jump_s, real() + jump_s))
    with pytest.raises(RunError, match="is in use by"):
        Run.open(path, write=True)


@pytest.mark.fault("A16", "A17", "G-R11")
def test_on_one_machine_the_kernel_decides_and_a_dead_owner_leaves_nothing_to_wait_for(
    path: Path,
) -> None:
    def own() -> None:
        Run.open(path, write=True)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(own) == KILLED
    kept = read_lease(path / "lease")
    assert kept is not None and not kept.released
    started = time.monotonic()
    with Run.open(path, write=True):
        assert time.monotonic() - started < 1
    kept = read_lease(path / "lease")
    assert kept is not None and kept.released
    assert Run.open(path).state() == "interrupted"


def test_a_lease_is_renewed_and_given_back_and_a_forked_child_does_neither(path: Path) -> None:
    with Run.open(path, write=True):
        before = read_lease(path / "lease")
        assert in_child(lambda: None) == 0
        deadline = time.monotonic() + 10
        while read_lease(path / "lease") == before and time.monotonic() < deadline:
            time.sleep(RENEWAL)
        after = read_lease(path / "lease")
        assert before is not None and after is not None
        assert after.counter > before.counter and not after.released


@pytest.mark.fault("A17")
def test_a_lease_that_cannot_be_read_is_of_nobody_known_and_may_be_taken_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "PATIENCE_S", SHORT)
    (path / "lease").write_text("{")
    with pytest.raises(RunError, match=r"in use by pid 0 on host unknown since unknown"):
        Run.open(path, write=True)
    Run.open(path, write=True, take_over=True).close()


def test_a_lease_whose_owner_gave_it_back_or_deleted_it_meanwhile_is_taken_at_once(
    path: Path, elsewhere: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(elsewhere, signal.SIGSTOP)
    monkeypatch.setattr(lease, "PATIENCE_S", SHORT)
    naps = iter([lambda: (path / "lease").unlink()])
    real = time.sleep

    def sleep(seconds: float) -> None:
        for nap in naps:
            nap()
            break
        real(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    with Run.open(path, write=True, take_over=True):
        found = read_lease(path / "lease")
        assert found is not None and found.fence == 1


def test_a_run_that_somebody_else_took_is_not_given_back(path: Path) -> None:
    run = Run.open(path, write=True)
    other = Lease("node9", "another machine", 5, "today", "token", 9)
    (path / "lease").write_text(json.dumps(vars(other)))
    with pytest.raises(RunError, match=r"(?s)was taken over by pid 5 on host node9.*Nothing more"):
        run.append({"kind": "verdict"})
    run.close()
    assert read_lease(path / "lease") == other
    (path / "lease").unlink()
    held = RunLease(path / "lease")
    (path / "lease").unlink()
    with pytest.raises(RunError, match="was taken over by somebody who removed the lease"):
        held.check()
    held.release()


def test_who_works_on_a_network_file_system_is_told_once(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_warned", set())
    for _ in range(2):
        Run.open(path, write=True).close()
    assert caplog.text.count("'shared' lies on a network file system (nfs4)") == 1


def test_a_local_disk_needs_no_lease_and_takes_none_from_a_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path / "lease").write_text(json.dumps(vars(Lease("far", "away", 5, "then", "token", 9))))
    monkeypatch.setattr(lock, "network_kind", lambda path: None)
    assert owner_of(path / "lock") is None
    with Run.open(path, write=True):
        assert not (path / "lease").exists()


def test_without_a_lease_a_file_system_must_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcntl.flock", without_locks)
    RunLock(path / "lock", "shared").release()
    monkeypatch.setattr(lock, "network_kind", lambda path: None)
    with pytest.raises(EnvironmentFault, match="cannot lock"):
        RunLock(path / "lock", "shared")


MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:35 / /home rw shared:20 - nfs4 server:/home rw
41 40 0:36 / /home/me/local\040disk rw - xfs /dev/sdb rw
42 22 0:37 / /scratch rw master:3 - fuse.sshfs me@far:/scratch rw
43 42 0:38 / /scratch rw - tmpfs tmpfs rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/runs", "ext4"),
        ("/home/me/runs", "nfs4"),
        ("/homework", "ext4"),
        ("/home/me/local disk/runs", "xfs"),
        ("/scratch/runs", "tmpfs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_deepest_and_latest_mount(
    path: str, kind: str
) -> None:
    assert kind_among(MOUNTS, Path(path)) == kind


def test_this_machine_tells_its_file_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert network_kind(tmp_path) is None
    monkeypatch.setattr("nas.run_store.file_system.kind_among", lambda text, path: "nfs4")
    assert network_kind(tmp_path) == "nfs4"
    monkeypatch.setattr("nas.run_store.file_system._MOUNTS", tmp_path / "none")
    assert network_kind(tmp_path) is None

"""Parts of the Ray executor that need no Ray running: addresses, copies of weights, refusals."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray")

import ray
from search_runs import fake_config, fake_search

from nas.errors import ClusterError, ConfigError, EnvironmentFault
from nas.objectives.device_fingerprint import device_fingerprint
from nas.run_store.weights import WeightStore, serialize
from nas.search.executors import Setup
from nas.search.executors.ray_crew import why_gone
from nas.search.executors.ray_executor import joins_cluster, needs_of
from nas.search.executors.ray_link import Node, check_cluster
from nas.search.executors.ray_worker import (
    Evaluator,
    NodeScratch,
    check_fingerprint,
    check_version,
)
from nas.search.executors.scratch import scratch_folder, sweep


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://10.0.0.5:8265", "the address of a job server and dashboard"),
        ("http://[::1]:8265/", r"--address 'http://\[::1\]:8265/'\. Or .* \[::1\]:6379: "),
        ("ray://10.0.0.5:10001", "an address for Ray's client"),
        ("ftp://10.0.0.5:21", "no address of a Ray head"),
        ("somewhere", "which is written host:port"),
        (":6379", "which is written host:port"),
        ("host:port", "which is written host:port"),
    ],
)
def test_an_address_that_is_no_head_is_refused_and_the_way_out_named(
    monkeypatch: pytest.MonkeyPatch, address: str, told: str
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConfigError, match=told) as caught:
        check_cluster(address)
    assert "RAY_ADDRESS" in str(caught.value.where)
    assert "nas submit" in str(caught.value.fix)
    assert re.search(r"the head's own address, such as \S+:6379: ", str(caught.value.fix))


@pytest.mark.fault("G-R16")
def test_a_cluster_that_cannot_be_reached_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    began = time.monotonic()
    with pytest.raises(ClusterError, match=f"at 127.0.0.1:{port} cannot be reached") as caught:
        fake_search(tmp_path, executor="ray")
    assert time.monotonic() - began < 10
    assert caught.value.exit_code == 6
    assert "ray status" in str(caught.value.fix)
    assert not list(tmp_path.iterdir())


def test_a_host_that_no_name_can_have_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ClusterError, match="cannot be reached"):
        check_cluster(f"{'a' * 80}:6379")


def test_the_environment_names_another_cluster_than_the_config(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert not joins_cluster(None)
    assert joins_cluster("head:6379")
    monkeypatch.setenv("RAY_ADDRESS", "http://elsewhere:8265")
    with pytest.raises(ConfigError, match="http://elsewhere:8265"):
        check_cluster("head:6379")


@pytest.mark.parametrize(
    "override",
    [
        "executor.address=http://head:8265",
        "executor.resources={'a b': 1}",
        "executor.resources={marker: 0}",
        "executor.resources={GPU: 1}",
        "executor.gpus_per_worker=-1",
    ],
)
def test_settings_of_a_cluster_are_checked(override: str) -> None:
    with pytest.raises(ConfigError, match=r"executor\."):
        fake_config(override)


def test_the_address_of_a_dashboard_is_told_from_that_of_a_head() -> None:
    told = r"a job server and dashboard.*[\s\S]*key executor\.address[\s\S]*such as head:6379: `ray"
    with pytest.raises(ConfigError, match=told):
        fake_config("executor.address=http://head:8265")


def test_needs_are_counted_against_what_a_node_has() -> None:
    setup = Setup("a:b", {}, threads=2, memory_gib=1.5, gpus=0.25, resources={"marker": 1})
    needs = needs_of(setup, private=False)
    assert needs == {"CPU": 2.0, "memory": 1.5 * 2**30, "GPU": 0.25, "marker": 1}
    full = {"CPU": 64.0, "GPU": 8.0, "memory": 100.0 * 2**30, "marker": 64.0}
    assert Node("n", full).fits(needs) == 32
    assert Node("n", {**full, "GPU": 1.0}).fits(needs) == 4
    assert Node("n", {**full, "memory": 4.6 * 2**30}).fits(needs) == 3
    assert Node("n", {**full, "marker": 0.5}).fits(needs) == 0
    assert Node("n", {"CPU": 4.0}).fits(needs) == 0
    assert needs_of(setup, private=True)["CPU"] == 1.0


@pytest.mark.fault("A7")
def test_an_end_for_want_of_memory_is_told_from_a_death_and_from_a_loss() -> None:
    errors = ray.exceptions
    assert why_gone(ray, errors.OutOfMemoryError("Task was killed due to the node"))[0] == "oom"
    assert why_gone(ray, errors.ActorUnavailableError("gone", b"0" * 16))[0] == "lost"
    assert why_gone(ray, errors.NodeDiedError("gone"))[0] == "lost"
    reason, message = why_gone(ray, errors.ActorDiedError())
    assert reason == "died"
    assert "process ended" in message


def test_a_worker_of_another_version_is_refused() -> None:
    with pytest.raises(EnvironmentFault, match=r"the search runs with 0\.0\.0") as caught:
        check_version("0.0.0")
    assert "every node" in str(caught.value.fix)


def test_a_worker_on_another_device_is_refused_and_both_are_named() -> None:
    here = device_fingerprint("cpu", 1).digest
    check_fingerprint(None, {}, 1)
    check_fingerprint(here, {"device": "cpu"}, 1)
    with pytest.raises(EnvironmentFault, match=f"{here[:12]}, wanted is 0123456789ab"):
        check_fingerprint("0123456789abcdef", {"device": "cpu"}, 1)


def weights(value: float = 1.0) -> tuple[str, bytes]:
    data = serialize({"w": np.full(4, value)})
    return hashlib.sha256(data).hexdigest(), data


def test_copies_of_weights_are_shared_checked_and_removed_by_the_last(tmp_path: Path) -> None:
    sha, data = weights()
    one, two = (NodeScratch("search", "node", tmp_path) for _ in range(2))
    assert one.folder == two.folder
    assert one.folder.stat().st_mode & 0o777 == 0o700
    one.put(sha, data)
    file = WeightStore(one.folder / "weights").path(sha)
    written = file.stat().st_mtime_ns, file.stat().st_ino
    two.put(sha, data)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == written
    with pytest.raises(EnvironmentFault, match="came over the network with other bytes"):
        two.put(sha, weights(2.0)[1])
    one.leave()
    assert file.exists()
    two.leave()
    assert not list(tmp_path.iterdir())


@pytest.mark.fault("A1")
def test_copies_that_killed_workers_left_are_removed_by_the_next(tmp_path: Path) -> None:
    sha, data = weights()
    held = NodeScratch("one", "node", tmp_path)
    dead = NodeScratch("two", "node", tmp_path)
    dead.put(sha, data)
    dead._lock.close()  # as the kernel does for a process that was killed
    assert sweep(tmp_path) == [dead.folder]
    assert held.folder.exists()
    held.leave()


@pytest.mark.fault("A1")
def test_what_a_killed_worker_kept_is_removed_by_whoever_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    child = os.fork()
    if child == 0:
        worker = Evaluator()
        worker._task = lambda payload: os.kill(os.getpid(), signal.SIGKILL)
        worker.work_and_keep(b"{}")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(f"nas-kept-{os.getuid()}-")
    with scratch_folder("kept") as held:
        assert not left.exists()
        mine: list[Path] = []
        worker = Evaluator()
        worker._task = lambda payload: mine.append(Path(payload["keep"])) or {}
        _, files = worker.work_and_keep(b"{}")
        assert files == {} and held.exists(), "one in use stays"
        assert len(mine) == 1 and not mine[0].exists()
    with scratch_folder("tune") as other:  # whoever comes next, for whatever
        assert list(tmp_path.iterdir()) == [other]


@pytest.mark.fault("A1")
def test_a_folder_whose_lock_was_taken_before_its_owner_had_it_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    locked, swept = fcntl.flock, []

    def late(lock: object, how: int) -> None:
        if how == fcntl.LOCK_EX and not swept:
            swept.extend([None, *sweep(tmp_path)])
        locked(lock, how)

    monkeypatch.setattr("nas.search.executors.scratch.fcntl.flock", late)
    with scratch_folder("kept") as own:
        assert own.exists() and own not in swept and len(swept) == 2


@pytest.mark.fault("B15")
def test_a_folder_that_is_not_the_users_alone_is_not_used(tmp_path: Path) -> None:
    fine = NodeScratch("search", "node", tmp_path)
    name = fine.folder.name
    fine.leave()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / name).symlink_to(elsewhere)
    with pytest.raises(EnvironmentFault, match="not this user's alone"):
        NodeScratch("search", "node", other)
    (other / name).unlink()
    (other / name).mkdir(mode=0o755)
    (other / name).chmod(0o755)
    with pytest.raises(EnvironmentFault, match="not this user's alone"):
        NodeScratch("search", "node", other)
    assert not list(elsewhere.iterdir())


def test_nothing_of_a_cluster_is_asked_for_where_ray_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EnvironmentFault, match="not installed"):
        check_cluster()

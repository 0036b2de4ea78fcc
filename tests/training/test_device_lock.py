"""Trainings pause while somebody measures, in whichever process; nobody starves, nobody blocks."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lock_holders import hold, measure, train
from process_watch import OPEN_FILES, open_files
from torch import nn

from nas.errors import EnvironmentFault
from nas.training import device_lock as module
from nas.training.device_lock import (
    DeviceLock,
    device_name,
    lock_folder,
    measuring_on,
    working_on,
)
from nas.training.fit import fit
from nas.training.parts import DataPart, Normalisation
from nas.training.recipe import Recipe

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def processes() -> Iterator[list[Any]]:
    started: list[Any] = []
    yield started
    for process in started:
        process.kill()
        process.join(10)


def start(processes: list[Any], target: Any, *arguments: Any) -> tuple[Any, Connection]:
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=target, args=(arguments[0], theirs, *arguments[1:]), daemon=True)
    process.start()
    processes.append(process)
    theirs.close()
    return process, ours


def ready(*pipes: Connection) -> None:
    for pipe in pipes:
        assert pipe.poll(60)
        assert pipe.recv() == "ready"


def test_two_trainings_pause_while_a_third_process_measures_and_it_never_starves(
    tmp_path: Path, processes: list[Any]
) -> None:
    pipes = [start(processes, train, tmp_path, step_s)[1] for step_s in (0.004, 0.007)]
    ready(*pipes)
    lock = DeviceLock("cpu", tmp_path)
    alone, waits = [], []
    for _ in range(8):
        asked = time.monotonic()
        with lock.measuring() as is_alone:
            began = time.monotonic()
            time.sleep(0.03)
            alone.append((began, time.monotonic()))
        assert is_alone
        waits.append(began - asked)
    for pipe in pipes:
        pipe.send("stop")
    steps = [step for pipe in pipes for step in pipe.recv()]
    for began, ended in alone:
        assert not [step for step in steps if step[0] < ended and step[1] > began]
    assert sorted(waits)[4] < 1.0
    for (_, ended), (following, _) in itertools.pairwise(alone):
        assert [step for step in steps if ended <= step[0] < following], "training went on between"


def test_trainings_get_on_however_many_processes_measure_all_the_time(
    tmp_path: Path, processes: list[Any]
) -> None:
    pipes = [start(processes, measure, tmp_path, 0.02)[1] for _ in range(3)]
    ready(*pipes)
    lock = DeviceLock("cpu", tmp_path)
    waits = []
    with lock.working() as turn:
        for _ in range(20):
            waits.append(turn.pause())
            time.sleep(0.002)
    assert max(waits) > 0
    assert sorted(waits)[15] < 0.5


@pytest.mark.parametrize("alone", [True, False])
def test_a_holder_that_is_killed_frees_the_device(
    tmp_path: Path, processes: list[Any], alone: bool
) -> None:
    holder, pipe = start(processes, hold, tmp_path, alone)
    ready(pipe)
    lock = DeviceLock("cpu", tmp_path, patience_s=30)
    killer = threading.Timer(0.2, lambda: os.kill(holder.pid, signal.SIGKILL))
    killer.start()
    began = time.monotonic()
    with lock.measuring() as is_alone:
        assert is_alone
        assert time.monotonic() - began > 0.1
    with lock.working():
        pass
    killer.join()


def test_a_holder_that_does_not_let_go_is_waited_for_so_long_and_said(
    tmp_path: Path, processes: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    _, pipe = start(processes, hold, tmp_path, False)
    ready(pipe)
    module._said.clear()
    lock = DeviceLock("cpu", tmp_path, patience_s=0.05)
    with caplog.at_level(logging.WARNING, "nas"), lock.measuring() as is_alone:
        assert not is_alone
    assert "worked on the device cpu for more than 0.05 s" in caplog.text


def test_a_training_does_not_wait_for_ever_for_a_measurement(
    tmp_path: Path, processes: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    _, pipe = start(processes, hold, tmp_path, True)
    ready(pipe)
    module._said.clear()
    lock = DeviceLock("cpu", tmp_path, patience_s=0.05)
    with caplog.at_level(logging.WARNING, "nas"), lock.working() as turn:
        assert turn.pause() >= 0.05
    assert "being measured for more than 0.05 s" in caplog.text


def test_measuring_inside_a_training_lets_the_training_rest_and_go_on(tmp_path: Path) -> None:
    ours, other = DeviceLock("cpu", tmp_path), DeviceLock("cpu", tmp_path, patience_s=0.02)
    with ours.working() as turn, ours.working():
        with ours.measuring() as alone, ours.measuring() as still:
            assert alone
            assert still
            assert turn.pause() == 0
            with other.measuring() as beside:
                assert not beside
        with other.measuring() as beside:
            assert not beside, "the training goes on, so others may not measure"
        with other.working():
            pass
    other = DeviceLock("cpu", tmp_path, patience_s=0.02)
    with other.measuring() as alone:
        assert alone


def test_a_pause_that_nobody_wants_costs_microseconds(tmp_path: Path) -> None:
    lock = DeviceLock("cpu", tmp_path)
    with lock.working() as turn:
        costs = []
        for _ in range(20):
            began = time.perf_counter()
            for _ in range(100):
                turn.pause()
            costs.append((time.perf_counter() - began) / 100)
    assert min(costs) < 50e-6


def test_a_forked_child_holds_nothing_of_its_parent(tmp_path: Path) -> None:
    lock = DeviceLock("cpu", tmp_path)
    with lock.working() as turn:
        child = os.fork()
        if child == 0:
            os._exit(0 if turn.pause() == 0 and lock._room == -1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        other = DeviceLock("cpu", tmp_path, patience_s=0.02)
        with other.measuring() as alone:
            assert not alone, "the parent still holds it"


def test_the_folder_is_the_users_own_and_made_once(tmp_path: Path) -> None:
    folder = lock_folder(tmp_path)
    assert lock_folder(tmp_path) == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    DeviceLock("cpu", folder)
    assert {path.name for path in folder.iterdir()} == {"cpu.turnstile", "cpu.room"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())


def test_a_folder_that_others_may_enter_or_that_is_a_link_or_a_file_is_refused(
    tmp_path: Path,
) -> None:
    folder = lock_folder(tmp_path)
    folder.chmod(0o755)
    with pytest.raises(EnvironmentFault, match=r"others may enter it \(mode 0755\)[\s\S]*0700"):
        lock_folder(tmp_path)
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentFault, match="it is not a folder"):
        lock_folder(tmp_path)
    folder.unlink()
    folder.write_text("")
    with pytest.raises(EnvironmentFault, match="it is not a folder"):
        lock_folder(tmp_path)
    with pytest.raises(EnvironmentFault, match="no device locks: No such file"):
        lock_folder(tmp_path / "nowhere")


def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = os.getuid()
    (tmp_path / f"nas-device-locks-{mine + 1}").mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    with pytest.raises(EnvironmentFault, match="it belongs to another user"):
        lock_folder(tmp_path)


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "cpu.room").symlink_to(tmp_path / "victim")
    with pytest.raises(EnvironmentFault, match=r"cpu.room: is a link"):
        DeviceLock("cpu", tmp_path)
    assert not (tmp_path / "victim").exists()


def test_without_a_place_for_locks_all_goes_on_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path / "nowhere"))
    monkeypatch.setattr(module._own, "locks", {}, raising=False)
    monkeypatch.setattr(module._own, "process", os.getpid(), raising=False)
    module._said.clear()
    with caplog.at_level(logging.WARNING, "nas"):
        for _ in range(2):
            with working_on("cpu") as turn:
                assert turn.pause() == 0
            with measuring_on("cpu") as alone:
                assert alone
    assert caplog.text.count("There can be no device locks") == 1


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="the system does not list open files")
def test_a_thread_that_ends_leaves_no_file_open() -> None:
    def work() -> None:
        with working_on("cpu") as turn:
            turn.pause()

    before = len(open_files())
    for _ in range(5):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(open_files()) == before


def test_every_training_offers_the_device_between_its_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paused: list[str] = []
    monkeypatch.setattr(DeviceLock, "pause", lambda self, settle=None: paused.append(self.name))
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 4, 4), dtype=np.uint8)
    part = DataPart(images, np.arange(20) % 2, None, Normalisation((0.0,), (1.0,)))
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    result = fit(network, part, Recipe(epochs=2, batch_size=4), seed=0)
    assert paused == ["cpu"] * result.steps


def test_devices_have_names_of_their_own_that_files_can_have() -> None:
    assert device_name(torch.device("cpu")) == "cpu"
    assert device_name(torch.device("mps")) == "mps"


def test_a_cuda_device_is_named_by_its_id_whatever_number_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Properties:
        uuid = "GPU-9F/../3a"

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties)
    assert device_name(torch.device("cuda:1")) == "cuda-gpu-9f-3a"

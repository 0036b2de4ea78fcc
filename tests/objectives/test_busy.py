"""Other work on the device: told from one's own, waited for once, then flagged."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch

from nas.objectives.busy import BUSY_ABOVE, BusyWatch, CpuLoad, Load, busy_watch, cuda_utilisation
from nas.objectives.device_fingerprint import usable_cores

TICKS = os.sysconf("SC_CLK_TCK")


class Machine:
    """A made-up /proc whose processes work as told, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = 0.0
        self.processes: dict[int, tuple[int, float]] = {}
        self.total = 0.0
        self.own, self.child, self.grandchild, self.other = os.getpid(), 10**7, 10**7 + 1, 10**7 + 2
        for pid, parent in (
            (self.own, 1),
            (self.child, self.own),
            (self.grandchild, self.child),
            (self.other, 1),
        ):
            self.processes[pid] = (parent, 0.0)
        (folder / "sys").mkdir()
        self.show()

    def show(self) -> None:
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
        ticks = int(self.total * TICKS)
        lines = ["cpu  1 2 3 4 5 6 7 8 9 10", f"cpu{cores[0]} {ticks} 0 0 999 99 0 0 0 0 0"]
        lines += ["cpu99999 55555 0 0 0 0 0 0 0 0 0", "intr 5 5", ""]
        (self.folder / "stat").write_text("\n".join(lines))
        for pid, (parent, used) in self.processes.items():
            (self.folder / str(pid)).mkdir(exist_ok=True)
            numbers = [parent, *range(9), int(used * TICKS), 0, 0, 0, 20, 0]
            text = f"{pid} (a) name (of a kind) S {' '.join(map(str, numbers))}"
            (self.folder / str(pid) / "stat").write_text(text)

    def work(self, seconds: float, **used: float) -> None:
        self.seconds += seconds
        for who, share in used.items():
            pid = getattr(self, who)
            parent, before = self.processes[pid]
            self.processes[pid] = (parent, before + share)
            self.total += share
        self.show()

    def load(self) -> CpuLoad:
        return CpuLoad(self.folder, lambda: self.seconds)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_work_of_this_process_and_its_children_is_not_work_of_others(machine: Machine) -> None:
    load = machine.load()
    before = load.now()
    machine.work(10.0, own=4.0, child=3.0, grandchild=2.0)
    assert load.others_since(before) == pytest.approx(0.0, abs=0.01)
    machine.work(10.0, own=4.0, other=8.0)
    assert load.others_since(before) == pytest.approx(8.0 / 20 / usable_cores(), rel=0.01)


def test_over_too_short_a_time_nobody_can_tell(machine: Machine) -> None:
    load = machine.load()
    before = load.now()
    machine.work(0.02, other=0.02)
    assert load.others_since(before) is None
    assert BusyWatch("cpu", load).others(before) == 0.0


def test_a_system_without_counters_is_asked_for_its_load_average(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = CpuLoad(tmp_path / "none")
    assert load.now() is None
    monkeypatch.setattr(os, "getloadavg", lambda: (1.0 + usable_cores() / 2, 0.0, 0.0))
    assert load.others_since(None) == pytest.approx(0.5)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.2, 0.0, 0.0))
    assert load.others_since(None) == 0.0


def test_this_machines_counters_are_read() -> None:
    found = CpuLoad().now()
    assert found is None or (isinstance(found, Load) and found.total_s >= 0 and found.own_s > 0)


def watch_of(machine: Machine, busy: list[float]) -> BusyWatch:
    def sleep(seconds: float) -> None:
        machine.work(seconds, other=seconds * usable_cores() * (busy.pop(0) if busy else 0.0))

    return BusyWatch("cpu", machine.load(), sleep, lambda: machine.seconds)


def test_it_waits_until_others_are_done_and_says_so(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    watch = watch_of(machine, [0.9, 0.9, 0.9])
    with caplog.at_level(logging.WARNING, "nas"):
        assert watch.wait(10.0, 0.9)
    assert "cpu is busy with something else (90 % of it); waiting up to 10 s" in caplog.text
    assert 0.5 < machine.seconds < 1.5


def test_a_wait_in_vain_is_said_and_not_repeated_before_the_device_was_quiet(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    busy = [0.9] * 1000
    watch = watch_of(machine, busy)
    with caplog.at_level(logging.WARNING, "nas"):
        assert not watch.wait(2.0, 0.9)
        waited = machine.seconds
        assert not watch.wait(2.0, 0.9)
    assert machine.seconds == waited
    assert caplog.text.count("still busy; measuring anyway") == 1
    busy.clear()
    assert watch.look() <= BUSY_ABOVE
    busy.extend([0.9] * 3)
    assert watch.wait(2.0, 0.9), "it has been quiet, so another wait may help"


def test_no_time_to_wait_is_no_wait(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    assert not watch_of(machine, []).wait(0.0, 0.9)
    assert not caplog.records


def test_a_cuda_device_is_asked_before_it_is_used(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 70)
    watch = BusyWatch("cuda:0", machine.load(), lambda seconds: machine.work(seconds))
    assert watch.look() == pytest.approx(0.7)


def test_a_cuda_driver_that_does_not_say_is_taken_for_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(device: object) -> int:
        raise ModuleNotFoundError("pynvml")

    monkeypatch.setattr(torch.cuda, "utilization", refuse)
    assert cuda_utilisation("cuda:0") is None


def test_a_process_has_one_watch_per_device() -> None:
    assert busy_watch("cpu") is busy_watch("cpu")

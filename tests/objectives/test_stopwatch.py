"""Clocks take off what the kernel says a call lost to others, and nothing else."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from process_watch import open_files

from nas.objectives.stopwatch import SLICE_NS, RunQueue, WallClock, asleep_ns, machine_clock

MS = 1_000_000


class Kernel:
    """A made-up folder of threads whose counters a test moves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waited: dict[int, int] = {}
        self.add(threading.get_native_id())

    def add(self, task: int) -> None:
        (self.folder / str(task)).mkdir()
        self.waited[task] = 0
        self.show(task)

    def show(self, task: int) -> None:
        text = f"5000 {self.waited[task]} 7\n"
        (self.folder / str(task) / "schedstat").write_text(text)

    def garble(self, task: int) -> None:
        (self.folder / str(task) / "schedstat").write_text("")

    def wait(self, task: int, nanoseconds: int) -> None:
        self.waited[task] += nanoseconds
        self.show(task)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def clock_with(kernel: Kernel, readings: list[int]) -> WallClock:
    return WallClock(iter(readings).__next__, RunQueue(kernel.folder))


def test_a_time_slice_of_another_process_is_taken_off_and_counted(kernel: Kernel) -> None:
    own = threading.get_native_id()
    clock = clock_with(kernel, [0, 7 * MS, 10 * MS, 13 * MS])
    with clock.watching():
        assert clock.time(lambda: kernel.wait(own, 4 * MS)) == 3.0
        assert clock.time(lambda: None) == 3.0
    assert clock.interruptions() == 1


def test_short_waits_are_part_of_any_call(kernel: Kernel) -> None:
    own = threading.get_native_id()
    clock = clock_with(kernel, [0, 3 * MS])
    with clock.watching():
        assert clock.time(lambda: kernel.wait(own, SLICE_NS - 1)) == 3.0
    assert clock.interruptions() == 0


def test_a_wait_longer_than_the_call_is_not_believed(kernel: Kernel) -> None:
    own = threading.get_native_id()
    clock = clock_with(kernel, [0, 3 * MS])
    with clock.watching():
        assert clock.time(lambda: kernel.wait(own, 5 * MS)) == 3.0


def test_without_a_kernels_help_the_clock_on_the_wall_counts(tmp_path: Path) -> None:
    clock = WallClock(iter([0, 3 * MS]).__next__, RunQueue(tmp_path / "nothing"))
    with clock.watching():
        assert clock.time(lambda: None) == 3.0


def test_a_counter_that_cannot_be_read_takes_nothing_off(kernel: Kernel) -> None:
    own = threading.get_native_id()
    clock = clock_with(kernel, [0, 3 * MS])
    with clock.watching():
        assert clock.time(lambda: kernel.garble(own)) == 3.0


def test_the_clock_of_this_machine_times_sleep_and_leaves_no_file_open() -> None:
    clock = machine_clock()
    opened = len(open_files())
    with clock.watching():
        assert clock.time(lambda: time.sleep(0.005)) >= 4.9
    assert len(open_files()) == opened
    assert clock.slept() == pytest.approx(asleep_ns(), abs=10 * MS)
    assert clock.now() < clock.now()


def test_a_system_that_does_not_tell_its_sleep_has_slept_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    assert asleep_ns() == 0

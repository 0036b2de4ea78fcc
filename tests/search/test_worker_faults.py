"""What workers can do to a search: die, hang, hunger, lose children, leave them behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from process_watch import all_end, is_alive, wait_until
from scale import scaled
from search_runs import fake_search, start

from nas.search.executors import EXECUTORS, AbstractExecutor, Job, Outcome, Setup
from nas.search.executors.base import classify
from nas.search.executors.process_group import memory_kills, peak_memory_mib
from nas.search.executors.retries import MOST_ATTEMPTS, run_retrying

LIMIT_S = 0.5
SLACK_S = 2.0


@pytest.fixture(scope="module")
def workers() -> Iterator[AbstractExecutor]:
    with EXECUTORS.get("local")(2) as executor:
        yield executor


def run(
    executor: AbstractExecutor, folder: Path, *faults: str | None, **more: Any
) -> dict[str, Outcome]:
    """Run one job per fault, tried again where that is the rule."""
    executor.prepare(Setup("fault_fakes:fault_task", {"folder": str(folder)}, **more))
    executor.settle()
    found: dict[str, Outcome] = {}
    jobs = [Job(str(number), {"fault": fault}) for number, fault in enumerate(faults)]
    assert run_retrying(executor, jobs, lambda outcome: found.update({outcome.key: outcome}))
    return found


def processes(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "processes").read_text().split()]


@pytest.mark.fault("A11")
def test_a_job_that_kills_its_process_every_time_is_given_up(
    workers: AbstractExecutor, tmp_path: Path
) -> None:
    found = run(workers, tmp_path, None, "abort", None)
    assert [found[key].reason for key in "012"] == [None, "died", None]
    assert "The worker died with signal 6" in str(found["1"].message)
    assert len(processes(tmp_path)) == MOST_ATTEMPTS["died"] == 3


@pytest.mark.fault("A12", "G-R13")
def test_jobs_that_hang_are_ended_in_time_with_all_they_started(
    workers: AbstractExecutor, tmp_path: Path
) -> None:
    for number in range(scaled(20) // 2 + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = run(workers, folder, "spin", "spin stubbornly", timeout_s=LIMIT_S)
        for outcome in found.values():
            assert outcome.reason == "timeout"
            assert LIMIT_S <= outcome.seconds < LIMIT_S + SLACK_S
        assert len(processes(folder)) == 3
        assert all_end(processes(folder), SLACK_S)


@pytest.mark.fault("A12", "G-R13")
def test_many_hanging_workers_do_not_wait_for_one_another(tmp_path: Path) -> None:
    with EXECUTORS.get("local")(4) as executor:
        executor.prepare(
            Setup("fault_fakes:fault_task", {"folder": str(tmp_path)}, timeout_s=LIMIT_S)
        )
        executor.settle()
        began, told = time.monotonic(), list[float]()
        jobs = [Job(str(number), {"fault": "spin stubbornly"}) for number in range(4)]
        assert executor.run(jobs, lambda outcome: told.append(time.monotonic() - began))
        assert len(told) == 4
        assert max(told) < LIMIT_S + SLACK_S
    assert all_end(processes(tmp_path), SLACK_S)


@pytest.mark.fault("A13")
def test_a_worker_that_dies_beside_a_forked_child_is_noticed_and_the_child_ends(
    workers: AbstractExecutor, tmp_path: Path
) -> None:
    began = time.monotonic()
    workers.prepare(Setup("fault_fakes:fault_task", {"folder": str(tmp_path)}, timeout_s=300))
    found: list[Outcome] = []
    assert workers.run([Job("0", {"fault": "abort beside a fork"})], found.append)
    assert found[0].reason == "died"
    assert time.monotonic() - began < 60
    assert all_end(processes(tmp_path), SLACK_S)


@pytest.mark.fault("A13")
def test_a_job_whose_child_was_killed_fails_and_no_child_outlives_the_search(
    tmp_path: Path,
) -> None:
    with EXECUTORS.get("local")(1) as executor:
        found = run(executor, tmp_path, "lose a child", "leave a child")
        assert found["0"].reason == "crash"
        assert "a loader of data ended with -9" in str(found["0"].message)
        assert found["1"].result is not None
        lost, left = processes(tmp_path)
        assert is_alive(left)
        assert all_end([lost])
    assert all_end(processes(tmp_path), SLACK_S)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part is Linux's")
@pytest.mark.parametrize("fault", ["hold the interpreter", "spin stubbornly"])
@pytest.mark.fault("A12", "A13")
def test_no_worker_outlives_a_killed_driver_whatever_it_does(tmp_path: Path, fault: str) -> None:
    driver = start(DRIVER, tmp_path, fault)
    try:
        wait_for_processes(tmp_path, 2)
        if fault == "spin stubbornly":
            os.kill(processes(tmp_path)[-1], signal.SIGSTOP)
    finally:
        driver.kill()
        driver.communicate()
    assert all_end(processes(tmp_path), SLACK_S)


DRIVER = """
import sys
from nas.search.executors import EXECUTORS, Job, Setup
with EXECUTORS.get("local")(1) as executor:
    executor.prepare(Setup("fault_fakes:fault_task", {"folder": sys.argv[1]}))
    executor.run([Job("0", {"fault": sys.argv[2]})], print)
"""


def wait_for_processes(folder: Path, count: int) -> None:
    wait_until((folder / "processes").exists)
    wait_until(lambda: len(processes(folder)) >= count)


@pytest.mark.fault("A7")
def test_a_job_beyond_its_memory_fails_with_what_it_held_and_the_worker_stays(
    tmp_path: Path,
) -> None:
    with EXECUTORS.get("local")(1) as executor:
        found = run(executor, tmp_path, None, "hunger", None, memory_gib=0.5)
    assert [found[key].reason for key in "012"] == [None, "oom", None]
    held = float(str(found["1"].message).rpartition("held up to ")[2].split()[0])
    assert 256 < held < 1024
    assert (found["0"].result or {}) == (found["2"].result or {})  # the same process


@pytest.mark.fault("A15")
def test_a_worker_that_lost_its_device_is_replaced_and_the_job_tried_again(
    workers: AbstractExecutor, tmp_path: Path
) -> None:
    with EXECUTORS.get("local")(1) as executor:
        before = run(executor, tmp_path, None)["0"].result
        found = run(executor, tmp_path, "lose the device once", None)
    after = [dict(found[key].result or {}) for key in "01"]
    assert before is not None
    assert before["process"] not in [each["process"] for each in after]


@pytest.mark.fault("A14", "A15")
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.cuda.OutOfMemoryError("Tried to allocate 20.00 GiB."), "oom"),
        (torch.AcceleratorError("device-side assert triggered"), "died"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "died"),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), "died"),
        (RuntimeError("CUDA error: out of memory"), "oom"),
        (ValueError("CUDA error: is what somebody wrote"), "crash"),
    ],
)
def test_faults_of_an_accelerator_are_told_apart(error: Exception, reason: str) -> None:
    assert classify(error)[0] == reason


@pytest.mark.fault("A14")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_that_runs_out_of_memory_serves_the_next_job() -> None:
    with pytest.raises(torch.OutOfMemoryError) as caught:
        torch.empty(2**50, device="cuda")
    assert classify(caught.value)[0] == "oom"
    assert torch.ones(3, device="cuda").sum().item() == 3


def test_kills_for_want_of_memory_are_read_from_the_system(tmp_path: Path) -> None:
    assert memory_kills(tmp_path) == 0
    (tmp_path / "vmstat").write_text("nr_free_pages 5\noom_kill 3\nswap 1\n")
    assert memory_kills(tmp_path) == 3
    assert peak_memory_mib("1", tmp_path) is None
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "status").write_text("Name:\tx\nVmHWM:\t  2048 kB\n")
    assert peak_memory_mib("1", tmp_path) == 2.0


@pytest.mark.fault("A7", "A11")
def test_a_search_gives_up_networks_that_kill_or_starve_their_workers(tmp_path: Path) -> None:
    run = fake_search(
        tmp_path,
        "plugins=[search_fakes, measuring_fakes]",
        "objectives=[fake_error, perilous]",
        "search.trials=6",
        "search.batch=3",
        "executor.memory_gib=2",
        executor="local",
        workers=1,
    )
    table = run.table()
    assert {trial.reason: trial.attempt for trial in table.failed()} == {"died": 3, "oom": 2}
    assert len(table.finished()) == 4
    assert run.state() == "finished"

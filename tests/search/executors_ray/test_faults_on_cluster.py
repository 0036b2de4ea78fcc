"""Whole searches on a cluster whose parts are killed: all trials, none twice, the same points."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scale import is_full_scale

pytest.importorskip("ray")

from ray_clusters import Nodes, is_alive, process_id, ray_cluster, wait_until, workers_of
from search_runs import asked_and_closed, canonical, count_records, fake_config, points, start

from nas.run_store import Run
from nas.search.driver import resume, search
from nas.search.progress import StageProgress

TRIALS = 20
REPEATS = 10 if is_full_scale() else 1
PATIENCE_S = 30.0 if is_full_scale() else 4.0
"""Silence of the head after which it is gone: the real one takes the suite too long."""

SETTINGS = (
    "plugins=[cluster_fakes]",
    "objectives=[slow_error, macs]",
    f"search.trials={TRIALS}",
    "search.batch=5",
    "executor.members_per_call=1",
)

DRIVER = """
import sys
from search_runs import fake_config
from nas.errors import NasError
from nas.search.driver import resume, search
from nas.search.executors import ray_link
verb, runs, name, patience, *settings = sys.argv[1:]
ray_link.HEAD_PATIENCE_S = float(patience)
try:
    if verb == "search":
        search(fake_config(*settings), runs=runs, name=name, executor="ray")
    else:
        resume(runs + "/" + name, executor="ray")
except NasError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The search on this machine alone."""
    config = fake_config(*SETTINGS)
    return search(config, runs=tmp_path_factory.mktemp("whole"), name="whole", executor="inline")


@pytest.fixture(autouse=True)
def _address(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)


def check_same(run: Run, whole: Run) -> None:
    """Compare with the undisturbed search; no trial may be missing, or there twice."""
    asked, closed = asked_and_closed(run)
    assert asked == sorted(set(closed)) == list(range(TRIALS))
    finished = [r["trial"] for r in run.records() if r["kind"] == "trial_finished"]
    assert sorted(finished) == list(range(TRIALS))
    assert canonical(points(run)).replace("slower", "slow") == canonical(points(whole))
    assert run.state() == "finished"


def failures(run: Run) -> list[dict[str, Any]]:
    return [r for r in run.records() if r["kind"] == "trial_failed"]


def asked_once(run: Run) -> set[int]:
    """Return the trials that were asked once."""
    asked = Counter(r["trial"] for r in run.records() if r["kind"] == "trial_asked")
    return {trial for trial, count in asked.items() if count == 1}


@pytest.mark.fault("A8", "G-R4")
def test_a_node_that_is_removed_costs_its_trials_one_more_attempt(
    nodes: Nodes, whole: Run, tmp_path: Path
) -> None:
    for number in range(REPEATS):
        spare = [nodes.add()]

        def remove(progress: StageProgress, spare: list[Any] = spare) -> None:
            if progress.stage == "explore" and progress.done >= 3 and spare:
                nodes.remove(spare.pop())

        name = f"removed{number}"
        run = search(
            fake_config(*SETTINGS), runs=tmp_path, name=name, executor="ray", listener=remove
        )
        check_same(run, whole)
        assert {each["reason"] for each in failures(run)} <= {"lost"}, failures(run)
        assert all(each <= 1 for each in Counter(r["trial"] for r in failures(run)).values())


@pytest.mark.fault("A7", "G-R4")
def test_a_killed_worker_costs_its_trial_one_more_attempt(
    nodes: Nodes, whole: Run, tmp_path: Path
) -> None:
    for number in range(REPEATS):
        killed: list[int] = []

        def kill(progress: StageProgress, killed: list[int] = killed) -> None:
            if progress.stage == "explore" and progress.done >= 3 and not killed:
                killed.extend(workers_of(nodes.cluster.head_node)[:1])
                os.kill(killed[0], signal.SIGKILL)

        name = f"killed{number}"
        run = search(
            fake_config(*SETTINGS), runs=tmp_path, name=name, executor="ray", listener=kill
        )
        check_same(run, whole)
        assert killed
        assert {each["reason"] for each in failures(run)} <= {"died"}


@pytest.mark.fault("A1", "A9", "G-R2")
def test_a_killed_driver_leaves_no_worker_and_no_finished_trial_is_run_again(
    nodes: Nodes, whole: Run, tmp_path: Path
) -> None:
    for number in range(REPEATS):
        path = tmp_path / f"driver{number}"
        arguments = ("search", tmp_path, path.name, PATIENCE_S, *SETTINGS)
        with start(DRIVER, *arguments) as driver:
            moment = 14 + 3 * number  # about four records per trial come after the first ten
            wait_until(lambda path=path, moment=moment: count_records(path) > moment, 120)
            every = [nodes.cluster.head_node, *nodes.cluster.worker_nodes]
            workers = [pid for node in every for pid in workers_of(node)]
            driver.kill()
            driver.communicate()
        before = set(asked_and_closed(Run.open(path))[1])
        assert workers
        for pid in workers:
            wait_until(lambda pid=pid: not is_alive(pid))
        run = resume(path, executor="ray")
        check_same(run, whole)
        assert before <= asked_once(run)


@pytest.mark.fault("A10")
def test_a_node_that_is_cut_off_loses_its_trials_and_its_late_results_count_nothing(
    nodes: Nodes, whole: Run, tmp_path: Path
) -> None:
    spare = nodes.add()
    stopped: list[int] = []

    def cut_off(progress: StageProgress) -> None:
        if progress.stage == "explore" and progress.done >= 3 and not stopped:
            stopped.extend([process_id(spare, "raylet"), *workers_of(spare)])
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)

    run = search(
        fake_config(*SETTINGS), runs=tmp_path, name="cut", executor="ray", listener=cut_off
    )
    check_same(run, whole)
    assert {each["reason"] for each in failures(run)} <= {"lost", "died"}
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    # The node finds itself given up, and ends with all it started.
    for pid in stopped:
        wait_until(lambda pid=pid: not is_alive(pid), 60)
    nodes.remove(spare)


@pytest.mark.fault("A9", "G-R3")
def test_a_killed_head_stops_the_search_which_goes_on_with_another(
    nodes: Nodes, whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(REPEATS):
        path = tmp_path / f"head{number}"
        with ray_cluster() as doomed:
            monkeypatch.setenv("RAY_ADDRESS", doomed.address)
            slower = (*SETTINGS, "objectives=[slower_error, macs]")
            with start(DRIVER, "search", tmp_path, path.name, PATIENCE_S, *slower) as driver:
                wait_until(lambda path=path: count_records(path) > 20, 120)
                doomed.kill_head()
                began = time.monotonic()
                told, _ = driver.communicate(timeout=90)
            assert time.monotonic() - began < 90
        assert driver.returncode == 6, told
        assert "has not answered" in told
        assert "nas resume" in told
        before = set(asked_and_closed(Run.open(path))[1])
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        run = resume(path, executor="ray")
        check_same(run, whole)
        assert before <= asked_once(run)

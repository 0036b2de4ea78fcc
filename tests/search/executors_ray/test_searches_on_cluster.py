"""Whole searches on a cluster: where they measure, and what they lose with parts of it.

Whatever is killed, in the end there are all trials, none twice, and the same points.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from scale import is_full_scale

pytest.importorskip("ray")

from process_watch import all_end, wait_until
from ray_clusters import Nodes, process_id, ray_cluster, workers_of
from search_runs import asked_and_closed, canonical, count_records, fake_config, points, start

from nas.errors import EnvironmentFault, RunError
from nas.objectives.device_fingerprint import device_fingerprint
from nas.run_store import Run
from nas.search.driver import resume, search
from nas.search.measuring.measured_on import MEASURING_DEVICE, measuring_device
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

MEASURED = (
    "plugins=[search_fakes, measuring_fakes]",
    "objectives=[fake_error, placed_latency]",
    "search.trials=4",
    "search.batch=2",
    "executor.kind=ray",
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


@pytest.fixture
def _joined(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)


def check_same(run: Run, whole: Run) -> None:
    """Compare with the undisturbed search; no trial may be missing, or there twice."""
    asked, closed = asked_and_closed(run)
    assert asked == sorted(set(closed)) == list(range(TRIALS))
    ended = [r["trial"] for r in run.records() if r["kind"] == "trial_finished"]
    assert sorted(ended) == list(range(TRIALS))
    assert canonical(points(run)).replace("slower", "slow") == canonical(points(whole))
    assert run.state() == "finished"


def failures(run: Run) -> list[dict[str, Any]]:
    return [r for r in run.records() if r["kind"] == "trial_failed"]


def finished(run: Run) -> set[int]:
    return {r["trial"] for r in run.records() if r["kind"] == "trial_finished"}


def asked_after_their_end(run: Run) -> list[int]:
    """Return the trials that were asked although they had finished."""
    ended: set[int] = set()
    found = []
    for record in run.records():
        if record["kind"] == "trial_finished":
            ended.add(record["trial"])
        elif record["kind"] == "trial_asked" and record["trial"] in ended:
            found.append(record["trial"])
    return found


class Misfortune:
    """Kills parts of a cluster while a search goes on, one after another."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.removed, self.cut_off = nodes.add(), nodes.add()
        self.killed: list[int] = []
        self.stopped: list[int] = []
        self.left = [(3, self.remove), (6, self.kill), (9, self.stop)]

    def __call__(self, progress: StageProgress) -> None:
        if progress.stage == "explore" and self.left and progress.done >= self.left[0][0]:
            self.left.pop(0)[1]()

    def remove(self) -> None:
        """Kill a node."""
        self.nodes.remove(self.removed)

    def kill(self) -> None:
        """Kill a worker."""
        self.killed = workers_of(self.nodes.cluster.head_node)[:1]
        os.kill(self.killed[0], signal.SIGKILL)

    def stop(self) -> None:
        """Let a node and its workers fall silent, as if the network were cut."""
        self.stopped = [process_id(self.cut_off, "raylet"), *workers_of(self.cut_off)]
        for pid in self.stopped:
            os.kill(pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let them speak again, once they were given up: they learn it, and end."""
        wait_until(lambda: self.nodes.is_given_up(self.cut_off))
        for pid in self.stopped:
            os.kill(pid, signal.SIGCONT)
        for pid in self.stopped:
            assert all_end([pid], 60)
        self.nodes.remove(self.cut_off)


@pytest.mark.usefixtures("_joined")
@pytest.mark.fault("A7", "A8", "A10", "G-R4")
def test_a_lost_node_a_killed_worker_and_a_silent_node_cost_their_trials_one_more_attempt_each(
    nodes: Nodes, whole: Run, tmp_path: Path
) -> None:
    for number in range(REPEATS):
        luck = Misfortune(nodes)
        name = f"unlucky{number}"
        run = search(
            fake_config(*SETTINGS), runs=tmp_path, name=name, executor="ray", listener=luck
        )
        assert not luck.left
        luck.wake()
        check_same(run, whole)
        assert {each["reason"] for each in failures(run)} <= {"lost", "died"}, failures(run)
        assert len(failures(run)) <= 3


@pytest.mark.usefixtures("_joined")
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
        before = finished(Run.open(path))
        assert workers
        for pid in workers:
            assert all_end([pid])
        run = resume(path, executor="ray")
        check_same(run, whole)
        assert before
        assert not asked_after_their_end(run)


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
        before = finished(Run.open(path))
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        run = resume(path, executor="ray")
        check_same(run, whole)
        assert before
        assert not asked_after_their_end(run)


def overrides(nodes: Nodes, resource: str = "marker") -> tuple[str, ...]:
    return (*MEASURED, f"executor.address={nodes.address}", f"executor.measure_on={resource}")


def details(run: Run) -> list[dict[str, Any]]:
    return [trial.extra["measurements"]["placed_latency"] for trial in run.table().finished()]


@pytest.mark.fault("A8")
def test_every_latency_comes_from_one_process_on_the_node_with_the_resource(
    nodes: Nodes, tmp_path: Path
) -> None:
    (marked,) = nodes.cluster.worker_nodes
    run = search(fake_config(*overrides(nodes)), runs=tmp_path, name="run")
    found = details(run)
    assert len(found) == 4
    assert {each["node"] for each in found} == {nodes.key(marked)}
    assert len({each["process"] for each in found}) == 1
    record = measuring_device(run)
    assert record is not None and record["resource"] == "marker"


def test_a_node_with_another_device_than_the_run_began_on_is_refused(
    nodes: Nodes, tmp_path: Path
) -> None:
    search(fake_config(*overrides(nodes)), runs=tmp_path, name="run", time_limit_s=1e-9)
    begun_on = {**device_fingerprint("cpu").to_dict(), "processor": "Abacus 3"}
    with Run.open(tmp_path / "run", write=True) as run:
        record = {"kind": MEASURING_DEVICE, "resource": "marker", "fingerprint": begun_on}
        run.append({**record, "digest": "0123456789ab"})
    with pytest.raises(RunError, match=r"processor was Abacus 3, here it is") as caught:
        resume(tmp_path / "run")
    assert "a node with the resource 'marker'" in str(caught.value.where)
    assert not Run.open(tmp_path / "run").table().trials


def test_a_resource_that_no_node_has_is_named(nodes: Nodes, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"No node .* needs 0.001 abacus"):
        search(fake_config(*overrides(nodes, "abacus")), runs=tmp_path, name="run")

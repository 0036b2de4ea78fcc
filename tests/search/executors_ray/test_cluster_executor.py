"""The Ray executor on a cluster of several nodes: where work goes, what it costs, what is left."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray")

from process_watch import all_end
from ray_clusters import Nodes, workers_of

from nas.errors import DataError, EnvironmentFault
from nas.run_store.weights import WeightStore
from nas.search.executors import Job, Outcome, Setup
from nas.search.executors.ray_executor import RayExecutor
from nas.search.executors.retries import run_retrying
from nas.search.executors.scratch import scratch_prefix

TASK = "cluster_fakes:field_task"


@pytest.fixture(scope="module")
def marked(nodes: Nodes) -> str:
    """The id of the node with the resource `marker`."""
    (node,) = nodes.cluster.worker_nodes
    return nodes.key(node)


@pytest.fixture(scope="module")
def executor(nodes: Nodes) -> Iterator[RayExecutor]:
    with RayExecutor(None, nodes.address) as found:
        yield found


def run(executor: RayExecutor, payloads: list[dict[str, Any]], **job: Any) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    jobs = [Job(str(index), payload, **job) for index, payload in enumerate(payloads)]
    assert executor.run(jobs, lambda outcome: found.update({outcome.key: outcome}))
    return found


def answers(found: dict[str, Outcome]) -> list[dict[str, Any]]:
    assert all(each.result is not None for each in found.values()), found
    return [dict(each.result or {}) for each in found.values()]


def test_without_a_number_there_are_as_many_workers_as_fit(executor: RayExecutor) -> None:
    executor.prepare(Setup(TASK, {}))
    executor.settle()
    assert executor.workers == 2
    found = answers(run(executor, [{"sleep_s": 0.1}] * 8))
    assert len({each["pid"] for each in found}) == len({each["node"] for each in found}) == 2
    assert len(executor.process_ids()) == 1  # the other is on another node


def test_weights_are_laid_down_once_per_node_and_gone_at_the_end(
    nodes: Nodes, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    store = WeightStore(tmp_path / "run" / "weights")
    sha = store.put({"w": np.arange(1000.0)})
    with RayExecutor(4, nodes.address) as executor:
        # Four workers of a quarter of a GPU share one node.
        arguments = {"run": str(tmp_path / "run")}
        executor.prepare(Setup(TASK, arguments, weights=(sha,), threads=0, gpus=0.25))
        executor.settle()
        found = answers(run(executor, [{"read": sha, "sleep_s": 0.1}] * 8))
        assert len({each["pid"] for each in found}) == 4
        assert {each["sum"] for each in found} == {499500.0}
        assert len({each["inode"] for each in found}) == 1
        (file,) = {each["file"] for each in found}
        assert not file.startswith(str(tmp_path))
        assert {each["mode"] & 0o777 for each in found} == {0o700}
        # Others may work in the same folder of temporary files, so theirs are not counted.
        (folder,) = (
            each for each in Path(file).parents if each.name.startswith(scratch_prefix("weights"))
        )
        assert folder.parent == Path(tempfile.gettempdir())
    assert not folder.exists()


def test_what_a_task_keeps_is_in_the_run_with_its_outcome(
    executor: RayExecutor, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    executor.prepare(Setup(TASK, {}))
    found = answers(run(executor, [{"store": 1.5}, {"store": 2.5}], keeps=str(tmp_path / "run")))
    store = WeightStore(tmp_path / "run" / "weights", writable=False)
    for each, number in zip(found, sorted(e["weights"] for e in found), strict=True):
        assert each["keep"] != str(tmp_path / "run")
        assert number in store.names()
    assert {float(store.get(each["weights"])["w"][0]) for each in found} == {1.5, 2.5}


def test_memory_gpus_and_resources_decide_how_many_fit(nodes: Nodes) -> None:
    marker = {"marker": 0.1}
    cases = [
        (Setup(TASK, {}, threads=0, memory_gib=1.0, resources=marker), 2),
        (Setup(TASK, {}, threads=0, gpus=0.3, resources=marker), 3),
    ]
    with RayExecutor(None, nodes.address) as executor:
        for setup, wanted in cases:
            executor.prepare(setup)
            executor.settle()
            assert executor.workers == wanted
            pids = {each["pid"] for each in answers(run(executor, [{"sleep_s": 0.05}] * 8))}
            assert len(pids) == wanted


def test_what_fits_on_no_node_is_told_before_anything_runs(nodes: Nodes) -> None:
    with (
        RayExecutor(1, nodes.address) as executor,
        pytest.raises(EnvironmentFault, match=r"No node .* needs 1 CPU, 7 GPU") as caught,
    ):
        executor.prepare(Setup(TASK, {}, gpus=7))
    assert "executor.gpus_per_worker" in str(caught.value.where)


@pytest.mark.fault("A7")
def test_a_worker_that_exceeds_its_memory_fails_with_oom(nodes: Nodes) -> None:
    with RayExecutor(1, nodes.address) as executor:
        executor.prepare(Setup(TASK, {}, threads=0, memory_gib=1.0, resources={"marker": 0.1}))
        found = run(executor, [{"hog_gib": 1.5}, {"value": 2}])
    assert [found[key].reason for key in "01"] == ["oom", None]


@pytest.mark.fault("A7", "G-R4")
def test_a_killed_worker_costs_its_job_and_is_replaced(
    executor: RayExecutor, tmp_path: Path
) -> None:
    executor.prepare(Setup(TASK, {}))
    executor.settle()
    found = run(executor, [{"die_once": str(tmp_path / "died")}, *[{"sleep_s": 0.1}] * 20])
    assert Counter(each.reason for each in found.values()) == {None: 20, "died": 1}
    assert "process ended" in str(found["0"].message)
    executor.prepare(Setup(TASK, {}))
    executor.settle()
    assert len({each["pid"] for each in answers(run(executor, [{"sleep_s": 0.1}] * 6))}) == 2


@pytest.mark.fault("A15")
def test_an_actor_that_lost_its_device_is_replaced(nodes: Nodes, tmp_path: Path) -> None:
    found: list[Outcome] = []
    with RayExecutor(1, nodes.address) as executor:
        arguments = {"folder": str(tmp_path)}
        place = {"marker": 0.1}
        executor.prepare(Setup("fault_fakes:fault_task", arguments, threads=0, resources=place))
        jobs = [Job("0", {}), Job("1", {"fault": "lose the device once"}), Job("2", {})]
        assert run_retrying(executor, jobs, found.append)
    processes = [(each.key, dict(each.result or {}).get("process")) for each in found]
    assert [key for key, _ in processes] == ["0", "1", "2"]
    before, after, again = (process for _, process in processes)
    assert None not in (before, after, again)
    assert before != after == again


@pytest.mark.fault("A12", "G-R13")
def test_a_job_that_hangs_is_ended_with_its_children(executor: RayExecutor, tmp_path: Path) -> None:
    executor.prepare(Setup(TASK, {}, timeout_s=1.5))
    executor.settle()
    note = tmp_path / "pids"
    began = time.monotonic()
    found = run(executor, [{"spin": str(note)}, {"value": 1}])
    assert 1.5 <= time.monotonic() - began < 3.5
    assert found["0"].reason == "timeout"
    assert "longer than 1.5 s" in str(found["0"].message)
    assert all_end(map(int, note.read_text().split()), 5.0)


def test_an_answer_that_is_no_json_fails_its_job_only(executor: RayExecutor) -> None:
    executor.prepare(Setup(TASK, {}))
    found = run(executor, [{"nonsense": True}, {"value": 1}])
    assert found["0"].reason == "crash"
    assert "no JSON" in str(found["0"].message)
    assert found["1"].result is not None


def test_a_node_that_cannot_do_the_task_is_left_out(executor: RayExecutor, marked: str) -> None:
    executor.prepare(Setup(TASK, {"unfit_on": marked}))
    executor.settle()
    found = answers(run(executor, [{"sleep_s": 0.1}] * 4))
    assert len({each["node"] for each in found}) == 1
    assert marked not in {each["node"] for each in found}
    with pytest.raises(DataError, match="not on this node"):
        executor.prepare(Setup(TASK, {"unfit_on": marked}, resources={"marker": 1}))


def test_who_works_alone_is_one_on_the_node_that_is_asked_for(executor: RayExecutor) -> None:
    executor.prepare(Setup(TASK, {}))
    executor.settle()
    everybody = answers(run(executor, [{"sleep_s": 0.1}] * 8))
    executor.prepare(Setup(TASK, {}, resources={"marker": 0.1}, alone=True))
    alone = answers(run(executor, [{"sleep_s": 0.05}] * 4))
    assert len({each["pid"] for each in alone}) == 1
    assert not {each["pid"] for each in alone} & {each["pid"] for each in everybody}
    executor.prepare(Setup(TASK, {}))
    again = answers(run(executor, [{"sleep_s": 0.1}] * 8))
    assert {each["pid"] for each in again} == {each["pid"] for each in everybody}


@pytest.mark.fault("A8", "G-R4")
def test_a_node_that_joins_gets_work_and_one_that_goes_loses_its_job_only(
    nodes: Nodes, executor: RayExecutor, tmp_path: Path
) -> None:
    executor.prepare(Setup(TASK, {}))
    executor.settle()
    found: list[Outcome] = []
    joined: list[Any] = []
    note = tmp_path / "at work"

    def jobs() -> Iterator[Job]:
        """Give work until a job of the new node is lost, and a little more."""
        yield Job("before", {})
        joined.append(nodes.add())
        place = {"node": nodes.key(joined[0]), "note": str(note)}
        for number in range(1000):
            yield Job(str(number), {"sleep_s": 0.05, "linger": place})
            if note.exists() and len(joined) == 1:
                assert workers_of(joined[0])
                nodes.remove(joined[0])
                joined.append(None)
            if any(each.reason == "lost" for each in found):
                break
        yield from (Job(f"after {index}", {}) for index in range(5))

    assert executor.run(jobs(), found.append)
    assert len({each.key for each in found}) == len(found) < 1000
    assert Counter(each.reason for each in found) == {None: len(found) - 1, "lost": 1}
    (lost,) = [each for each in found if each.reason == "lost"]
    assert "node of the worker" in str(lost.message)

"""One contract for every executor in the registry."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_watch import all_end
from search_runs import fake_search

from nas.errors import ConfigError, DataError, EnvironmentFault, NotFoundError
from nas.search.executors import EXECUTORS, AbstractExecutor, Job, Outcome, Setup
from nas.search.executors.base import describe_error, make_task, rebuild_error
from nas.search.executors.grouping import GroupingExecutor
from nas.search.executors.local import LocalExecutor

TASK = "search_fakes:echo_task"


def setup(**more: object) -> Setup:
    return Setup(TASK, {"factor": 2}, **more)  # type: ignore[arg-type]


def run(executor: AbstractExecutor, payloads: list[dict[str, object]]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    jobs = [Job(str(index), payload) for index, payload in enumerate(payloads)]
    assert executor.run(jobs, lambda outcome: found.update({outcome.key: outcome}))
    return found


@pytest.fixture(scope="module")
def ray_executor() -> Iterator[AbstractExecutor]:
    pytest.importorskip("ray")
    with EXECUTORS.get("ray")(2) as executor:
        executor.prepare(setup())
        yield executor


@pytest.fixture(scope="module")
def local_executor() -> Iterator[AbstractExecutor]:
    with EXECUTORS.get("local")(2) as executor:
        executor.prepare(setup())
        yield executor


@pytest.fixture
def inline_executor() -> AbstractExecutor:
    return EXECUTORS.get("inline")(1)


@pytest.fixture(params=["inline", "local", "ray", "inline grouped", "local grouped", "ray grouped"])
def executor(request: pytest.FixtureRequest) -> AbstractExecutor:
    kind, _, grouped = request.param.partition(" ")
    found: AbstractExecutor = request.getfixturevalue(f"{kind}_executor")
    if grouped:
        found = GroupingExecutor(found, 3)
    found.prepare(setup())
    return found


def test_every_job_gets_its_own_answer(executor: AbstractExecutor) -> None:
    found = run(executor, [{"value": value} for value in range(7)])
    assert {key: out.result["answer"] for key, out in found.items() if out.result} == {
        str(value): 2 * value for value in range(7)
    }


def test_failures_come_back_with_their_reason_and_the_rest_goes_on(
    executor: AbstractExecutor,
) -> None:
    found = run(
        executor,
        [
            {"value": 1, "fail": "trial"},
            {"value": 1, "fail": "error"},
            {"value": 1, "fail": "memory"},
            {"value": 4},
        ],
    )
    assert [found[str(index)].reason for index in range(4)] == ["nonfinite", "crash", "oom", None]
    assert found["0"].message == "It diverged."
    assert found["3"].result is not None and found["3"].result["answer"] == 8


def test_what_the_factory_refuses_is_raised_in_the_driver(executor: AbstractExecutor) -> None:
    with pytest.raises(DataError, match="The data are unfit") as caught:
        executor.prepare(Setup(TASK, {"factor": 2, "unfit": True}))
    assert caught.value.fix == "Use others."
    executor.prepare(setup())
    assert run(executor, [{"value": 3}])["0"].result is not None


def test_jobs_not_started_when_stopped_stay_without_outcome(executor: AbstractExecutor) -> None:
    found: list[Outcome] = []
    jobs = [Job(str(index), {"value": 1}) for index in range(50)]
    assert not executor.run(jobs, found.append, lambda: len(found) > 2)
    assert 2 < len(found) < 50


def test_a_worker_that_dies_costs_its_job_only(local_executor: AbstractExecutor) -> None:
    local_executor.prepare(setup())
    found = run(
        local_executor,
        [{"value": 1, "fail": "exit"}, {"value": 1, "fail": "killed"}, {"value": 1}, {"value": 2}],
    )
    assert [found[str(index)].reason for index in range(4)] == ["died", "died", None, None]
    assert "exit code 3" in str(found["0"].message)
    assert "signal 9. It may have been memory" in str(found["1"].message)


def made(counter: Path) -> list[str]:
    return counter.read_text().split()


def test_a_task_is_made_once_per_worker_until_the_setup_changes(
    executor: AbstractExecutor, tmp_path: Path
) -> None:
    def count(name: str) -> int:
        fresh = Setup(TASK, {"factor": 2, "counter": str(tmp_path / name)})
        for _ in range(3):  # three batches, each with a setup of its own that says the same
            executor.prepare(Setup(fresh.factory, dict(fresh.arguments)))
            assert len(run(executor, [{"value": value} for value in range(4)])) == 4
            executor.settle()
        return len(made(tmp_path / name))

    assert count("one") == executor.workers
    assert count("two") == executor.workers
    assert count("one") == 2 * executor.workers  # it was replaced, so it is made again


def test_a_setup_that_is_refused_is_refused_again(executor: AbstractExecutor) -> None:
    for _ in range(2):
        with pytest.raises(DataError, match="The data are unfit"):
            executor.prepare(Setup(TASK, {"factor": 2, "unfit": True}))


def test_a_worker_that_replaces_another_makes_the_task(tmp_path: Path) -> None:
    counter = tmp_path / "made"
    wanted = Setup(TASK, {"factor": 2, "counter": str(counter)})
    with EXECUTORS.get("local")(1) as executor:
        executor.prepare(wanted)
        assert run(executor, [{"value": 1, "fail": "exit"}])["0"].reason == "died"
        executor.prepare(wanted)
        assert run(executor, [{"value": 2}])["0"].result is not None
        executor.settle()
    assert len(set(made(counter))) == len(made(counter)) == 2


def test_a_settled_executor_has_no_worker_that_still_starts(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with EXECUTORS.get("local")(2) as executor:
        assert isinstance(executor, LocalExecutor)
        executor.prepare(Setup(TASK, {"factor": 2, "gate": str(gate)}))
        assert sum(worker.ready for worker in executor._workers) == 1
        opener = threading.Thread(target=gate.write_text, args=("go",))
        opener.start()
        executor.settle()
        opener.join()
        assert all(worker.ready for worker in executor._workers)


def test_a_job_beyond_its_time_is_ended(local_executor: AbstractExecutor) -> None:
    local_executor.prepare(setup(timeout_s=1.0))
    started = time.monotonic()
    found = run(local_executor, [{"value": 1, "sleep_s": 60}, {"value": 2}])
    assert found["0"].reason == "timeout"
    assert "longer than 1 s" in str(found["0"].message)
    assert found["1"].result is not None
    assert time.monotonic() - started < 30


def test_work_under_way_is_given_up_after_the_grace(local_executor: AbstractExecutor) -> None:
    local_executor.prepare(setup())
    started = time.monotonic()
    late = time.monotonic() + 0.5
    finished = local_executor.run(
        [Job("0", {"value": 1, "sleep_s": 60})],
        lambda outcome: None,
        lambda: time.monotonic() > late,
        grace_s=0.5,
    )
    assert not finished
    assert time.monotonic() - started < 20


def test_workers_are_gone_when_the_driver_is_killed() -> None:
    script = (
        "import sys, time\n"
        "from nas.search.executors import EXECUTORS, Job, Setup\n"
        "executor = EXECUTORS.get('local')(1)\n"
        "executor.prepare(Setup('search_fakes:echo_task', {'factor': 2}))\n"
        "executor.run([Job('0', {'value': 1})], "
        "lambda outcome: print(outcome.result['pid'], flush=True))\n"
        "time.sleep(600)\n"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    ) as driver:
        assert driver.stdout is not None
        worker = int(driver.stdout.readline())
        driver.kill()
    assert all_end([worker])


def test_a_worker_that_cannot_start_is_an_error_with_its_last_words() -> None:
    with (
        EXECUTORS.get("local")(1) as executor,
        pytest.raises(EnvironmentFault, match="could not be kept up"),
    ):
        executor.prepare(Setup("search_fakes:_misbehave", {"fail": "exit"}))


def test_a_factory_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="'search_fakes:nothing' is no function"):
        make_task("search_fakes:nothing", {})


def test_an_error_survives_the_way_through_json() -> None:
    error = DataError("what", where="where", why="why", fix="fix")
    found = rebuild_error(describe_error(error))
    assert type(found) is DataError
    assert str(found) == str(error)
    assert "ValueError: x" in str(rebuild_error(describe_error(ValueError("x"))))


def test_a_worker_that_lacks_memory_names_the_setting() -> None:
    found = rebuild_error(describe_error(MemoryError("interning")))
    assert isinstance(found, EnvironmentFault)
    assert "too little memory" in found.what
    assert found.where == "executor.memory_gib"
    assert "leave it out" in str(found.fix)


def test_a_ray_of_its_own_stores_where_no_other_user_of_the_machine_can(
    ray_executor: AbstractExecutor,
) -> None:
    ray_executor.prepare(setup())
    import ray._private.worker as worker

    session = Path(worker._global_node.get_session_dir_path())
    own = session.parent.parent
    assert own.name.startswith(f"nas-ray-{os.getuid()}-")
    assert own.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["inline", "local"])
def test_a_search_on_this_machine_needs_no_ray(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    sizes = ("search.trials=4", "search.batch=2")
    assert fake_search(tmp_path, *sizes, executor=kind, workers=1).state() == "finished"


def test_without_ray_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EnvironmentFault, match=r"needs Ray[\s\S]*pip install"):
        EXECUTORS.get("ray")(1)


def test_an_unknown_executor_is_answered_with_what_there_is() -> None:
    with pytest.raises(NotFoundError, match=r"Unknown executor 'slurm'[\s\S]*inline, local, ray"):
        EXECUTORS.get("slurm")

"""Several members in one call of a worker: the same answers, and only the guilty member fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_runs import canonical, points
from supernet_cases import shaken

from nas.run_store.weights import WeightStore
from nas.search.driver import search
from nas.search.executors import EXECUTORS, AbstractExecutor, Job, Outcome, Setup
from nas.search.executors.base import perform
from nas.search.executors.grouping import CALL_S, CallSize, GroupingExecutor
from nas.search.material import prepare_material
from nas.search.session import WORTH_SHARING
from nas.search.settings.config import SearchConfig
from nas.search.settings.resolve import resolve_config, resolve_space, searched_space
from nas.search.tasks import score_task
from nas.seeds import derive_seed
from nas.supernet.supernet import Supernet

ECHO = "search_fakes:echo_task"
SCORING: dict[str, Any] = {
    "space": "tiny_exhaustive",
    "objectives": ["cross_entropy", "macs"],
    "max_train_images": 400,
    "supernet": {"recalibration": {"images": 64}, "validation_images": 64},
}


@pytest.fixture(scope="module")
def workers() -> Iterator[AbstractExecutor]:
    with EXECUTORS.get("local")(1) as executor:
        yield executor


def run(
    inner: AbstractExecutor, payloads: list[dict[str, Any]], members: int, **more: Any
) -> dict[str, Outcome]:
    """Run payloads in calls of several; every job has exactly one outcome."""
    executor = GroupingExecutor(inner, members)
    executor.prepare(Setup(ECHO, {"factor": 2}, **more))
    found: list[Outcome] = []
    jobs = [Job(str(index), payload) for index, payload in enumerate(payloads)]
    assert executor.run(jobs, found.append)
    assert sorted(each.key for each in found) == sorted(job.key for job in jobs)
    return {each.key: each for each in found}


def numbers(found: dict[str, Outcome]) -> dict[str, int | None]:
    return {key: each.result["answer"] if each.result else None for key, each in found.items()}


@pytest.mark.parametrize("fault", ["exit", "killed"])
@pytest.mark.fault("A7", "A11")
def test_of_a_call_whose_worker_dies_only_the_guilty_member_fails(
    workers: AbstractExecutor, fault: str
) -> None:
    payloads: list[dict[str, Any]] = [{"value": value} for value in range(6)]
    payloads[2]["fail"] = fault
    found = run(workers, payloads, members=4)
    assert found["2"].reason in ("died", "oom")
    assert numbers(found) == {str(n): None if n == 2 else 2 * n for n in range(6)}


@pytest.mark.fault("A12")
def test_of_a_call_beyond_its_time_only_the_member_that_hangs_fails(
    workers: AbstractExecutor,
) -> None:
    payloads: list[dict[str, Any]] = [{"value": value} for value in range(4)]
    payloads[1]["sleep_s"] = 60
    found = run(workers, payloads, members=4, timeout_s=1.0)
    assert found["1"].reason == "timeout"
    assert numbers(found) == {"0": 0, "1": None, "2": 4, "3": 6}


def test_after_a_call_ran_out_of_time_calls_are_smaller() -> None:
    """Networks that are slow together would be evaluated twice for the whole search."""
    inner = Recording()
    executor = GroupingExecutor(inner, 4)
    executor.run([Job(str(index), {}) for index in range(12)], lambda outcome: None)
    assert inner.sizes == [4, 1, 1, 1, 1, 2, 2, 2, 2]


def test_calls_of_slow_members_are_short() -> None:
    """A kill or a stop costs the calls under way."""
    size = CallSize(16)
    assert size.jobs == 16
    size.took(2.0, 16)
    assert size.jobs == 16
    size.took(16 * CALL_S / 4, 16)
    assert size.jobs == 4
    size.took(100 * CALL_S, 4)
    assert size.jobs == 1


class Recording(AbstractExecutor):
    """Answers every call, but the first of several jobs ends by its time limit."""

    def __init__(self) -> None:
        super().__init__(1)
        self.sizes: list[int] = []

    def prepare(self, setup: Setup) -> None:
        raise NotImplementedError

    def run(self, jobs: Any, on_outcome: Any, should_stop: Any = None, grace_s: float = 0) -> bool:
        for job in jobs:
            members = job.payload.get("members", [{}])
            self.sizes.append(len(members))
            if len(self.sizes) == 1:
                on_outcome(Outcome(job.key, None, "timeout", "It took longer."))
            else:
                on_outcome(Outcome(job.key, {"answers": [{"result": {}}] * len(members)}))
        return True

    def close(self) -> None:
        raise NotImplementedError


def test_a_job_that_keeps_weights_or_had_no_end_before_has_a_call_of_its_own(
    tmp_path: Path,
) -> None:
    inner = EXECUTORS.get("inline")(1)
    executor = GroupingExecutor(inner, 3)
    executor.prepare(Setup("search_fakes:call_counting_task", {}))
    found: list[Outcome] = []
    jobs = [Job(str(number), {}) for number in range(5)]
    jobs[1:1] = [Job("kept", {}, keeps=str(tmp_path)), Job("open", {}, apart=True)]
    assert executor.run(jobs, found.append)
    answers = {each.key: dict(each.result or {}) for each in found}
    assert answers.pop("kept") == {"keep": str(tmp_path), "members": 1}
    assert answers.pop("open") == {"members": 1}
    assert sorted(each["members"] for each in answers.values()) == [1, 1, 3, 3, 3]


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchConfig, dict[str, Any]]:
    """A config and the arguments of its scoring task; the weights are random."""
    config = resolve_config(SCORING)
    run_folder = tmp_path_factory.mktemp("run")
    data = prepare_material(config).data
    supernet = shaken(
        Supernet(
            resolve_space(config),
            data.input_shape,
            data.num_classes,
            seed=derive_seed(config.seed, "supernet", 0),
        )
    )
    arrays = supernet.state_arrays()
    poisoned = sorted(name for name in arrays if "separable3x3" in name)
    assert poisoned
    arrays[poisoned[-1]] = np.full_like(arrays[poisoned[-1]], np.nan)
    return config, {
        "config": config.to_dict(),
        "run": str(run_folder),
        "weights": WeightStore(run_folder / "weights", writable=True).put(arrays),
        "fingerprint": data.fingerprint,
        "input_shape": list(data.input_shape),
        "num_classes": data.num_classes,
        "device": "cpu",
    }


@pytest.mark.fault("E1")
def test_members_scored_together_answer_to_the_last_bit_as_alone(
    scoring: tuple[SearchConfig, dict[str, Any]],
) -> None:
    config, arguments = scoring
    space = searched_space(config)
    rng = np.random.default_rng(0)
    payloads: list[dict[str, Any]] = [{"decisions": space.sample(rng)} for _ in range(8)]
    task: Any = score_task(arguments)
    alone = [perform(task, payload) for payload in payloads]
    together = task.together(payloads)
    for own, shared in zip(alone, together, strict=True):
        assert shared.pop("seconds") > 0
        own.pop("seconds")
    assert json.dumps(together) == json.dumps(alone)
    reasons = {each.get("reason") for each in alone}
    assert reasons == {None, "nonfinite"}, "one weight is poisoned, and not every member has it"


def test_a_member_whose_score_is_known_is_not_scored_again(
    scoring: tuple[SearchConfig, dict[str, Any]],
) -> None:
    config, arguments = scoring
    decisions = searched_space(config).sample(np.random.default_rng(1))
    known = {"error": 0.25, "cross_entropy": 0.5, "count": 64}
    task: Any = score_task(arguments)
    (answer,) = task.together([{"decisions": decisions, "inherited": known}])
    assert answer["result"]["inherited"] == known


@pytest.mark.fault("G-D3")
def test_a_search_is_the_same_however_many_members_a_call_has(tmp_path: Path) -> None:
    found = []
    for members in (1, 8):
        config = resolve_config(
            {
                **SCORING,
                "supernet": {
                    **SCORING["supernet"],
                    "training": {"epochs": 1, "warmup_epochs": 0},
                    "relaxation": {"enabled": False},
                },
                "search": {"trials": 10, "batch": WORTH_SHARING},
                "confirm": {"enabled": False},
                "executor": {"kind": "inline", "members_per_call": members},
            }
        )
        found.append(points(search(config, runs=tmp_path, name=f"by{members}")))
    assert found[0]
    assert canonical(found[0]) == canonical(found[1])

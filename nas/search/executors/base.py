"""The contract of executors: plain jobs in, plain outcomes out, in any order.

A job and its outcome are JSON values, so they look the same to a worker process, to an actor on
another machine and to a test. What a job means is known by its task alone: a function that a
factory makes once per worker, from arguments that are JSON too.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, final

from nas import errors
from nas.errors import ArchitectureError, ConfigError, NasError, TopologyError, TrialError
from nas.registry import Registry
from nas.search.executors.attempt import LEFT, JobLeft, attempting, never
from nas.search.time_spent import TimeSpent

Task = Callable[[dict[str, Any]], dict[str, Any]]


@final
@dataclass(frozen=True)
class Setup:
    """What every worker prepares once.

    Args:
        factory: `module:function`; called with `arguments`, it returns the task.
        arguments: JSON values.
        threads: CPU threads of a worker.
        timeout_s: Wall-clock limit of one job, in seconds.
        memory_gib: Most memory of one worker.
        weights: SHA-256 of the weights that the task reads from the run `arguments["run"]`. Workers
            that do not see that folder are given a copy, and `run` names it there.
        gpus: GPUs of one worker; a fraction shares one. Only a cluster counts them.
        resources: Further resources of a cluster that a worker needs, by name.
        alone: Whether no other worker of this search may work on the same machine meanwhile.
        fingerprint: Digest of the device that a worker must have; None takes any.
        members_per_call: Most jobs that a worker may be given at once, where that saves work.
    """

    factory: str
    arguments: Mapping[str, Any]
    threads: int = 1
    timeout_s: float = 86_400.0
    memory_gib: float | None = None
    weights: tuple[str, ...] = ()
    gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)
    alone: bool = False
    fingerprint: str | None = None
    members_per_call: int = 1


@final
@dataclass(frozen=True)
class Job:
    """One evaluation.

    Args:
        key: Names it.
        payload: What the task needs (JSON).
        keeps: Folder of a run. The task finds it, or a stand-in on its own machine, as `keep` in
            its payload; weights it stores there are in the run once the job has its outcome.
        apart: Whether it gets a call of its own, because an earlier attempt had no end.
        state: Folder where a training keeps how far it is while it has no end, for workers that
            see it; in their payload under this name.
    """

    key: str
    payload: Mapping[str, Any]
    keeps: str | None = None
    apart: bool = False
    state: str | None = None


@final
@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Args:
        key: The job's key.
        result: What the task returned; None if it failed.
        reason: Why it failed. The evaluation said so: `nonfinite`, `infeasible`, `crash` (an
            exception), `oom`. Its worker did not survive: `timeout`, `oom`, `died` (its process
            ended, or is of no use any more), `lost` (its machine or the way to it is gone). It has
            none yet: `left` (it was asked to stop, and goes on from there when it is run again).
        message: What to tell about the failure.
        seconds: Wall-clock time of the job, without waiting for the device, with that of attempts
            which it went on from.
    """

    key: str
    result: Mapping[str, Any] | None
    reason: str | None = None
    message: str | None = None
    seconds: float = field(default=0.0, compare=False)


class AbstractExecutor(abc.ABC):
    """Runs jobs on workers that keep what they prepared. Use it in a `with` statement.

    Args:
        workers: Jobs at a time.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    @abc.abstractmethod
    def prepare(self, setup: Setup) -> None:
        """Let every worker make the task of `setup`; jobs that follow run it.

        A worker that made the task of an equal setup already keeps it.

        Raises:
            NasError: What the factory raised: then no job could run.
            EnvironmentFault: If workers cannot be started.
        """

    @abc.abstractmethod
    def run(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool] = lambda: False,
        grace_s: float = 20.0,
    ) -> bool:
        """Run all jobs; return True when all have an outcome.

        A job has one outcome: whether it is tried again is for the caller to say.
        Trainings that are left when it is time to stop have one, too: `left`.

        Args:
            jobs: What to run. The next one is taken when a worker is free and all outcomes that
                came were told, so a generator may propose from the results so far.
            on_outcome: Called in this process with each outcome as it comes.
            should_stop: Asked several times a second. After True no job is started, those under
                way have `grace_s` seconds to finish, and the rest stays without outcome.
            grace_s: See there.
        """

    def settle(self) -> None:  # noqa: B027 - most executors start nothing in the background
        """Wait until no worker is still starting, so that the device is quiet.

        Raises:
            NasError: What the factory raised in a worker.
            EnvironmentFault: If a worker cannot be started.
        """

    def process_ids(self) -> list[int]:
        """Return the workers' processes on this machine, as far as there are any."""
        return []

    @abc.abstractmethod
    def close(self) -> None:
        """End the workers that this executor started; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


EXECUTORS: Registry[Callable[[int], AbstractExecutor]] = Registry(
    "executor", package="nas.search.executors"
)


def make_task(factory: str, arguments: Mapping[str, Any]) -> Task:
    """Import `module:function` and call it.

    Raises:
        ConfigError: If there is no such function.
    """
    module, _, name = factory.partition(":")
    maker = getattr(importlib.import_module(module), name, None)
    if not callable(maker):
        raise ConfigError(
            f"'{factory}' is no function that makes a task.",
            fix="Write module:function of a function that returns the task.",
        )
    task: Task = maker(dict(arguments))
    return task


@final
class Feed:
    """Jobs, taken one by one.

    Args:
        jobs: What `AbstractExecutor.run` was given.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._left = len(jobs) if isinstance(jobs, Sized) else None
        self._jobs = iter(jobs)
        self.ended = self._left == 0

    def take(self) -> Job | None:
        """Return the next job, or None when there is none left."""
        if self.ended:
            return None
        job = next(self._jobs, None)
        if self._left is not None:
            self._left -= 1
        self.ended = job is None or self._left == 0
        return job


def payload_of(job: Job) -> dict[str, Any]:
    """Return what the task is called with where the run's folder is in sight."""
    more = {"keep": job.keeps, "state": job.state}
    return {**job.payload, **{name: value for name, value in more.items() if value is not None}}


def perform(
    task: Task, payload: Mapping[str, Any], should_stop: Callable[[], bool] = never
) -> dict[str, Any]:
    """Run one job; return its result or its failure, with what it cost, as plain values.

    Args:
        task: The task.
        payload: What it needs.
        should_stop: Asked by trainings that can be left and gone on with.
    """
    spent = TimeSpent()
    with attempting(should_stop) as attempt:
        try:
            answer: dict[str, Any] = {"result": task(dict(payload))}
        except JobLeft:
            answer = {"result": None, "reason": LEFT, "message": "It was left, to be gone on with."}
        except Exception as error:
            reason, message = classify(error)
            answer = {"result": None, "reason": reason, "message": message}
    return {**answer, "seconds": attempt.earlier_s + spent.busy_s}


def classify(error: Exception) -> tuple[str, str]:
    """Return reason and message of a failed evaluation."""
    if isinstance(error, TrialError):
        return error.kind, error.what
    if isinstance(error, (ArchitectureError, TopologyError)):
        return "infeasible", error.what
    text = f"{type(error).__name__}: {error}"
    if _is_out_of_memory(error):
        return "oom", text
    if _has_lost_its_device(error):
        return "died", text
    return "crash", text


def _is_out_of_memory(error: Exception) -> bool:
    words = ("out of memory", "allocate memory", "bad_alloc")
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(word in str(error).lower() for word in words)


def _has_lost_its_device(error: Exception) -> bool:
    """Tell whether an accelerator has failed so that this process can use it no more.

    After a device-side assertion, an illegal address or an uncorrectable error of its memory every
    call fails; only a new process has a new context.
    """
    if type(error).__name__ == "AcceleratorError":
        return True
    words = ("CUDA error:", "HIP error:", "device-side assert")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def outcome(key: str, answer: Mapping[str, Any]) -> Outcome:
    """Return the outcome that `perform` describes."""
    return Outcome(
        key,
        answer["result"],
        answer.get("reason"),
        answer.get("message"),
        float(answer.get("seconds", 0.0)),
    )


def describe_error(error: Exception) -> dict[str, Any]:
    """Return an exception as plain values."""
    if isinstance(error, NasError):
        parts = {"what": error.what, "where": error.where, "why": error.why, "fix": error.fix}
        return {"class": type(error).__name__, **parts}
    if _is_out_of_memory(error):
        return {
            "class": "EnvironmentFault",
            "what": "A worker has too little memory to load the data and the weights.",
            "where": "executor.memory_gib",
            "why": f"{type(error).__name__}: {error}",
            "fix": "Raise executor.memory_gib (torch alone takes most of 1), or leave it out.",
        }
    return {"class": "NasError", "what": f"{type(error).__name__}: {error}"}


def rebuild_error(described: Mapping[str, Any]) -> NasError:
    """Return the exception that `describe_error` described."""
    found = getattr(errors, str(described.get("class")), NasError)
    kind = found if isinstance(found, type) and issubclass(found, NasError) else NasError
    details = {key: described.get(key) for key in ("where", "why", "fix")}
    return kind(str(described.get("what")), **details)

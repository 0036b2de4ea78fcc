"""The contract of executors: plain jobs in, plain outcomes out, in any order.

A job and its outcome are JSON values, so they look the same to a worker process, to an actor on
another machine and to a test. What a job means is known by its task alone: a function that a
factory makes once per worker, from arguments that are JSON too.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, final

from nas import errors
from nas.errors import ArchitectureError, ConfigError, NasError, TopologyError, TrialError
from nas.registry import Registry
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
        memory_gib: Most memory of one local worker.
    """

    factory: str
    arguments: Mapping[str, Any]
    threads: int = 1
    timeout_s: float = 86_400.0
    memory_gib: float | None = None


@final
@dataclass(frozen=True)
class Job:
    """One evaluation: a key that names it, and what the task needs (JSON)."""

    key: str
    payload: Mapping[str, Any]


@final
@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Args:
        key: The job's key.
        result: What the task returned; None if it failed.
        reason: Why it failed: `nonfinite`, `oom`, `timeout`, `crash` or `infeasible`.
        message: What to tell about the failure.
        seconds: Wall-clock time of the job, without waiting for the device.
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

        Args:
            jobs: What to run.
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
        raise ConfigError(f"'{factory}' is no function that makes a task.")
    task: Task = maker(dict(arguments))
    return task


def perform(task: Task, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Run one job; return its result or its failure, with what it cost, as plain values."""
    spent = TimeSpent()
    try:
        answer: dict[str, Any] = {"result": task(dict(payload))}
    except Exception as error:
        reason, message = classify(error)
        answer = {"result": None, "reason": reason, "message": message}
    return {**answer, "seconds": spent.busy_s}


def classify(error: Exception) -> tuple[str, str]:
    """Return reason and message of a failed evaluation."""
    if isinstance(error, TrialError):
        return error.kind, error.what
    if isinstance(error, (ArchitectureError, TopologyError)):
        return "infeasible", error.what
    text = f"{type(error).__name__}: {error}"
    if _is_out_of_memory(error):
        return "oom", text
    return "crash", text


def _is_out_of_memory(error: Exception) -> bool:
    words = ("out of memory", "allocate memory", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in words)


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

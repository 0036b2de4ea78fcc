"""Ray actors on one node behind the same contract; the core never imports Ray.

Actors are started once and reused. Only what was started here is ended here: a Ray that the user
runs already is joined and left as it was.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, final

from nas.errors import EnvironmentFault, NasError
from nas.search.executors.base import (
    EXECUTORS,
    AbstractExecutor,
    Feed,
    Job,
    Outcome,
    Setup,
    Task,
    describe_error,
    make_task,
    outcome,
    payload_of,
    perform,
    rebuild_error,
)

POLL_S = 0.1


class _Actor:
    """Runs inside a Ray worker process."""

    def __init__(self) -> None:
        self._task: Task | None = None

    def set_up(self, factory: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """Make the task; return the error as plain values if that fails."""
        try:
            self._task = make_task(factory, arguments)
        except Exception as error:
            return describe_error(error)
        return None

    def work(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Run one job."""
        assert self._task is not None
        return perform(self._task, payload)


def import_ray() -> Any:
    """Return the module.

    Raises:
        EnvironmentFault: If Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise EnvironmentFault(
            "The executor 'ray' needs Ray, which is not installed.",
            why=str(error),
            fix="Install it with: pip install 'nas[ray]', or use --executor local.",
        ) from error
    return ray


@EXECUTORS.register("ray")
@final
class RayExecutor(AbstractExecutor):
    """Reused actors of a local Ray.

    Args:
        workers: Actors, one CPU each.
    """

    def __init__(self, workers: int = 1) -> None:
        super().__init__(workers)
        self._ray = import_ray()
        self._actors: list[Any] = []
        self._setup: Setup | None = None
        self._started_ray = False

    def prepare(self, setup: Setup) -> None:
        """Start Ray and the actors where needed; let all make the task."""
        waiting = [] if setup == self._setup else list(self._actors)
        self._setup = setup
        self._start_ray(setup.threads)
        while len(self._actors) < self.workers:
            self._actors.append(self._new_actor(setup.threads))
            waiting.append(self._actors[-1])
        try:
            for actor in waiting:
                self._set_up(actor)
        except NasError:
            self._setup = None  # whoever asks for it again is told again
            raise

    def run(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool] = lambda: False,
        grace_s: float = 20.0,
    ) -> bool:
        """Run the jobs on all actors."""
        assert self._setup is not None, "prepare comes first"
        feed = Feed(jobs)
        running: dict[Any, tuple[Job, int, float]] = {}
        stopped_at: float | None = None
        while True:
            if stopped_at is None and should_stop():
                stopped_at = time.monotonic()
            if stopped_at is None:
                self._hand_out(feed, running)
                if feed.ended and not running:
                    return True
            elif not running or time.monotonic() - stopped_at > grace_s:
                self._abandon(running)
                return feed.ended and not running
            for done in self._collect(running):
                on_outcome(done)

    def close(self) -> None:
        """End the actors, and Ray if it was started here."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []
        self._setup = None
        if self._started_ray:
            self._ray.shutdown()
            self._started_ray = False

    def _start_ray(self, threads: int) -> None:
        if self._ray.is_initialized():
            return
        self._ray.init(
            address="local",
            num_cpus=self.workers,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            runtime_env={"env_vars": _environment(threads)},
        )
        self._started_ray = True

    def _new_actor(self, threads: int) -> Any:
        remote = self._ray.remote(num_cpus=1, max_restarts=0)(_Actor)
        return remote.options(runtime_env={"env_vars": _environment(threads)}).remote()

    def _set_up(self, actor: Any) -> None:
        assert self._setup is not None
        answer = actor.set_up.remote(self._setup.factory, dict(self._setup.arguments))
        error = self._ray.get(answer)
        if error is not None:
            raise rebuild_error(error)

    def _hand_out(self, feed: Feed, running: dict[Any, tuple[Job, int, float]]) -> None:
        busy = {place for _, place, _ in running.values()}
        for place, actor in enumerate(self._actors):
            if place not in busy:
                job = feed.take()
                if job is None:
                    return
                reference = actor.work.remote(payload_of(job))
                running[reference] = (job, place, time.monotonic())

    def _collect(self, running: dict[Any, tuple[Job, int, float]]) -> list[Outcome]:
        assert self._setup is not None
        done, _ = self._ray.wait(list(running), num_returns=1, timeout=POLL_S)
        found = [self._fetch(reference, *running.pop(reference)) for reference in done]
        for reference, (job, place, since) in list(running.items()):
            if time.monotonic() - since > self._setup.timeout_s:
                del running[reference]
                self._replace(place)
                message = f"It took longer than {self._setup.timeout_s:g} s and was ended."
                found.append(Outcome(job.key, None, "timeout", message, time.monotonic() - since))
        return found

    def _fetch(self, reference: Any, job: Job, place: int, since: float) -> Outcome:
        try:
            return outcome(job.key, self._ray.get(reference))
        except self._ray.exceptions.RayError as error:
            self._replace(place)
            kind = "oom" if "OutOfMemory" in type(error).__name__ else "died"
            text = f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"
            return Outcome(job.key, None, kind, text, time.monotonic() - since)

    def _abandon(self, running: dict[Any, tuple[Job, int, float]]) -> None:
        for _, place, _ in running.values():
            self._replace(place)

    def _replace(self, place: int) -> None:
        assert self._setup is not None
        self._ray.kill(self._actors[place])
        self._actors[place] = self._new_actor(self._setup.threads)
        self._set_up(self._actors[place])


def _environment(threads: int) -> dict[str, str]:
    return {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path) or ".",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
    }

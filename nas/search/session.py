"""One owner's work on one run: everything the stages share, and how a stage begins and ends."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import torch

from nas.errors import NasError, RunError
from nas.run_store import Run
from nas.search.executors import EXECUTORS, AbstractExecutor, Setup
from nas.search.executors.grouping import GroupingExecutor
from nas.search.interrupts import Stopper
from nas.search.material import Material
from nas.search.progress import Listener, StageProgress, no_listener
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.search.time_spent import TimeSpent
from nas.space import AbstractSpace

if TYPE_CHECKING:
    from nas.search.measuring.remote import RemoteDevice

MOST_DEFAULT_WORKERS: Final = 4
WORTH_SHARING: Final = 8
"""Members per call from which on they save more than they cost (`make bench
NAME=members_per_call`); with more workers than leave so many to each, calls have one."""

_log = logging.getLogger("nas")


class Stopped(Exception):
    """The stopper said so and the state is saved; a signal between driver and stages."""


@final
@dataclass
class Session:
    """What the stages of a run work with.

    Args:
        run: The run, owned.
        config: Its resolved config.
        space: Its space.
        goals: Its objectives and constraints.
        material: Its data.
        device: Where networks run.
        stopper: Asked whether to stop.
        listener: Told how far a stage is.
        workers: Evaluations at a time; None takes the config's.
        executor_kind: Name of the executor; None takes the config's.

    Attributes:
        remote: Measures on a node of a cluster; None where the driver measures itself.
    """

    run: Run
    config: SearchConfig
    space: AbstractSpace
    goals: Goals
    material: Material
    device: torch.device
    stopper: Stopper
    listener: Listener = no_listener
    workers: int | None = None
    executor_kind: str | None = None
    remote: RemoteDevice | None = field(default=None, init=False)
    _executor: AbstractExecutor | None = field(default=None, init=False)
    _grouped: AbstractExecutor | None = field(default=None, init=False)

    def tell(self, stage: str, done: int, total: int | None, unit: str, note: str = "") -> None:
        """Tell the listener how far a stage is."""
        self.listener(StageProgress(stage, done, total, unit, note))

    def check_stop(self) -> None:
        """Leave the stage if it is time to stop.

        Raises:
            Stopped: Then; what was done is in the log.
        """
        if self.stopper():
            raise Stopped

    def stage(self, name: str, work: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Run a stage unless it is finished and what it made is there; return its closing record.

        Raises:
            Stopped: If it was left before its end.
        """
        known = self.run.table().stages.get(name)
        if known is not None and known.state == "finished" and self._has(name, known.checkpoint):
            return known.finish
        return self.again(name, work)

    def _has(self, stage: str, checkpoint: str | None) -> bool:
        """Tell whether what a finished stage made can still be read; a lost one is made again."""
        if checkpoint is None:
            return True
        try:
            self.run.weights.get_bytes(checkpoint)
        except RunError as error:
            _log.warning("run '%s', stage %s is done again: %s", self.run.name, stage, error.what)
            return False
        return True

    def again(self, name: str, work: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Run a stage whether it was finished before or not; the log keeps how long it took."""
        self.check_stop()
        self.run.append({"kind": "stage_started", "stage": name})
        _log.debug("stage %s begins", name)
        spent = TimeSpent()
        try:
            found = work()
        except BaseException:
            # What it spent counts all the same; a log that cannot be written has its own error.
            with suppress(NasError):
                self.run.append({"kind": "stage_left", "stage": name, **_seconds(spent)})
            raise
        self.run.append({"kind": "stage_finished", "stage": name, **found, **_seconds(spent)})
        return self.run.table().stages[name].finish

    @property
    def workers_see_run(self) -> bool:
        """Whether workers are on this machine, where the run's folder is."""
        return (self.executor_kind or self.config.executor.kind) != "ray"

    def executor(self, setup: Setup) -> AbstractExecutor:
        """Return the executor, its workers prepared for `setup`."""
        if self._executor is None:
            self._executor = self._new_executor()
        executor = self._grouping(self._executor, setup.members_per_call)
        executor.prepare(self._with_needs(setup))
        return executor

    def trainer(self, setup: Setup) -> AbstractExecutor:
        """Return what runs trainings: experiments of Ray Tune on Ray, elsewhere the executor."""
        if self._executor is None:
            self._executor = self._new_executor()
        trainer = self._executor
        if not self.workers_see_run:
            from nas.search.executors.ray_executor import RayExecutor
            from nas.search.executors.tune.trainings import TuneTrainings

            assert isinstance(trainer, RayExecutor)
            scratch = self.config.executor.scratch
            every_s = self.config.confirm.checkpoint_every_s
            trainer = TuneTrainings(trainer, Path(scratch) if scratch else None, every_s)
        trainer.prepare(self._with_needs(setup))
        return trainer

    def _new_executor(self) -> AbstractExecutor:
        asked = self.config.executor
        kind, workers = self.executor_kind or asked.kind, self.workers or asked.workers
        if kind == "ray":
            from nas.search.executors.ray_executor import RayExecutor, joins_cluster

            spare = None if joins_cluster(asked.address) else default_workers()
            threads = self.config.search.threads_per_evaluation
            return RayExecutor(workers or spare, asked.address, threads)
        return EXECUTORS.get(kind)(workers or default_workers())

    def _with_needs(self, setup: Setup) -> Setup:
        """Return a setup with what the config says a worker of a cluster needs."""
        if setup.alone:  # where to measure is its own question
            return setup
        asked = self.config.executor
        return replace(setup, gpus=asked.gpus_per_worker, resources=dict(asked.resources))

    def _grouping(self, executor: AbstractExecutor, most: int) -> AbstractExecutor:
        """Return the executor with calls of several members, few enough that all have work."""
        fair = ceil(self.config.search.batch / executor.workers)
        if most == 1 or fair < WORTH_SHARING:
            return executor
        if self._grouped is None:  # it learns how large calls may be
            self._grouped = GroupingExecutor(executor, min(most, fair))
        return self._grouped

    def settle(self) -> None:
        """Wait until workers that start are done with it, if something is to be measured."""
        if self._executor is not None and self.goals.measured:
            self._executor.settle()

    def close(self) -> None:
        """End the workers."""
        if self._executor is not None:
            self._executor.close()
            self._executor = self._grouped = None


def _seconds(spent: TimeSpent) -> dict[str, float]:
    return {"seconds": round(spent.busy_s, 3), "wall_seconds": round(spent.wall_s, 3)}


def default_workers() -> int:
    """Return one worker per CPU core this process may use, at most 4."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, MOST_DEFAULT_WORKERS)

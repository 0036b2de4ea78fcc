"""One owner's work on one study: its folder, its data, its workers, and when to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, final

from nas.run_store import Run
from nas.search.executors import EXECUTORS, AbstractExecutor, Job, Outcome, Setup
from nas.search.executors.retries import run_retrying
from nas.search.interrupts import Stopper
from nas.search.material import Material, prepare_material
from nas.search.progress import Listener, StageProgress, no_listener
from nas.search.session import Stopped, default_workers
from nas.search.settings.config import SearchConfig
from nas.search.training.kept_trainings import forget_states, run_kept
from nas.seeds import derive_seed
from nas.space import AbstractSpace, load_space, space_from_dict
from nas.study.config import StudyConfig
from nas.study.equal_macs import MacsTarget
from nas.study.methods.base import AbstractMethod, MethodContext
from nas.study.tasks import TRAIN, Judge

if TYPE_CHECKING:
    import torch

LASTING: Final = ("nonfinite", "infeasible", "oom")
"""Failures that the next attempt would meet again; the others are tried again."""

SEARCHES: Final = "searches"

_log = logging.getLogger("nas")


@final
@dataclass(frozen=True)
class Row:
    """One method on one data set and space.

    Args:
        key: Names it in the log.
        place: Place in the file of data set, space and method.
        data: Name of the data set, as in the file.
        space: The space.
        method: The method.
    """

    key: str
    place: tuple[int, int, int]
    data: str
    space: AbstractSpace
    method: AbstractMethod


@final
class Materials:
    """The data sets of a study, loaded one at a time and kept.

    Args:
        config: The study.
    """

    def __init__(self, config: StudyConfig) -> None:
        self.config = config
        self._loaded: dict[str, Material] = {}

    def of(self, data: str) -> Material:
        """Return a data set with its parts.

        Raises:
            DataError: If it is unfit; NotFoundError if it is not there.
        """
        if data not in self._loaded:
            self._loaded[data] = prepare_material(material_config(self.config, data))
        return self._loaded[data]

    def facts(self) -> dict[str, Any]:
        """Return what a study keeps of each data set, by its name in the file."""
        return {data: self.of(data).summary() for data in self.config.data}


def material_config(config: StudyConfig, data: str) -> SearchConfig:
    """Return the config of a search on a data set of the study: the same images, its own split."""
    return SearchConfig(
        space=config.spaces[0],
        data=data,
        image_size=config.image_size,
        max_train_images=config.max_train_images,
        seed=derive_seed(config.seed, "study split", 0),
        plugins=list(config.plugins),
    )


def spaces_of(config: StudyConfig) -> list[AbstractSpace]:
    """Return the spaces of a study in the order of the file."""
    return [
        load_space(each) if isinstance(each, str) else space_from_dict(each, f"spaces.{place}")
        for place, each in enumerate(config.spaces)
    ]


def training_seed(config: StudyConfig, index: int) -> int:
    """Return the seed that all networks of the study share as their training number `index`."""
    return derive_seed(config.seed, "study training", index)


@final
@dataclass
class StudySession:
    """What the steps of a study work with.

    Args:
        run: Its folder, owned.
        config: Its resolved file.
        methods: Its methods, in the order of the file.
        materials: Its data.
        device: Where networks run.
        stopper: Asked whether to stop.
        listener: Told how far a step is.
        workers: Trainings at a time.
        executor_kind: Name of the executor.
    """

    run: Run
    config: StudyConfig
    methods: list[AbstractMethod]
    materials: Materials
    device: torch.device
    stopper: Stopper
    listener: Listener = no_listener
    workers: int | None = None
    executor_kind: str = "local"
    _executor: AbstractExecutor | None = field(default=None, init=False)

    @cached_property
    def rows(self) -> list[Row]:
        """Every row of the table: data sets, in them spaces, in them methods."""
        return rows_of(self.config, self.methods)

    def context(self, row: Row) -> MethodContext:
        """Return what the method of a row may look at."""
        return context_of(self.config, self.materials, row)

    def tell(self, step: str, done: int, total: int | None, unit: str, note: str = "") -> None:
        """Tell the listener how far a step is."""
        self.listener(StageProgress(step, done, total, unit, note))

    def check_stop(self) -> None:
        """Leave the work if it is time to stop.

        Raises:
            Stopped: Then; what was done is in the log.
        """
        if self.stopper():
            raise Stopped

    def train(
        self,
        step: str,
        setting: Mapping[str, Any],
        jobs: list[Job],
        keep: Callable[[Outcome], None],
        total: int,
    ) -> None:
        """Run trainings on the workers, every outcome kept as it comes.

        Args:
            step: What to tell the listener.
            setting: Arguments of the task, from `setting`.
            jobs: What is left to train.
            keep: Called with each outcome.
            total: Trainings of the step, those done before included.

        Raises:
            Stopped: If it was left before its end.
        """
        done = total - len(jobs)

        def take(outcome: Outcome) -> None:
            nonlocal done
            done += 1
            keep(outcome)
            self.tell(step, done, total, "trainings")

        self.tell(step, done, total, "trainings")
        if not jobs:
            return
        self.check_stop()
        setup = Setup(TRAIN, setting, threads=self.config.threads, timeout_s=self.config.timeout_s)
        executor = self._prepared(setup)
        if self.executor_kind == "ray":  # its workers may not see the folder
            complete = run_retrying(executor, jobs, take, self.stopper)
        else:
            complete = run_kept(executor, self.run.path, setup, jobs, take, self.stopper)
        if not complete:
            raise Stopped
        forget_states(self.run.path, setup)

    def setting(self, search: SearchConfig, fingerprint: str, judge: Judge) -> dict[str, Any]:
        """Return the arguments of the training task.

        Args:
            search: Names the data and their split.
            fingerprint: Of the data.
            judge: Which part judges.
        """
        return {
            "config": search.to_dict(),
            "fingerprint": fingerprint,
            "device": str(self.device),
            "recipe": self.config.recipe.as_dict(),
            "threads": self.config.threads,
            "judge": judge,
            "test_images": self.config.test_images,
        }

    def _prepared(self, setup: Setup) -> AbstractExecutor:
        if self._executor is None:
            self._executor = EXECUTORS.get(self.executor_kind)(self.workers or default_workers())
        self._executor.prepare(setup)
        return self._executor

    def release(self) -> None:
        """End the workers, so that the device is quiet."""
        if self._executor is not None:
            self._executor.close()
            self._executor = None


def rows_of(config: StudyConfig, methods: list[AbstractMethod]) -> list[Row]:
    """Return every row of a study's table."""
    return [
        Row(f"d{d}-s{s}-m{m}", (d, s, m), data, space, method)
        for d, data in enumerate(config.data)
        for s, space in enumerate(spaces_of(config))
        for m, method in enumerate(methods)
    ]


def context_of(config: StudyConfig, materials: Materials, row: Row) -> MethodContext:
    """Return what the method of a row may look at."""
    data = materials.of(row.data).data
    target = None
    if config.match is not None:
        match = config.match
        target = MacsTarget(match.macs, match.tolerance, data.input_shape, data.num_classes)
    return MethodContext(
        config=config,
        data=row.data,
        space=row.space,
        target=target,
        input_shape=data.input_shape,
        num_classes=data.num_classes,
        row=row.key,
        seed=derive_seed(config.seed, f"study method {row.key}", 0),
    )

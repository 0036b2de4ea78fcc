"""Trainings as an experiment of Ray Tune, behind the contract of executors.

Tune places the trainings, keeps their checkpoints, and lets one whose worker or node is gone go on
from its checkpoint. It knows no run: the driver takes each answer as it comes and writes it down,
and a search that is resumed gives Tune only what the log has no end of. So nothing that Tune stores
is ever read again, and it lies in a scratch folder that is gone with the experiment.

Tune runs on a thread of its own. Its loop hangs when the cluster's head is gone, and the driver is
to notice.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

import nas
from nas.errors import ClusterError, EnvironmentFault
from nas.run_store.layout import WEIGHTS
from nas.run_store.weights import WeightStore
from nas.search.executors.base import (
    AbstractExecutor,
    Feed,
    Job,
    Outcome,
    Setup,
    outcome,
    rebuild_error,
)
from nas.search.executors.ray_executor import RayExecutor, needs_of
from nas.search.executors.ray_link import RayLink
from nas.search.executors.scratch import scratch_folder
from nas.search.executors.tune.early_stopping import EarlyStopping

POLL_S: Final = 0.1
CHECKPOINT_EVERY_S: Final = 30.0
MOST_FAILURES: Final = 2
"""Deaths of workers, or losses of nodes, that a training goes on after."""

END_S: Final = 30.0
"""How long the end of an experiment is waited for, in seconds."""

_QUIET: Final = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "1",
    # The older of two ways to report, which can be silent; stdout is for data.
    "RAY_AIR_NEW_OUTPUT": "0",
}

_log = logging.getLogger("nas")


@final
class TuneTrainings(AbstractExecutor):
    """Runs jobs that are trainings; each `run` is one experiment.

    Args:
        executor: Its connection and the places of its workers are used; it has both back
            afterwards.
        scratch: Folder that all machines of the cluster see, for checkpoints; None takes one of
            this machine, and keeps no checkpoints where the cluster has others.
        checkpoint_every_s: Time between two checkpoints of a training, in seconds.
    """

    def __init__(
        self,
        executor: RayExecutor,
        scratch: Path | None = None,
        checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    ) -> None:
        super().__init__(executor.workers)
        self.early_stopping: EarlyStopping | None = None
        self._executor = executor
        self._scratch = scratch
        self._checkpoint_every_s = checkpoint_every_s
        self._setup: Setup | None = None

    def prepare(self, setup: Setup) -> None:
        """Note what each worker of the next experiment prepares."""
        self._setup = setup

    def run(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool] = lambda: False,
        grace_s: float = 20.0,
    ) -> bool:
        """Run the trainings; those that Tune stopped early have the reason `stopped`."""
        assert self._setup is not None, "prepare comes first"
        link = self._executor.make_room(self._setup)
        with scratch_folder("tune", self._scratch) as folder:
            experiment = Experiment(Feed(jobs), on_outcome, self._executor.most_workers)
            tuner = self._tuner(link, self._setup, folder, experiment)
            return experiment.follow(tuner, link, should_stop, grace_s)

    def close(self) -> None:
        """Do nothing: every experiment ends what it started."""

    def _tuner(self, link: RayLink, setup: Setup, folder: Path, experiment: Experiment) -> Any:
        from ray import tune

        from nas.search.executors.tune.trial import TrainingTrial
        from nas.search.executors.tune.wiring import JobSearcher, Listener, StopAll

        names = {"CPU": "cpu", "GPU": "gpu"}
        needs = needs_of(setup, link.private)
        resources = {names.get(name, name): amount for name, amount in needs.items()}
        stopping = self.early_stopping
        trial = tune.with_parameters(TrainingTrial, order=self._order(setup, link))
        return tune.Tuner(
            tune.with_resources(trial, resources),
            tune_config=tune.TuneConfig(
                search_alg=JobSearcher(experiment),
                scheduler=None if stopping is None else stopping.scheduler(),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=str,
                trial_dirname_creator=lambda each: str(each.trial_id),
            ),
            run_config=tune.RunConfig(
                name="trainings",
                storage_path=str(folder),
                callbacks=[Listener(experiment)],
                stop=StopAll(experiment),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MOST_FAILURES),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1, checkpoint_at_end=False),
            ),
        )

    def _order(self, setup: Setup, link: RayLink) -> dict[str, Any]:
        keeps_checkpoints = self._scratch is not None or _is_one_machine(link)
        return {
            "version": nas.__version__,
            "path": [path for path in sys.path if path],
            "factory": setup.factory,
            "arguments": dict(setup.arguments),
            "timeout_s": setup.timeout_s,
            "memory_gib": setup.memory_gib,
            "checkpoint_every_s": self._checkpoint_every_s if keeps_checkpoints else None,
            "looks": self.early_stopping.looks() if self.early_stopping else [],
        }


@final
class Experiment:
    """What the thread of Tune and the driver tell each other.

    Args:
        feed: The trainings.
        on_outcome: Told outcomes, by the driver.
        most: Trainings at a time; None for as many as fit.
    """

    def __init__(self, feed: Feed, on_outcome: Callable[[Outcome], None], most: int | None) -> None:
        self._feed = feed
        self._on_outcome = on_outcome
        self._most = most
        self._live: dict[str, Job] = {}
        self._again: deque[Job] = deque()
        self._put_back: Counter[str] = Counter()
        self._told: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._open: dict[str, Job] = {}
        self._is_stopping = False
        self.is_over = False
        self._fault: BaseException | None = None

    def next_job(self, trial: str) -> Job | None:
        """Return what a trial is to train; None while there is nothing. On Tune's thread."""
        if self._is_stopping or (self._most is not None and len(self._live) >= self._most):
            return None
        job = self._again.popleft() if self._again else self._feed.take()
        if job is not None:
            self._open[trial] = self._live[trial] = job
        return job

    @property
    def is_drained(self) -> bool:
        """Whether no training will be handed out any more. On Tune's thread."""
        return self._is_stopping or (not (self._live or self._again) and self._feed.ended)

    def put_back(self, trial: str) -> bool:
        """Hand a trial's training out anew, not for ever; return whether. On Tune's thread."""
        job = self._live[trial]
        self._put_back[job.key] += 1
        if self._put_back[job.key] > MOST_FAILURES:
            return False
        del self._live[trial]
        self._again.append(job)
        return True

    def answered(self, trial: str, answer: Mapping[str, Any], kept: Mapping[str, bytes]) -> None:
        """Note the answer of a trial. On Tune's thread."""
        self._live.pop(trial, None)
        self._told.put(lambda: self._close(trial, lambda key: outcome(key, answer), kept))

    def failed(self, trial: str, reason: str, message: str, seconds: float) -> None:
        """Note that a trial has no answer. On Tune's thread."""
        self._live.pop(trial, None)
        self._told.put(
            lambda: self._close(trial, lambda key: Outcome(key, None, reason, message, seconds), {})
        )

    def refused(self, error: Mapping[str, Any]) -> None:
        """Note that a worker could not make the task. On Tune's thread."""
        self._fault = self._fault or rebuild_error(error)

    def follow(
        self, tuner: Any, link: RayLink, should_stop: Callable[[], bool], grace_s: float
    ) -> bool:
        """Run the experiment; tell outcomes as they come; return whether there are all."""
        thread = threading.Thread(target=self._run, args=(tuner,), daemon=True)
        stopped_at: float | None = None
        patience_s = END_S
        with _quiet():
            thread.start()
            try:
                while thread.is_alive():
                    self._deliver(POLL_S)
                    link.check()
                    if self._fault is not None:
                        break
                    if stopped_at is None and should_stop():
                        stopped_at = time.monotonic()
                        self._is_stopping = True
                    if stopped_at is not None and time.monotonic() - stopped_at > grace_s:
                        break
                self._deliver(0.0)
            except ClusterError:
                patience_s = POLL_S  # Tune hangs with its cluster
                raise
            finally:
                self._is_stopping = self.is_over = True
                thread.join(patience_s)
        if self._fault is not None:
            raise self._fault
        self._deliver(0.0)
        return self._feed.ended and not (self._live or self._again or self._told.qsize())

    def _run(self, tuner: Any) -> None:
        try:
            tuner.fit()
        except Exception as error:
            self._fault = EnvironmentFault(
                "Ray Tune could not run the trainings.",
                why=f"{type(error).__name__}: {error}"[:600],
                fix="Look at the message above; `nas resume` goes on with what is not recorded.",
            )

    def _deliver(self, wait_s: float) -> None:
        try:
            self._told.get(timeout=wait_s)() if wait_s else self._told.get_nowait()()
            while True:
                self._told.get_nowait()()
        except queue.Empty:
            return

    def _close(self, trial: str, make: Callable[[str], Outcome], kept: Mapping[str, bytes]) -> None:
        job = self._open.pop(trial)
        if job.keeps is not None:
            store = WeightStore(Path(job.keeps) / WEIGHTS)
            for data in kept.values():
                store.put_bytes(data)
        self._on_outcome(make(job.key))


def config_of(job: Job) -> dict[str, Any]:
    """Return what tells a trial its training."""
    return {"payload": json.dumps(dict(job.payload)), "keeps": job.keeps is not None}


def _is_one_machine(link: RayLink) -> bool:
    names = {each["NodeManagerHostname"] for each in link.ray.nodes() if each["Alive"]}
    return names == {socket.gethostname()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Tune from talking, and from handling signals, that are ours."""
    before = {name: os.environ.get(name) for name in _QUIET}
    logger = logging.getLogger("ray.tune")
    level = logger.level
    os.environ.update(_QUIET)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

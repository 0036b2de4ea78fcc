"""Running jobs that are trainings, wherever the session's evaluations run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import final

from nas.search.executors import Job, Outcome, Setup
from nas.search.executors.retries import CountedRetries, run_retrying
from nas.search.executors.tune.early_stopping import EarlyStopping
from nas.search.executors.tune.trainings import TuneTrainings
from nas.search.session import Session
from nas.search.training.kept_trainings import run_kept

_log = logging.getLogger("nas")


def run_trainings(
    session: Session,
    setup: Setup,
    jobs: Iterable[Job],
    on_outcome: Callable[[Outcome], None],
    early_stopping: EarlyStopping | None = None,
) -> bool:
    """Run trainings, and again those whose worker did not survive; return whether all have an end.

    Args:
        session: The session.
        setup: What every worker prepares.
        jobs: The trainings.
        on_outcome: Told each one's last outcome, once.
        early_stopping: How those that lag behind are stopped; only Ray does.
    """
    trainer = session.trainer(setup)
    if isinstance(trainer, TuneTrainings):
        trainer.early_stopping = early_stopping
        return run_retrying(trainer, jobs, on_outcome, session.stopper, _AfterTune())
    if early_stopping is not None:
        _log.warning("confirm.early_stopping needs --executor ray: all trainings go to their end")
    return run_kept(trainer, session.run.path, setup, jobs, on_outcome, session.stopper)


@final
class _AfterTune:
    """Tune has let trainings go on after lost workers already; memory may be there by now."""

    def __init__(self) -> None:
        self._counted = CountedRetries()

    def __call__(self, job: Job, outcome: Outcome) -> Job | None:
        return self._counted(job, outcome) if outcome.reason == "oom" else None

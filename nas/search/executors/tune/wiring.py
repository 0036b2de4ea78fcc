"""The three hooks by which Tune asks for trainings, tells of them, and is told to stop.

Tune pickles its hooks into its storage. Nobody reads that, so they pickle to nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from ray.tune import Callback
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from nas.search.executors.tune.early_stopping import STOPPED
from nas.search.executors.tune.trainings import MOST_FAILURES, config_of
from nas.search.executors.tune.trial import ANSWER, EPOCH, ERROR, KEPT, UNFIT

if TYPE_CHECKING:
    from nas.search.executors.tune.trainings import Experiment


@final
class JobSearcher(Searcher):
    """Hands out trainings in their order, one when a worker is free."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self._experiment = experiment

    def suggest(self, trial_id: str) -> Any:
        """Return the config of the next training, None for a while, or that there is no more."""
        job = self._experiment.next_job(trial_id)
        if job is not None:
            return config_of(job)
        return Searcher.FINISHED if self._experiment.is_drained else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn nothing from what came of it."""

    def save(self, checkpoint_path: str) -> None:
        """Store nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, ())


@final
class Listener(Callback):
    """Tells answers and failures as they come."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Take an answer out of a result, or note that Tune stops the training here."""
        kept, unfit = result.pop(KEPT, {}), result.pop(UNFIT, None)
        if unfit is not None:
            self._experiment.refused(json.loads(unfit))
        elif ANSWER in result:
            self._experiment.answered(trial.trial_id, json.loads(result.pop(ANSWER)), kept)
        elif result["done"]:
            epoch, error = result[EPOCH], result[ERROR]
            message = f"Stopped early after epoch {epoch}, with a validation error of {error:.4g}."
            seconds = float(result["time_total_s"])
            self._experiment.failed(trial.trial_id, STOPPED, message, seconds)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a training whose workers did not survive; one that never began is to begin."""
        try:
            text = Path(trial.error_file).read_text(errors="replace")
        except (OSError, TypeError):
            text = ""
        number, _, words = text.rpartition("Failure # ")[2].partition(" ")
        is_final = number.isdecimal() and int(number) > MOST_FAILURES
        if is_final or not self._experiment.put_back(trial.trial_id):
            seconds = float((trial.last_result or {}).get("time_total_s", 0.0))
            self._experiment.failed(trial.trial_id, *why_gone(words), seconds)

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, ())


@final
class StopAll(Stopper):
    """Ends the experiment when the driver says so."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Leave single trainings to themselves."""
        return False

    def stop_all(self) -> bool:
        """Tell whether the driver has left."""
        return self._experiment.is_over

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, ())


def why_gone(text: str) -> tuple[str, str]:
    """Return reason and message of a training that failed for good, from Tune's words about it."""
    words = " ".join(text.split())
    cause = words.partition("The actor is dead because ")[2] or words
    if "OutOfMemory" in words or "running low on memory" in words:
        return "oom", f"The node ran out of memory, and Ray ended the worker. {cause[:300]}"
    if "node" in cause.partition(".")[0]:
        return "lost", f"The node of the worker, or the way to it, is gone. {cause[:300]}"
    return "died", f"The worker process ended. {cause[:300]}"

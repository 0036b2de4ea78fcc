"""The trainings of a run that have no end yet, as its driver sees them: a folder of states each.

Whoever trains keeps there where it stands (`nas.search.training.kept_state`). The driver names the
folder after what is trained, so that whoever does the same later finds it, and removes it once the
training's record is in the log.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, final

from nas.run_store.atomic import is_real_folder, remove_stray_temporaries
from nas.run_store.layout import TRAININGS
from nas.run_store.weights import WeightStore
from nas.search.executors.attempt import TALK
from nas.search.executors.base import AbstractExecutor, Job, Outcome, Setup
from nas.search.executors.retries import has_attempts_left, run_retrying

GONE_ON: Final = "gone_on.json"
"""Beside the state: how often it was gone on from."""

_DOUBTED: Final = {"died": "its worker died {} times", "oom": "memory ran out"}
"""Ends of attempts that the state they went on from may have brought about: reading one takes more
memory than training does."""

_log = logging.getLogger(TALK)


def state_folder(run: Path, kind: Mapping[str, Any], training: Mapping[str, Any]) -> Path:
    """Return the folder for the state of a training.

    Args:
        run: The run's folder.
        kind: JSON values that trainings have in common which end together.
        training: JSON values that tell it from the others of its kind.
    """
    return run / TRAININGS / f"{digest(kind)}-{digest(training)}"


def forget_states(run: Path, setup: Setup) -> None:
    """Remove what was kept of the trainings of a setup, all of which have an end by now.

    Whoever was killed between a training's record and the removal of its state left it behind.
    """
    for folder in sorted((run / TRAININGS).glob(f"{digest(_kind(setup))}-*")):
        forget_state(folder)


def _kind(setup: Setup) -> dict[str, Any]:
    # Not the whole setup: a run may move to another folder.
    named = ("recipe", "fingerprint", "judge")
    return {"task": setup.factory, **{name: setup.arguments.get(name) for name in named}}


def digest(facts: Mapping[str, Any]) -> str:
    """Return a short name for JSON values, the same whenever they are the same."""
    text = json.dumps(dict(facts), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def is_state_folder(folder: Path) -> bool:
    """Tell whether there is a folder for states, and no link on the way to it in a run."""
    in_run = folder.parent.name == TRAININGS
    return is_real_folder(folder) and (is_real_folder(folder.parent) or not in_run)


def _states(folder: Path) -> list[Path]:
    store = WeightStore(folder)
    return [store.path(sha) for sha in store.names()]


def forget_state(folder: Path) -> bool:
    """Remove what was kept of a training, and nothing else; return whether there was anything."""
    if not is_state_folder(folder):
        return False
    with suppress(OSError):  # what stays is found out of date by whoever looks at it next
        remove_stray_temporaries(folder)
        for file in _states(folder):
            file.unlink(missing_ok=True)
        (folder / GONE_ON).unlink(missing_ok=True)
        folder.rmdir()
        if folder.parent.name == TRAININGS:
            folder.parent.rmdir()  # with the last one
    return True


def trainings_left(run: Path) -> int:
    """Return how many trainings of a run have no end yet and are kept where they stand."""
    folder = run / TRAININGS
    if not is_real_folder(folder):
        return 0
    # A full disk may have left a folder without a state.
    return sum(1 for each in folder.iterdir() if is_state_folder(each) and _states(each))


def told_left(run: Path) -> str:
    """Return what to tell of the trainings of a run that was interrupted; empty if none is kept."""
    count = trainings_left(run)
    if not count:
        return ""
    return f" {count} training{'s go' if count > 1 else ' goes'} on from there."


def run_kept(
    executor: AbstractExecutor,
    run: Path,
    setup: Setup,
    jobs: Iterable[Job],
    on_outcome: Callable[[Outcome], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Run trainings as `run_retrying` does, and let them go on from where earlier ones were left.

    Args:
        executor: Prepared for them; its workers see the run's folder.
        run: The run's folder.
        setup: What its workers prepared.
        jobs: The trainings.
        on_outcome: Told each one's last outcome, once, to write it down.
        should_stop: As there.
    """
    kept = _Kept(run, setup)

    def close(outcome: Outcome) -> None:
        on_outcome(outcome)
        kept.forget(outcome.key)

    return run_retrying(executor, kept.keeping(jobs), close, should_stop, kept.retry)


@final
class _Kept:
    def __init__(self, run: Path, setup: Setup) -> None:
        self._run = run
        self._kind = _kind(setup)
        self._folders: dict[str, Path] = {}
        self._failed: Counter[str] = Counter()

    def keeping(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yield the jobs, each with its folder."""
        for job in jobs:
            folder = state_folder(self._run, self._kind, job.payload)
            self._folders[job.key] = folder
            yield replace(job, state=str(folder))

    def forget(self, key: str) -> bool:
        return forget_state(self._folders[key])

    def retry(self, job: Job, outcome: Outcome) -> Job | None:
        """Try again as usual; the last attempt does without a state that may be to blame."""
        self._failed[job.key] += 1
        failed = self._failed[job.key]
        if not has_attempts_left(outcome.reason, failed):
            return None
        is_last = not has_attempts_left(outcome.reason, failed + 1)
        doubt = _DOUBTED.get(outcome.reason or "")
        if doubt is not None and is_last and self.forget(job.key):
            _log.warning(
                "training %s begins anew: %s, and where it stood may be why",
                job.key,
                doubt.format(failed),
            )
        return job

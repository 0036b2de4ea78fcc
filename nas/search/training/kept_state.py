"""Where one training stands, kept in a folder while it lasts: whoever does the same goes on there.

A state is one safetensors file named by its SHA-256. The next one is written whole before the last
one goes, so at every moment there is one to go on from. What is torn, of another training or made
under other versions is not used: the training begins anew, says why, and ends with the same bits.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

import nas
from nas.errors import NasError
from nas.run_store.atomic import make_folder, read_bytes, remove_stray_temporaries, write_json
from nas.run_store.layout import TRAININGS
from nas.run_store.weights import WeightStore
from nas.search.executors.attempt import TALK, JobLeft
from nas.search.time_spent import TimeSpent
from nas.search.training.kept_trainings import GONE_ON, forget_state, is_state_folder
from nas.training.fit import EpochReport, FitResult, Training
from nas.training.fit_state import FitState

CHECKPOINT_EVERY_S: Final = 30.0
MOST_SHARE: Final = 0.02
"""Most of its time that a training spends on keeping states; slow disks get fewer of them."""

MOST_STARTS: Final = 5
"""How often one state is gone on from without coming as far as the next one, before it is not used
any more. Not once: whoever kills a search often does not speak against the training it was in."""

_log = logging.getLogger(TALK)


class _NotUsed(Exception):
    """Why a state is not gone on from; it is told, and the training begins anew."""


@final
class KeptState:
    """Keeps the state of one training, and finds it again.

    Args:
        folder: Of this training alone; it is made with the first state.
        about: JSON values that tell it from others, beside what its states say themselves: of its
            images they know the number only.
        every_s: Time between two states, in seconds; 0 keeps one after every step.
        clock: Seconds from any start.

    Attributes:
        earlier_s: What the training cost before the state it goes on from, in seconds.
        fails: Whether the last state could not be kept.
    """

    def __init__(
        self,
        folder: Path,
        about: Mapping[str, Any],
        every_s: float = CHECKPOINT_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.earlier_s = 0.0
        self._about = {"nas": nas.__version__, **about}
        self._every_s = every_s
        self._clock = clock
        self._spent = TimeSpent()
        self._store = WeightStore(folder)
        self._kept_at, self._pause_s = clock(), every_s
        self.fails = False

    def restore(self, training: Training) -> bool:
        """Bring a fresh training to where an equal one stood; return whether it goes on there."""
        found = self._newest()
        if found is None:
            return False
        sha, state = found
        try:
            self._check(state, training)
            spent_s = float(state.facts["spent_s"])
            self._count_start(sha)
            training.restore(state)
        except (_NotUsed, NasError, KeyError, TypeError, ValueError) as error:
            _log.warning("a training begins anew: %s", getattr(error, "what", error))
            forget_state(self.folder)
            return False
        self.earlier_s = spent_s
        _log.info(
            "a training goes on where it was left, after step %s of epoch %s of %s",
            f"{training.steps:,}",
            min(training.epochs_done + 1, training.recipe.epochs),
            training.recipe.epochs,
        )
        return True

    def is_due(self) -> bool:
        """Tell whether the last state is old enough."""
        return self._clock() - self._kept_at >= self._pause_s

    def keep(self, state: Callable[[], FitState]) -> bool:
        """Keep a state in place of the last one; return whether there was room for it.

        No training ends because its state could not be kept: it goes on, and says so once.
        """
        began = self._clock()
        try:
            now = state()
            spent = self.earlier_s + self._spent.busy_s
            if self.folder.parent.name == TRAININGS:
                make_folder(self.folder.parent)
            make_folder(self.folder)
            sha = self._store.put(now.arrays, {**now.facts, "about": self._about, "spent_s": spent})
            self._store.collect_garbage([sha])
        except (NasError, OSError, MemoryError, RuntimeError) as error:
            self._tell_failure(error)
            return False
        finally:
            self._kept_at = self._clock()
            if self._every_s:
                self._pause_s = max(self._every_s, (self._kept_at - began) / MOST_SHARE)
        self.fails = False
        return True

    def _newest(self) -> tuple[str, FitState] | None:
        """Return the state that came furthest; what cannot be read is told."""
        found: dict[str, FitState] = {}
        if not is_state_folder(self.folder):
            return None
        with suppress(OSError):
            remove_stray_temporaries(self.folder)
        for sha in self._store.names():
            try:
                found[sha] = FitState(self._store.get(sha), self._store.metadata(sha))
            except (NasError, ValueError) as error:
                _log.warning(
                    "where a training stood cannot be read: %s", getattr(error, "what", error)
                )
                with suppress(OSError):
                    self._store.path(sha).unlink(missing_ok=True)
        if not found:
            return None
        return max(found.items(), key=lambda each: (_steps(each[1]), each[0]))

    def _check(self, state: FitState, training: Training) -> None:
        for name, here in (("about", self._about), ("surroundings", training.surroundings)):
            there = state.facts.get(name)
            there = there if isinstance(there, Mapping) else {}
            for key in {**here, **there}:
                if here.get(key) != there.get(key):
                    raise _NotUsed(
                        f"what was kept is of another one: its {key} is {there.get(key)!r}, here "
                        f"it is {here.get(key)!r}"
                    )

    def _count_start(self, sha: str) -> None:
        """Count that a state is gone on from.

        Raises:
            _NotUsed: If that happened too often already.
        """
        file, starts = self.folder / GONE_ON, 0
        with suppress(NasError, OSError, ValueError, TypeError, AttributeError):
            starts = int(json.loads(read_bytes(file)).get(sha, 0))
        if starts >= MOST_STARTS:
            raise _NotUsed(
                f"it was gone on with {starts} times from one state and each time its process "
                "ended before the next one, and the state may be why"
            )
        with suppress(NasError, OSError):
            write_json(file, {sha: starts + 1})

    def _tell_failure(self, error: Exception) -> None:
        if not self.fails:
            _log.warning(
                "where a training stands cannot be kept, it goes on without: %s",
                getattr(error, "what", error),
            )
        self.fails = True


def kept_state(
    payload: Mapping[str, Any], fingerprint: str, every_s: float = CHECKPOINT_EVERY_S
) -> KeptState | None:
    """Return where a job keeps how far it is, if it does.

    Args:
        payload: Of the job, with the folder as `state`.
        fingerprint: Of the data.
        every_s: Time between two states, in seconds.
    """
    if "state" not in payload:
        return None
    return KeptState(Path(payload["state"]), {"data": fingerprint}, every_s)


def go_on(
    training: Training,
    kept: KeptState,
    on_epoch: Callable[[EpochReport], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> FitResult:
    """Take a fresh training, from where an equal one was left, to its end.

    Args:
        training: The training.
        kept: Where its states are.
        on_epoch: Called after each epoch.
        should_stop: Asked before each step; True leaves the training, its state kept.

    Raises:
        JobLeft: Then.
        TrialError: If the loss is not finite, or memory runs out.
    """
    kept.restore(training)
    done = training.run(on_epoch, should_stop, kept)
    if done.stopped:
        raise JobLeft
    return done


def _steps(state: FitState) -> int:
    steps = state.facts.get("steps")
    return steps if isinstance(steps, int) else -1

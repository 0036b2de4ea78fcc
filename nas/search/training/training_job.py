"""A job that is one training: epoch by epoch, so that it can be left, moved and gone on with.

Tasks that train have a method `begin` that returns one. An executor that knows nothing of it calls
the task and gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, final, runtime_checkable

from torch import nn

from nas.search.executors.attempt import current_attempt
from nas.search.training.kept_state import KeptState, go_on
from nas.training.device import use_threads
from nas.training.evaluate import Evaluation
from nas.training.fit import FitResult, Training
from nas.training.fit_state import FitState


@runtime_checkable
class TrainingTask(Protocol):
    """A task whose jobs are trainings."""

    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Do a whole job."""

    def begin(self, payload: dict[str, Any]) -> TrainingJob:
        """Return the job before its first step."""


@final
class TrainingJob:
    """One training and what is answered at its end.

    Args:
        training: The training.
        threads: CPU threads of torch; results are bit-identical for one number only.
        judge: Scores a network on the images that the answer is about.
        tell: Returns the answer from what was done and scored.
    """

    def __init__(
        self,
        training: Training,
        threads: int,
        judge: Callable[[nn.Module], Evaluation],
        tell: Callable[[FitResult, Evaluation], dict[str, Any]],
    ) -> None:
        self._training = training
        self._threads = threads
        self._judge = judge
        self._tell = tell

    @property
    def epochs(self) -> int:
        """Epochs that are over."""
        return len(self._training.losses)

    @property
    def is_done(self) -> bool:
        """Whether no epoch is left."""
        return self._training.is_done

    def epoch(self) -> None:
        """Train one epoch.

        Raises:
            TrialError: If the loss is not finite, or memory runs out.
        """
        with use_threads(self._threads):
            self._training.epoch()

    def error(self) -> float:
        """Return the error of the network as it is now; a look that changes nothing."""
        with use_threads(self._threads):
            return self._judge(self._training.module).error

    def state(self) -> FitState:
        """Return where the training stands."""
        with use_threads(self._threads):
            return self._training.state()

    def restore(self, state: FitState) -> None:
        """Go on from where an equal training stood.

        Raises:
            RunError: If it is the state of another one.
        """
        with use_threads(self._threads):
            self._training.restore(state)

    def answer(self, kept: KeptState | None = None) -> dict[str, Any]:
        """Train what is left, score the network once, and return the job's answer.

        Args:
            kept: Where an equal job that was left kept how far it was, and this one does; None
                keeps nothing.

        Raises:
            JobLeft: If it was to stop; then how far it is is kept.
        """
        with use_threads(self._threads):
            done = self._training.run() if kept is None else self._go_on(kept)
            scored = self._judge(self._training.module)
        return self._tell(done, scored)

    def _go_on(self, kept: KeptState) -> FitResult:
        attempt = current_attempt()
        try:
            return go_on(self._training, kept, should_stop=attempt.should_stop)
        finally:
            attempt.earlier_s = kept.earlier_s

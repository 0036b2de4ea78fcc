"""What the driver tells while it works; the command line draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class StageProgress:
    """Where a stage stands.

    Args:
        stage: `relax`, `supernet`, `explore`, `measure`, an arm that spends a budget, or
            `confirm seeds A` (then `seeds B` and `recipes`).
        done: Steps finished.
        total: Steps in all; None where unknown.
        unit: Plural noun of a step.
        note: What came of the last step.
    """

    stage: str
    done: int
    total: int | None
    unit: str
    note: str = ""


Listener = Callable[[StageProgress], None]


def no_listener(progress: StageProgress) -> None:
    """Ignore the progress."""

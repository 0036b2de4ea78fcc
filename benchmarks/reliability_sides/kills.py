"""Killing searches at random moments, filling their disks, and starting them twice."""

from __future__ import annotations

import random
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

from reliability_sides import children
from reliability_sides.base import ACKNOWLEDGED, EVALUATED, AbstractSide, Outcome, noted

FIRST, LAST = 0.02, 0.98
"""Between which fractions of an uninterrupted search the kills fall."""

ROOM = 400
"""Most bytes that are left on a disk that fills up."""


@final
@dataclass
class Tally:
    """What came of one side under one test.

    Args:
        side: Name of the side.
        tries: Searches that were disturbed.
        hit: Those that were still running when it struck.
        resumed: Those that ended with all trials after one more start.
        identical: Those that ended as the undisturbed search did, front included.
        stalled: Those whose second start waited for a lock longer than the limit.
        acknowledged: Trials that were said to be recorded before it struck.
        lost: Of these, those that are not there in the end with the same values.
        repeated: Of these, those that were evaluated once more.
        open: Trials that are still said to run at the end.
        doubled: Trials with more than one result.
        seconds: Time of the undisturbed search.
        errors: First line of what was said by those that could not go on, each once.
    """

    side: str
    tries: int = 0
    hit: int = 0
    resumed: int = 0
    identical: int = 0
    stalled: int = 0
    acknowledged: int = 0
    lost: int = 0
    repeated: int = 0
    open: int = 0
    doubled: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@final
class Disturbance:
    """Runs one side undisturbed once, then disturbed in one way many times.

    Args:
        side: Whose searches.
        root: An empty folder on the disk that all sides share.
        patience_s: Longest wait for a search that goes on, besides three times its undisturbed
            time; longer is a stall.
    """

    def __init__(self, side: AbstractSide, root: Path, patience_s: float) -> None:
        self.side = side
        self.root = root
        self.tally = Tally(side.name)
        self._undisturbed("first")  # loads what the next ones find loaded
        folder, seconds = self._undisturbed("undisturbed")
        self.tally.seconds = round(seconds, 3)
        self.patience_s = patience_s + 3 * seconds
        self.reference = side.outcome(folder)

    def _undisturbed(self, name: str) -> tuple[Path, float]:
        folder = self._folder(name)
        began = time.monotonic()
        if children.run(lambda: self.side.search(folder), folder) != 0:
            raise RuntimeError(f"{self.side.name}: {last_words(folder)}")
        return folder, time.monotonic() - began

    def _folder(self, name: str) -> Path:
        folder = self.root / f"{self.side.name.translate(_PLAIN)}-{name}"
        folder.mkdir(parents=True)
        return folder

    def kill(self, fractions: list[float]) -> Tally:
        """Kill one search per fraction of the undisturbed time, and start each again."""
        for number, fraction in enumerate(fractions):
            folder = self._folder(f"kill-{number}")
            pid = children.start(lambda: self.side.search(folder), folder)  # noqa: B023
            ended = children.wait(pid, fraction * self.tally.seconds)
            if ended is None:
                children.end(pid)
            self._go_on(folder, hit=ended is None)
        return self.tally

    def fill(self, fractions: list[float]) -> Tally:
        """Fill the disk of one search per fraction of the undisturbed time, and start it again.

        From that moment no file of the child may grow beyond the one that holds its trials, to
        which a part of a record more may be added: so that writes come up short.
        """
        for number, fraction in enumerate(fractions):
            folder = self._folder(f"full-{number}")
            pid = children.start(lambda: self.side.search(folder), folder)  # noqa: B023
            status = children.wait(pid, fraction * self.tally.seconds)
            if status is None:
                kept = folder / self.side.file
                size = kept.stat().st_size if kept.exists() else 0
                children.fill_disk(pid, size + round(fraction * ROOM))
                status = children.wait(pid, self.patience_s)
            if status is None:
                children.end(pid)
            self._go_on(folder, hit=status != 0)
        return self.tally

    def _go_on(self, folder: Path, *, hit: bool) -> None:
        """Start the search once more, and count what has become of it."""
        tally = self.tally
        before = noted(folder, ACKNOWLEDGED)
        evaluated = len(noted(folder, EVALUATED))
        tally.tries += 1
        tally.hit += hit
        status = children.run(lambda: self.side.search(folder), folder, self.patience_s)
        if status is None:
            tally.stalled += 1
            self.side.unlock(folder)
        elif status != 0:
            self._complain(last_words(folder))
        tally.acknowledged += len(before)
        again = noted(folder, EVALUATED)[evaluated:]
        tally.repeated += sum(identity in again for _, _, identity in before)
        self._judge(folder, before, finished=status == 0)

    def _judge(self, folder: Path, before: list[Any], *, finished: bool) -> None:
        tally = self.tally
        try:
            outcome = self.side.outcome(folder)
        except Exception as error:
            self._complain(f"{type(error).__name__}: {error}")
            tally.lost += len(before)
            return
        tally.open += outcome.open
        tally.doubled += outcome.doubled
        tally.lost += len(before) - kept(outcome, before)
        complete = len(outcome.finished) == len(self.reference.finished)
        tally.resumed += finished and complete
        tally.identical += finished and outcome.same(self.reference)

    def _complain(self, text: str) -> None:
        lines = [line.strip() for line in text.replace(str(self.root), "...").splitlines()]
        named = [line for line in lines if re.match(r"[\w.]+(Error|Fault|Exception)\b", line)]
        line = (named or lines or ["(nothing was said)"])[-1][:200]
        line = re.sub(r"^(\w+\.)+", "", line)  # the same error with and without its module
        kind = line.partition(":")[0]
        if all(not known.startswith(kind) for known in self.tally.errors):
            self.tally.errors.append(line)


_PLAIN = str.maketrans({" ": "-", "(": None, ")": None})


def kept(outcome: Outcome, acknowledged: list[Any]) -> int:
    """Return how many acknowledged trials are there with the values that were acknowledged."""
    by_name = outcome.finished
    values = list(by_name.values())
    return sum(
        by_name.get(name) == value if name in by_name else value in values
        for name, value, _ in acknowledged
    )


def last_words(folder: Path) -> str:
    """Return what a child wrote as it ended."""
    path = folder / children.ERRORS
    return path.read_text(errors="replace") if path.exists() else ""


def fractions(count: int, seed: int) -> list[float]:
    """Return the moments of the kills, the same for every side."""
    rng = random.Random(seed)
    return [rng.uniform(FIRST, LAST) for _ in range(count)]

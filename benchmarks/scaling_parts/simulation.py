"""A cluster on paper: recorded times of evaluations, given to any number of workers.

One driver does one thing after the other: it plans, asks, and closes; workers evaluate meanwhile.
What the driver takes was measured on a real one, what evaluations take is drawn from the records of
a real run. So the events are simulated and their lengths are not. Left out: the network, workers
that fail, and nodes of different speed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np


@final
@dataclass(frozen=True, kw_only=True)
class Driver:
    """What the driver takes, in seconds.

    Args:
        plan: For a plan, however many trials it has.
        propose: For each trial of a plan.
        ask: To write down that a trial is asked, and to hand it out.
        close: To write down what came of it.
        views: Share of the driver's time that the views take.
    """

    plan: float
    propose: float
    ask: float
    close: float
    views: float = 0.05

    def per_trial(self, batch: int) -> float:
        """Return the time for a trial in batches of this size."""
        return (self.plan / batch + self.propose + self.ask + self.close) / (1 - self.views)


@final
@dataclass(frozen=True, kw_only=True)
class Case:
    """A search on a cluster.

    Args:
        workers: Evaluations at a time.
        trials: Trials in all.
        batch: Trials of a batch; without a barrier, trials that are measured in one go.
        order: As `search.order`.
        evaluations: Recorded seconds of evaluations, to draw from.
        measurements: Recorded seconds of measurements by the driver, while nothing else runs;
            empty where nothing is measured.
        driver: What the driver takes.
        seed: Of the draws.
    """

    workers: int
    trials: int
    batch: int
    order: Literal["deterministic", "asynchronous"]
    evaluations: Sequence[float]
    driver: Driver
    measurements: Sequence[float] = ()
    seed: int = 0


@final
@dataclass(frozen=True)
class Result:
    """What came of it.

    Args:
        trials_per_s: Trials closed per second, from the first plan to the last record.
        idle: Share of the workers' time without work.
        driver_busy: Share of the time in which the driver worked, measurements included.
        mean_queue: Outcomes that waited when the driver took one up, that one included.
        longest_queue: The most of them.
    """

    trials_per_s: float
    idle: float
    driver_busy: float
    mean_queue: float
    longest_queue: int


def simulate(case: Case) -> Result:
    """Return what a search would have come to."""
    return _Search(case).run()


@final
class _Search:
    def __init__(self, case: Case) -> None:
        self.case = case
        rng = np.random.default_rng(case.seed)
        self._lengths = _draws(rng, case.evaluations, case.trials)
        self._measuring = _draws(rng, case.measurements, case.trials)
        self._stretch = 1 / (1 - case.driver.views)
        self.now = 0.0
        self.worked = 0.0
        self.evaluated = 0.0
        self.proposed = self.handed_out = self.received = self.measured = 0
        self._ends: list[float] = []
        self._queues: list[int] = []

    def run(self) -> Result:
        """Let the driver do what comes first until every trial is closed."""
        while self.received < self.case.trials or self.measured < self.received:
            if self._ends and self._ends[0] <= self.now:
                self._receive()
            elif self._may_hand_out():
                self._hand_out()
            elif self._ends:
                self.now = self._ends[0]
            else:
                self._measure()
        wall = max(self.now, 1e-12)
        return Result(
            self.case.trials / wall,
            1 - self.evaluated / (wall * self.case.workers),
            self.worked / wall,
            float(np.mean(self._queues)),
            max(self._queues),
        )

    def _work(self, seconds: float, stretch: bool = True) -> None:
        spent = seconds * (self._stretch if stretch else 1.0)
        self.now += spent
        self.worked += spent

    def _receive(self) -> None:
        waiting = sum(end <= self.now for end in self._ends)
        self._queues.append(waiting)
        heapq.heappop(self._ends)
        self._work(self.case.driver.close)
        self.received += 1
        if not self.case.measurements:
            self.measured = self.received

    def _may_hand_out(self) -> bool:
        if self.handed_out == self.case.trials or len(self._ends) >= self.case.workers:
            return False
        if self.case.order == "asynchronous":
            return self.received - self.measured < self.case.batch
        # A batch is planned when the one before it is closed.
        return self.handed_out < self.proposed or self.measured == self.proposed

    def _hand_out(self) -> None:
        if self.handed_out == self.proposed:
            whole = self.case.batch if self.case.order == "deterministic" else 1
            count = min(whole, self.case.trials - self.proposed)
            self._work(self.case.driver.plan + count * self.case.driver.propose)
            self.proposed += count
        self._work(self.case.driver.ask)
        length = next(self._lengths)
        self.evaluated += length
        heapq.heappush(self._ends, self.now + length)
        self.handed_out += 1

    def _measure(self) -> None:
        """Measure what waits for it, one after the other, while no worker runs."""
        while self.measured < self.received:
            self._work(next(self._measuring), stretch=False)
            self.measured += 1


def _draws(rng: np.random.Generator, recorded: Sequence[float], count: int) -> Iterator[float]:
    drawn = rng.choice(np.asarray(recorded), count) if len(recorded) else np.zeros(0)
    return iter(drawn.tolist())

"""What a planner knows of everything before: brought up to date instead of read anew for each plan.

A search of ten thousand trials plans hundreds of times, without a barrier ten thousand times, and
each plan sees all that came before. What is kept here is only a shortcut: it follows from the plans
and the results alone, and other plans, or another table of results, are read from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

from nas.run_store import Trial, TrialTable
from nas.search.exploring.history import BatchPlan, Entry, observation
from nas.search.samplers import Observation
from nas.search.settings.goals import Goals

Member = tuple[str, str]
"""What makes members the same: the id of the network, and where time counts of what runs."""


@final
class Past:
    """Proposals so far, their members and their results.

    Args:
        goals: Objectives and constraints.
        member_of: Says which member a proposal is.

    Attributes:
        entries: Every proposal, duplicates included, in order.
        members: Trial of every member that was proposed.
        networks: Of every network the first trial with an inherited score.
        trials: Number of trials proposed.
    """

    def __init__(self, goals: Goals, member_of: Callable[[Entry], Member]) -> None:
        self._goals = goals
        self._member_of = member_of
        self._forget()

    def _forget(self) -> None:
        self.entries: list[Entry] = []
        self.members: dict[Member, int] = {}
        self.networks: dict[str, int] = {}
        self.trials = 0
        self._plans: list[BatchPlan] = []
        self._table: TrialTable | None = None
        self._seen: list[Trial | None] = []
        self._results: list[Observation | None] = []

    def follow(self, plans: Sequence[BatchPlan], table: TrialTable) -> None:
        """Take in what is new since the last call.

        Args:
            plans: All plans so far, in order.
            table: Their results; a trial that is open says nothing yet.
        """
        known = len(self._plans)
        is_longer = len(plans) >= known and (not known or plans[known - 1] is self._plans[-1])
        if table is not self._table or not is_longer:
            self._forget()
            self._table = table
        for plan in plans[len(self._plans) :]:
            self._take(plan)
        trials = table.trials
        for place, entry in enumerate(self.entries):
            trial = trials.get(entry.trial)
            if trial is not self._seen[place]:
                self._see(place, entry, trial)

    def _take(self, plan: BatchPlan) -> None:
        self._plans.append(plan)
        for entry in plan.entries:
            self.entries.append(entry)
            self._seen.append(None)
            self._results.append(None)
            if not entry.duplicate:
                self.members[self._member_of(entry)] = entry.trial
                self.trials += 1

    def _see(self, place: int, entry: Entry, trial: Trial | None) -> None:
        self._seen[place] = trial
        if trial is None or trial.state == "asked":
            self._results[place] = None
            return
        self._results[place] = observation(entry, trial, self._goals)
        if not entry.duplicate and trial.state == "finished" and trial.extra.get("inherited"):
            network = self._member_of(entry)[0]
            self.networks[network] = min(entry.trial, self.networks.get(network, entry.trial))

    def observations(self) -> list[Observation]:
        """Return the results of all closed proposals, duplicates included, in order."""
        return [result for result in self._results if result is not None]

    def observed(self) -> list[int]:
        """Return the trials of these results."""
        return [
            entry.trial
            for entry, result in zip(self.entries, self._results, strict=True)
            if result is not None
        ]

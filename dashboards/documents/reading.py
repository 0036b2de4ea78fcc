"""One run as it stands: what several documents need, read and computed once.

A reading is a snapshot: a server keeps one per run until the log has grown, a report makes one.
Nothing here writes, and nothing takes a lock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, final

from nas.errors import NasError, NotFoundError
from nas.run_store import Run, Trial
from nas.search.front.reading import Facts
from nas.search.front.uncertainty import Uncertainty
from nas.search.front_view import document_of
from nas.space import AbstractSpace
from nas.space.declared import space_from_dict

from .decisions import DecisionTable
from .gates import Gates
from .plain import items, mapping, text

_TRIAL_KINDS = ("trial_asked", "trial_finished", "trial_failed", "trial_measured")
STUDY = "nas.study/"
TRAINED = ("confirm_validated", "confirm_finished")
"""Kinds of records that tell of one training of the confirmation."""


@lru_cache(maxsize=16)
def _space_of(declared: str) -> AbstractSpace | None:
    """Build a space once for all readings of a run: its check builds members."""
    try:
        return space_from_dict(json.loads(declared))
    except NasError:
        return None


@final
class Reading:
    """A run, opened to read, as of now.

    Args:
        run: The run.
        alone: Say only what its log says: not who owns it now or what its folder is called here,
            so that a report made again is the same.

    Raises:
        RunError: If its log is damaged.
    """

    def __init__(self, run: Run, *, alone: bool = False) -> None:
        self.run = run
        self.name = run.name if alone else run.path.name
        self.table = run.table()
        # Only what the table has seen: the log may have grown since.
        self.records = run.records()[: self.table.num_records]
        self.trials: list[Trial] = [self.table.trials[key] for key in sorted(self.table.trials)]
        self.owner = None if alone else run.owner()
        self.state = self.table.state(owned=self.owner is not None)

    @property
    def seq(self) -> int:
        """Number of the last record."""
        return len(self.records) - 1

    @property
    def is_study(self) -> bool:
        """Whether it is a study, which has tables and no front."""
        return str(self.run.config.get("schema")).startswith(STUDY)

    @cached_property
    def notes(self) -> list[Mapping[str, Any]]:
        """The readable lines of log.jsonl; none where it cannot be read, for notes are talk."""
        try:
            return list(self.run.notes())
        except OSError:
            return []

    @cached_property
    def gates(self) -> Gates | None:
        """The gates of the relaxation over its training."""
        return Gates.read(self.notes)

    @cached_property
    def decisions(self) -> DecisionTable:
        """The decisions of all trials."""
        return DecisionTable(self.trials)

    @cached_property
    def facts(self) -> Facts:
        """What the log says, arranged for a front."""
        return Facts(self.run)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """What noise leaves of the front."""
        return Uncertainty(self.facts)

    @cached_property
    def front(self) -> dict[str, Any]:
        """The document of `nas front RUN --json`, under the name the run is asked for by."""
        return {**document_of(self.run, self.uncertainty), "run": self.name}

    @cached_property
    def front_trials(self) -> frozenset[int]:
        """Numbers of the trials on the front."""
        finished = self.facts.finished
        return frozenset(finished[place].number for place in self.uncertainty.front)

    @property
    def objectives(self) -> list[dict[str, Any]]:
        """Name, unit and source of every searched objective."""
        return [
            {
                "name": str(each["name"]),
                "unit": text(each.get("unit")),
                "source": each.get("source"),
            }
            for each in self.facts.objectives
        ]

    @cached_property
    def changed_at(self) -> dict[int, int]:
        """Number of the last record about each trial."""
        found: dict[int, int] = {}
        for seq, record in enumerate(self.records):
            if isinstance(record.get("trial"), int):  # its own, and of its trainings alone
                found[record["trial"]] = seq
        return found

    @cached_property
    def entries(self) -> list[Mapping[str, Any]]:
        """Every proposal in order, those that an earlier trial answered included."""
        plans = (record for record in self.records if record["kind"] == "batch_proposed")
        return [mapping(each) for plan in plans for each in items(plan.get("entries"))]

    @cached_property
    def replays(self) -> dict[int, int]:
        """Per trial that is the same network as an earlier one: that trial."""
        return {
            int(each["trial"]): int(each["replays"])
            for each in self.entries
            if not each.get("duplicate") and isinstance(each.get("replays"), int)
        }

    @cached_property
    def space(self) -> AbstractSpace | None:
        """The searched space; None where it cannot be built here, as without its plugins."""
        declared = self.run.config.get("space")
        if not isinstance(declared, dict) or declared.get("plugins"):
            # Looking at a run must not start a stranger's code.
            return None
        return _space_of(json.dumps(declared, sort_keys=True))

    def trial(self, number: int) -> Trial:
        """Return a trial.

        Raises:
            NotFoundError: If there is none of that number.
        """
        found = self.table.trials.get(number)
        if found is None:
            last = f"trials 0 to {self.trials[-1].number}" if self.trials else "no trials yet"
            raise NotFoundError(
                f"Run '{self.name}' has no trial {number}: it has {last}.",
                fix="Open one that is listed on the front or among the trials.",
            )
        return found

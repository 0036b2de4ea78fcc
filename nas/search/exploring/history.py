"""What has been proposed and what became of it, read from the log alone.

A batch is planned as a whole in one record, `batch_proposed`, before any of it is asked: the plan
is then a fact, and a resumed search goes on with it whatever was finished when it was killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, final

from nas.run_store import Run, Trial
from nas.search.samplers import Observation
from nas.search.settings.goals import Goals
from nas.space import Decisions

PLAN_KIND = "batch_proposed"
RESUMED_KIND = "run_resumed"


@final
@dataclass(frozen=True)
class Entry:
    """One proposal of a batch.

    Args:
        trial: Number of the trial that evaluates it, or that evaluated the same member before.
        decisions: The member.
        duplicate: Whether it was answered from the record.
        proposed_by: Name of the sampler, `known:<wiring>`, `relaxation`, `path_training` or
            `unseen`.
        state: What the sampler wants back.
        replays: Trial of the same network whose inherited score counts for this one too.
        parents: Trials that a sampler made it from.
        member: Ids of the network and, where time counts, of what runs; kept so that a resumed
            search need not find out again which members it had.
    """

    trial: int
    decisions: Decisions
    duplicate: bool = False
    proposed_by: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)
    replays: int | None = None
    parents: tuple[int, ...] = ()
    member: tuple[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as its record holds it."""
        return {
            "trial": self.trial,
            "decisions": self.decisions,
            "duplicate": self.duplicate,
            "proposed_by": self.proposed_by,
            "sampler_state": dict(self.state),
            "replays": self.replays,
            "parents": list(self.parents),
            **({} if self.member is None else {"member": list(self.member)}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the entry that a record holds."""
        member = data.get("member")
        return cls(
            int(data["trial"]),
            dict(data["decisions"]),
            bool(data["duplicate"]),
            str(data["proposed_by"]),
            dict(data["sampler_state"]),
            data["replays"],
            tuple(map(int, data.get("parents", ()))),
            None if member is None else (str(member[0]), str(member[1])),
        )


@final
@dataclass(frozen=True)
class BatchPlan:
    """One batch of proposals.

    Args:
        batch: Its number, from 0.
        entries: Proposals in order, duplicates included.
        exhausted: Whether every member of the space has been proposed with it.
    """

    batch: int
    entries: tuple[Entry, ...]
    exhausted: bool = False

    @property
    def trials(self) -> tuple[Entry, ...]:
        """The entries to evaluate."""
        return tuple(entry for entry in self.entries if not entry.duplicate)

    def to_record(self) -> dict[str, Any]:
        """Return the record of the plan."""
        return {
            "kind": PLAN_KIND,
            "batch": self.batch,
            "entries": [entry.to_dict() for entry in self.entries],
            "exhausted": self.exhausted,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the plan that a record holds."""
        entries = tuple(Entry.from_dict(entry) for entry in record["entries"])
        return cls(int(record["batch"]), entries, bool(record["exhausted"]))


def read_plans(records: Iterable[Mapping[str, Any]]) -> list[BatchPlan]:
    """Return the plans of a log in their order."""
    return [BatchPlan.from_record(record) for record in records if record["kind"] == PLAN_KIND]


def planned_trials(run: Run) -> int:
    """Return how many trials the run is to have: its config's, and those asked for since."""
    extra = sum(
        int(record.get("extra_trials", 0))
        for record in run.records()
        if record["kind"] == RESUMED_KIND
    )
    return int(run.config["search"]["trials"]) + extra


def observation(entry: Entry, trial: Trial, goals: Goals) -> Observation:
    """Return what a sampler may know of a closed proposal."""
    if trial.state != "finished":
        return Observation(entry.decisions, None, state=entry.state)
    return Observation(
        entry.decisions,
        goals.vector(trial.values),
        goals.violations(trial.values),
        entry.state,
    )

"""From results to the next batch: hand-made wirings first, then the sampler, never one twice.

A plan is a function of the config, the plans before it and their results; each draw has a seed of
its own. So it does not matter how often the search was interrupted, or by how many workers a batch
was evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, final

import numpy as np

from nas.cost.count import cost
from nas.pareto import ranks
from nas.run_store import TrialTable
from nas.search.exploring.history import BatchPlan, Entry
from nas.search.exploring.past import Member, Past
from nas.search.samplers import SAMPLERS, Observation, Proposal
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.seeds import derive_seed
from nas.space import AbstractSpace, Choice, Decisions, OneOf
from nas.space.base import REFERENCE_SHAPE
from nas.topology.identity import executed_id, is_current

ROUNDS = 2
"""Times a sampler is asked for a batch before its duplicates give way to unseen neighbours."""

NEIGHBOURHOODS = 64
"""Members whose neighbours are looked at when the sampler has nothing new."""

RANDOM_TRIES = 64
ENUMERABLE = 200_000
"""Largest space that is searched for its last unseen members one by one."""

DESCENT_STEPS = 16
"""Most answers that are changed on the way to the cheapest member."""

RELAXATION, PATH_TRAINING = "relaxation", "path_training"
"""Trainings that prefer members."""

Preferred = tuple[str, Decisions]
"""One of those trainings, and a member that it prefers."""

OPENING_SHARE = 0.5
"""Most trials that hand-made and preferred members may take."""


@final
class Planner:
    """Plans batches.

    Args:
        space: The space.
        config: The resolved config.
        goals: Objectives and constraints.
        preferred: Members that a training prefers, with its name.
    """

    def __init__(
        self,
        space: AbstractSpace,
        config: SearchConfig,
        goals: Goals,
        preferred: Sequence[Preferred] = (),
    ) -> None:
        self.space = space
        self.config = config
        self.goals = goals
        self._preferred = tuple(preferred)
        self._members: dict[str, Member] = {}
        self._past = Past(goals, self._member_of)

    def plan(
        self,
        before: Sequence[BatchPlan],
        table: TrialTable,
        total: int,
        most: int | None = None,
    ) -> BatchPlan | None:
        """Return the next batch, or None when there is nothing more to evaluate.

        Args:
            before: All plans so far.
            table: Results; trials that are open say nothing yet.
            total: Trials in all.
            most: Trials of the batch at most; None takes the config's.
        """
        self._past.follow(before, table)
        count = min(most or self.config.search.batch, total - self._past.trials)
        if count <= 0 or (before and before[-1].exhausted):
            return None
        draft = _Draft(self, self._past, table, len(before), count)
        self._open(draft)
        self._sample(draft)
        exhausted = draft.missing > 0 and not self._fill(draft, before, table)
        return BatchPlan(draft.batch, tuple(draft.entries), exhausted) if draft.entries else None

    def _member_of(self, entry: Entry) -> Member:
        """Return the member of a proposal, as its record says if ids are still made that way."""
        if entry.member is not None and is_current(entry.member[0]):
            return entry.member
        return self.identify(entry.decisions)

    def identify(self, decisions: Decisions) -> Member:
        """Return what makes a member the same: its network, and where time counts what runs."""
        text = json.dumps(decisions, sort_keys=True)
        found = self._members.get(text)
        if found is None:
            network = self.space.member_id(decisions)
            runs = executed_id(self.space.build(decisions)) if self.goals.driven else ""
            found = self._members[text] = (network, runs)
        return found

    @cached_property
    def opening(self) -> tuple[Preferred, ...]:
        """Members that are tried before the sampler's; a search that is past them needs none."""
        return tuple(self._opening())

    def _opening(self) -> Iterator[Preferred]:
        known = self.space.known() if self.config.search.seed_known_wirings else {}
        for name, decisions in known.items():
            yield f"known:{name}", decisions
        yield from self._preferred
        small = {name: smallest(self.space, known[name]) for name in known}
        for name, decisions in small.items():
            yield f"known:{name}", decisions
        if small:
            yield "known:lightest", lightest(self.space, next(iter(small.values())))

    def _open(self, draft: _Draft) -> None:
        """Propose the hand-made and the preferred members whose turn it is."""
        if self._past.entries and not _is_opening(self._past.entries[-1]):
            return  # the opening comes first and is over
        used = sum(map(_is_opening, self._past.entries))
        limit = round(OPENING_SHARE * self.config.search.trials)
        for proposed_by, decisions in self.opening[used:limit]:
            if not draft.missing:
                return
            draft.offer(Proposal(decisions), proposed_by)

    def _sample(self, draft: _Draft) -> None:
        name = self.config.search.sampler
        sampler = SAMPLERS.get(name)()
        history, trials = self._past.observations(), self._past.observed()
        for attempt in range(ROUNDS):
            if not draft.missing:
                return
            seed = derive_seed(self.config.seed, f"propose-{attempt}", draft.batch)
            known = [*history, *draft.answered]
            of = [*trials, *draft.answered_by]
            for proposal in sampler.propose(self.space, known, draft.missing, seed):
                draft.offer(proposal, name, parents=[of[place] for place in proposal.parents])

    def _fill(self, draft: _Draft, before: Sequence[BatchPlan], table: TrialTable) -> bool:
        """Take unseen neighbours of the front, then any unseen; return False if there are none."""
        for decisions in best_first(before, table, self.goals):
            for neighbour in self.space.neighbours(decisions):
                if not draft.missing:
                    return True
                draft.offer(Proposal(neighbour), "neighbour", record_duplicate=False)
        return self._fill_blindly(draft)

    def _fill_blindly(self, draft: _Draft) -> bool:
        rng = np.random.default_rng(derive_seed(self.config.seed, "unseen", draft.batch))
        for _ in range(RANDOM_TRIES * draft.missing):
            if not draft.missing:
                return True
            draft.offer(Proposal(self.space.sample(rng)), "unseen", record_duplicate=False)
        if draft.missing and self.space.count() <= ENUMERABLE:
            members = list(self.space.enumerate())
            for index in rng.permutation(len(members)):
                if not draft.missing:
                    return True
                draft.offer(Proposal(members[int(index)]), "unseen", record_duplicate=False)
        return not draft.missing


def _is_opening(entry: Entry) -> bool:
    return entry.proposed_by in (RELAXATION, PATH_TRAINING) or entry.proposed_by.startswith(
        "known:"
    )


@final
class _Draft:
    """A batch in the making.

    Args:
        planner: Knows what makes members the same.
        past: All proposals so far.
        table: Their results.
        batch: Number of the batch.
        count: Trials wanted.
    """

    def __init__(
        self, planner: Planner, past: Past, table: TrialTable, batch: int, count: int
    ) -> None:
        self.batch = batch
        self.entries: list[Entry] = []
        self.missing = count
        self.answered: list[Observation] = []
        self.answered_by: list[int] = []
        self._planner = planner
        self._past = past
        self._table = table
        self._new: dict[Member, int] = {}

    def offer(
        self,
        proposal: Proposal,
        by: str,
        *,
        parents: Sequence[int] = (),
        record_duplicate: bool = True,
    ) -> None:
        """Take a proposal in: as a trial if its member is new, else as a duplicate."""
        member = self._planner.identify(proposal.decisions)
        same = self._past.members.get(member, self._new.get(member))
        if same is not None:
            if record_duplicate:
                self._note_duplicate(proposal, by, same)
            return
        if not self.missing:
            return
        number = self._past.trials + len(self._new)
        self.entries.append(
            Entry(
                number,
                proposal.decisions,
                False,
                by,
                proposal.state,
                self._past.networks.get(member[0]),
                tuple(dict.fromkeys(parents)),
                member,
            )
        )
        self._new[member] = number
        self.missing -= 1

    def _note_duplicate(self, proposal: Proposal, by: str, same: int) -> None:
        self.entries.append(Entry(same, proposal.decisions, True, by, proposal.state))
        trial = self._table.trials.get(same)
        if trial is not None and trial.state == "finished":
            goals = self._planner.goals
            self.answered_by.append(same)
            self.answered.append(
                Observation(
                    proposal.decisions,
                    goals.vector(trial.values),
                    goals.violations(trial.values),
                    proposal.state,
                )
            )


def best_first(before: Sequence[BatchPlan], table: TrialTable, goals: Goals) -> list[Decisions]:
    """Return the feasible members on the first fronts, at most `NEIGHBOURHOODS`, best first."""
    finished = [
        entry
        for plan in before
        for entry in plan.trials
        if (trial := table.trials.get(entry.trial)) is not None
        and trial.state == "finished"
        and goals.feasible(trial.values)
    ]
    if not finished:
        return []
    points = np.array([goals.vector(table.trials[entry.trial].values) for entry in finished])
    order = np.argsort(ranks(points), kind="stable")[:NEIGHBOURHOODS]
    return [finished[int(place)].decisions for place in order]


def smallest(space: AbstractSpace, decisions: Decisions) -> Decisions:
    """Return the member with the same wiring at the smallest width and depth on offer."""

    def ask(choice: Choice) -> Any:
        if isinstance(choice, OneOf) and choice.name.rsplit(".", 1)[-1] in ("width", "depth"):
            return min(option.value for option in choice.options)
        answer = decisions.get(choice.name)
        return answer if answer is not None and choice.valid(answer) else choice.default()

    return space.walk(ask)


def lightest(space: AbstractSpace, start: Decisions) -> Decisions:
    """Return a member with few multiply-adds near `start`: the cheap end of the front."""

    def macs(decisions: Decisions) -> int:
        return cost(space.build(decisions), REFERENCE_SHAPE, 10).macs

    best, fewest = start, macs(start)
    for _ in range(DESCENT_STEPS):
        counted = [(macs(other), other) for other in space.neighbours(best)]
        found = min(counted, key=lambda pair: pair[0], default=(fewest, best))
        if found[0] >= fewest:
            break
        fewest, best = found
    return best

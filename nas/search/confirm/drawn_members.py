"""What the random rivals share: members in an order that the seed fixes, and what they cost.

The seed alone says which members there are and in which order they come; how many of them are
looked at follows from the budget. The numbers of a member that need no training (latency, counts)
are taken as the search takes its own, and a member outside the constraints is not trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from nas.objectives.base import EvaluationContext
from nas.search.confirm.candidate import Candidate
from nas.search.exploring.history import planned_trials
from nas.search.measuring.quiet import QuietDevice
from nas.search.session import Session
from nas.search.settings.goals import Goals
from nas.seeds import derive_seed
from nas.space import AbstractSpace, Decisions
from nas.topology.graph import Architecture
from nas.topology.identity import trained_id

FINISHED: Final = "arm_finished"
FRUITLESS: Final = 2000
"""Draws in a row that bring nothing new, after which a space counts as seen."""


@final
@dataclass(frozen=True)
class Draw:
    """One distinct member.

    Args:
        index: Its place among the distinct members drawn, from 0.
        decisions: The member.
        architecture: The network.
    """

    index: int
    decisions: Decisions
    architecture: Architecture

    def facts(self, space: AbstractSpace) -> dict[str, Any]:
        """Return what its records say."""
        return {
            "member": self.index,
            "decisions": self.decisions,
            "architecture_id": trained_id(self.architecture),
            "wiring": space.wiring(self.decisions),
        }


def random_draws(space: AbstractSpace, seed: int, purpose: str) -> Iterator[Draw]:
    """Yield distinct members, uniform draws of `seed` and `purpose`, until a space was seen."""
    known: set[str] = set()
    attempt = fruitless = 0
    while fruitless < FRUITLESS:
        rng = np.random.default_rng(derive_seed(seed, purpose, attempt))
        attempt += 1
        decisions = space.sample(rng)
        architecture = space.build(decisions)
        identity = trained_id(architecture)
        if identity in known:
            fruitless += 1
            continue
        fruitless = 0
        known.add(identity)
        yield Draw(len(known) - 1, decisions, architecture)


@final
class MemberCosts:
    """Takes the numbers of members that need no weights, as the search does.

    Args:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._device = QuietDevice(session)

    def look(self, architecture: Architecture) -> tuple[dict[str, Any], bool]:
        """Return values, how they came about and by how much bounds are exceeded; and if none is.

        Raises:
            NasError: If a number cannot be had.
        """
        session = self.session
        context = EvaluationContext(
            architecture,
            session.material.data.input_shape,
            session.material.data.num_classes,
            device=str(session.device),
            threads=session.config.search.threads_per_evaluation,
            latency=session.config.latency,
        )
        counted = [each for each in session.goals.evaluated if not each.needs_weights]
        values = {each.name: each.evaluate(context).to_dict() for each in counted}
        measured: Mapping[str, Any] = {"values": {}, "measurements": {}}
        if session.goals.driven:
            measured = self._device.estimate(architecture)
        values |= measured["values"]
        violations = {
            each.objective: each.violation(float(values[each.objective]["value"])) / each.upper
            for each in session.goals.constraints
            if each.objective in values
        }
        facts = {
            "values": values,
            "measurements": measured["measurements"],
            "violations": violations,
        }
        return facts, all(share <= 0 for share in violations.values())


def score_name(goals: Goals) -> str:
    """Return the score that random members are compared by: the one the search minimises."""
    return "error" if "error" in goals.names else "cross_entropy"


def cost_values(goals: Goals, values: Mapping[str, Mapping[str, Any]]) -> list[float]:
    """Return the searched objectives of a member that need no weights, in order."""
    return [
        float(values[each.name]["value"])
        for each in goals.searched
        if not each.needs_weights and each.name in values
    ]


def keep_finished(
    session: Session,
    arm: str,
    budget_s: float,
    spent_s: float,
    finalists: Sequence[Mapping[str, Any]],
    told: Mapping[str, Any],
) -> None:
    """Write down what came of an arm: the seed says which members it drew, the budget how many."""
    session.run.append(
        {
            "kind": FINISHED,
            "arm": arm,
            "planned": planned_trials(session.run),
            "members_by": f"seed {session.config.seed}",
            "count_by": "budget",
            "budget_device_s": round(budget_s, 3),
            "spent_device_s": round(spent_s, 3),
            **told,
            "finalists": [int(each["member"]) for each in finalists],
        }
    )


def finalist(
    arm: str, record: Mapping[str, Any], space: AbstractSpace, cost_device_s: float, note: str
) -> Candidate:
    """Return the candidate of a member that an arm closed.

    Args:
        arm: Name of the arm.
        record: The record that closed it.
        space: The space.
        cost_device_s: Its share of what the arm spent.
        note: What a table says of it.
    """
    name = f"{arm.replace('_', ' ')} {record['member']}"
    return Candidate(
        key=f"{arm}-{record['member']}",
        arm=arm,
        kind="random",
        name=name,
        wiring=str(record["wiring"]),
        architecture=space.build(record["decisions"]),
        cost_device_s=cost_device_s,
        note=note,
    )

"""Random search that may spend what the search spent, as successive halving on validation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final, final

from nas.registry import Paper
from nas.search.confirm.arms.base import ARMS, AbstractArm, ArmContext
from nas.search.confirm.budgeted import BudgetedWork, Piece, is_scored
from nas.search.confirm.candidate import Candidate, Kind
from nas.search.confirm.drawn_members import (
    Draw,
    MemberCosts,
    cost_values,
    finalist,
    keep_finished,
    random_draws,
    score_name,
)
from nas.search.confirm.halving import ranked, rung_epochs
from nas.search.ledger import ledger, search_cost
from nas.search.session import Session
from nas.search.setups import retraining_setup
from nas.seeds import derive_seed
from nas.topology.serial import dump_architecture

NAME: Final = "random_halving"

Record = Mapping[str, Any]


@ARMS.register(NAME, Paper("Jamieson and Talwalkar", 2016, arxiv="1502.07943"))
@final
class RandomHalving(AbstractArm):
    """Random members, trained alone for longer and longer; the survivors are the rivals.

    Every training is scored on the validation part. What latency costs to measure and every rung's
    training from fresh weights are charged.
    """

    name: ClassVar[str] = NAME
    kind: ClassVar[Kind] = "random"

    def candidates(self, context: ArmContext) -> Iterator[Candidate]:
        """Yield the survivors that no other survivor dominates."""
        found = _Halving(context).run()
        if not found.finalists:
            context.leave_out(NAME, "random search by halving", found.why_empty())
        share = found.spent_s / max(1, len(found.finalists))
        for record in found.finalists:
            note = f"best of {found.members} at equal cost, {record['epochs']} epochs"
            yield finalist(NAME, record, context.session.space, share, note)


@final
@dataclass(frozen=True)
class _Found:
    """What halving found: records of the finalists, members drawn, device-seconds."""

    finalists: Sequence[Record]
    members: int
    budget_s: float
    spent_s: float

    def why_empty(self) -> str:
        if not self.members:
            return f"the search left a budget of {self.budget_s:.3g} device-seconds"
        return f"none of its {self.members} members could be trained within the constraints"


@final
class _Halving:
    """One pass over the rungs; what the log holds is not done again."""

    def __init__(self, context: ArmContext) -> None:
        self.session: Session = context.session
        self.settings = context.settings
        self.equal = context.settings.baselines.equal_cost
        self.budget_s = search_cost(ledger(self.session.run))
        self.costs = MemberCosts(self.session)

    def run(self) -> _Found:
        """Go through the rungs until the budget is spent."""
        lengths = rung_epochs(self.settings.recipe.epochs, self.equal.eta, self.equal.rungs)
        pieces: Iterable[Piece] = self._drawn(lengths[0])
        rungs: list[list[Record]] = []
        counts: list[dict[str, int]] = []
        spent = 0.0
        for rung, epochs in enumerate(lengths):
            share = self.budget_s * (rung + 1) / len(lengths)
            work = BudgetedWork(self.session, NAME, f"rung{rung}", share, charged_s=spent)
            closed = [
                work.closed[key] for key in work.perform(pieces, retraining_setup(self.session))
            ]
            spent = work.spent_s
            trained = [record for record in closed if is_scored(record)]
            counts.append({"epochs": epochs, "members": len(closed), "trained": len(trained)})
            if not trained:
                break
            rungs.append([trained[place] for place in ranked(self._points(trained))])
            if rung + 1 < len(lengths):
                pieces = map(partial(self._again, rung + 1, lengths[rung + 1]), rungs[-1])
        members = counts[0]["members"]
        found = _Found(_best_of(rungs, self.equal.finalists), members, self.budget_s, spent)
        told = {"eta": self.equal.eta, "members": members, "rungs": counts}
        keep_finished(self.session, NAME, self.budget_s, spent, found.finalists, told)
        return found

    def _drawn(self, epochs: int) -> Iterator[Piece]:
        """Yield the members of the first rung, as many as are asked for."""
        space, seed = self.session.space, self.session.config.seed
        for draw in random_draws(space, seed, NAME):
            facts = {**draw.facts(space), "epochs": epochs}
            look = partial(self.costs.look, draw.architecture)
            payload = self._payload(draw, epochs)
            yield Piece(f"rung0/{draw.index}", payload, epochs, facts, look)

    def _again(self, rung: int, epochs: int, record: Record) -> Piece:
        """Return the longer training of a survivor; its costs are known already."""
        index, decisions = int(record["member"]), dict(record["decisions"])
        draw = Draw(index, decisions, self.session.space.build(decisions))
        known = {key: record[key] for key in ("values", "violations")}
        facts = {**draw.facts(self.session.space), **known, "epochs": epochs}
        return Piece(f"rung{rung}/{index}", self._payload(draw, epochs), epochs, facts)

    def _payload(self, draw: Draw, epochs: int) -> dict[str, Any]:
        recipe = self.settings.recipe.model_copy(update={"epochs": epochs})
        return {
            "architecture": dump_architecture(draw.architecture),
            # One seed for all: members are compared on the same images in the same order.
            "seed": derive_seed(self.session.config.seed, NAME, 0),
            "recipe": recipe.as_dict(),
            "part": "validation",
        }

    def _points(self, records: Sequence[Record]) -> list[list[float]]:
        score = f"validation_{score_name(self.session.goals)}"
        return [
            [float(each["result"][score]), *cost_values(self.session.goals, each["values"])]
            for each in records
        ]


def _best_of(rungs: Sequence[Sequence[Record]], most: int) -> list[Record]:
    """Return the best members, those of the longest trainings first, each once."""
    found: dict[int, Record] = {}
    for rung in reversed(rungs):
        for record in rung:
            if len(found) < most:
                found.setdefault(int(record["member"]), record)
    return list(found.values())

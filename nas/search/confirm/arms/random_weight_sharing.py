"""Random search that may spend what the search spent, scored with shared weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final, final

from nas.errors import TrialError
from nas.registry import Paper
from nas.search.confirm.arms.base import ARMS, AbstractArm, ArmContext
from nas.search.confirm.budgeted import BudgetedWork, Piece, is_scored
from nas.search.confirm.candidate import Candidate, Kind
from nas.search.confirm.drawn_members import (
    MemberCosts,
    cost_values,
    finalist,
    keep_finished,
    random_draws,
    score_name,
)
from nas.search.confirm.halving import ranked
from nas.search.ledger import RANDOM_SUPERNET, SUPERNET, ledger, search_cost, training_cost
from nas.search.session import Session
from nas.search.setups import scoring_setup
from nas.search.training.learning import is_uniform, train_random_supernet, train_supernet

NAME: Final = "random_weight_sharing"
TITLE: Final = "random search with shared weights"
_SCORES: Final = "scores"


@ARMS.register(NAME, Paper("Li and Talwalkar", 2019, arxiv="1902.07638"))
@final
class RandomWeightSharing(AbstractArm):
    """Random members scored with inherited weights, as many as the budget pays for.

    The weights are the search's own where they were trained on uniform draws (`reused`), else
    trained anew on uniform draws with the search's settings; either way their training is charged.
    """

    name: ClassVar[str] = NAME
    kind: ClassVar[Kind] = "random"

    def candidates(self, context: ArmContext) -> Iterator[Candidate]:
        """Yield the best members by inherited scores, front by front."""
        session = context.session
        if not session.goals.needs_weights:
            context.leave_out(NAME, TITLE, "no objective of this search needs shared weights")
            return
        reused = is_uniform(session)
        try:
            weights = train_supernet(session) if reused else train_random_supernet(session)
        except TrialError as error:
            context.leave_out(NAME, TITLE, error.what)
            return
        assert weights is not None, "objectives that need weights have them trained"
        yield from self._scored(context, weights, reused)

    def _scored(self, context: ArmContext, weights: str, reused: bool) -> Iterator[Candidate]:
        session, most = context.session, context.settings.baselines.equal_cost.finalists
        budget = search_cost(ledger(session.run))
        charged = training_cost(session.run, SUPERNET if reused else RANDOM_SUPERNET)
        work = BudgetedWork(session, NAME, _SCORES, budget, charged_s=charged)
        closed = [
            work.closed[key]
            for key in work.perform(_pieces(session), scoring_setup(session, weights))
        ]
        scored = [record for record in closed if is_scored(record)]
        best = [scored[place] for place in ranked(_points(session, scored))[:most]]
        told = {
            "trained": "reused" if reused else "anew",
            "charged_device_s": round(charged, 3),
            "members": len(closed),
            "scored": len(scored),
        }
        keep_finished(session, NAME, budget, work.spent_s, best, told)
        if not best:
            why = f"{charged:.3g} of {budget:.3g} device-seconds trained its weights"
            context.leave_out(NAME, TITLE, f"no member could be scored; {why}")
        for record in best:
            note = f"best of {len(closed)} at equal cost, shared weights {told['trained']}"
            share = work.spent_s / len(best)
            yield finalist(NAME, record, session.space, share, note)


def _pieces(session: Session) -> Iterator[Piece]:
    costs = MemberCosts(session)
    for draw in random_draws(session.space, session.config.seed, NAME):
        look = partial(costs.look, draw.architecture)
        payload = {"decisions": draw.decisions}
        yield Piece(f"{_SCORES}/{draw.index}", payload, 1.0, draw.facts(session.space), look)


def _points(session: Session, records: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    score = score_name(session.goals)
    return [
        [float(each["result"]["inherited"][score]), *cost_values(session.goals, each["values"])]
        for each in records
    ]

"""Projection onto a hard budget: the preferred member, or one near it that costs no more."""

from __future__ import annotations

from typing import final

from nas.registry import Paper
from nas.space import Decisions
from nas.supernet.budgets.budget import Budget
from nas.supernet.budgets.expected_cost import CostModel
from nas.supernet.budgets.resources import BudgetOptions
from nas.supernet.discretisations import DISCRETISATIONS, AbstractDiscretisation, Trained
from nas.supernet.relaxation import Context


@final
@DISCRETISATIONS.register("budget", Paper("Jin et al.", 2019, arxiv="1912.12814"))
class WithinBudget(AbstractDiscretisation):
    """As every gate sampler settles, then cheaper answer by answer until the budget is kept.

    Each change is the one that saves most per lost log-probability. Contexts without any member
    within the budget raise `BudgetError` and are passed over where several are asked for.
    """

    Options = BudgetOptions
    _budget: Budget | None = None

    def settle(self, trained: Trained, context: Context) -> Decisions:
        """Return a member within the budget.

        Raises:
            BudgetError: If the context has none; the message names the cheapest.
        """
        supernet = trained.supernet
        if self._budget is None or self._budget.model.space is not supernet.space:
            model = CostModel(
                supernet.space, supernet.input_shape, supernet.num_classes, self.options.latency
            )
            self._budget = Budget(model, self.options.limits(model.largest))
        member = trained.relaxation.discretise(context)
        return self._budget.settle(trained.relaxation, context, member)

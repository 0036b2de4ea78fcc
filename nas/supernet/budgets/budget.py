"""Hard budgets: the cheapest member of a context, gates moved within a limit, members within it.

Gates are moved along the steepest descent of the cost in the Kullback-Leibler sense: where a
logit stands for one answer, it falls by the answer's marginal cost times one common factor, which
for costs that add up is the nearest distribution within the budget (the information projection).
The factor is the smallest that suffices, found by bisection. Where that path ends before the
budget is met, the gates go straight to the cheapest member, as far as needed.

A member is brought within the budget answer by answer: of all single changes, the one that saves
most per lost log-probability.

Hard resource constraints by projection: RC-DARTS, Jin et al. 2019, arXiv:1912.12814.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import final

import numpy as np
import torch
from torch import Tensor

from nas.errors import BudgetError
from nas.space import Choice, Decisions, OneOf, SubsetOf
from nas.space.choices import Answer
from nas.supernet.budgets.cost_terms import Terms
from nas.supernet.budgets.expected_cost import CostModel, Costs, presence
from nas.supernet.budgets.pruning import fewest
from nas.supernet.budgets.resources import UNITS, Limit, amount
from nas.supernet.gate_samplers import answers_of, is_on
from nas.supernet.relaxation import Context, Relaxation

ROUNDS = 60
"""Steps along the steepest descent before the gates go straight to the cheapest member."""
BISECTIONS = 12
STUCK = 6
"""Rounds without progress after which the descent is given up."""
MOVES = 200
"""Changes on the way to the cheapest member."""


@final
class Budget:
    """Limits on the members of a space.

    Args:
        model: Costs of the space.
        limits: What has to hold, all of it.
    """

    def __init__(self, model: CostModel, limits: tuple[Limit, ...]) -> None:
        self.model = model
        self.limits = limits
        self._cheapest: dict[object, Decisions] = {}

    def excess(self, costs: Tensor | Costs) -> float:
        """Return the share by which costs break the limit they break most; 0 or less is within."""
        return max(float(limit.excess(costs)) for limit in self.limits)

    def worst(self, costs: Tensor) -> Tensor:
        """Return the same, differentiable."""
        return torch.stack([limit.excess(costs) for limit in self.limits]).max()

    def cheapest(self, context: Context) -> Decisions:
        """Return the member of a context that is furthest within the limits.

        Found by descent from members with the oldest, the newest and all open edges.
        """
        base = tuple((name, repr(answer)) for name, answer in context.base.items())
        key = (base, tuple(sorted(context.closed.items(), key=lambda item: item[0])))
        if key not in self._cheapest:
            self._cheapest[key] = self._find_cheapest(context)
        return dict(self._cheapest[key])

    def check(self, context: Context) -> Decisions:
        """Return the cheapest member.

        Raises:
            BudgetError: If even that one breaks a limit; the message names its cost.
        """
        cheapest = self.cheapest(context)
        costs = self.model.discrete(cheapest)
        if self.excess(costs) <= 0:
            return cheapest
        limit = max(self.limits, key=lambda limit: float(limit.excess(costs)))
        reached = f"{amount(limit.name, costs):,.6g} {UNITS[limit.name]}"
        word = "the highest" if limit.name == "macs_per_byte" else "the cheapest"
        together = " that keeps the other limits best" if len(self.limits) > 1 else ""
        shown = ", ".join(f"{name}={answer}" for name, answer in context.sampled.items())
        raise BudgetError(
            f"No member of the space '{self.model.space.name}' with these joint choices keeps to "
            f"{limit.text()}: {word}{together} has {reached}.",
            where=shown or None,
            fix="Raise the budget, or offer smaller widths, depths or operations."
            if limit.name != "macs_per_byte"
            else "Lower the intensity asked for, or offer wider nodes and denser operations.",
        )

    def _find_cheapest(self, context: Context) -> Decisions:
        search = _Descent(self, context)
        found = [search.run(start) for start in search.starts()]
        return min(found, key=search.rank)

    @torch.no_grad()
    def _expected(self, relaxation: Relaxation, context: Context) -> Tensor:
        return self.model.expected(relaxation, context)

    def project(self, relaxation: Relaxation, context: Context) -> bool:
        """Move the logits until the expected costs are within the limits.

        Args:
            relaxation: Its logits of the context's relaxed choices move; the others stay.
            context: What was sampled whole.

        Returns:
            Whether anything had to move.

        Raises:
            BudgetError: If the context has no member within the limits.
        """
        if self.excess(self._expected(relaxation, context)) <= 0:
            return False
        cheapest = self.check(context)
        if not self._descend(relaxation, context):
            self._go_straight(relaxation, context, cheapest)
        return True

    def _descend(self, relaxation: Relaxation, context: Context) -> bool:
        logits = relaxation.logits
        best, since = math.inf, 0
        for _ in range(ROUNDS):
            direction = self._steepest(relaxation, context)
            if direction is None:
                return False
            start = logits.detach().clone()
            excess = self._at(relaxation, context, start + direction)
            if excess <= 0:
                self._bisect(relaxation, context, start, direction)
                return True
            since = 0 if excess < best - 1e-6 else since + 1
            best = min(best, excess)
            if since > STUCK:
                return False
        return False

    def _go_straight(self, relaxation: Relaxation, context: Context, member: Decisions) -> None:
        start = relaxation.logits.detach().clone()
        relaxation.to_vertex(member)
        end = relaxation.logits.detach().clone()
        # Only what is relaxed moves: the joint choices were not asked about.
        kept = torch.ones_like(end, dtype=torch.bool)
        for choice in context.relaxed:
            kept[relaxation.positions(choice)] = False
        end = torch.where(kept, start, end)
        self._bisect(relaxation, context, start, end - start)

    def _bisect(self, relaxation: Relaxation, context: Context, start: Tensor, way: Tensor) -> None:
        """Stop between `start` and `start + way`, which is within, as early as is enough."""
        outside, within = 0.0, 1.0
        for _ in range(BISECTIONS):
            middle = (outside + within) / 2
            if self._at(relaxation, context, start + middle * way) <= 0:
                within = middle
            else:
                outside = middle
        self._at(relaxation, context, start + within * way)

    @torch.no_grad()
    def _at(self, relaxation: Relaxation, context: Context, logits: Tensor) -> float:
        relaxation.logits.copy_(logits)
        return self.excess(self._expected(relaxation, context))

    def _steepest(self, relaxation: Relaxation, context: Context) -> Tensor | None:
        """Return minus the marginal excess per logit, its largest entry 1; None where all are 0."""
        with torch.no_grad():
            gates = {choice.name: relaxation.probabilities(choice) for choice in context.relaxed}
        gates = {name: value.detach().requires_grad_() for name, value in gates.items()}
        names = list(gates)
        excess = self.worst(self.model.at(context, gates))
        if not excess.requires_grad:
            return None
        slopes = torch.autograd.grad(
            excess, [gates[name] for name in names], allow_unused=True, materialize_grads=True
        )
        found = torch.zeros_like(relaxation.logits)
        for choice, slope in zip(context.relaxed, slopes, strict=True):
            places = relaxation.positions(choice)
            if len(places) == len(slope):
                centred = slope - slope.mean() if isinstance(choice, OneOf) else slope
                found[places] = centred.to(found)
            else:  # logits that stand for something else than one answer each
                probabilities = relaxation.probabilities(choice)
                (plain,) = torch.autograd.grad(probabilities, [relaxation.logits], slope)
                found += plain
        largest = float(found.abs().max())
        return -found / largest if largest > 0 else None

    def settle(self, relaxation: Relaxation, context: Context, member: Decisions) -> Decisions:
        """Return a member within the limits, near `member`.

        Args:
            relaxation: Its probabilities say what is near.
            context: What was sampled whole.
            member: A member of the context.

        Raises:
            BudgetError: If the context has no member within the limits.
        """
        if self.excess(self.model.discrete(member)) <= 0:
            return member
        cheapest = self.check(context)
        repair = _Repair(self, relaxation, context)
        repaired = repair.run(member)
        return cheapest if repaired is None else repaired


@final
class _Descent:
    """Looks for the member of a context furthest within the limits."""

    def __init__(self, budget: Budget, context: Context) -> None:
        self.budget = budget
        self.context = context
        self.terms: Terms = budget.model.terms(context)
        self.subsets = [c for c in context.relaxed if isinstance(c, SubsetOf)]
        self.options = [c for c in context.relaxed if isinstance(c, OneOf)]

    def starts(self) -> Iterator[Decisions]:
        """Yield members with the oldest, the newest and all open edges."""
        for pick in (0, 1, 2):
            answers = dict(self.context.running())
            for choice in self.subsets:
                items = self.open(choice)
                few = choice.minimum
                kept = (items[:few], items[len(items) - few :], items)[pick]
                answers[choice.name] = [str(item) for item in kept]
            yield answers

    def open(self, choice: Choice) -> list[object]:
        closed = self.context.closed.get(choice.name, frozenset())
        return [answer for answer in answers_of(choice) if answer not in closed]

    def rank(self, answers: Decisions) -> float:
        """Return what is to be small: broken limits first, then how far the others are kept."""
        with torch.no_grad():
            return float(self._ranked(gates_of(self.context, answers)))

    def _ranked(self, gates: Tensor) -> Tensor:
        costs = self.terms.expected(gates)
        shares = torch.stack([limit.excess(costs) for limit in self.budget.limits])
        return 1e3 * shares.clamp(min=0).sum() + shares.sum()

    def run(self, answers: Decisions) -> Decisions:
        """Follow the slopes at members: exact for one change, since costs are linear in each."""
        best, lowest = answers, self.rank(answers)
        for _ in range(MOVES):
            changes = self._changes(best)
            together = {name: answer for _, name, answer in reversed(changes)}
            joint = {choice.name for choice in self.options}
            trials = [{name: answer for name, answer in together.items() if name in joint}]
            trials += [{name: answer} for _, name, answer in changes[:4]]
            for trial in trials:
                rank = self.rank({**best, **trial})
                if rank < lowest - 1e-12:
                    best, lowest = {**best, **trial}, rank
                    break
            else:
                break
        return best

    def _changes(self, answers: Decisions) -> list[tuple[float, str, Answer]]:
        """Return single changes that promise to lower the rank, the best first."""
        gates = gates_of(self.context, answers).requires_grad_()
        (slope,) = torch.autograd.grad(self._ranked(gates), [gates], materialize_grads=True)
        numbers, start = slope.tolist(), 0
        found: list[tuple[float, str, Answer]] = []
        for choice in self.context.relaxed:
            known = [str(answer) for answer in answers_of(choice)]
            own = dict(zip(known, numbers[start : start + len(known)], strict=True))
            start += len(known)
            present = answers[choice.name]
            for answer in self._near(choice, present):
                change = _sum(own, answer) - _sum(own, present)
                if change < -1e-12:
                    found.append((change, choice.name, answer))
        return sorted(found, key=lambda entry: entry[0])

    def _near(self, choice: Choice, present: Answer) -> Iterator[Answer]:
        """Yield open options, or sets of edges with one edge more, less or exchanged."""
        if isinstance(choice, OneOf):
            closed = self.context.closed.get(choice.name, frozenset())
            yield from (o.value for o in choice.options if o.value not in closed)
            return
        assert isinstance(present, list)
        absent = [str(item) for item in self.open(choice) if item not in present]
        yield from (choice.ordered({*present, item}) for item in absent)
        if len(present) > choice.minimum:
            yield from (choice.ordered(set(present) - {item}) for item in present)
        for item in present:
            yield from (choice.ordered(set(present) - {item} | {other}) for other in absent)


def _sum(slopes: Mapping[str, float], answer: Answer) -> float:
    answers = answer if isinstance(answer, list) else [answer]
    return sum(slopes[str(each)] for each in answers)


@final
class _Repair:
    """Brings a member within the limits by single changes."""

    def __init__(self, budget: Budget, relaxation: Relaxation, context: Context) -> None:
        self.budget = budget
        self.context = context
        self.terms = budget.model.terms(context)
        self.shares = {}
        with torch.no_grad():
            for choice in context.relaxed:
                p = presence(choice, relaxation.probabilities(choice).double().cpu())
                self.shares[choice.name] = p.clamp(1e-12, 1 - 1e-12).numpy()

    def run(self, member: Decisions) -> Decisions | None:
        """Return the repaired member, or None where single changes do not suffice."""
        answers = dict(member)
        for _ in range(1000):
            gates = gates_of(self.context, answers).requires_grad_()
            excess = self.budget.worst(self.terms.expected(gates))
            if float(excess.detach()) <= 0:
                within = self.budget.excess(self.budget.model.discrete(answers)) <= 0
                return answers if within else None
            (slope,) = torch.autograd.grad(excess, [gates], materialize_grads=True)
            change = self._best_change(answers, slope.numpy())
            if change is None:
                return None
            answers[change[0]] = change[1]
        return None

    def _best_change(
        self, answers: Decisions, slope: np.ndarray[tuple[int], np.dtype[np.float64]]
    ) -> tuple[str, Answer] | None:
        """Return the change that saves most per lost log-probability, of those that save."""
        best, found, start = 0.0, None, 0
        for choice in self.context.relaxed:
            own = slope[start : start + len(answers_of(choice))]
            start += len(own)
            for answer, saved, lost in self._changes(choice, answers[choice.name], own):
                merit = saved / max(lost, 1e-9)
                if saved > 1e-12 and merit > best:
                    best, found = merit, (choice.name, answer)
        return found

    def _changes(
        self, choice: Choice, present: Answer, slope: np.ndarray[tuple[int], np.dtype[np.float64]]
    ) -> Iterator[tuple[Answer, float, float]]:
        """Yield single changes with what they save and the log-probability they lose."""
        shares, closed = self.shares[choice.name], self.context.closed.get(choice.name, frozenset())
        if isinstance(choice, OneOf):
            values = [option.value for option in choice.options]
            now = values.index(present)  # type: ignore[arg-type]
            for number, value in enumerate(values):
                if number != now and value not in closed:
                    lost = math.log(shares[now]) - math.log(shares[number])
                    yield value, float(slope[now] - slope[number]), lost
            return
        assert isinstance(present, list)
        for number, item in enumerate(choice.items):
            odds = math.log(shares[number]) - math.log1p(-shares[number])
            if item in present and len(present) > fewest(choice):
                yield choice.ordered(set(present) - {item}), float(slope[number]), odds
            elif item not in present and item not in closed:
                yield choice.ordered({*present, item}), float(-slope[number]), -odds


def gates_of(context: Context, answers: Mapping[str, Answer]) -> Tensor:
    """Return a member of a context as gates of 0 and 1, with the constants behind them."""
    parts = [is_on(choice, answers[choice.name]) for choice in context.relaxed]
    return torch.cat([*parts, torch.tensor([0.0, 1.0], dtype=torch.float64)])

"""Hard budgets: kept after every projection, near what was there, impossible ones refused."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scale import is_full_scale
from supernet_cases import SHAPE, digits, one_stage, space

from nas.errors import BudgetError, ConfigError
from nas.space import AbstractSpace, Decisions, SubsetOf
from nas.supernet.budgets.budget import Budget
from nas.supernet.budgets.expected_cost import CostModel
from nas.supernet.budgets.resources import Limit, ResourceName, amount
from nas.supernet.declared_parts import make_part
from nas.supernet.discretisations import DISCRETISATIONS
from nas.supernet.relaxation import Context, Relaxation
from nas.supernet.relaxed_training import RelaxationConfig, make_relaxation, train_relaxation
from nas.supernet.supernet import Supernet

RESOURCES: tuple[ResourceName, ...] = (
    "macs",
    "parameters",
    "bytes",
    "latency_ms",
    "macs_per_byte",
)


def random_gates(declared: AbstractSpace, seed: int) -> Relaxation:
    relaxation = Relaxation(declared, operations="mixed")
    numbers = np.random.default_rng(seed).normal(size=len(relaxation.logits))
    with torch.no_grad():
        relaxation.logits.copy_(torch.from_numpy(2 * numbers))
    return relaxation


def budget_between(
    model: CostModel, relaxation: Relaxation, context: Context, name: ResourceName, share: float
) -> Budget:
    """A budget between the cheapest member (0) and what the gates cost in expectation (1)."""
    with torch.no_grad():
        expected = float(amount(name, model.expected(relaxation, context)))
    cheapest = Budget(model, (Limit(name, expected),)).cheapest(context)
    lowest = float(amount(name, model.discrete(cheapest)))
    return Budget(model, (Limit(name, lowest + share * (expected - lowest)),))


@pytest.mark.parametrize("name", RESOURCES)
def test_expected_and_discrete_costs_keep_the_budget_after_projection(name: ResourceName) -> None:
    """1,000 draws over all resources at full scale."""
    free = one_stage("sum", "concat", "weighted", patterns=("free",), depth=4)
    counts = ((space("wired_cnn"), 40), (free, 60), (space("nasbench201_c8n1"), 100))
    for number, (declared, count) in enumerate(counts):
        model = CostModel(declared, SHAPE, 5)
        for draw in range(count if is_full_scale() else 3):
            rng = np.random.default_rng([number, draw])
            relaxation = random_gates(declared, draw)
            context = relaxation.sample(rng)
            budget = budget_between(model, relaxation, context, name, float(rng.random()))
            member = budget.settle(relaxation, context, relaxation.discretise(context))
            (limit,) = budget.limits
            found = float(amount(name, model.discrete(member)))
            assert all(member[key] == answer for key, answer in context.sampled.items())
            budget.project(relaxation, context)
            with torch.no_grad():
                expected = float(amount(name, model.expected(relaxation, context)))
            if name == "macs_per_byte":
                assert min(found, expected) >= limit.value - 1e-6
            else:
                assert max(found, expected) <= limit.value + 1e-6


def test_gates_within_the_budget_do_not_move() -> None:
    declared = space("tiny_exhaustive")
    relaxation = random_gates(declared, 0)
    context = relaxation.likeliest()
    before = relaxation.logits.detach().clone()
    budget = Budget(CostModel(declared, SHAPE, 5), (Limit("macs", 1e12),))
    assert not budget.project(relaxation, context)
    assert torch.equal(relaxation.logits.detach(), before)


def test_additive_costs_are_projected_to_the_nearest_distribution() -> None:
    """For costs that add up, logits fall by one factor times the cost: the I-projection."""
    declared = space("tiny_exhaustive")
    relaxation = random_gates(declared, 3).double()
    context = next(
        c
        for c in (relaxation.sample(np.random.default_rng(seed)) for seed in range(50))
        if c.sampled["stage2.pattern"] == "chain" and c.sampled["stage1.pattern"] == "chain"
    )
    model = CostModel(declared, SHAPE, 5)
    budget = budget_between(model, relaxation, context, "macs", 0.6)
    choice = next(c for c in context.relaxed if c.name == "stage2.operation")
    before = relaxation.logits[relaxation.positions(choice)].detach().clone()
    assert budget.project(relaxation, context)
    moved = before - relaxation.logits[relaxation.positions(choice)].detach()
    options = [option.value for option in choice.options]  # type: ignore[union-attr]
    prices = [model.discrete({**context.base, choice.name: value})[1] for value in options]
    shift, price = moved - moved.mean(), torch.tensor(prices) - np.mean(prices)
    factor = float((shift * price).sum() / price.square().sum())
    assert factor > 0
    torch.testing.assert_close(shift, factor * price, rtol=1e-3, atol=1e-6)
    limit = budget.limits[0].value
    with torch.no_grad():
        assert float(model.expected(relaxation, context)[1]) == pytest.approx(limit, rel=1e-2)


def every_member(context: Context) -> list[Decisions]:
    answers = []
    for choice in context.relaxed:
        if isinstance(choice, SubsetOf):
            subsets = product((False, True), repeat=len(choice.items))
            answers.append(
                [
                    [item for item, flag in zip(choice.items, flags, strict=True) if flag]
                    for flags in subsets
                    if sum(flags) >= choice.minimum
                ]
            )
        else:
            answers.append([option.value for option in choice.options])  # type: ignore[misc]
    names = [choice.name for choice in context.relaxed]
    return [
        {**context.base, **dict(zip(names, chosen, strict=True))} for chosen in product(*answers)
    ]


@pytest.mark.parametrize("name", RESOURCES)
def test_the_cheapest_member_is_the_cheapest_of_all(name: ResourceName) -> None:
    stage = one_stage("sum", "concat", patterns=("free",), depth=2)
    model = CostModel(stage, SHAPE, 5)
    relaxation = Relaxation(stage, operations="mixed")
    context = relaxation.sample(np.random.default_rng(0))
    found = Budget(model, (Limit(name, 1.0),)).cheapest(context)
    amounts = [float(amount(name, model.discrete(member))) for member in every_member(context)]
    best = max(amounts) if name == "macs_per_byte" else min(amounts)
    assert float(amount(name, model.discrete(found))) == pytest.approx(best, rel=1e-9)


def test_several_limits_hold_at_once() -> None:
    declared = space("wired_cnn")
    model = CostModel(declared, SHAPE, 5)
    relaxation = random_gates(declared, 5)
    context = relaxation.sample(np.random.default_rng(5))
    single = [
        budget_between(model, relaxation, context, name, 0.7).limits[0]
        for name in ("macs", "bytes")
    ]
    budget = Budget(model, tuple(single))
    member = budget.settle(relaxation, context, relaxation.discretise(context))
    assert budget.excess(model.discrete(member)) <= 0


def test_a_budget_below_the_cheapest_member_is_refused_with_its_cost() -> None:
    declared = space("tiny_exhaustive")
    model = CostModel(declared, SHAPE, 5)
    relaxation = Relaxation(declared, operations="mixed")
    context = relaxation.likeliest()
    budget = Budget(model, (Limit("macs", 10.0),))
    cheapest = model.discrete(budget.cheapest(context))[1]
    with pytest.raises(BudgetError, match=rf"at most 10 MACs: the cheapest has {cheapest:,.6g} MA"):
        budget.project(relaxation, context)
    with pytest.raises(BudgetError, match=r"Raise the budget"):
        budget.settle(relaxation, context, relaxation.discretise(context))
    intensity = Budget(model, (Limit("macs_per_byte", 1e6),))
    with pytest.raises(BudgetError, match=r"at least 1e\+06 MACs per byte: the highest has"):
        intensity.project(relaxation, context)


def test_a_budget_without_any_limit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no limit is given; give one of macs, parameters"):
        make_part(DISCRETISATIONS, "budget", "relaxation.discretisation")


def test_a_training_under_a_budget_finds_members_within_it() -> None:
    stage = one_stage("sum", "concat", patterns=("free", "chain"))
    model = CostModel(stage, (1, 8, 8), 10)
    limit = 0.4 * float(model.largest[1])
    config = RelaxationConfig.model_validate(
        {
            "epochs": 2,
            "batch_size": 32,
            "gate_warmup_epochs": 0,
            "operations": "mixed",
            "rules": [{"name": "projection", "macs_share": 0.4, "every_steps": 1}],
            "discretisation": {"name": "budget", "macs_share": 0.4},
        }
    )
    supernet = Supernet(stage, (1, 8, 8), 10, seed=0)
    relaxation = make_relaxation(supernet, config)
    _, training = train_relaxation(supernet, relaxation, digits(), config, seed=0)
    assert training.rules[0].after_epoch(training)["projected"] > 0
    members = training.preferred(4, np.random.default_rng(0))
    assert members
    assert all(float(model.discrete(member)[1]) <= limit for member in members)
    nothing = config.model_copy(update={"discretisation": {"name": "budget", "macs": 5.0}})
    _, training = train_relaxation(supernet, relaxation, digits(60), nothing, seed=0)
    with pytest.raises(BudgetError, match=r"keeps to at most 5 MACs"):
        training.preferred(2, np.random.default_rng(0))

"""Gradual pruning, operation reduction and growth: what they close and open, and at what price."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scale import scaled
from supernet_cases import SHAPE, digits, images, one_stage, shaken, space

from nas.errors import ConfigError
from nas.pareto.dominance import dominates
from nas.space import AbstractSpace, SubsetOf, space_from_dict
from nas.supernet.binding import Binder, role
from nas.supernet.budgets.pruning import (
    FoundMember,
    close_weak,
    from_array,
    front_of,
    open_answers,
    relative,
    to_array,
    weak_answers,
)
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits, relaxed_slots
from nas.supernet.relaxation import Context, Relaxation
from nas.supernet.relaxation_config import RelaxationSettings
from nas.supernet.relaxation_parts import check_fit
from nas.supernet.relaxed_training import (
    RelaxationConfig,
    RelaxedTraining,
    make_relaxation,
    train_relaxation,
)
from nas.supernet.supernet import Supernet
from nas.supernet.training_rules.gradual_pruning import GradualPruning, GradualPruningOptions


def random_gates(declared: AbstractSpace, seed: int) -> Relaxation:
    relaxation = Relaxation(declared, operations="mixed").double()
    numbers = np.random.default_rng(seed).normal(size=len(relaxation.logits))
    with torch.no_grad():
        relaxation.logits.copy_(torch.from_numpy(numbers))
    return relaxation


def outputs(supernet: Supernet, relaxation: Relaxation, context: Context) -> torch.Tensor:
    mixing = mix(supernet, Binder(supernet.space), context)
    with torch.no_grad():
        return relaxed_logits(supernet, mixing, relaxation.values(context), images())


@pytest.mark.parametrize("name", ["free", "nasbench201_c8n1"])
def test_closed_answers_are_not_computed_and_nothing_else_changes(name: str) -> None:
    merges = ("sum", "concat", "weighted")
    declared = one_stage(*merges, patterns=("free",), depth=4) if name == "free" else space(name)
    supernet = shaken(Supernet(declared, SHAPE, 5).double())
    relaxation = random_gates(declared, 0)
    whole = relaxation.sample(np.random.default_rng(0))
    slots = len(relaxed_slots(supernet, mix(supernet, Binder(declared), whole)))
    closed = close_weak(relaxation, weak_answers(relaxation)[::2])
    assert closed > 5
    pruned = relaxation.sample(np.random.default_rng(0))
    assert pruned.closed and pruned.sampled == whole.sampled
    # The same gate values with everything computed: closed answers have the value 0.
    everything = outputs(supernet, relaxation, relaxation.without_closing(pruned))
    torch.testing.assert_close(
        outputs(supernet, relaxation, pruned), everything, rtol=1e-9, atol=1e-9
    )
    fewer = len(relaxed_slots(supernet, mix(supernet, Binder(declared), pruned)))
    assert fewer < 0.9 * slots


@pytest.mark.parametrize("epsilon", [1e-2, 1e-4, 1e-6])
def test_closing_a_gate_below_epsilon_changes_the_output_by_less_than_delta(epsilon: float) -> None:
    """Measured: the relative change stays below 10 epsilon."""
    stage = one_stage("sum", "mean", "weighted", patterns=("free",), depth=4)
    supernet = shaken(Supernet(stage, SHAPE, 5).double())
    worst = 0.0
    for seed in range(scaled(30)):
        relaxation = random_gates(stage, seed)
        context = relaxation.sample(np.random.default_rng(seed))
        subsets = [c for c in context.relaxed if isinstance(c, SubsetOf) and len(c.items) > 1]
        choice = subsets[seed % len(subsets)]
        with torch.no_grad():
            place = relaxation.positions(choice)[0]
            strongest = relaxation.probabilities(choice)[1:].max()
            small = epsilon * strongest
            relaxation.logits[place] = torch.log(small / (1 - small))
        before = outputs(supernet, relaxation, context)
        relaxation.close(choice, choice.items[0])
        after = outputs(supernet, relaxation, relaxation.sample(np.random.default_rng(seed)))
        worst = max(worst, float((after - before).abs().max() / before.abs().max()))
    assert worst < 10 * epsilon


@given(
    logits=st.lists(st.floats(-4, 4), min_size=2, max_size=6, unique=True),
    common=st.floats(0.05, 1.0),
)
def test_a_common_scale_of_a_nodes_gates_does_not_change_what_is_weak(
    logits: list[float], common: float
) -> None:
    choice = SubsetOf("x", tuple(str(number) for number in range(len(logits))))
    p = torch.tensor(logits, dtype=torch.float64).sigmoid()
    torch.testing.assert_close(relative(choice, common * p), relative(choice, p))


def test_no_choice_is_ever_left_without_enough_answers() -> None:
    relaxation = random_gates(space("wired_cnn"), 1)
    close_weak(relaxation, weak_answers(relaxation))
    for choice, answers in open_answers(relaxation):
        if role(choice) != "joint":
            assert len(answers) == (choice.minimum if isinstance(choice, SubsetOf) else 1)
    assert not weak_answers(relaxation)
    rng = np.random.default_rng(0)
    for _ in range(5):
        member = relaxation.draw(relaxation.sample(rng), rng)
        assert space("wired_cnn").normalise(member) == member


def test_the_last_answer_cannot_be_closed() -> None:
    relaxation = Relaxation(space("nasbench201_c8n1"), operations="mixed")
    choice = relaxation.space.choices[0]
    for name in ("none", "identity", "avg_pool3x3", "relu_conv1x1_bn"):
        relaxation.close(choice, name)
    with pytest.raises(ConfigError, match=r"'relu_conv3x3_bn' to 'cell.edge0-1' cannot be closed"):
        relaxation.close(choice, "relu_conv3x3_bn")
    relaxation.reopen(choice, "none")
    relaxation.close(choice, "relu_conv3x3_bn")


@cache
def wired() -> AbstractSpace:
    """Wirings that differ in MACs by every edge."""
    return space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "stages",
            "name": "wired",
            "stem": "conv1x1",
            "stages": [
                {
                    "pattern": "free",
                    "depth": 5,
                    "width": 8,
                    "operation": "conv3x3",
                    "merge": "concat",
                }
            ],
        }
    )


def run(declared: AbstractSpace, count: int = 500, **settings: object) -> RelaxedTraining:
    config = RelaxationConfig.model_validate({"batch_size": 32, **settings})
    supernet = Supernet(declared, (1, 8, 8), 10, seed=0)
    relaxation = make_relaxation(supernet, config)
    return train_relaxation(supernet, relaxation, digits(count), config, seed=0)[1]


def test_one_run_of_growing_weight_yields_five_networks_that_do_not_beat_each_other() -> None:
    rule = {"name": "gradual_pruning", "growth": 0.2, "faster": 1.5, "below": 0.7, "count": 1}
    training = run(
        wired(),
        epochs=32,
        learning_rate=0.2,
        gate_warmup_epochs=18,
        gate_learning_rate=0.05,
        alternation="one_level",
        rules=[{**rule, "always": 0.05, "fall": 0.02}],
    )
    front = front_of(training.found, "macs")
    assert len(front) >= 5
    for first in front:
        for second in front:
            point, other = ((member.costs["macs"], member.loss) for member in (first, second))
            assert not dominates(point, other)
    for member in training.found:
        assert wired().normalise(member.decisions) == member.decisions
    cheapest, largest = front[0].costs["macs"], front[-1].costs["macs"]
    assert cheapest < 0.6 * largest
    # The series is in the checkpoint, and pruning made the mixture cheaper to run.
    stored = from_array(training.checkpoint()["rules/0/found"])
    assert stored == training.found == from_array(to_array(training.found))
    assert int((~training.relaxation.open).sum()) > 5


def test_the_series_is_compared_by_what_its_rule_charges() -> None:
    def member(macs: float, parameters: float, loss: float, memory: float = 1.0) -> FoundMember:
        costs = {"macs": macs, "parameters": parameters, "bytes": memory, "latency_ms": 1.0}
        return FoundMember({"at": f"{macs} {loss}"}, costs, costs, loss, 0, 0.0)

    slim, light, poor = member(9, 1, 0.5), member(1, 9, 0.5, 2), member(8, 8, 0.9)
    dense = member(18, 9, 0.6)
    found = [poor, slim, light, dense]
    assert front_of(found, "macs") == [light]
    assert front_of(found, "parameters") == [slim]
    assert front_of(found, "macs_per_byte") == [dense, slim]  # 18 and 9 MACs per byte
    assert front_of([], "macs") == []
    options = GradualPruningOptions(resource="parameters")
    rule = GradualPruning(options)
    rule.members = found
    assert rule.front == [slim]


def test_operations_are_dropped_until_few_are_left_and_the_weakest_go_first() -> None:
    rule = {"name": "operation_reduction", "every_epochs": 1, "keep": 2}
    training = run(
        space("nasbench201_c8n1"),
        count=60,
        epochs=4,
        gate_warmup_epochs=0,
        operations="mixed",
        rules=[rule],
    )
    for choice, answers in open_answers(training.relaxation):
        assert len(answers) == 2, choice.name
        kept = training.relaxation.probabilities(choice)
        assert int((kept > 0).sum()) == 2


def test_operations_can_be_dropped_by_the_loss_of_the_steps_that_drew_them() -> None:
    rule = {"name": "operation_reduction", "every_epochs": 2, "by": "loss"}
    training = run(space("tiny_exhaustive"), count=60, epochs=2, gate_warmup_epochs=0, rules=[rule])
    for choice, answers in open_answers(training.relaxation):
        if role(choice) == "operation":
            assert len(answers) == len(choice.options) - 1  # type: ignore[union-attr]


def refusal(name: str, **settings: object) -> str:
    with pytest.raises(ConfigError) as caught:
        check_fit(RelaxationSettings.model_validate(settings), space(name))
    return str(caught.value)


def test_rules_that_say_nothing_about_a_space_are_refused_with_the_way_out() -> None:
    by_loss = {"name": "operation_reduction", "by": "loss"}
    text = refusal("tiny_exhaustive", operations="mixed", rules=[by_loss])
    assert "share the loss of every step" in text and "operations: sampled" in text
    few = {"name": "operation_reduction", "keep": 9}
    assert "more than 9 operations" in refusal("tiny_exhaustive", rules=[few])
    assert "no edges to choose" in refusal("tiny_exhaustive", rules=["growth"])
    assert "nothing to prune" in refusal("nasbench201_c8n1", rules=["gradual_pruning"])
    skip = refusal("tiny_exhaustive", regularisers=["skip"])
    assert "weights beside some without" in skip and "'identity'" in skip


def test_growth_starts_small_and_a_new_edge_leaves_the_output_as_it_was() -> None:
    rule = {"name": "growth", "edges": 3, "ramp_epochs": 2.0}
    settings = {"epochs": 3, "gate_warmup_epochs": 0, "gate_learning_rate": 0.1, "rules": [rule]}
    config = RelaxationConfig.model_validate({"batch_size": 32, **settings})
    supernet = Supernet(wired(), (1, 8, 8), 10, seed=0)
    relaxation = make_relaxation(supernet, config)
    training = RelaxedTraining(supernet, relaxation, digits(130), config, seed=0)
    opened_at_first = int(relaxation.open.sum())
    x, _ = training.gate_batches.at(0)

    def output() -> torch.Tensor:
        context = relaxation.likeliest()
        mixing = mix(supernet, training.binder, context)
        with torch.no_grad():
            return relaxed_logits(supernet, mixing, relaxation.values(context), x)

    rule_part = training.rules[0]
    grown = 0
    original = rule_part.after_step

    def watched(training: RelaxedTraining, step: object) -> None:
        nonlocal grown
        before, count = output(), int(relaxation.open.sum())
        original(training, step)  # type: ignore[arg-type]
        if int(relaxation.open.sum()) > count and count == opened_at_first:
            grown += 1
            torch.testing.assert_close(output(), before, rtol=1e-6, atol=1e-6)

    rule_part.after_step = watched  # type: ignore[assignment]
    training.run()
    assert grown == 1
    assert opened_at_first < int(relaxation.open.sum()) <= opened_at_first + 9
    assert rule_part.after_epoch(training)["opened_edges"] > 0

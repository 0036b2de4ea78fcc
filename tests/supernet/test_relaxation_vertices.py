"""Law 4: every vertex of the relaxation is the discrete network; gradients of gates are right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scale import is_full_scale
from supernet_cases import SHAPE, images, one_stage, shaken, space

from nas.errors import ConfigError, SpaceError
from nas.space import OneOf, Option, SubsetOf
from nas.supernet.binding import Binder, role
from nas.supernet.gates import (
    effective_degree,
    merge_coefficients,
    merge_strength,
    normalised,
)
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import entries, relaxed_logits
from nas.supernet.mixtures.state_buffer import find_segments
from nas.supernet.proposals import likeliest_members
from nas.supernet.relaxation import Relaxation
from nas.supernet.supernet import Supernet
from nas.supernet.workspace import Workspace

POWERS = {"none": 0.0, "rsqrt": -0.5, "mean": -1.0}


@pytest.mark.parametrize("operations", ["sampled", "mixed"])
@pytest.mark.parametrize(
    ("name", "count"), [("wired_cnn", 1000), ("tiny_exhaustive", 200), ("nasbench201", 50)]
)
def test_every_vertex_is_the_discrete_network(name: str, count: int, operations: str) -> None:
    declared = space(name)
    supernet = shaken(Supernet(declared, SHAPE, 5).double())
    relaxation = Relaxation(declared, operations=operations).double()  # type: ignore[arg-type]
    binder, rng, x = Binder(declared), np.random.default_rng(0), images()
    for _ in range(count // 2 if is_full_scale() else max(2, count // 50)):
        decisions = declared.sample(rng)
        context, values = relaxation.context(decisions)
        with torch.no_grad():
            ours = relaxed_logits(supernet, mix(supernet, binder, context), values, x)
            theirs = supernet(x, declared.build(decisions))
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-10, decisions


def test_the_plain_path_has_second_derivatives() -> None:
    stage = one_stage(patterns=("free",))
    supernet = Supernet(stage, SHAPE, 5).double()
    relaxation = Relaxation(stage).double()
    context = relaxation.sample(np.random.default_rng(0))
    logits = relaxed_logits(
        supernet,
        mix(supernet, Binder(stage), context),
        relaxation.values(context),
        images(),
        plain=True,
    )
    (first,) = torch.autograd.grad(logits.square().mean(), [relaxation.logits], create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), [relaxation.logits])
    assert second.isfinite().all() and second.abs().sum() > 0


@given(bits=st.lists(st.booleans(), min_size=1, max_size=9), scale=st.sampled_from(list(POWERS)))
def test_coefficients_at_a_vertex_are_the_discrete_factors(bits: list[bool], scale: str) -> None:
    p = torch.tensor([[float(bit) for bit in bits]], dtype=torch.float64)
    degree = sum(bits)
    scalars = torch.linspace(2, 3, len(bits), dtype=torch.float64)[None]
    one = torch.ones(1, 1, dtype=torch.float64)
    factor = 1.0 if degree < 2 else degree ** POWERS[scale]
    for learned, projected in ((0, 0), (1, 0), (0, 1)):
        numbers, shares = merge_coefficients(
            p, one, POWERS[scale] * one, learned * one, projected * one, scalars
        )
        expected = factor * p * (scalars if learned and degree > 1 else 1)
        through_matrix = projected and degree > 1
        torch.testing.assert_close(numbers, expected * (0 if through_matrix else 1))
        torch.testing.assert_close(shares, expected * (1 if through_matrix else 0))


@given(
    p=st.lists(st.floats(0.01, 1), min_size=1, max_size=8),
    common=st.floats(0.1, 10),
)
def test_a_common_scale_of_a_nodes_gates_changes_nothing(p: list[float], common: float) -> None:
    gates = torch.tensor([p], dtype=torch.float64)
    torch.testing.assert_close(normalised(gates), normalised(common * gates))
    torch.testing.assert_close(effective_degree(gates), effective_degree(common * gates))


def test_the_effective_degree_lies_between_one_and_the_number_of_inputs() -> None:
    gates = torch.rand(50, 6, dtype=torch.float64)
    degree = effective_degree(gates)
    assert (degree >= 1 - 1e-12).all() and (degree <= 6 + 1e-12).all()
    assert effective_degree(torch.zeros(3)) == 0
    assert merge_strength(torch.tensor([1.0, 1.5, 2.0, 7.0])).tolist() == [0, 0.5, 1, 1]


def test_a_common_factor_in_front_of_a_norm_has_no_gradient() -> None:
    """Why joint choices learn by the score function, not by a factor on a stage's output."""
    features = torch.randn(8, 4, 6, 6, dtype=torch.float64)
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(4, 4, 3, 3, dtype=torch.float64)
    normed = torch.nn.functional.batch_norm(
        torch.nn.functional.conv2d(features * factor, kernel), None, None, training=True
    )
    (gradient,) = torch.autograd.grad((normed * torch.randn_like(normed)).sum(), [factor])
    assert abs(float(gradient)) < 1e-4 * float(normed.detach().abs().sum())


def test_choices_are_classed_by_what_they_offer_not_by_name() -> None:
    assert role(SubsetOf("x", ("a", "b"))) == "edges"
    assert role(OneOf("x", (Option("sum"), Option("default")))) == "merge"
    assert role(OneOf("x", (Option("conv3x3"), Option("none")))) == "operation"
    assert role(OneOf("x", (Option("chain"), Option("dense")))) == "joint"
    assert role(OneOf("x", (Option(8), Option(16)), elastic=True)) == "joint"


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Unknown mode of operations 'both'"):
        Relaxation(space("tiny_exhaustive"), operations="both")  # type: ignore[arg-type]


def test_plain_concatenation_cannot_be_relaxed_and_says_why() -> None:
    stage = one_stage("stack", patterns=("free",))
    relaxation = Relaxation(stage)
    member = {**stage.reference(SHAPE)}
    context, _ = relaxation.context(member)
    with pytest.raises(SpaceError, match=r"merges by 'stack', which cannot be relaxed"):
        mix(Supernet(stage, SHAPE, 5), Binder(stage), context)


def test_preferred_members_are_valid_distinct_and_follow_the_logits() -> None:
    wired = space("wired_cnn")
    relaxation = Relaxation(wired)
    pattern = next(choice for choice in wired.choices if choice.name == "stage1.pattern")
    free = [option.value for option in pattern.options].index("free")  # type: ignore[union-attr]
    with torch.no_grad():
        relaxation.logits[relaxation.positions(pattern)[free]] = 9.0
        for choice in relaxation.every_choice():
            if choice.name.startswith("stage1.op3.inputs"):
                places = relaxation.positions(choice)
                relaxation.logits[places] = -4.0
                relaxation.logits[places[0]] = 4.0
    members = likeliest_members(relaxation, 5, np.random.default_rng(0))
    assert len(members) == 5
    assert all(wired.normalise(member) == member for member in members)
    assert all(member["stage1.pattern"] == "free" for member in members)
    assert all(first != second for first, second in itertools.pairwise(members))
    kept = [member["stage1.op3.inputs"] for member in members if "stage1.op3.inputs" in member]
    assert all(len(inputs) == 1 for inputs in kept)  # type: ignore[arg-type]


def test_drawn_members_of_a_context_keep_what_was_sampled() -> None:
    wired = space("wired_cnn")
    relaxation = Relaxation(wired)
    rng = np.random.default_rng(5)
    context = relaxation.sample(rng)
    for _ in range(5):
        member = relaxation.draw(context, rng)
        assert wired.normalise(member) == member
        assert all(member[name] == answer for name, answer in context.sampled.items())


@pytest.mark.parametrize("joint", ["gates", "weights", "both"])
def test_the_buffered_path_equals_the_plain_one_in_values_and_gradients(joint: str) -> None:
    stage = one_stage("sum", "mean", "weighted", patterns=("dense", "free"), depth=5)
    supernet = shaken(Supernet(stage, SHAPE, 5).double())
    relaxation = Relaxation(stage, operations="mixed").double()
    rng, x, labels = np.random.default_rng(2), images(), torch.tensor([0, 1, 2, 3])
    for _ in range(4):
        context = relaxation.sample(rng)
        mixing = mix(supernet, Binder(stage), context)
        program = mixing.program
        assert find_segments(mixing, (), program.calls)
        found = []
        for plain in (True, False):
            values = relaxation.values(context)
            if joint == "weights":
                values = {name: value.detach() for name, value in values.items()}
            logits = relaxed_logits(supernet, mixing, values, x, plain=plain)
            loss = torch.nn.functional.cross_entropy(logits, labels)
            wanted = [] if joint == "gates" else [value for _, value in supernet.weights.slots()]
            wanted += [] if joint == "weights" else [relaxation.logits]
            found.append((loss, torch.autograd.grad(loss, wanted, allow_unused=True)))
        (first, ours), (second, theirs) = found
        torch.testing.assert_close(first, second, rtol=1e-10, atol=0)
        for left, right in zip(ours, theirs, strict=True):
            assert (left is None) == (right is None)
            if left is not None:
                torch.testing.assert_close(left, right, rtol=1e-8, atol=1e-11)


def test_a_buffer_is_lent_again_only_when_nothing_reads_it_any_more() -> None:
    workspace = Workspace()
    like = torch.zeros(1)
    first, second = workspace.take(3, 4, like), workspace.take(3, 4, like)
    assert first.data_ptr() != second.data_ptr()
    place = first.data_ptr()
    workspace.give(first)
    assert workspace.take(2, 5, like.double()).data_ptr() != place  # of another type
    assert workspace.take(2, 5, like).data_ptr() == place


def test_two_relaxed_passes_may_be_alive_at_once() -> None:
    stage = one_stage("sum", "mean", patterns=("dense",), depth=5)
    supernet = shaken(Supernet(stage, SHAPE, 5).double())
    relaxation = Relaxation(stage).double()
    context = relaxation.sample(np.random.default_rng(0))
    mixing = mix(supernet, Binder(stage), context)

    def loss(seed: int) -> torch.Tensor:
        values = relaxation.values(context)
        return relaxed_logits(supernet, mixing, values, images(seed=seed)).square().sum()

    def gradient(value: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(value, [relaxation.logits])[0]

    alone = [gradient(loss(seed)) for seed in (1, 2)]
    first, second = loss(1), loss(2)
    assert torch.equal(gradient(second), alone[1])
    assert torch.equal(gradient(first), alone[0])
    del first, second
    assert len(supernet.workspace._free) > 0


@pytest.mark.parametrize("places", [[], [2], [1, 2, 3], [3, 1], [0, 2, 4]])
def test_entries_are_those_at_the_places_wherever_they_stand(places: list[int]) -> None:
    vector = torch.arange(5.0, requires_grad=True)
    found = entries(vector, places)
    assert found.tolist() == [float(place) for place in places]
    (gradient,) = torch.autograd.grad(found.sum(), [vector])
    assert gradient.tolist() == [float(place in places) for place in range(5)]

"""What every gate sampler promises, in float64, for options and for edges alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scale import scaled
from scipy.stats import chisquare
from supernet_cases import SHAPE, images, one_stage, shaken
from torch import Tensor
from torch.nn import functional

from nas.errors import ConfigError
from nas.space import Choice, OneOf, Option, SubsetOf, space_from_dict
from nas.space.choices import Answer
from nas.supernet.binding import Binder
from nas.supernet.gate_samplers import (
    GATE_SAMPLERS,
    AbstractGateSampler,
    GateInput,
    Kind,
    answers_of,
    is_on,
)
from nas.supernet.gates import normalised
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import RelaxedRun
from nas.supernet.relaxation import Relaxation
from nas.supernet.supernet import Supernet

Case = tuple[str, Kind]
CASES: list[Case] = [
    (name, kind) for name in GATE_SAMPLERS for kind in sorted(GATE_SAMPLERS.get(name).kinds)
]
LABELS = torch.tensor([0, 1, 2, 3])
every_case = pytest.mark.parametrize(("name", "kind"), CASES)
seeds = st.integers(0, 2**31)


def sampler(name: str) -> AbstractGateSampler:
    return GATE_SAMPLERS.get(name)()


def choice_of(kind: Kind, size: int, minimum: int = 1) -> Choice:
    if kind == "edges":
        return SubsetOf("question", tuple("abcdef"[:size]), minimum)
    return OneOf("question", tuple(Option(letter) for letter in "abcdef"[:size]))


def some_gate(
    part: AbstractGateSampler, choice: Choice, seed: int, closed: int = 0, noise: int | None = None
) -> GateInput:
    """Return a gate with random logits, some answers closed, and its logits' gradient on."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0.2, 0.8, size=len(part.keys(choice))))
    opened = torch.ones(len(answers_of(choice)), dtype=torch.bool)
    opened[rng.permutation(len(opened))[: min(closed, len(opened) - 1)]] = False
    generator = None if noise is None else torch.Generator().manual_seed(noise)
    return GateInput(choice, logits.requires_grad_(), opened, 0.7, generator)


def possible(part: AbstractGateSampler, choice: Choice) -> Iterator[Answer]:
    """Yield every answer that is a vertex of the sampler."""
    if isinstance(choice, OneOf):
        yield from (option.value for option in choice.options)
        return
    for size in range(choice.minimum, len(choice.items) + 1):
        for items in itertools.combinations(choice.items, size):
            if part.reaches(choice, list(items)):
                yield list(items)


def moved(gate: GateInput, logits: Tensor, noise: int | None) -> GateInput:
    generator = None if noise is None else torch.Generator().manual_seed(noise)
    return GateInput(gate.choice, logits, gate.open, gate.temperature, generator)


@pytest.mark.parametrize("name", list(GATE_SAMPLERS))
def test_a_sampler_is_one_file_of_its_name_with_its_paper(name: str) -> None:
    entry = GATE_SAMPLERS.get(name)
    assert entry.__module__.rpartition(".")[2] == name or not entry.__module__.startswith("nas.")
    assert GATE_SAMPLERS.paper(name) is not None or not entry.__module__.startswith("nas.")
    assert entry.kinds


@every_case
@given(seed=seeds, size=st.integers(1, 6), minimum=st.integers(0, 1))
def test_every_vertex_has_gates_of_exactly_zero_and_one(
    name: str, kind: Kind, seed: int, size: int, minimum: int
) -> None:
    part, choice = sampler(name), choice_of(kind, size, minimum)
    answers = list(possible(part, choice))
    answer = answers[seed % len(answers)]
    opened = torch.ones(size, dtype=torch.bool)
    gate = GateInput(choice, part.vertex(choice, answer), opened)
    assert part.vertex(choice, answer).dtype == torch.float64
    assert torch.equal(part.probabilities(gate), is_on(choice, answer))
    assert torch.equal(part.values(gate), is_on(choice, answer))
    assert part.draw(gate, np.random.default_rng(seed)) == answer
    assert part.settle(gate) == answer


@every_case
def test_an_answer_out_of_reach_is_refused(name: str, kind: Kind) -> None:
    part, choice = sampler(name), choice_of(kind, 6)
    if isinstance(choice, OneOf) or part.reaches(choice, list(choice.items)):
        return
    with pytest.raises(ConfigError, match=rf"'{name}' has no vertex for 6 edges at 'question'"):
        part.vertex(choice, list(choice.items))


@every_case
@given(seed=seeds, size=st.integers(1, 6), closed=st.integers(0, 5), noise=st.booleans())
def test_gates_are_probabilities_and_closed_answers_are_off(
    name: str, kind: Kind, seed: int, size: int, closed: int, noise: bool
) -> None:
    part, choice = sampler(name), choice_of(kind, size)
    gate = some_gate(part, choice, seed, closed, seed if noise else None)
    p, values = part.probabilities(gate), part.values(gate)
    assert p.shape == values.shape == (size,)
    assert (p >= 0).all() and (p <= 1 + 1e-12).all() and (values >= 0).all()
    assert values.isfinite().all()
    if kind == "options":
        assert [float(each.detach().sum()) for each in (p, values)] == pytest.approx([1, 1])
    assert (p[~gate.open] == 0).all() and (values[~gate.open] == 0).all()
    for off in torch.nonzero(~gate.open).flatten():
        for tensor in (p, values):
            (gradient,) = torch.autograd.grad(tensor[off], [gate.logits], retain_graph=True)
            assert (gradient == 0).all()


@every_case
@given(seed=seeds, size=st.integers(1, 5), closed=st.integers(0, 2), noise=st.booleans())
def test_gradients_of_gates_equal_finite_differences(
    name: str, kind: Kind, seed: int, size: int, closed: int, noise: bool
) -> None:
    part, choice = sampler(name), choice_of(kind, size)
    fixed = seed if noise else None
    gate = some_gate(part, choice, seed, closed, fixed)
    mask = torch.from_numpy(np.random.default_rng(seed).normal(size=size))

    def check(total: Tensor, function: str, again: int | None) -> None:
        (gradient,) = torch.autograd.grad(total, [gate.logits])
        step, logits = 1e-5, gate.logits.detach()
        for position in range(len(logits)):
            ends = []
            for sign in (step, -step):
                near = logits.clone()
                near[position] += sign
                ends.append(float(getattr(part, function)(moved(gate, near, again)) @ mask))
            estimate = (ends[0] - ends[1]) / (2 * step)
            assert float(gradient[position]) == pytest.approx(estimate, rel=1e-4, abs=1e-7)

    check(part.values(gate) @ mask, "surrogate", fixed)
    check(part.probabilities(gate) @ mask, "probabilities", None)


@every_case
def test_equal_noise_gives_equal_gates(name: str, kind: Kind) -> None:
    part, choice = sampler(name), choice_of(kind, 5)

    def values(noise: int | None) -> Tensor:
        return part.values(some_gate(part, choice, 3, noise=noise))

    assert torch.equal(values(1), values(1))
    assert torch.equal(values(None), values(None))


@every_case
@pytest.mark.parametrize("closed", [0, 2])
def test_draws_follow_the_probabilities(name: str, kind: Kind, closed: int) -> None:
    part, choice = sampler(name), choice_of(kind, 5, minimum=0)
    gate, rng = some_gate(part, choice, 11, closed), np.random.default_rng(5)
    count = scaled(20_000)
    total = sum(is_on(choice, part.draw(gate, rng)).numpy() for _ in range(count))
    p = part.probabilities(gate).detach().numpy()
    assert (total[p == 0] == 0).all() and (total[p == 1] == count).all()  # type: ignore[index]
    if kind == "options":
        likely = p > 0
        if likely.sum() > 1:  # a certain outcome was counted above
            assert chisquare(total[likely], count * p[likely] / p.sum()).pvalue > 0.01  # type: ignore[index]
        return
    for drawn, share in zip(total, p, strict=True):  # type: ignore[arg-type]
        if 0 < share < 1:
            observed, expected = [drawn, count - drawn], [count * share, count * (1 - share)]
            assert chisquare(observed, expected).pvalue > 0.01 / len(p)


@every_case
@given(seed=seeds, size=st.integers(1, 6), closed=st.integers(0, 5), minimum=st.integers(0, 2))
def test_what_is_drawn_or_settled_is_an_open_answer(
    name: str, kind: Kind, seed: int, size: int, closed: int, minimum: int
) -> None:
    needed = min(minimum, size)
    part, choice = sampler(name), choice_of(kind, size, needed)
    gate = some_gate(part, choice, seed, min(closed, size - needed))
    for answer in (part.settle(gate), part.draw(gate, np.random.default_rng(seed))):
        assert choice.valid(answer)
        assert not (is_on(choice, answer).bool() & ~gate.open).any()


# Through a relaxed member of a supernet -----------------------------------------------------


def declared(name: str, kind: Kind) -> Relaxation:
    """Return a relaxation of a small stage with the sampler, random logits, in float64."""
    stage = one_stage("sum", "concat", patterns=("free",), depth=4)
    options = name if kind == "options" else "softmax"
    edges = name if kind == "edges" else "sigmoid"
    return randomised(Relaxation(stage, operations="mixed", options=options, edges=edges))


def randomised(relaxation: Relaxation) -> Relaxation:
    rng = np.random.default_rng(1)
    relaxation = relaxation.double()
    with torch.no_grad():
        relaxation.logits.copy_(torch.from_numpy(rng.normal(0.2, 0.8, len(relaxation.logits))))
    return relaxation


def relaxed_loss(run: RelaxedRun) -> Tensor:
    return functional.cross_entropy(run.logits(images()), LABELS)


@every_case
def test_every_vertex_is_the_discrete_network(name: str, kind: Kind) -> None:
    relaxation = declared(name, kind)
    space, rng = relaxation.space, np.random.default_rng(4)
    supernet, binder = shaken(Supernet(space, SHAPE, 5).double()), Binder(space)

    def reachable(choice: Choice) -> Answer:
        answers = list(possible(relaxation.sampler(choice), choice))
        return answers[int(rng.integers(len(answers)))]

    for _ in range(scaled(60)):
        member = space.walk(reachable)
        relaxation.to_vertex(member)
        context, _ = relaxation.context(member)
        with torch.no_grad():
            mixing = mix(supernet, binder, context)
            ours = RelaxedRun(supernet, mixing, relaxation.values(context)).logits(images())
            theirs = supernet(images(), space.build(member))
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-10, member


@every_case
@pytest.mark.parametrize("noise", [None, 7])
def test_the_gradient_of_the_whole_loss_equals_finite_differences(
    name: str, kind: Kind, noise: int | None
) -> None:
    assert check_chain(declared(name, kind), noise) > 1e-6


@pytest.mark.parametrize("name", [name for name, kind in CASES if kind == "options"])
def test_operations_on_edges_have_the_gradient_of_finite_differences_too(name: str) -> None:
    cell = {"nodes": 4, "operations": ["none", "identity", "relu_conv1x1_bn"]}
    space = space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "cells",
            "name": "small-cell",
            "stem": "conv3x3_bn",
            "cell": cell,
            "stages": [{"cells": 1, "width": 4}],
            "final": "bn_relu",
        }
    )
    relaxation = randomised(Relaxation(space, operations="mixed", options=name))
    # One draw may leave every node one input; a norm then takes its scale, and the slope is 0.
    assert max(check_chain(relaxation, noise) for noise in (None, 0, 1, 2)) > 1e-6


def check_chain(relaxation: Relaxation, noise: int | None) -> float:
    """Compare the gradient of a supernet's loss with differences of the samplers' surrogates.

    Returns the largest slope.
    """
    space = relaxation.space
    supernet = shaken(Supernet(space, SHAPE, 5).double())
    context = relaxation.sample(np.random.default_rng(1))
    mixing = mix(supernet, Binder(space), context)

    def generator() -> torch.Generator | None:
        return None if noise is None else torch.Generator().manual_seed(noise)

    def surrogates() -> dict[str, Tensor]:
        shared = generator()
        return {
            choice.name: relaxation.sampler(choice).surrogate(relaxation.gate(choice, shared))
            for choice in context.relaxed
        }

    values = relaxation.values(context, generator())
    run = RelaxedRun(supernet, mixing, values)
    (gradient,) = torch.autograd.grad(relaxed_loss(run), [relaxation.logits])
    hard = {name: value.detach() for name, value in values.items()}
    start = {name: value.detach() for name, value in surrogates().items()}

    def moved_loss() -> float:
        near = {name: hard[name] + value - start[name] for name, value in surrogates().items()}
        again = RelaxedRun(supernet, mixing, near, plain=True)
        again.left_out = run.left_out  # what did not run adds nothing
        return float(relaxed_loss(again))

    touched = torch.nonzero(relaxation.touched(context)).flatten().tolist()
    chosen = np.random.default_rng(3).permutation(touched)[: scaled(len(touched) * 4)]
    step = 1e-6  # small: a ReLU may switch in between
    for position in chosen:
        ends = []
        with torch.no_grad():
            for shift in (step, -2 * step):
                relaxation.logits[position] += shift
                ends.append(moved_loss())
            relaxation.logits[position] += step
        estimate = (ends[0] - ends[1]) / (2 * step)
        assert float(gradient[position]) == pytest.approx(estimate, rel=1e-4, abs=1e-8)
    return float(gradient.abs().max())


@pytest.mark.parametrize("name", [name for name, kind in CASES if kind == "edges"])
@pytest.mark.parametrize("factor", [0.05, 3.0])
def test_a_common_scale_of_a_nodes_gates_leaves_loss_and_pruning_order(
    name: str, factor: float
) -> None:
    relaxation = declared(name, "edges")
    space = relaxation.space
    supernet = shaken(Supernet(space, SHAPE, 5).double())
    context = relaxation.sample(np.random.default_rng(1))
    mixing = mix(supernet, Binder(space), context)
    values = dict(relaxation.values(context, torch.Generator().manual_seed(2)))
    loss = float(relaxed_loss(RelaxedRun(supernet, mixing, values)).detach())
    subsets = [choice for choice in context.relaxed if isinstance(choice, SubsetOf)]
    assert len(subsets) > 1
    for choice in subsets:
        before = values[choice.name]
        values[choice.name] = factor * before
        torch.testing.assert_close(normalised(before), normalised(factor * before))
    again = relaxed_loss(RelaxedRun(supernet, mixing, values)).detach()
    assert float(again) == pytest.approx(loss, rel=1e-10)


@every_case
def test_a_closed_answer_is_gone_from_the_relaxed_member(name: str, kind: Kind) -> None:
    relaxation = declared(name, kind)
    space = relaxation.space
    supernet = shaken(Supernet(space, SHAPE, 5).double())
    context = relaxation.sample(np.random.default_rng(1))
    closed = [choice for choice in context.relaxed if len(answers_of(choice)) > 1]
    for choice in closed:
        relaxation.close(choice, answers_of(choice)[0])
    values = relaxation.values(context, torch.Generator().manual_seed(2))
    assert all(values[choice.name][0].item() == 0 for choice in closed)
    run = RelaxedRun(supernet, mix(supernet, Binder(space), context), values)
    (gradient,) = torch.autograd.grad(relaxed_loss(run), [relaxation.logits])
    assert gradient.isfinite().all()
    member = relaxation.discretise(context)
    assert space.normalise(member) == member
    for choice in closed:
        assert is_on(choice, member[choice.name])[0] == 0


@final
class Halves(AbstractGateSampler):
    """A user's sampler: a softmax of half the logits."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"options"})

    def probabilities(self, gate: GateInput) -> Tensor:
        return (gate.masked / 2).softmax(0)

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        return 2000.0 * is_on(choice, answer)


def test_a_plugins_sampler_is_held_to_the_same_by_its_registration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    GATE_SAMPLERS.load()
    monkeypatch.setitem(GATE_SAMPLERS._entries, "halves", Halves)
    monkeypatch.setitem(GATE_SAMPLERS._papers, "halves", None)
    assert "halves" in list(GATE_SAMPLERS)  # what the cases above iterate over
    test_a_sampler_is_one_file_of_its_name_with_its_paper("halves")
    test_every_vertex_has_gates_of_exactly_zero_and_one.hypothesis.inner_test(  # type: ignore[attr-defined]
        "halves", "options", 0, 4, 1
    )
    test_every_vertex_is_the_discrete_network("halves", "options")
    test_the_gradient_of_the_whole_loss_equals_finite_differences("halves", "options", None)

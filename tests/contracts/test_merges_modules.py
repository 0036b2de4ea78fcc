"""Every registered merge: its module computes what the data says, at any degree and scale."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import nas.model.merges as merges
from nas.cost.shapes import NodeStep, plan
from nas.model.initialise import initialise
from nas.model.merges import AbstractMerge, build_merge
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.merges import MERGES

NAMES = list(MERGES)
SCALES = ["auto", "none", "rsqrt", "mean"]
SHAPE = (3, 4, 5)


def step_of(name: str, scale: str, degree: int) -> NodeStep:
    """The plan of a node with `degree` inputs of equal shape."""
    nodes = [Node(), *(Node("relu") for _ in range(degree)), Node(merge=name, scale=scale)]
    edges = [Edge(0, index) for index in range(1, degree + 1)]
    edges += [Edge(index, degree + 1) for index in range(1, degree + 1)]
    return plan(Architecture(tuple(nodes), tuple(edges)), SHAPE).steps[-1]


def module_of(step: NodeStep) -> AbstractMerge:
    merge = build_merge(step)
    assert merge is not None
    initialise(merge, torch.Generator().manual_seed(0), "aligned", noise=0.5)
    return merge.double()


def inputs_of(degree: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(degree)
    shape = (degree, 2, *SHAPE)
    return list(torch.randn(shape, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("name", NAMES)
@given(degree=st.integers(2, 6), scale=st.sampled_from(SCALES))
def test_weights_and_multiply_adds_are_those_declared(name: str, degree: int, scale: str) -> None:
    step = step_of(name, scale, degree)
    module = module_of(step)
    assert step.merge_parameters() == sum(weight.numel() for weight in module.parameters())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        merged = module([x[:1] for x in inputs_of(degree)])
    assert step.merge_macs() * 2 == counter.get_total_flops()
    assert tuple(merged.shape[1:]) == step.merged


@pytest.mark.parametrize("name", NAMES)
@given(degree=st.integers(2, 6), scale=st.sampled_from(SCALES))
def test_a_merge_is_linear_in_its_inputs(name: str, degree: int, scale: str) -> None:
    module = module_of(step_of(name, scale, degree))
    first, second = inputs_of(degree), [x.flip(0) + 1 for x in inputs_of(degree)]
    mixed = module([2 * a - 3 * b for a, b in zip(first, second, strict=True)])
    assert torch.allclose(mixed, 2 * module(first) - 3 * module(second), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_fresh_merge_without_noise_is_the_scaled_sum_or_the_concatenation(
    name: str, scale: str
) -> None:
    step = step_of(name, scale, 4)
    module = module_of(step)
    initialise(module, torch.Generator(), "aligned", noise=0.0)
    states = inputs_of(4)
    wanted = sum(states) * step.factor
    if step.merge.weight == "stacked":
        wanted = torch.cat(states, dim=1)
    assert torch.allclose(module(states), wanted, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_merge_leaves_its_inputs_alone_and_reaches_all_of_them(name: str) -> None:
    states = [x.requires_grad_() for x in inputs_of(3)]
    kept = [x.detach().clone() for x in states]
    module_of(step_of(name, "auto", 3))(states).square().sum().backward()
    for state, before in zip(states, kept, strict=True):
        assert torch.equal(state.detach(), before)
        assert state.grad is not None and bool(state.grad.any())


@pytest.mark.parametrize("name", NAMES)
def test_a_single_input_needs_no_merge(name: str) -> None:
    assert build_merge(step_of(name, "auto", 1)) is None


def test_both_ways_to_run_a_projection_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(step_of("concat", "auto", 5))
    together = module(inputs_of(5))
    monkeypatch.setattr(merges, "CONCATENATION_LIMIT", 0)
    assert torch.allclose(module(inputs_of(5)), together, atol=1e-12)

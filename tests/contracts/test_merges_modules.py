"""Every registered merge: its module computes what the data says, at any degree and scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import nas.model.merges.linear as linear
from nas.cost.count import cost
from nas.cost.shapes import NodeStep, plan
from nas.errors import NotFoundError
from nas.export.onnx import export_onnx
from nas.export.sessions import open_session
from nas.model.fuse import fuse
from nas.model.initialise import initialise
from nas.model.merges import MERGE_MODULES, AbstractDeclaredMerge, AbstractMerge, build_merge
from nas.model.network import Network
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.merges import MERGES, Merge
from nas.training.optimizers import parameter_groups

NAMES = list(MERGES)
LINEAR = [name for name in NAMES if MERGES.get(name).linear]
DECLARED = [name for name in NAMES if MERGES.get(name).weight == "module"]
POSITIVE = {"power_mean_p"}
"""Merges that cut their inputs off below 0, where they are constant."""

SCALES = ["auto", "none", "rsqrt", "mean"]
SHAPE = (3, 4, 5)


def step_of(name: str, scale: str, degree: int) -> NodeStep:
    """The plan of a node with `degree` inputs of equal shape."""
    nodes = [Node(), *(Node("relu") for _ in range(degree)), Node(merge=name, scale=scale)]
    edges = [Edge(0, index) for index in range(1, degree + 1)]
    edges += [Edge(index, degree + 1) for index in range(1, degree + 1)]
    return plan(Architecture(tuple(nodes), tuple(edges)), SHAPE).steps[-1]


def module_of(step: NodeStep, noise: float = 0.5) -> AbstractMerge:
    """Return the merge of a node in float64; with noise all its weights are off their start."""
    merge = build_merge(step)
    assert merge is not None
    generator = torch.Generator().manual_seed(0)
    initialise(merge, generator, "aligned", noise=noise)
    if noise and isinstance(merge, AbstractDeclaredMerge):
        with torch.no_grad():
            for value in merge.parameters():
                value.add_(0.3 * torch.randn(value.shape, generator=generator))
    return merge.double()


def inputs_of(degree: int, name: str = "") -> list[Tensor]:
    generator = torch.Generator().manual_seed(degree)
    drawn = torch.randn((degree, 2, *SHAPE), generator=generator, dtype=torch.float64)
    return list(drawn.abs() + 0.1 if name in POSITIVE else drawn)


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


@pytest.mark.parametrize("name", LINEAR)
@given(degree=st.integers(2, 6), scale=st.sampled_from(SCALES))
def test_a_merge_that_is_relaxed_is_linear_in_each_input(
    name: str, degree: int, scale: str
) -> None:
    """The coefficient of an input is the factor times a number or matrix of its own."""
    step = step_of(name, scale, degree)
    module = module_of(step)
    inputs = inputs_of(degree)
    alone = []
    for place in range(degree):
        single = [x if place == other else torch.zeros_like(x) for other, x in enumerate(inputs)]
        alone.append(module(single))
    assert torch.allclose(module(inputs), torch.stack(alone).sum(0), atol=1e-12)
    assert torch.allclose(module([3 * x for x in inputs]), 3 * module(inputs), atol=1e-12)


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("scale", SCALES)
def test_a_fresh_linear_merge_without_noise_is_the_scaled_sum(name: str, scale: str) -> None:
    step = step_of(name, scale, 4)
    states = inputs_of(4)
    wanted = torch.stack(states).sum(0) * step.factor
    assert torch.allclose(module_of(step, noise=0.0)(states), wanted, atol=1e-12)


@pytest.mark.parametrize("name", DECLARED)
@given(degree=st.integers(2, 5), scale=st.sampled_from(SCALES))
def test_a_scale_that_may_be_chosen_multiplies_the_result(
    name: str, degree: int, scale: str
) -> None:
    step, plain = step_of(name, scale, degree), step_of(name, "none", degree)
    inputs = inputs_of(degree, name)
    scaled = module_of(step)(inputs)
    assert torch.allclose(scaled, module_of(plain)(inputs) * step.factor, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_merge_leaves_its_inputs_alone_and_reaches_all_of_them(name: str) -> None:
    states = [x.requires_grad_() for x in inputs_of(3, name)]
    kept = [x.detach().clone() for x in states]
    module_of(step_of(name, "auto", 3))(states).square().sum().backward()
    for state, before in zip(states, kept, strict=True):
        assert torch.equal(state.detach(), before)
        assert state.grad is not None and bool(state.grad.any())


@pytest.mark.parametrize("name", NAMES)
def test_a_merge_hands_the_layout_of_its_inputs_on(name: str) -> None:
    """What trains and ships is channels last; another layout slows down all that follows."""
    inputs = [x.to(memory_format=torch.channels_last) for x in inputs_of(3, name)]
    merged = module_of(step_of(name, "auto", 3))(inputs)
    assert merged.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    degree = 3
    module = module_of(step_of(name, "auto", degree))
    inputs = [x[:1, :, :2, :2].requires_grad_() for x in inputs_of(degree, name)]
    weights = list(module.parameters())

    def run(*values: Tensor) -> Tensor:
        named = dict(zip(dict(module.named_parameters()), values[degree:], strict=True))
        merged: Tensor = torch.func.functional_call(module, named, (values[:degree],))
        return merged

    assert torch.autograd.gradcheck(run, (*inputs, *weights), eps=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", DECLARED)
def test_every_weight_leaves_its_start_when_it_is_trained(name: str) -> None:
    """A start at which some weight has no gradient for good would be a parameter that is dead."""
    module = module_of(step_of(name, "auto", 4), noise=0.0)
    started = [value.detach().clone() for value in module.parameters()]
    aims = inputs_of(5)[-1]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1) if started else None
    for _ in range(3 if optimizer else 0):
        assert optimizer is not None
        optimizer.zero_grad()
        (module(inputs_of(4, name)) - aims).square().mean().backward()
        optimizer.step()
    for value, before in zip(module.parameters(), started, strict=True):
        assert bool((value != before).any())


@pytest.mark.parametrize("name", DECLARED)
def test_numbers_that_only_scale_are_never_decayed(name: str) -> None:
    """Else weight decay would close connections, or pull a sum towards another one."""
    module = module_of(step_of(name, "auto", 4))
    assert isinstance(module, AbstractDeclaredMerge)
    matrices = {e.name for e in module.setup.rule.parameters if e.applied in ("image", "position")}
    named = {id(value): key for key, value in module.named_parameters()}
    groups = {group["weight_decay"]: group["params"] for group in parameter_groups(module, 0.1)}
    assert {named[id(value)] for value in groups.get(0.1, [])} == matrices  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", DECLARED)
def test_inputs_of_one_role_may_change_places(name: str) -> None:
    step = step_of(name, "auto", 4)
    roles = step.merge.input_roles(["default"] * 4)
    module = module_of(step)
    assert isinstance(module, AbstractDeclaredMerge)
    alike = [place for place in range(4) if roles[place] == roles[0]]
    if len(alike) < 2:
        return
    order = list(range(4))
    order[alike[0]], order[alike[1]] = order[alike[1]], order[alike[0]]
    swapped = {}
    for declared in step.merge.parameters:
        value = dict(module.named_parameters())[declared.name].detach().clone()
        if declared.per == "input":
            value = value[order] if len(value) == 4 else value[order[: len(value)]]
        for axis, size in enumerate(declared.shape, start=1 if declared.per == "input" else 0):
            if size == "inputs":
                value = value.index_select(axis, torch.tensor(order))
        swapped[declared.name] = value
    inputs = inputs_of(4, name)
    again = module.combine([inputs[place] for place in order], swapped)
    assert torch.allclose(again, module(inputs), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_single_input_needs_no_merge(name: str) -> None:
    assert build_merge(step_of(name, "auto", 1)) is None


def test_every_declared_merge_has_a_module_and_every_module_a_merge() -> None:
    assert set(MERGE_MODULES) == set(DECLARED)


def test_a_merge_without_a_module_is_refused() -> None:
    step = replace(step_of("product", "auto", 2), merge=Merge("prodct", "module"))
    with pytest.raises(NotFoundError, match=r"merge module 'prodct'[\s\S]*'product'"):
        build_merge(step)


def test_both_ways_to_run_a_projection_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(step_of("concat", "auto", 5))
    together = module(inputs_of(5))
    monkeypatch.setattr(linear, "CONCATENATION_LIMIT", 0)
    assert torch.allclose(module(inputs_of(5)), together, atol=1e-12)


def every_merge(names: Sequence[str] = NAMES) -> Architecture:
    """One network that merges three states by each rule, and stacks what comes of it."""
    nodes = [Node(), *[Node("conv1x1", width=4)] * 3]
    nodes += [Node(merge=name) for name in names] + [Node(merge="stack")]
    edges = [Edge(0, 1), Edge(0, 2), Edge(0, 3)]
    for place in range(4, 4 + len(names)):
        edges += [Edge(source, place) for source in (1, 2, 3)] + [Edge(place, len(nodes) - 1)]
    return Architecture(tuple(nodes), tuple(edges))


def whole_network(names: Sequence[str] = NAMES) -> Network:
    network = Network(every_merge(names), SHAPE, 5)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return network.eval()


def test_the_fused_network_of_all_merges_gives_the_same_output() -> None:
    network = whole_network().double()
    x = torch.randn((3, *SHAPE), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        assert (fuse(network)(x) - network(x)).abs().max() < 1e-10 * network(x).abs().max()
    assert cost(every_merge(), SHAPE, 5).parameters == sum(p.numel() for p in network.parameters())


def test_all_modules_are_written_as_onnx_and_run_the_same() -> None:
    network = whole_network(DECLARED)
    images = torch.randn((2, *SHAPE), generator=torch.Generator().manual_seed(2))
    model = export_onnx(fuse(network), SHAPE, batch=None)
    session = open_session(model.data, threads=1)
    (logits,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        wanted = network(images).numpy()
    assert np.abs(logits - wanted).max() < 1e-4 * np.abs(wanted).max()

"""Patterns compose: random mixes of patterns, sizes and edge scales are networks like any other."""

from __future__ import annotations

import random

import torch
from composed_patterns import CLASSES, SHAPE, Mix, mixed_network, mixed_networks, relabelled
from hypothesis import given, settings
from hypothesis import strategies as st
from scale import is_full_scale
from torch import Tensor, nn
from torch.nn import functional

from nas.cost.count import cost
from nas.model.network import Network
from nas.topology.graph import Architecture
from nas.topology.identity import executed_id, sharing_id, structural_id
from nas.topology.serial import architecture_text, load_architecture

MIXES = 500 if is_full_scale() else 25
CSP_AFTER_FRACTAL = mixed_network(
    [Mix("fractal", 7), Mix("csp(inner=dense)", 3, "conv3x3", "rezero")]
)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, *SHAPE, generator=generator), torch.arange(4) % CLASSES


def real_shapes(network: Network, x: Tensor) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []

    def keep(module: nn.Module, _: object, output: Tensor) -> None:
        shapes.append(tuple(output.shape[1:]))

    hooks = [node.register_forward_hook(keep) for node in network.nodes.children()]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return shapes


def check_mix(architecture: Architecture, seed: int) -> None:
    """Build, compare shapes and cost, train one step, dump, load and relabel."""
    network = Network(architecture, SHAPE, CLASSES, seed=1)
    images, labels = batch()
    assert real_shapes(network, images) == [step.output for step in network.plan.steps[1:]]
    counted = cost(architecture, SHAPE, CLASSES)
    assert counted.parameters == sum(each.numel() for each in network.parameters())

    before = [each.detach().clone() for each in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = [functional.cross_entropy(each, labels) for each in network.exit_logits(images)]
    torch.stack(losses).sum().backward()
    assert all(each.grad is not None for each in network.parameters())
    optimizer.step()
    after = list(network.parameters())
    assert all(torch.isfinite(each).all() for each in after)
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))

    again = load_architecture(architecture_text(architecture))
    assert again == architecture
    assert again.wiring == architecture.wiring
    other = relabelled(architecture, random.Random(seed))
    for name in (structural_id, sharing_id, executed_id):
        assert name(other) == name(architecture) == name(again)


@settings(max_examples=MIXES, deadline=None)
@given(architecture=mixed_networks(), seed=st.integers(0, 10**6))
def test_any_mix_of_patterns_is_a_network_like_any_other(
    architecture: Architecture, seed: int
) -> None:
    check_mix(architecture, seed)


def test_a_scaled_dense_stage_in_a_csp_wrapper_behind_a_fractal_one() -> None:
    check_mix(CSP_AFTER_FRACTAL, 0)
    assert CSP_AFTER_FRACTAL.wiring == ("fractal", "csp(inner=dense)")

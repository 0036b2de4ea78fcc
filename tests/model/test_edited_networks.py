"""Edits that keep the function: a zero edge, a split edge, no edit at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import INPUT_SHAPE, architectures
from torch import nn

from nas.cost.count import cost
from nas.errors import ArchitectureError
from nas.model.network import Network
from nas.topology.edits import Lineage, mutate, split_edge, zero_edge
from nas.topology.graph import Architecture, Edge, Node

SEEDS = st.integers(0, 2**32 - 1)
SUMS = architectures(merges=("sum", "mean", "weighted"), cells=0, ties=False)


def copied(parent: Network, child: Network, moved: dict[int, int]) -> None:
    """Give the child the parent's weights: `moved` tells where nodes went."""
    for old, new in moved.items():
        source, target = parent.nodes[str(old)], child.nodes[str(new)]
        target.operation.load_state_dict(source.operation.state_dict())
        if source.merge is not None:
            target.merge.load_state_dict(source.merge.state_dict(), strict=False)
        if len(parent.plan.steps[old].inputs) == len(child.plan.steps[new].inputs):
            fill(source.adapters, target.adapters)
    child.head.load_state_dict(parent.head.state_dict())


def fill(source: nn.Module, target: nn.Module) -> None:
    """Copy tensor by tensor; a part taken elsewhere only shifts the names."""
    pairs = zip(source.state_dict().values(), target.state_dict().values(), strict=True)
    with torch.no_grad():
        for mine, yours in pairs:
            yours.copy_(mine)


def agree(parent: Network, child: Network) -> None:
    images = torch.randn(2, *INPUT_SHAPE, generator=torch.Generator().manual_seed(0)).double()
    expected, found = (net.double().eval()(images) for net in (parent, child))
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-6)


@settings(max_examples=40)
@given(network=SUMS, place=st.integers(0, 100))
def test_splitting_an_edge_by_an_identity_keeps_the_function(
    network: Architecture, place: int
) -> None:
    edge = network.edges[place % len(network.edges)]
    ends = [(other.source, other.target) for other in network.edges]
    if ends.count((edge.source, edge.target)) > 1:
        return  # the order of parallel edges changes
    child = split_edge(network, edge).apply(network)
    new = edge.source + 1
    parent_net, child_net = (Network(net, INPUT_SHAPE, 3) for net in (network, child))
    copied(parent_net, child_net, {n: n + (n >= new) for n in range(1, len(network.nodes))})
    agree(parent_net, child_net)


def residual(blocks: int) -> Architecture:
    nodes, edges = [Node(), Node("conv3x3", width=6)], [Edge(0, 1)]
    for _ in range(blocks):
        end = len(nodes) - 1
        nodes += [Node("conv3x3"), Node("relu")]
        edges += [Edge(end, end + 1), Edge(end, end + 2), Edge(end + 1, end + 2)]
    return Architecture(tuple(nodes), tuple(edges))


def test_an_edge_with_a_gain_of_zero_keeps_the_function() -> None:
    network = residual(3)
    parent = Network(network, INPUT_SHAPE, 3, initialisation="default")
    tried = 0
    for target in range(1, len(network.nodes)):
        for source in range(target):
            try:
                edit = zero_edge(network, source, target)
            except ArchitectureError:
                continue
            child = Network(edit.apply(network), INPUT_SHAPE, 3, initialisation="default")
            copied(parent, child, {n: n for n in range(1, len(network.nodes))})
            agree(parent, child)
            tried += 1
    assert tried > 20


def test_a_gain_of_zero_learns() -> None:
    network = residual(1)
    child = zero_edge(network, 0, 3).apply(network)
    net = Network(child, INPUT_SHAPE, 3, initialisation="default")
    net(torch.randn(4, *INPUT_SHAPE)).square().sum().backward()
    gains = [p for p in net.nodes["3"].adapters.parameters() if p.numel() == 1]
    assert gains
    assert all(gain.grad is not None and gain.grad.abs().sum() > 0 for gain in gains)


@given(network=architectures(), seed=SEEDS)
def test_no_edit_is_the_same_network(network: Architecture, seed: int) -> None:
    child = mutate(
        network,
        np.random.default_rng(seed),
        check=lambda net: cost(net, INPUT_SHAPE, 3),
        count=0,
    )
    assert Lineage.of(network).replay(network) == child == network
    if seed % 10 == 0:
        images = torch.randn(2, *INPUT_SHAPE)
        parent_net, child_net = (Network(net, INPUT_SHAPE, 3, seed=1) for net in (network, child))
        with torch.no_grad():
            assert torch.equal(parent_net.eval()(images), child_net.eval()(images))


def test_a_split_that_is_not_there_is_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"no edge 0→3"):
        split_edge(residual(1), Edge(0, 3))

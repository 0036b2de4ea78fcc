"""Memory of a running network: states go at their last reader, rectifiers overwrite what is new."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from strategies import INPUT_SHAPE, architectures
from torch import Tensor, nn

from nas.model.network import Network
from nas.topology.graph import Architecture, Edge, Node

SHAPE = (4, 8, 8)


def watch_states(network: Network, alive_after: dict[int, set[int]]) -> None:
    """Note, behind every node, whose states are alive."""
    seen: dict[int, weakref.ref[Tensor]] = {}
    for step in network.plan.steps[1:]:

        def note(_: Any, __: Any, y: Tensor, index: int = step.index) -> None:
            seen[index] = weakref.ref(y)
            alive_after[index] = {node for node, state in seen.items() if state() is not None}

        network.nodes[str(step.index)].register_forward_hook(note)


@given(architectures(8, operations=("conv1x1", "avg_pool3x3", "bn_relu"), cells=0))
@settings(max_examples=40, deadline=None)
def test_no_state_outlives_its_last_reader(architecture: Architecture) -> None:
    network = Network(architecture, INPUT_SHAPE, 5).eval()
    alive_after: dict[int, set[int]] = {}
    watch_states(network, alive_after)
    with torch.no_grad():
        network(torch.randn(2, *INPUT_SHAPE))
    reads = [(e.edge.source, step.index) for step in network.plan.steps for e in step.inputs]
    for index, alive in alive_after.items():
        wanted = {source for source, reader in reads if source <= index < reader}
        assert alive <= wanted | {index}


def test_a_node_frees_its_source_before_its_second_layer() -> None:
    network = Network(Architecture((Node(), Node("conv3x3"), Node("conv3x3")), CHAIN), SHAPE, 5)
    seen: list[weakref.ref[Tensor]] = []
    alive: list[bool] = []
    network.nodes["1"].register_forward_hook(lambda _, __, y: seen.append(weakref.ref(y)))
    second: Any = network.nodes["2"].operation
    second[1].register_forward_pre_hook(lambda *_: alive.append(seen[0]() is not None))
    with torch.no_grad():
        network.eval()(torch.randn(2, *SHAPE))
    assert alive == [False]


CHAIN = (Edge(0, 1), Edge(1, 2))


def rectifiers(architecture: Architecture, node: int) -> list[bool]:
    layers: Any = Network(architecture, SHAPE, 5).nodes[str(node)].operation
    return [layer.inplace for layer in layers if isinstance(layer, nn.ReLU | nn.ReLU6)]


def test_rectifiers_overwrite_only_what_nobody_else_reads() -> None:
    def second(operation: str, **options: Any) -> list[bool]:
        nodes = (Node(), Node("conv3x3"), Node(operation, **options))
        return rectifiers(Architecture(nodes, (*CHAIN, Edge(0, 2))), 2)

    assert second("conv3x3") == [True]
    assert second("bn_relu_conv3x3") == [True]
    assert second("relu") == [True]
    assert second("relu", merge="weighted") == [False]
    assert second("relu", merge="stack") == [False]
    assert second("relu", tie="loop") == [False]
    assert rectifiers(Architecture((Node(), Node("relu"), Node("conv3x3")), CHAIN), 1) == [False]


@pytest.mark.parametrize("train", [False, True])
def test_no_input_of_a_network_or_node_is_overwritten(train: bool) -> None:
    nodes = (Node(), Node("relu"), Node("relu_conv3x3_bn"), Node("relu"), Node("relu"))
    edges = (Edge(0, 1), Edge(1, 2, "relu_conv1x1_bn"), Edge(1, 3), Edge(2, 3), Edge(0, 4))
    network = Network(Architecture(nodes, (*edges, Edge(3, 4))), SHAPE, 5).train(train)
    x = torch.randn(2, *SHAPE)
    kept = x.clone()
    network(x).sum().backward()
    assert torch.equal(x, kept)

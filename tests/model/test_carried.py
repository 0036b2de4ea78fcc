"""Exits, heads, untied norms and parts in the compiled network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from strategies import INPUT_SHAPE, architectures
from torch import Tensor, nn

from nas.cost.count import cost, exit_nodes
from nas.cost.pieces import pieces
from nas.cost.shapes import plan
from nas.errors import ArchitectureError
from nas.model.fuse import fuse
from nas.model.network import Network
from nas.topology.facts import Gain
from nas.topology.flatten import flatten
from nas.topology.graph import Architecture, Edge, Node

CLASSES = 3


def chain(*nodes: Node, **fields: str) -> Architecture:
    edges = tuple(Edge(index, index + 1) for index in range(len(nodes)))
    return Architecture((Node(name="input"), *nodes), edges, **fields)  # type: ignore[arg-type]


def images(count: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn((count, *INPUT_SHAPE), generator=generator, dtype=torch.float64)


@settings(max_examples=30)
@given(architectures(exits=True))
def test_counts_and_logits_of_exits_are_those_of_the_module(architecture: Architecture) -> None:
    network = Network(architecture, INPUT_SHAPE, CLASSES).double().eval()
    counted = cost(architecture, INPUT_SHAPE, CLASSES)
    assert counted.parameters == sum(p.numel() for p in network.parameters())
    logits = network.exit_logits(images())
    assert len(logits) == len(exit_nodes(architecture)) + 1
    assert torch.equal(logits[-1], network(images()))
    priced = list(pieces(plan(architecture, INPUT_SHAPE), CLASSES))
    assert sum(piece.macs for piece in priced) == counted.macs
    heads = sum(node.parameters for node in counted.nodes if node.name.startswith("exit "))
    assert sum(piece.parameters for piece in priced) == counted.parameters - heads


def test_an_exit_predicts_from_its_own_node() -> None:
    whole = chain(Node("conv3x3", width=4, exit=True, name="a"), Node("conv3x3", width=4))
    network = Network(whole, INPUT_SHAPE, CLASSES).double().eval()
    early, _ = network.exit_logits(images())
    short = Network(chain(Node("conv3x3", width=4, name="a")), INPUT_SHAPE, CLASSES).double().eval()
    short.nodes["1"].load_state_dict(network.nodes["1"].state_dict())
    short.head.load_state_dict(network.exits["1"].state_dict())  # type: ignore[union-attr]
    assert torch.equal(short(images()), early)


def test_an_exit_inside_a_cell_is_refused_with_its_name() -> None:
    inner = chain(Node("conv3x3", width=4, exit=True, name="deep"), Node("relu"))
    with pytest.raises(ArchitectureError, match=r"Node 1 \('outer'\)[\s\S]*'deep' is an exit"):
        Network(chain(Node(cell=inner, name="outer")), INPUT_SHAPE, CLASSES)


def test_a_network_without_head_returns_the_last_tensor_fused_or_not() -> None:
    headless = chain(Node("conv3x3", width=5, stride=2), head="none")
    network = Network(headless, INPUT_SHAPE, CLASSES).double().eval()
    assert network(images()).shape == (4, 5, 4, 4)
    torch.testing.assert_close(fuse(network)(images()), network(images()))
    counted = cost(headless, INPUT_SHAPE, CLASSES)
    assert counted.parameters == sum(p.numel() for p in network.parameters())
    assert [node.name for node in counted.nodes] == ["input", "node1"]


def looped(times: int, *, own_norms: bool) -> Architecture:
    steps = [
        Node("conv3x3", width=4, tie="body", own_norms=own_norms, name=f"step{number}")
        for number in range(times)
    ]
    return chain(*steps)


@pytest.mark.parametrize("own_norms", [False, True])
def test_untied_norms_part_ways_in_one_step_and_kernels_do_not(own_norms: bool) -> None:
    network = Network(looped(3, own_norms=own_norms), INPUT_SHAPE, CLASSES).double()
    counted = cost(looped(3, own_norms=own_norms), INPUT_SHAPE, CLASSES).parameters
    assert counted == sum(p.numel() for p in network.parameters())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network(images()).square().mean().backward()
    optimizer.step()
    kernels = [network.nodes[str(i)].operation[0].weight for i in (1, 2, 3)]  # type: ignore[index, union-attr]
    norms = [network.nodes[str(i)].operation[1].weight for i in (1, 2, 3)]  # type: ignore[index, union-attr]
    assert all(kernel is kernels[0] for kernel in kernels)
    assert all(torch.equal(norm, norms[0]) for norm in norms) is not own_norms


def test_a_tied_cell_may_keep_its_norms_flat_or_nested() -> None:
    cell = chain(Node("conv3x3", width=4), Node("conv1x1", width=4))
    nodes = [Node(cell=cell, tie="t", own_norms=own, name=f"c{own:d}") for own in (False, True)]
    nested = chain(*nodes)
    expected = 4 * 4 * 9 + 4 * 4 + 2 * (8 + 8)
    for graph in (nested, flatten(nested)):
        network = Network(graph, INPUT_SHAPE, CLASSES)
        body = sum(p.numel() for name, p in network.named_parameters() if "head" not in name)
        assert body == expected
        assert cost(graph, INPUT_SHAPE, CLASSES).parameters == expected + 4 * CLASSES + CLASSES


def test_parts_are_consecutive_groups_of_channels() -> None:
    nodes = (Node(name="input"), Node("relu", name="out", merge="stack"))
    swapped = Architecture(nodes, (Edge(0, 1, part=(0, 2)), Edge(0, 1, "relu", part=(1, 2))))
    network = Network(swapped, INPUT_SHAPE, CLASSES).double()
    assert torch.equal(network.run_nodes(images()), images().relu())


def test_channels_that_do_not_divide_are_refused_with_the_nearest_that_do() -> None:
    network = Architecture(
        (Node(name="input"), Node("conv3x3", width=7, name="wide"), Node("relu", name="thin")),
        (Edge(0, 1), Edge(1, 2, part=(0, 3))),
    )
    message = r"Node 2 \('thin'\)[\s\S]*3 equal groups of 7 channels[\s\S]*node 1[\s\S]*6 or 9"
    with pytest.raises(ArchitectureError, match=message):
        plan(network, INPUT_SHAPE)


@pytest.mark.parametrize("kind", ["scalar", "channel"])
def test_a_learned_gain_has_the_gradient_of_finite_differences(kind: str) -> None:
    nodes = (Node(name="input"), Node("relu", name="a"))
    graph = Architecture(nodes, (Edge(0, 1, gain=Gain(kind, 0.7)),), head="none")
    network = Network(graph, INPUT_SHAPE, CLASSES).double()
    (name, gain), *_ = list(network.named_parameters())
    assert name == "nodes.1.adapters.0.0.gain"
    x = images(1)

    def loss(values: Tensor) -> Tensor:
        result = torch.func.functional_call(network, {name: values}, (x,))
        return result.square().sum()

    assert torch.autograd.gradcheck(loss, (gain.detach().clone().requires_grad_(),))


def test_the_main_port_sets_the_shape_of_a_merge() -> None:
    nodes = (
        Node(name="input"),
        Node("conv3x3", width=4, stride=2, name="down"),
        Node("conv3x3", width=4, name="deep"),
        Node("identity", name="up"),
    )
    edges = (Edge(0, 1), Edge(1, 2), Edge(0, 3, port="main"), Edge(2, 3))
    assert plan(Architecture(nodes, edges), INPUT_SHAPE).output == INPUT_SHAPE
    plain = (Edge(0, 1), Edge(1, 2), Edge(0, 3), Edge(2, 3))
    assert plan(Architecture(nodes, plain), INPUT_SHAPE).output == (4, 4, 4)
    network = Network(Architecture(nodes, edges, head="none"), INPUT_SHAPE, CLASSES).double()
    deep = network.run_to(images(), [2])[0]
    up = nn.functional.interpolate(deep, (8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(network(images()), images() + up)

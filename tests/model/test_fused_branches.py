"""Fused branches compute what the parallel ones did, with as many weights and multiply-adds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nas.cost.count import cost
from nas.model.fused_branches import fill_fused
from nas.model.network import Network
from nas.topology.fusion import fuse_branches
from nas.topology.graph import Architecture, Edge, Node

SHAPE = (4, 6, 6)


def parallel(
    first: str, second: str, widths: tuple[int, ...], merge: str = "sum", **changes: object
) -> Architecture:
    """Return x + sum_i V_i g(U_i x)."""
    nodes = [Node(), Node("conv3x3", width=5)]
    edges = [Edge(0, 1)]
    for width in widths:
        nodes += [Node(first, width=width), Node(second, width=5)]
        edges += [Edge(1, len(nodes) - 2), Edge(len(nodes) - 2, len(nodes) - 1)]
    ends = [1, *range(3, len(nodes), 2)]
    edges += [Edge(end, len(nodes)) for end in ends]
    return Architecture((*nodes, Node("relu", merge, **changes)), tuple(edges))  # type: ignore[arg-type]


@pytest.mark.parametrize("widths", [(6, 6), (3, 8), (2, 3, 4)])
@pytest.mark.parametrize("second", ["bn_relu_conv1x1", "relu+conv3x3"])
@pytest.mark.parametrize("first", ["conv1x1", "conv3x3", "conv1x1.bias+gelu"])
def test_the_wide_branch_computes_the_sum_of_the_parallel_ones(
    first: str, second: str, widths: tuple[int, ...]
) -> None:
    network = parallel(first, second, widths)
    fusion = fuse_branches(network)
    assert len(fusion.groups) == 1
    assert len(fusion.architecture.nodes) == 5
    assert fusion.architecture.nodes[2].width == sum(widths)
    costs = [cost(net, SHAPE, 3) for net in (network, fusion.architecture)]
    assert costs[0].parameters == costs[1].parameters
    assert costs[0].macs == costs[1].macs
    parent = Network(network, SHAPE, 3, initialisation="default").double()
    child = Network(fusion.architecture, SHAPE, 3, initialisation="default").double()
    parent.train()
    images = torch.randn(8, *SHAPE, dtype=torch.float64)
    parent(images)  # statistics of norms that are not those they start with
    fill_fused(parent, child, fusion)
    for mode in (False, True):
        expected, found = (net.train(mode)(images) for net in (parent, child))
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "network",
    [
        parallel("conv1x1", "conv1x1_bn", (6, 6)),  # a norm behind the second convolution
        parallel("conv1x1", "conv1x1.bias", (6, 6)),  # two biases would become one
        parallel("conv1x1", "bn_relu_conv1x1", (6, 6), merge="mean"),
        parallel("conv1x1", "bn_relu_conv1x1", (6, 6), merge="weighted"),
        parallel("bn_relu_conv1x1", "bn_relu_conv1x1", (6, 6)),  # a norm in front of the first
        parallel("conv1x1", "bn_relu_conv1x1", (6,)),
        parallel("conv1x1+ln", "bn_relu_conv1x1", (6, 6)),  # a norm over channels
        parallel("conv3x3", "relu", (5, 5)),
    ],
)
def test_what_is_no_sum_of_such_branches_stays(network: Architecture) -> None:
    fusion = fuse_branches(network)
    assert fusion.groups == ()
    assert fusion.architecture == network


def test_branches_that_somebody_else_reads_or_that_are_tied_stay() -> None:
    network = parallel("conv1x1", "bn_relu_conv1x1", (6, 6))
    read = Architecture((*network.nodes, Node("relu")), (*network.edges, Edge(3, 7), Edge(6, 7)))
    assert fuse_branches(read).groups == ()
    tied = Architecture(
        tuple(replace(n, tie="t") if n.operation == "conv1x1" else n for n in network.nodes),
        network.edges,
    )
    assert fuse_branches(tied).groups == ()


def test_groups_of_unlike_branches_are_fused_apart() -> None:
    nodes = [Node(), Node("conv3x3", width=5)]
    edges = [Edge(0, 1)]
    for first in ("conv1x1", "conv3x3", "conv1x1", "conv3x3"):
        nodes += [Node(first, width=4), Node("bn_relu_conv1x1", width=5)]
        edges += [Edge(1, len(nodes) - 2), Edge(len(nodes) - 2, len(nodes) - 1)]
        edges += [Edge(len(nodes) - 1, 10)]
    network = Architecture((*nodes, Node()), tuple(edges))
    fusion = fuse_branches(network)
    assert fusion.groups == (((2, 3), (6, 7)), ((4, 5), (8, 9)))
    assert len(fusion.architecture.nodes) == 7

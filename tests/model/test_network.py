"""The compiler: layout of modules, ties, cells, zeros, frees, refusals, speed."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from nas.cost.count import cost
from nas.errors import ArchitectureError, ConfigError, NotFoundError
from nas.model.fuse import fuse
from nas.model.layers import build_layer
from nas.model.network import Network, NodeModule
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import AbstractLayer
from nas.topology.patterns import PATTERNS

SHAPE = (4, 8, 8)


def network_of(nodes: list[Node], edges: list[tuple[int, int]], **options: bool) -> Architecture:
    return Architecture(tuple(nodes), tuple(Edge(*edge) for edge in edges), **options)


def dense(size: int) -> Architecture:
    topology = PATTERNS.get("dense").wire(size)
    nodes = [Node(), *(Node("conv3x3", merge="concat") for _ in range(size))]
    return network_of(nodes, sorted(topology.edges))


def test_modules_lie_where_the_supernet_expects_them() -> None:
    cell = network_of([Node(), Node("conv1x1", width=6)], [(0, 1)])
    nodes = [Node(), Node("conv3x3", width=6), Node(merge="concat"), Node(cell=cell)]
    network = Network(network_of(nodes, [(0, 1), (0, 2), (1, 2), (2, 3)]), SHAPE, 5)
    names = set(network.state_dict())
    assert {
        "nodes.1.operation.0.weight",
        "nodes.2.adapters.0.0.weight",
        "nodes.2.adapters.0.1.running_var",
        "nodes.2.merge.slices.0",
        "nodes.2.merge.slices.1",
        "nodes.3.cell.nodes.1.operation.1.bias",
        "head.bias",
    } <= names
    assert list(network.nodes) == ["1", "2", "3"]


def test_tied_nodes_share_weights_but_no_statistics_and_count_once() -> None:
    nodes = [Node(), Node("conv3x3", tie="loop"), Node("conv3x3", tie="loop")]
    architecture = network_of(nodes, [(0, 1), (1, 2)])
    network = Network(architecture, SHAPE, 5)
    first, second = network.nodes["1"], network.nodes["2"]
    assert isinstance(first, NodeModule) and isinstance(second, NodeModule)
    pairs = zip(first.operation.parameters(), second.operation.parameters(), strict=True)
    assert all(one is other for one, other in pairs)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted == cost(architecture, SHAPE, 5).parameters
    network.train()(torch.randn(4, *SHAPE)).sum().backward()
    means = [each for name, each in network.named_buffers() if name.endswith("running_mean")]
    assert len(means) == 2 and not torch.equal(*means)
    network.eval()
    x = torch.randn(2, *SHAPE)
    assert torch.allclose(fuse(network)(x), network(x), atol=1e-5)


def test_nodes_tied_at_different_strides_share_weights_only() -> None:
    nodes = [Node(), Node("conv3x3", tie="loop"), Node("conv3x3", stride=2, tie="loop")]
    architecture = network_of(nodes, [(0, 1), (1, 2)])
    network = copy.deepcopy(Network(architecture, SHAPE, 5))
    first, second = network.nodes["1"].operation, network.nodes["2"].operation
    assert first is not second and first[0].weight is second[0].weight
    assert (first[0].stride, second[0].stride) == ((1, 1), (2, 2))
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted == cost(architecture, SHAPE, 5).parameters
    assert network.double()(torch.randn(2, *SHAPE).double()).shape == (2, 5)
    assert first[0].weight is second[0].weight


def tied_cells(transform: str) -> Architecture:
    halving = [Node(), Node("conv3x3", stride=2), Node(), Node("conv1x1")]
    edges = (Edge(0, 1), Edge(0, 2, transform), Edge(1, 2), Edge(2, 3))
    cell = Architecture(tuple(halving), edges)
    nodes = [Node(), Node(cell=cell, tie="u"), Node(cell=cell, tie="u"), Node(cell=cell, tie="u")]
    return network_of([*nodes, Node(cell=cell, tie="u")], [(0, 1), (1, 2), (2, 3), (3, 4)])


def test_tied_cells_share_weights_at_any_resolution() -> None:
    architecture = tied_cells("auto")  # 8, 4, 2, 1, and 1 again, where nothing is resampled
    network = Network(architecture, SHAPE, 5)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted == cost(architecture, SHAPE, 5).parameters
    assert network(torch.randn(2, *SHAPE)).shape == (2, 5)


def test_tied_cells_that_need_different_adapters_are_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"Two tied cells need different adapters"):
        Network(tied_cells("project"), (4, 2, 2), 5)


def test_ties_between_different_operations_are_refused() -> None:
    nodes = [Node(), Node("conv3x3", tie="a", name="one"), Node("conv5x5", tie="a")]
    with pytest.raises(ArchitectureError, match=r"Node 2 is tied to node 1 \('one'\)"):
        Network(network_of(nodes, [(0, 1), (1, 2)]), SHAPE, 5)


def test_nodes_without_inputs_yield_zeros_where_allowed() -> None:
    nodes = [Node(), Node("relu"), Node()]
    edges = (Edge(0, 1, "none"), Edge(0, 2, "none"), Edge(1, 2, "none"))
    cell = Architecture(tuple(nodes), edges, zero_allowed=True)
    network = Network(network_of([Node(), Node(cell=cell)], [(0, 1)]), SHAPE, 5).eval()
    x = torch.randn(3, *SHAPE)
    assert torch.equal(network(x), network.head.bias.expand(3, 5))
    assert torch.equal(fuse(network)(x), network(x))


@pytest.mark.parametrize("shape", [(2, 4, 8, 9), (4, 8, 8), (2, 3, 8, 8)])
def test_images_of_the_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    network = Network(dense(2), SHAPE, 5).eval()
    for module in (network, fuse(network)):
        with pytest.raises(ArchitectureError, match=r"has shape \(.*built for \(batch, 4, 8, 8\)"):
            module(torch.zeros(shape))


def test_a_network_without_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 class; got 0"):
        Network(dense(2), SHAPE, 0)


@dataclass(frozen=True)
class Unknown(AbstractLayer):
    def parameters(self, channels: int, width: int) -> int:
        return 0


def test_a_layer_without_a_builder_is_refused_and_the_way_out_named() -> None:
    with pytest.raises(NotFoundError, match=r"'Unknown'(?s:.*)layer_builder.*BatchNorm"):
        build_layer(Unknown(), 4, 4)


def test_a_fused_network_folds_norms_stays_in_eval_mode_and_leaves_the_original_alone() -> None:
    network = Network(dense(3), SHAPE, 5).train()
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fused = fuse(network)
    assert network.training and not fused.train().training
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fused.modules())
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    x = torch.randn(2, *SHAPE)
    untouched = x.clone()
    fused(x)
    assert torch.equal(x, untouched)
    assert all(torch.equal(kept[name], now) for name, now in network.state_dict().items())


def test_a_norm_whose_input_has_another_reader_is_not_folded() -> None:
    nodes = [Node(), Node("plain_conv3x3"), Node("bn_relu_conv1x1"), Node("identity")]
    architecture = network_of(nodes, [(0, 1), (1, 2), (1, 3), (2, 3)])
    network = Network(architecture, SHAPE, 5)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.bias)
    fused = fuse(network.eval())
    assert sum(isinstance(part, nn.BatchNorm2d) for part in fused.modules()) == 1
    x = torch.randn(2, *SHAPE)
    assert torch.allclose(fused(x), network(x), atol=1e-6)

"""Every registered operation: its module has the shapes, weights and multiply-adds it declares."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from operation_rows import ROWS, divisor
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas.model.layers import build_layer, build_operation
from nas.model.network import Network
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import Shape
from nas.topology.operations import OPERATIONS, Operation

NAMES = [*OPERATIONS, *ROWS]


def module_of(name: str, shape: Shape, width: int, stride: int) -> nn.Sequential:
    """The initialised module of an operation, taken out of a network."""
    operation = OPERATIONS.get(name)
    if not operation.layers:
        return nn.Sequential()
    node = Node(name, width=None if operation.keeps_channels else width, stride=stride)
    architecture = Architecture((Node(), node), (Edge(0, 1),))
    return nn.Sequential(*Network(architecture, shape, 2).nodes["1"].operation)


def drawn(
    name: str, channels: int, height: int, breadth: int, width: int, stride: int
) -> tuple[Operation, Shape, int, int]:
    operation = OPERATIONS.get(name)
    channels, width = channels * divisor(name), width * divisor(name)
    width = channels if operation.keeps_channels else width
    stride = stride if operation.can_stride else 1
    return operation, (channels, height, breadth), width, stride


@pytest.mark.parametrize("name", NAMES)
@given(
    channels=st.integers(1, 9),
    height=st.integers(2, 9),
    breadth=st.integers(2, 11),
    width=st.integers(1, 9),
    stride=st.integers(1, 3),
)
def test_declared_shapes_and_costs_are_those_of_the_module(
    name: str, channels: int, height: int, breadth: int, width: int, stride: int
) -> None:
    operation, shape, width, stride = drawn(name, channels, height, breadth, width, stride)
    if min(operation.shapes(shape, width, stride)[-1]) < 1:
        return
    module = module_of(name, shape, width, stride).eval()
    x = torch.randn(1, *shape)
    predicted = operation.shapes(shape, width, stride)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        for layer, expected in zip(module, predicted[1:], strict=True):
            x = layer(x)
            assert tuple(x.shape[1:]) == expected
    assert operation.macs(shape, width, stride) * 2 == counter.get_total_flops()
    weights = sum(parameter.numel() for parameter in module.parameters())
    assert operation.parameters(shape, width, stride) == weights


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_built_by_the_registry_of_builders(name: str) -> None:
    operation = OPERATIONS.get(name)
    modules = build_operation(operation, (4, 8, 8), 4, 1)
    assert [type(module) for module in modules] == [
        type(build_layer(layer.at((4, 8, 8)), 4, 4)) for layer in operation.layers
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_never_changes_what_it_reads(name: str) -> None:
    operation, shape, width, stride = drawn(name, 4, 6, 6, 4, 1)
    x = torch.randn(2, *shape)
    kept = x.clone()
    module_of(operation.name, shape, width, stride)(x)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("name", NAMES)
def test_a_normalised_operation_forgets_the_scale_of_its_input(name: str) -> None:
    operation, shape, width, stride = drawn(name, 4, 6, 6, 4, 1)
    if operation.zero or not operation.layers:
        return
    module = module_of(name, shape, width, stride).train()
    for layer in module:
        layer.train(not isinstance(layer, nn.Dropout))
    x = torch.randn(8, *shape)
    once, twice = module(x), module(2 * x)
    assert torch.allclose(once, twice, atol=1e-3) == operation.normalised

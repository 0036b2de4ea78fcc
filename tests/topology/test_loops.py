"""Loops: one set of weights, as many multiply-adds as runs, gradients that add up."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nas.cost.count import cost
from nas.errors import ArchitectureError, ConfigError
from nas.model.network import Network
from nas.topology.graph import Architecture, Edge, Gain, Node
from nas.topology.loops import Loop, loop_stage, recurse_over_scales, unroll
from nas.topology.patterns import PATTERNS
from nas.topology.serial import architecture_text, load_architecture
from nas.topology.stages import stage_architecture

SHAPE, CLASSES, WIDTH = (4, 6, 6), 3, 4
BODIES = [("chain", 2), ("residual", 2), ("fractal", 3), ("hierarchical", 3)]


def body(pattern: str = "residual", size: int = 2, operation: str = "conv3x3") -> Architecture:
    return stage_architecture(PATTERNS.get(pattern).wire(size), width=WIDTH, operation=operation)


def counted(architecture: Architecture) -> tuple[int, int]:
    """Return parameters and multiply-adds without the head."""
    found = cost(architecture, SHAPE, CLASSES)
    head = found.nodes[-1]
    return found.parameters - head.parameters, found.macs - head.macs


@pytest.mark.parametrize(("pattern", "size"), BODIES)
@pytest.mark.parametrize("runs", [1, 4])
@pytest.mark.parametrize("inject", [False, True])
def test_parameters_are_constant_and_multiply_adds_linear_in_the_runs(
    pattern: str, size: int, runs: int, inject: bool
) -> None:
    plain = body(pattern, size)
    parameters, macs = counted(plain)
    unrolled = unroll(plain, Loop(runs, inject=inject))
    assert counted(unrolled) == (parameters, macs * runs)
    net = Network(unrolled, SHAPE, CLASSES)
    held = sum(value.numel() for name, value in net.named_parameters() if "head" not in name)
    assert held == parameters
    assert load_architecture(architecture_text(unrolled)) == unrolled


def test_one_run_is_the_body() -> None:
    assert unroll(body(), Loop(1)) == body()


def test_norms_of_their_own_are_the_only_parameters_that_grow() -> None:
    parameters, _ = counted(body("chain", 2))
    unrolled = unroll(body("chain", 2), Loop(5, own_norms=True))
    assert counted(unrolled)[0] == parameters + 4 * 2 * (2 * WIDTH)


@pytest.mark.parametrize(("pattern", "size"), BODIES)
@pytest.mark.parametrize("runs", [3])
def test_the_gradient_of_a_tied_weight_is_the_sum_over_untied_copies(
    pattern: str, size: int, runs: int
) -> None:
    tied = unroll(body(pattern, size), Loop(runs, inject=True))
    untied = replace(tied, nodes=tuple(replace(node, tie=None) for node in tied.nodes))
    one = Network(tied, SHAPE, CLASSES, initialisation="default", seed=1).double().eval()
    many = Network(untied, SHAPE, CLASSES, seed=2).double().eval()
    many.load_state_dict(one.state_dict())
    x = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(one(x), many(x))
    for net in (one, many):
        net(x).square().sum().backward()
    summed: dict[str, Tensor] = {}
    copies = dict(many.named_parameters())
    for name, value in one.named_parameters(remove_duplicate=False):
        grad = copies[name].grad
        assert grad is not None
        key = str(id(value))
        summed[key] = summed.get(key, torch.zeros_like(grad)) + grad
    for value in one.parameters():
        assert value.grad is not None
        torch.testing.assert_close(value.grad, summed[str(id(value))], rtol=1e-6, atol=1e-9)


def norms(net: Network) -> list[nn.BatchNorm2d]:
    """Return the norms of the body's first operation, one per run."""
    return [
        layer
        for node in net.nodes.values()
        for layer in node.operation  # type: ignore[union-attr]
        if isinstance(layer, nn.BatchNorm2d)
    ]


@pytest.mark.parametrize("own", [True, False])
def test_untied_norms_differ_after_one_step_and_tied_ones_are_one(own: bool) -> None:
    net = Network(unroll(body("chain", 1), Loop(3, own_norms=own)), SHAPE, CLASSES).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x = torch.randn(8, *SHAPE, generator=torch.Generator().manual_seed(0))
    nn.functional.cross_entropy(net(x), torch.arange(8) % CLASSES).backward()
    optimizer.step()
    first, second, third = norms(net)
    same = [torch.equal(first.weight, other.weight) for other in (second, third)]
    assert same == [not own] * 2
    convolutions = [node.operation[0].weight for node in net.nodes.values()]  # type: ignore[index,union-attr]
    assert all(weight is convolutions[0] for weight in convolutions)


def test_injection_adds_the_input_in_front_of_every_later_run() -> None:
    one = Architecture((Node(), Node("plain_conv1x1", width=WIDTH)), (Edge(0, 1),))
    unrolled = replace(unroll(one, Loop(3, inject=True)), head="none")
    net = Network(unrolled, SHAPE, 1, initialisation="default").double()
    layer = net.nodes["1"].operation[0]  # type: ignore[index,union-attr]
    x = torch.randn(2, *SHAPE).double()
    torch.testing.assert_close(net(x), layer(layer(layer(x) + x) + x))


def test_a_residual_loop_refines_by_what_the_body_makes() -> None:
    one = Architecture((Node(), Node("plain_conv1x1", width=WIDTH)), (Edge(0, 1),))
    loop = Loop(2, residual=True, gain=Gain("fixed", 0.5))
    net = Network(replace(unroll(one, loop), head="none"), SHAPE, 1, seed=3).double()
    layer = net.nodes["1"].operation[0]  # type: ignore[index,union-attr]
    x = torch.randn(2, *SHAPE).double()
    first = x + 0.5 * layer(x)
    torch.testing.assert_close(net(x), first + 0.5 * layer(first))


def test_every_run_may_end_in_an_exit() -> None:
    net = Network(unroll(body(), Loop(4, exits=True)), SHAPE, CLASSES)
    assert len(net.exit_logits(torch.randn(1, *SHAPE))) == 4


def test_a_cell_is_looped_in_its_place() -> None:
    cell = body("chain", 1)
    nodes = (Node(), Node("conv3x3", width=WIDTH), Node(cell=cell, motif="body"))
    network = Architecture(nodes, (Edge(0, 1), Edge(1, 2)))
    looped = loop_stage(network, 2, Loop(3))
    assert counted(looped)[0] == counted(network)[0]
    assert counted(looped)[1] - counted(network)[1] == 2 * counted(cell)[1]
    with pytest.raises(ArchitectureError, match=r"Node 1 holds no cell"):
        loop_stage(network, 1, Loop(3))
    with pytest.raises(ArchitectureError, match=r"a loop inside of a cell has no exits"):
        loop_stage(network, 2, Loop(3, exits=True))


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_one_body_reads_all_scales(scales: int) -> None:
    plain = body("residual", 2)
    recursed = recurse_over_scales(plain, scales, own_norms=False)
    parameters, macs = counted(plain)
    side = SHAPE[1]
    expected, positions = 0.0, side * side
    for _ in range(scales):
        expected += macs * (side * side) / positions
        side //= 2
    assert counted(recursed) == (parameters, expected)
    Network(recursed, SHAPE, CLASSES)(torch.randn(2, *SHAPE))


def test_ties_of_the_body_stay_apart_from_the_places_of_its_nodes() -> None:
    nodes = (Node(), *(Node("conv3x3", width=8, tie=tie) for tie in (None, "1", "1")))
    tied = Architecture(nodes, (Edge(0, 1), Edge(1, 2), Edge(2, 3)))
    shape = (8, 6, 6)
    assert cost(unroll(tied, Loop(2)), shape, 3).parameters == cost(tied, shape, 3).parameters


def test_impossible_loops_are_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"loop of 0 runs[\s\S]*nearest is 1"):
        Loop(0)
    with pytest.raises(ConfigError, match=r"gain but no residual"):
        Loop(2, gain=Gain("fixed", 0.5))
    with pytest.raises(ArchitectureError, match=r"more than 10000 nodes"):
        unroll(body("chain", 20), Loop(1000))
    strided = Architecture((Node(), Node("conv3x3", width=4, stride=2)), (Edge(0, 1),))
    with pytest.raises(ArchitectureError, match=r"changes the resolution[\s\S]*recurse_over"):
        unroll(strided, Loop(2))
    with pytest.raises(ArchitectureError, match=r"(?s)tied.*(channels|width|weights)"):
        cost(unroll(body(), Loop(2)), (9, 6, 6), CLASSES)

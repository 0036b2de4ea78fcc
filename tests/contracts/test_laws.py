"""The laws of the design, over random members of the default space; law 4 stands with the gates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from scale import scaled
from torch import Tensor, nn

from nas.cost.count import cost
from nas.cost.shapes import plan
from nas.model.network import Network
from nas.space import load_space
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture, Edge
from nas.topology.identity import executed_id, structural_id
from nas.topology.serial import architecture_text, load_architecture
from nas.topology.svg_drawing import draw_architecture

SHAPE, CLASSES = (2, 8, 8), 5
MEMBERS = scaled(1000)
MEMBERS_PER_TEST = 10
GROUPS = range(MEMBERS // MEMBERS_PER_TEST)
SPACE = load_space("wired_cnn")


def members(group: int) -> Iterator[Architecture]:
    rng = np.random.default_rng([20, group])
    for _ in range(MEMBERS_PER_TEST):
        yield SPACE.build(SPACE.sample(rng))


@lru_cache(maxsize=1)
def supernet(dtype: torch.dtype) -> Supernet:
    net = Supernet(SPACE, SHAPE, CLASSES, seed=0).to(dtype)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # away from the aligned start, where many errors would cancel
        for parameter in net.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=dtype)
            parameter.add_(noise, alpha=0.2)
    return net


def images(dtype: torch.dtype, count: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn((count, *SHAPE), generator=generator, dtype=dtype)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_law_1_the_subnet_equals_the_network_it_is_cut_out_as(
    group: int, dtype: torch.dtype, tolerance: float
) -> None:
    net, x = supernet(dtype).eval(), images(dtype)
    for architecture in members(group):
        statistics = net.recalibrate(architecture, images(dtype, 16))
        with torch.no_grad():
            inside = net(x, architecture, statistics)
            alone = net.extract(architecture, statistics).eval()(x)
        assert (inside - alone).abs().max() <= tolerance * alone.abs().max()


def multiply_adds(network: Network, x: Tensor) -> int:
    """Count convolutions and linear layers with forward hooks, for one image."""
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            kernel = module.weight[0].numel()
            total += kernel * output[0].numel()
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    network(x)
    for hook in hooks:
        hook.remove()
    return total


def projections(architecture: Architecture) -> int:
    """Multiply-adds of concatenation merges, which are no `Conv2d` modules: from their shapes."""
    return sum(
        len(step.inputs) * step.merged[0] ** 2 * step.merged[1] * step.merged[2]
        for step in plan(architecture, SHAPE).steps
        if step.merge.name == "concat" and len(step.inputs) > 1
    )


@pytest.mark.parametrize("group", GROUPS)
def test_laws_2_and_3_counts_are_exact_and_the_network_runs_both_ways_and_draws(
    group: int,
) -> None:
    for architecture in members(group):
        network = Network(architecture, SHAPE, CLASSES)
        expected = cost(architecture, SHAPE, CLASSES)
        assert expected.parameters == sum(p.numel() for p in network.parameters())
        assert expected.macs == multiply_adds(
            network, images(torch.float32, 1).expand(2, -1, -1, -1)
        ) + (projections(architecture))
        network(images(torch.float32)).square().mean().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
        drawing = ElementTree.fromstring(draw_architecture(architecture))
        groups = [mark for mark in drawing if mark.tag.endswith("}g")]
        assert len(groups) == len(architecture.nodes)


@pytest.mark.fault("D12")
@pytest.mark.parametrize("group", range(scaled(1000) // 50))
def test_law_3_the_network_exports(group: int) -> None:
    architecture = next(members(1000 + group))
    network = Network(architecture, SHAPE, CLASSES).eval()
    exported = torch.export.export(network, (images(torch.float32),))
    torch.testing.assert_close(
        exported.module()(images(torch.float32)), network(images(torch.float32))
    )


def renumbered(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """Return the same network under another topological order and other names.

    Inputs keep their relative age, since the newest one is a node's main input.
    """
    count = len(architecture.nodes)
    waiting = {
        index: {edge.source for edge in architecture.inputs(index)} for index in range(count)
    }
    order: list[int] = []
    while waiting:
        ready = sorted(index for index, sources in waiting.items() if not sources - set(order))
        if len(ready) > 1 and count - 1 in ready:
            ready.remove(count - 1)
        chosen = ready[int(rng.integers(len(ready)))]
        order.append(chosen)
        del waiting[chosen]
    number = {old: new for new, old in enumerate(order)}
    nodes = tuple(
        replace(architecture.nodes[old], name=f"renamed{new}") for new, old in enumerate(order)
    )
    edges = tuple(
        Edge(number[edge.source], number[edge.target], edge.transform, edge.port)
        for edge in architecture.edges
    )
    return Architecture(nodes, edges)


@pytest.mark.fault("D9", "D12")
@pytest.mark.parametrize("group", GROUPS)
def test_laws_5_and_6_ids_survive_renaming_and_files_survive_reading(group: int) -> None:
    rng = np.random.default_rng(group)
    for architecture in members(group):
        again = load_architecture(architecture_text(architecture))
        assert again == architecture
        assert again.wiring == architecture.wiring
        other = renumbered(architecture, rng)
        assert structural_id(other) == structural_id(architecture)
        assert executed_id(other) == executed_id(architecture)
        removed = replace_one_operation(architecture, rng)
        assert structural_id(removed) != structural_id(architecture)


def replace_one_operation(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """Return another network: one convolution has another kernel."""
    nodes = list(architecture.nodes)
    candidates = [i for i, node in enumerate(nodes) if node.operation in ("conv3x3", "conv1x1")]
    index = candidates[int(rng.integers(len(candidates)))]
    nodes[index] = replace(nodes[index], operation="conv5x5")
    return Architecture(tuple(nodes), architecture.edges)

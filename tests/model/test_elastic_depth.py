"""Elastic depth: a network without a block is the network in which that block does nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from elastic_cases import CLASSES, gap, images, noisy
from hypothesis import given, settings
from hypothesis import strategies as st
from scale import scaled
from strategies import INPUT_SHAPE, architectures
from torch import Tensor, nn

from nas.cost.shapes import NodeStep
from nas.cost.skippable import SkippableBlock, skippable_blocks
from nas.errors import ArchitectureError
from nas.model.elastic.depth import skip_blocks
from nas.model.elastic.width import slice_network
from nas.model.network import Network
from nas.topology.graph import Architecture
from nas.topology.patterns import PATTERNS
from nas.topology.published import build_published_text
from nas.topology.stages import stage_architecture

SMALL = (3, 8, 8)


def without(network: Network, block: SkippableBlock, x: Tensor) -> Tensor:
    """Run the whole network node by node, the block's operations replaced by nothing."""
    states = {0: x}
    for step in network.plan.steps[1:]:
        module: Any = network.nodes[str(step.index)]
        if block.kind == "step" and step.index in block.nodes:
            states[step.index] = states[step.inputs[0].edge.source]
            continue
        if step.index in block.nodes:
            continue
        states[step.index] = _node(module, step, block, states, x)
    last = states[len(network.plan.steps) - 1]
    assert network.head is not None
    return network.head(last.mean((2, 3)))


def _node(
    module: Any, step: NodeStep, block: SkippableBlock, states: dict[int, Tensor], x: Tensor
) -> Tensor:
    there = [entry.edge.source in states for entry in step.inputs]
    sources = [entry.edge.source for entry in step.inputs]
    if all(there):
        return module([states[source] for source in sources], x)
    inputs = []
    for place, source in enumerate(sources):
        if there[place]:
            adapters = dict(module.adapters.items())
            adapter = adapters.get(str(place), nn.Identity())
            inputs.append((place, adapter(states[source])))
    y = _merged(module.merge, step, inputs)
    for layer in module.operation:
        y = layer(y)
    return y if module.cell is None else module.cell(y)


def _merged(merge: Any, step: NodeStep, inputs: list[tuple[int, Tensor]]) -> Tensor:
    """Merge what is left, by the rule of its in-degree."""
    if len(inputs) == 1:
        return inputs[0][1].clone()
    match step.merge.weight:
        case "identity":
            terms = [y for _, y in inputs]
        case "scalar":
            terms = [merge.weights[place] * y for place, y in inputs]
        case "projection":
            terms = [torch.einsum("oi,bihw->bohw", merge.slices[place], y) for place, y in inputs]
        case other:
            raise AssertionError(f"a branch of a merge '{other}' was left out")
    power = {"none": 0.0, "rsqrt": -0.5, "mean": -1.0}[step.scale]
    return torch.stack(terms).sum(0) * len(inputs) ** power


def check(architecture: Architecture, shape: tuple[int, int, int]) -> int:
    network = noisy(architecture, shape)
    blocks = skippable_blocks(architecture, shape)
    for block in blocks:
        with torch.no_grad():
            shorter = skip_blocks(network, [block.name])(images(shape))
            assert gap(shorter, without(network, block, images(shape))) < 1e-10
    return len(blocks)


@given(architectures())
@settings(max_examples=scaled(400), deadline=None)
def test_a_network_without_a_block_is_one_where_it_does_nothing(
    architecture: Architecture,
) -> None:
    check(architecture, INPUT_SHAPE)


@given(architectures(9, merges=("sum", "weighted", "concat"), cells=0), st.randoms())
@settings(max_examples=scaled(200), deadline=None)
def test_several_blocks_go_or_are_refused(architecture: Architecture, random: Any) -> None:
    names = [block.name for block in skippable_blocks(architecture, INPUT_SHAPE)]
    random.shuffle(names)
    network = Network(architecture, INPUT_SHAPE, CLASSES)
    while names:
        try:
            shorter = skip_blocks(network, names)
        except ArchitectureError as error:
            assert "cannot be left out once" in str(error)
            names.pop()
            continue
        assert shorter(torch.randn(2, *INPUT_SHAPE)).shape == (2, CLASSES)
        return


@pytest.mark.parametrize(
    ("text", "count"),
    [("resnet-cifar:depth=14", 14), ("fractalnet:columns=3,blocks=2,width=6", 1)],
)
def test_published_networks_shrink(text: str, count: int) -> None:
    assert check(build_published_text(text), SMALL) >= count


@pytest.mark.parametrize("name", list(PATTERNS))
def test_every_pattern_shrinks_where_it_can(name: str) -> None:
    pattern = PATTERNS.get(name)
    topology = pattern.wire(pattern.smallest(4))
    check(stage_architecture(topology, width=16, stem="conv3x3"), (3, 16, 16))


def test_depth_and_width_combine() -> None:
    network = noisy(build_published_text("resnet-cifar:depth=14"), SMALL)
    names = ["stage1.block2.op1..stage1.block2.op2", "stage3.block2.op1..stage3.block2.op2"]
    one = slice_network(skip_blocks(network, names), ratio=0.5)
    other = skip_blocks(slice_network(network, ratio=0.5), names)
    assert one.architecture == other.architecture
    assert torch.equal(one(images(SMALL)), other(images(SMALL)))

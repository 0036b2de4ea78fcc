"""Elastic width: a slice is the masked network, and order within a group means nothing."""

from __future__ import annotations

import pytest
import torch
from elastic_cases import CLASSES, gap, images, logits, noisy, permuted_gap, sliced_gap
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scale import scaled
from strategies import INPUT_SHAPE, architectures

from nas.cost.channel_groups import channel_groups, slimmed
from nas.errors import ConfigError
from nas.model.elastic.width import masked, slice_network
from nas.model.network import Network
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import Shape
from nas.topology.merges import MERGES
from nas.topology.patterns import PATTERNS
from nas.topology.published import build_published_text
from nas.topology.stages import stage_architecture

SMALL: Shape = (3, 8, 8)
PUBLISHED = (
    "resnet-cifar:depth=8",
    "resnet-cifar:depth=8,skip=projection",
    "densenet-cifar:depth=16,growth=6,bc=true",
    "densenet-cifar:depth=10,growth=4,bc=false",
    "fractalnet:columns=3,blocks=2,width=6",
)
OPERATIONS = (
    *(
        "conv3x3",
        "bn+relu+conv3x3.g2",
        "conv1x1.x2+bn+relu+conv3x3.g4",
        "dwconv3x3+ln+gelu+conv1x1",
    ),
    *("conv1x1+bn+se.r4+hardswish", "conv1x1+ese", "conv1x1.w6+bn+silu+conv3x3", "separable3x3"),
    *("mbconv3x3", "conv3x3.g2+shuffle2+bn+relu", "conv1x1+affine+sigmoid", "conv1x1.bias"),
)


@given(architectures(), st.integers(0, 2**31))
@settings(max_examples=scaled(400), deadline=None)
def test_a_slice_is_the_masked_network(architecture: Architecture, seed: int) -> None:
    found = sliced_gap(architecture, INPUT_SHAPE, seed)
    assume(found is not None)
    assert found is not None and found < 1e-6


@given(architectures(), st.integers(0, 2**31))
@settings(max_examples=scaled(400), deadline=None)
def test_the_order_of_channels_within_a_group_means_nothing(
    architecture: Architecture, seed: int
) -> None:
    assert permuted_gap(architecture, INPUT_SHAPE, seed) < 1e-9


@pytest.mark.parametrize("text", PUBLISHED)
def test_published_networks_slice_and_permute(text: str) -> None:
    architecture = build_published_text(text)
    assert len(channel_groups(architecture, SMALL)) > 3
    for seed in range(2):
        found = sliced_gap(architecture, SMALL, seed)
        assert found is not None and found < 1e-6
        assert permuted_gap(architecture, SMALL, seed) < 1e-9


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_slice_and_permute(operation: str) -> None:
    nodes = (Node(), Node("conv1x1", width=8), *[Node(operation, width=8, merge="stack")] * 2)
    edges = (Edge(0, 1), Edge(1, 2), Edge(1, 3), Edge(2, 3))
    architecture = Architecture(nodes, edges)
    assert channel_groups(architecture, SMALL)
    for seed in range(4):
        found = sliced_gap(architecture, SMALL, seed)
        assert found is not None and found < 1e-6
        assert permuted_gap(architecture, SMALL, seed) < 1e-9


@pytest.mark.parametrize("merge", list(MERGES))
def test_merges_slice_and_permute(merge: str) -> None:
    nodes = (Node(), *[Node("conv3x3", width=6)] * 3, Node(merge=merge), Node("conv1x1", width=4))
    edges = (Edge(0, 1), Edge(1, 2), Edge(1, 3), *(Edge(n, 4) for n in (1, 2, 3)), Edge(4, 5))
    architecture = Architecture(nodes, edges)
    assert channel_groups(architecture, SMALL)
    for seed in range(3):
        found = sliced_gap(architecture, SMALL, seed)
        assert found is not None and found < 1e-6
        assert permuted_gap(architecture, SMALL, seed) < 1e-9


@pytest.mark.parametrize("name", list(PATTERNS))
def test_every_pattern_slices_and_permutes(name: str) -> None:
    pattern = PATTERNS.get(name)
    topology = pattern.wire(pattern.smallest(4))
    architecture = stage_architecture(topology, width=16, stem="conv3x3")
    shape = (3, 16, 16)
    found = sliced_gap(architecture, shape, seed=1)
    assert found is not None and found < 1e-6
    assert permuted_gap(architecture, shape, seed=1) < 1e-9


def test_a_slice_is_a_network_of_its_own_that_trains() -> None:
    network = noisy(build_published_text("resnet-cifar:depth=8"), SMALL).train()
    smaller = slice_network(network, ratio=0.5)
    assert smaller.training and smaller.architecture == slimmed(network.architecture, SMALL, 0.5)
    before = [parameter.clone() for parameter in network.parameters()]
    smaller(images(SMALL)).square().sum().backward()
    with torch.no_grad():
        for parameter in smaller.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.1 * parameter.grad)
    assert all(map(torch.equal, before, network.parameters()))
    assert all(parameter.dtype == torch.float64 for parameter in smaller.parameters())


def test_a_whole_slice_is_the_network() -> None:
    network = noisy(build_published_text("densenet-cifar:depth=16,growth=6,bc=true"), SMALL)
    assert torch.equal(logits(slice_network(network), SMALL), logits(network, SMALL))


def test_leading_channels_are_kept_by_number() -> None:
    network = Network(build_published_text("resnet-cifar:depth=8"), SMALL, CLASSES).eval()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    smaller = slice_network(network, {"stem": 4})
    ours, theirs = smaller.get_parameter("nodes.1.operation.0.weight"), "nodes.1.operation.0.weight"
    assert torch.equal(ours, network.get_parameter(theirs)[:4])
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_masked_networks_train_only_what_is_kept() -> None:
    network = Network(build_published_text("resnet-cifar:depth=8"), SMALL, CLASSES).double()
    whole = masked(network, {"stem": [1, 3]})
    whole(images(SMALL)).square().sum().backward()
    grad = whole.get_parameter("nodes.1.operation.0.weight").grad
    assert grad is not None
    moved = grad.abs().sum((1, 2, 3)) > 0
    assert moved.nonzero().flatten().tolist() == [1, 3]


def test_training_steps_of_slice_and_mask_agree() -> None:
    network = noisy(build_published_text("resnet-cifar:depth=8"), SMALL).train()
    kept = {"stem": [0, 2, 5], "stage2.block1.op1": 7}
    small, whole = slice_network(network, kept), masked(network, kept)
    assert gap(small(images(SMALL)), whole(images(SMALL))) < 1e-9


def test_bad_ratios_are_refused() -> None:
    network = Network(Architecture((Node(), Node("conv3x3")), (Edge(0, 1),)), SMALL, CLASSES)
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        slice_network(network, ratio=0.0)

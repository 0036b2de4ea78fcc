"""Scaling: deeper as the published family is, wider by rounding, and the compound rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scale import scaled

from nas.cost.count import cost
from nas.errors import ArchitectureError, ConfigError
from nas.space import load_space
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.patterns import PATTERNS
from nas.topology.published import build_published_text
from nas.topology.scaling import (
    COMPOUND_RULES,
    rounded_width,
    scale_compound,
    scale_depth,
    scale_resolution,
    scale_width,
)
from nas.topology.stages import stage_architecture

CIFAR, CLASSES = (3, 32, 32), 10


def parameters(architecture: Architecture) -> int:
    return cost(architecture, CIFAR, CLASSES).parameters


def macs(architecture: Architecture) -> int:
    return cost(architecture, CIFAR, CLASSES).macs


@pytest.mark.parametrize(("factor", "depth"), [(2, 38), (3, 56), (1 / 3, 8), (18, 326)])
def test_a_deeper_resnet_is_the_published_one_of_that_depth(factor: float, depth: int) -> None:
    deeper = scale_depth(build_published_text("resnet-cifar:depth=20"), factor)
    published = build_published_text(f"resnet-cifar:depth={depth}")
    assert len(deeper.nodes) == len(published.nodes)
    assert parameters(deeper) == parameters(published)
    assert macs(deeper) == macs(published)


def test_a_deeper_chain_is_the_published_one_and_has_one_stem() -> None:
    deeper = scale_depth(build_published_text("plain-cifar:depth=20"), 2.0)
    assert parameters(deeper) == parameters(build_published_text("plain-cifar:depth=38"))


@pytest.mark.parametrize("width", [32, 64])
def test_a_wider_resnet_is_the_published_one_of_that_width(width: int) -> None:
    wider = scale_width(build_published_text("resnet-cifar:depth=20"), width / 16)
    assert parameters(wider) == parameters(
        build_published_text(f"resnet-cifar:depth=20,width={width}")
    )


@pytest.mark.parametrize("name", list(PATTERNS))
def test_every_wiring_of_constant_shape_is_repeated_as_a_whole(name: str) -> None:
    pattern = PATTERNS.get(name)
    size = next(size for size in range(3, 64) if pattern.exists(size))
    one = stage_architecture(pattern.wire(size), width=8, stem="conv3x3")
    try:
        two = scale_depth(one, 2.0)
    except ArchitectureError as error:
        assert "No part of this network can be repeated" in error.what  # its shape changes
        return
    grown = macs(two) - macs(one)
    assert 0 < grown <= 1.2 * macs(one)  # a first block that widens is cheaper than its copies
    assert scale_depth(one, 1.0) is one
    names = [node.name for node in two.nodes]
    assert len(set(names)) == len(names)


def test_random_members_stay_valid_at_any_scale() -> None:
    space, rng = load_space("wired_cnn"), np.random.default_rng(0)
    for _ in range(scaled(100)):
        member = space.build(space.sample(rng))
        factor = float(rng.choice([0.5, 1.3, 2.0]))
        wider = scale_width(member, factor)
        assert all(
            one.width is None or two.width == rounded_width(one.width, factor)
            for one, two in zip(member.nodes, wider.nodes, strict=True)
        )
        macs(wider)
        deeper, bigger = scale_compound(member, CIFAR, 1.0)
        assert cost(deeper, bigger, CLASSES).macs > macs(member)


def test_copies_share_a_tie_and_are_no_exits() -> None:
    nodes = (
        Node(),
        Node("conv3x3", width=8, name="stem"),
        Node("conv3x3", width=8, tie="body", exit=True, name="body"),
    )
    deeper = scale_depth(Architecture(nodes, (Edge(0, 1), Edge(1, 2))), 3.0)
    assert [node.tie for node in deeper.nodes].count("body") >= 3
    assert [node.exit for node in deeper.nodes].count(True) == 1
    assert parameters(deeper) == parameters(scale_depth(deeper, 2.0))


def test_widths_inside_of_written_operations_and_cells_follow() -> None:
    cell = Architecture((Node(), Node("conv1x1.w16+bn+relu+conv3x3", width=32)), (Edge(0, 1),))
    outer = Architecture((Node(), Node(cell=cell)), (Edge(0, 1),))
    inside = scale_width(outer, 2.0).nodes[1].cell
    assert inside is not None
    assert inside.nodes[1] == Node("conv1x1.w32+bn+relu+conv3x3", width=64)


@given(st.integers(1, 2000), st.floats(0.1, 8), st.sampled_from([1, 4, 8, 16]))
def test_rounded_widths_are_multiples_and_near(width: int, factor: float, divisor: int) -> None:
    found = rounded_width(width, factor, divisor)
    assert found % divisor == 0
    assert found >= divisor
    assert 0.9 * width * factor <= found <= max(divisor, width * factor + divisor)


def test_the_compound_rule_doubles_the_cost_with_every_step() -> None:
    rule = COMPOUND_RULES["efficientnet"]
    assert (rule.depth, rule.width, rule.resolution) == (1.2, 1.1, 1.15)
    assert rule.cost_factor == pytest.approx(2, abs=0.1)
    base = build_published_text("resnet-cifar:depth=56,width=64")
    for phi in (1, 2, 3):
        bigger, shape = scale_compound(base, CIFAR, phi)
        assert shape == (3, math.ceil(32 * 1.15**phi), math.ceil(32 * 1.15**phi))
        assert cost(bigger, shape, CLASSES).macs / macs(base) == pytest.approx(2**phi, rel=0.25)
    assert scale_compound(base, CIFAR, 0) == (base, CIFAR)


CHAIN = stage_architecture(PATTERNS.get("chain").wire(3), width=8, stem="conv3x3")


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf"), 101.0])
def test_impossible_factors_are_refused(factor: float) -> None:
    for name, scale in (("depth", scale_depth), ("width", scale_width)):
        with pytest.raises(ConfigError, match=rf"The {name} factor is [\s\S]*above 0"):
            scale(CHAIN, factor)
    with pytest.raises(ConfigError, match=r"The resolution factor is"):
        scale_resolution(CIFAR, factor)


def test_what_cannot_be_scaled_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"width of 800 times 100[\s\S]*factor for it is 81.9"):
        scale_width(scale_width(CHAIN, 100.0), 100.0)
    with pytest.raises(ArchitectureError, match=r"No part of this network can be repeated"):
        scale_depth(build_published_text("densenet-cifar:depth=40"), 2.0)
    with pytest.raises(ArchitectureError, match=r"makes more than 10000 nodes"):
        scale_depth(stage_architecture(PATTERNS.get("chain").wire(200)), 100.0)
    with pytest.raises(ConfigError, match=r"The divisor is 0"):
        scale_width(CHAIN, 2.0, divisor=0)
    with pytest.raises(ConfigError, match=r"no scaling rule 'effnet'[\s\S]*'efficientnet'"):
        scale_compound(CHAIN, CIFAR, 1.0, rule="effnet")
    with pytest.raises(ConfigError, match=r"The phi factor is 99"):
        scale_compound(CHAIN, CIFAR, 99)

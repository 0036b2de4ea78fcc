"""One suite for every registered merge as data, through the plan and the costs of a join."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.cost.count import cost
from nas.cost.shapes import NodeStep, plan
from nas.errors import NotFoundError
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.identity import structural_id
from nas.topology.merges import MERGES, SCALE_POWER

NAMES = list(MERGES)
SHAPE = (5, 6, 6)


def join(merge: str, degree: int, scale: str = "auto") -> Architecture:
    """The input and `degree - 1` rectified copies of it, merged."""
    nodes = (Node(), *[Node("relu")] * (degree - 1), Node(merge=merge, scale=scale))
    edges = [Edge(0, n) for n in range(1, degree)] + [Edge(n, degree) for n in range(degree)]
    return Architecture(nodes, tuple(edges))


def joined(merge: str, degree: int, scale: str = "auto") -> NodeStep:
    return plan(join(merge, degree, scale), SHAPE).steps[-1]


@pytest.mark.parametrize("name", NAMES)
def test_a_merge_of_one_input_is_the_identity(name: str) -> None:
    step = joined(name, 1)
    assert step.factor == 1.0
    assert step.merge_parameters() == step.merge_macs() == 0
    assert step.merged == SHAPE
    assert len({structural_id(join(other, 1)) for other in NAMES}) == 1


@pytest.mark.parametrize("name", NAMES)
@given(degree=st.integers(2, 6), scale=st.sampled_from(["none", "rsqrt", "mean"]))
def test_the_scale_is_a_power_of_the_in_degree(name: str, degree: int, scale: str) -> None:
    rule = MERGES.get(name)
    used = rule.default_scale if rule.fixed_scale else scale
    assert rule.resolve_scale(scale) == used
    assert rule.resolve_scale("auto") == rule.default_scale
    assert joined(name, degree, scale).factor == pytest.approx(degree ** SCALE_POWER[used])


@pytest.mark.parametrize("name", NAMES)
@given(degree=st.integers(2, 6))
def test_channels_and_counts_follow_the_kind_of_weight(name: str, degree: int) -> None:
    step, weight = joined(name, degree), MERGES.get(name).weight
    assert step.merged == ((5 * degree if weight == "stacked" else 5), 6, 6)
    assert step.merge_parameters() == {"scalar": degree, "projection": 25 * degree}.get(weight, 0)
    assert step.merge_macs() == (25 * 36 * degree if weight == "projection" else 0)
    own = cost(join(name, degree), SHAPE, 2).nodes[-2]
    assert own.parameters == step.merge_parameters()
    assert own.macs == step.merge_macs()


@pytest.mark.parametrize("name", NAMES)
def test_a_merge_names_known_scales_and_weights(name: str) -> None:
    rule = MERGES.get(name)
    assert rule.name == name
    assert rule.default_scale in SCALE_POWER
    assert rule.weight in ("identity", "scalar", "projection", "stacked")


def test_different_merges_are_different_networks() -> None:
    ids = {name: structural_id(join(name, 3)) for name in NAMES}
    assert len(set(ids.values())) == len(NAMES)


def test_an_unknown_merge_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match=r"'summ'[\s\S]*'sum'[\s\S]*concat, mean, stack, sum"):
        MERGES.get("summ")

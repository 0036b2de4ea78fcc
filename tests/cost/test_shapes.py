"""The plan: main inputs, adapters, refusals that name the node, nested cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from strategies import INPUT_SHAPE, architectures

from nas.cost.shapes import Adapter, Plan, plan
from nas.errors import ArchitectureError
from nas.topology.graph import Architecture, Edge, Node

WIDE = Node("conv3x3", width=8, name="wide")
HALF = Node("conv3x3", stride=2, name="half")
JOIN = Node(name="join")


def net(
    *nodes: Node, edges: list[tuple[int, int] | Edge], zero_allowed: bool = False
) -> Architecture:
    listed = tuple(edge if isinstance(edge, Edge) else Edge(*edge) for edge in edges)
    return Architecture((Node(name="input"), *nodes), listed, zero_allowed=zero_allowed)


def skip(node: Node, transform: str = "auto") -> Architecture:
    """A node and a skip around it."""
    return net(node, JOIN, edges=[(0, 1), (1, 2), Edge(0, 2, transform)])


def adapter(network: Architecture, shape: tuple[int, int, int] = INPUT_SHAPE) -> Adapter:
    """The adapter of the oldest input of the last node."""
    return plan(network, shape).steps[-1].inputs[0].adapter


@pytest.mark.fault("D5")
@pytest.mark.parametrize(
    ("node", "transform", "kind", "parameters", "macs"),
    [
        (Node("conv3x3"), "auto", "identity", 0, 0),
        (Node("conv3x3"), "project", "identity", 0, 0),
        (Node("conv3x3"), "zero_pad", "identity", 0, 0),
        (HALF, "auto", "resample", 0, 0),
        (WIDE, "auto", "resample_project", 4 * 8 + 16, 4 * 8 * 64),
        (Node("conv3x3", width=8, stride=2), "auto", "resample_project", 48, 4 * 8 * 16),
        (Node("conv3x3", width=8, stride=2), "project", "project", 48, 4 * 8 * 16),
        (Node("conv3x3", width=8, stride=2), "zero_pad", "zero_pad", 0, 0),
        (Node("conv3x3"), "relu", "operation", 0, 0),
        (Node("conv3x3"), "conv1x1", "operation", 4 * 4 + 8, 4 * 4 * 64),
    ],
)
def test_an_edge_gets_the_adapter_it_needs_and_no_other(
    node: Node, transform: str, kind: str, parameters: int, macs: int
) -> None:
    found = adapter(skip(node, transform))
    assert found.kind == kind
    assert (found.parameters(), found.macs()) == (parameters, macs)
    assert found.target == plan(skip(node, transform), INPUT_SHAPE).steps[1].output


def test_the_newest_source_sets_the_shape_and_the_others_adapt() -> None:
    network = net(WIDE, HALF, JOIN, edges=[(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)])
    step = plan(network, INPUT_SHAPE).steps[3]
    assert step.merged == (4, 4, 4)
    kinds = [entry.adapter.kind for entry in step.inputs]
    assert kinds == ["resample", "resample_project", "identity"]
    assert [entry.edge.source for entry in step.inputs] == [0, 1, 2]


def test_a_coarser_input_is_brought_up_to_the_newest() -> None:
    network = net(HALF, Node("conv1x1", name="late"), JOIN, edges=[(0, 1), (0, 2), (1, 3), (2, 3)])
    found = adapter(network)
    assert (found.kind, found.source, found.target) == ("resample", (4, 4, 4), (4, 8, 8))


def test_a_stack_keeps_channels_and_adapts_resolution_only() -> None:
    node = Node("conv3x3", width=8, stride=2)
    network = net(node, Node(merge="stack"), edges=[(0, 1), (0, 2), (1, 2)])
    step = plan(network, INPUT_SHAPE).steps[-1]
    assert step.merged == (12, 4, 4)
    assert step.inputs[0].adapter.kind == "resample"


def test_an_edge_that_carries_nothing_is_gone_and_sets_no_shape() -> None:
    network = net(WIDE, JOIN, edges=[(0, 1), (0, 2), Edge(1, 2, "none")])
    step = plan(network, INPUT_SHAPE).steps[-1]
    assert [entry.edge.source for entry in step.inputs] == [0]
    assert step.merged == INPUT_SHAPE
    assert step.factor == 1.0


def test_the_factor_counts_live_inputs_only() -> None:
    node = Node(merge="mean")
    network = net(
        Node("relu"), Node("relu"), node,
        edges=[(0, 1), (0, 2), (0, 3), (1, 3), (2, 3), Edge(0, 3, "none")],
    )  # fmt: skip
    assert plan(network, INPUT_SHAPE).steps[-1].factor == pytest.approx(1 / 3)


def test_a_node_without_inputs_yields_zeros_like_the_input_of_its_cell() -> None:
    cell = Architecture((Node(),) * 3, (Edge(0, 2), Edge(1, 2)), zero_allowed=True)
    network = net(HALF, Node(cell=cell), edges=[(0, 1), (1, 2)])
    nested = plan(network, INPUT_SHAPE).steps[-1].cell
    assert nested is not None
    assert nested.steps[1].inputs == ()
    assert nested.steps[1].output == (4, 4, 4)


def test_a_cell_is_planned_at_the_shape_of_its_merged_input() -> None:
    inner = Architecture((Node(), Node("conv3x3", width=6, stride=2)), (Edge(0, 1),))
    network = net(WIDE, Node(cell=inner), edges=[(0, 1), (1, 2)])
    schedule = plan(network, INPUT_SHAPE)
    assert isinstance(schedule.steps[2].cell, Plan)
    assert schedule.steps[2].cell.input_shape == (8, 8, 8)
    assert schedule.output == (6, 4, 4)


@given(network=architectures(cells=2))
def test_every_input_arrives_at_the_shape_of_the_merge(network: Architecture) -> None:
    schedule = plan(network, INPUT_SHAPE)
    for step in schedule.steps[1:]:
        stacked = step.merge.weight == "stacked"
        targets = [entry.adapter.target for entry in step.inputs]
        for entry in step.inputs:
            assert entry.adapter.source == schedule.steps[entry.edge.source].output
        if stacked:
            assert sum(target[0] for target in targets) == step.merged[0]
            assert {target[1:] for target in targets} == {step.merged[1:]}
        else:
            assert set(targets) == {step.merged}
        assert min(step.output) >= 1


def test_an_identity_adapter_costs_nothing() -> None:
    found = Adapter("identity", INPUT_SHAPE, INPUT_SHAPE)
    assert found.parameters() == found.macs() == 0
    assert found.stride == 1


@pytest.mark.fault("D5", "D6")
@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            net(Node("avg_pool2x2", name="pool", stride=2), edges=[(0, 1)]),
            r"Node 1 \('pool'\): the resolution drops to 0x0 from 1x1[\s\S]*larger input",
        ),
        (
            net(Node("relu", name="act", stride=2), edges=[(0, 1)]),
            r"Node 1 \('act'\): 'relu' carries no stride.*stride 2[\s\S]*stride 1",
        ),
        (
            net(Node(name="skip", stride=3), edges=[(0, 1)]),
            r"\('skip'\): 'identity' carries no stride.*stride 3",
        ),
        (
            net(Node("max_pool3x3", name="pool", width=9), edges=[(0, 1)]),
            r"\('pool'\): 'max_pool3x3' keeps its 4 channels and cannot give width 9[\s\S]*conv1x1",
        ),
        (
            net(Node("convolution", name="op"), edges=[(0, 1)]),
            r"Unknown operation 'convolution'[\s\S]*where: Node 1 \('op'\)[\s\S]*Known operations",
        ),
        (
            net(Node(merge="som", name="op"), edges=[(0, 1)]),
            r"Unknown merge 'som'[\s\S]*where: Node 1 \('op'\)[\s\S]*'sum'",
        ),
        (
            skip(Node("conv3x3"), "conv9x9"),
            r"Unknown transform 'conv9x9'[\s\S]*edge \(0, 2\)[\s\S]*auto, project, zero_pad",
        ),
        (
            skip(Node("conv3x3", width=2), "zero_pad"),
            r"\('join'\): the 'zero_pad' edge from node 0 cannot turn 4 channels into 2[\s\S]*auto",
        ),
        (
            skip(WIDE, "relu"),
            r"\('join'\): 'relu' on the edge from node 0 gives \(4, 1, 1\), the main input has",
        ),
    ],
)
def test_what_cannot_be_computed_is_refused_with_the_node(
    network: Architecture, message: str
) -> None:
    with pytest.raises(ArchitectureError, match=message):
        plan(network, (4, 1, 1))


def test_a_projection_by_no_whole_stride_is_refused() -> None:
    down = Node("conv3x3", stride=4)
    up = net(down, Node("conv1x1"), JOIN, edges=[(0, 1), (0, 2), Edge(1, 3, "project"), (2, 3)])
    with pytest.raises(ArchitectureError, match=r"\('join'\): the 'project' edge from node 1"):
        plan(up, INPUT_SHAPE)


@pytest.mark.fault("D6")
def test_an_input_without_pixels_is_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"Input shape \(3, 0, 8\) has a side below 1"):
        plan(skip(WIDE), (3, 0, 8))

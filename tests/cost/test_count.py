"""Costs: against a count written independently, and by hand."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import INPUT_SHAPE, OPERATION_NAMES, architectures

from nas.cost.count import cost
from nas.cost.shapes import plan
from nas.errors import ArchitectureError
from nas.topology.graph import Architecture, Edge, Node

Shape = tuple[int, int, int]
CONV = Node("conv3x3", name="conv")


def reference_operation(name: str, shape: Shape, width: int, stride: int) -> tuple[int, int, Shape]:
    """Return parameters, MACs and output shape of an operation, from its name alone."""
    channels, height, breadth = shape
    small = (-(-height // stride), -(-breadth // stride))
    area, full = prod(small), height * breadth
    if name in ("identity", "relu"):
        return 0, 0, shape
    if name.endswith("pool2x2"):
        return 0, 0, (channels, (height - 2) // stride + 1, (breadth - 2) // stride + 1)
    if "pool" in name:
        return 0, 0, (channels, *small)
    if name == "bn_relu":
        return 2 * channels, 0, shape
    kernel = (
        int(name.split("x")[-1][0]) ** 2 if "_bn" not in name else int(name.split("x")[1][0]) ** 2
    )
    if name.startswith("separable"):
        weights = kernel * channels + channels * width
        return weights + 2 * width, weights * area, (width, *small)
    if name.startswith("mbconv"):
        middle = 3 * channels
        behind = kernel * middle + middle * width
        parameters = channels * middle + behind + 4 * middle + 2 * width
        return parameters, channels * middle * full + behind * area, (width, *small)
    norm = 2 * channels if name.startswith("bn_relu_conv") else 2 * width
    weights = kernel * channels * width
    return weights + norm, weights * area, (width, *small)


def reference_norms(name: str, channels: int, width: int) -> int:
    """Return the trainable numbers of an operation's norms."""
    if name.startswith("mbconv"):
        return 4 * 3 * channels + 2 * width
    if name == "bn_relu" or name.startswith("bn_relu_conv"):
        return 2 * channels
    return 0 if name in ("identity", "relu") or "pool" in name else 2 * width


def reference_adapter(
    transform: str, source: Shape, target: Shape | None, stacked: bool, width: int | None
) -> tuple[int, int, Shape]:
    """Return parameters, MACs and output shape of what happens on an edge."""
    if transform not in ("auto", "project", "zero_pad"):
        return reference_operation(transform, source, width or source[0], 1)
    if target is None:
        return 0, 0, source
    target = (source[0], *target[1:]) if stacked else target
    same_channels = source[0] == target[0]
    if source == target or transform == "zero_pad" or (transform == "auto" and same_channels):
        return 0, 0, target
    weights = source[0] * target[0]
    return weights + 2 * target[0], weights * target[1] * target[2], target


def reference_count(network: Architecture, input_shape: Shape) -> tuple[int, int, Shape]:
    """Walk the nodes once, by the rules of the design and nothing of `nas.cost`."""
    shapes, total, macs, tied = [input_shape], 0, 0, set()
    for index, node in enumerate(network.nodes[1:], start=1):
        edges = sorted((e for e in network.edges if e.target == index), reverse=True)
        edges.sort(key=lambda e: e.port != "main")
        main: Shape | None = None
        targets = []
        for edge in edges:
            whole = shapes[edge.source]
            source = (whole[0] // edge.part[1], *whole[1:])
            found = reference_adapter(
                edge.transform, source, main, node.merge == "stack", node.width
            )
            total, macs = total + found[0], macs + found[1]
            total += {"scalar": 1, "channel": found[2][0]}.get(edge.gain.kind, 0)
            main = main or found[2]
            targets.append(found[2])
        assert main is not None
        channels = sum(t[0] for t in targets) if node.merge == "stack" else main[0]
        merged = (channels, *main[1:])
        if len(edges) > 1:
            area = merged[1] * merged[2]
            total += {"weighted": len(edges), "concat": len(edges) * channels**2}.get(node.merge, 0)
            macs += len(edges) * channels**2 * area if node.merge == "concat" else 0
        if node.cell is not None:
            own, spent, output = reference_count(node.cell, merged)
        else:
            own, spent, output = reference_operation(
                node.operation, merged, node.width or channels, node.stride
            )
        if node.tie is None or node.tie not in tied:
            total += own
        elif node.own_norms:
            total += reference_norms(node.operation, channels, node.width or channels)
        tied.add(node.tie)
        macs += spent
        shapes.append(output)
    return total, macs, shapes[-1]


@given(network=architectures(cells=2), classes=st.integers(1, 20))
def test_counts_are_those_of_an_independent_walk(network: Architecture, classes: int) -> None:
    parameters, macs, output = reference_count(network, INPUT_SHAPE)
    found = cost(network, INPUT_SHAPE, classes)
    assert found.parameters == parameters + output[0] * classes + classes
    assert found.macs == macs + output[0] * classes
    assert plan(network, INPUT_SHAPE).output == output


@given(network=architectures())
def test_the_whole_is_the_sum_of_its_nodes(network: Architecture) -> None:
    found = cost(network, INPUT_SHAPE, 10)
    assert len(found.nodes) == len(network.nodes) + 1
    for name in ("parameters", "macs", "bytes"):
        assert sum(getattr(node, name) for node in found.nodes) == getattr(found, name)
    assert found.critical_path <= found.macs
    assert found.depth >= 0
    assert found.bytes >= 4 * found.parameters


def chain(*nodes: Node) -> Architecture:
    edges = tuple(Edge(n, n + 1) for n in range(len(nodes)))
    return Architecture((Node(name="input"), *nodes), edges)


def test_every_operation_of_the_strategies_has_a_reference() -> None:
    for name in OPERATION_NAMES:
        found = cost(chain(Node(name)), INPUT_SHAPE, 10)
        reference = reference_operation(name, INPUT_SHAPE, 4, 1)
        assert found.nodes[1].parameters == reference[0], name
        assert found.nodes[1].macs == reference[1], name


def test_one_convolution_by_hand() -> None:
    found = cost(chain(Node("conv3x3", width=6, stride=2)), (3, 8, 8), 10)
    assert found.parameters == 9 * 3 * 6 + 12 + 6 * 10 + 10
    assert found.macs == 9 * 3 * 6 * 16 + 60
    # Input read, three layers written and read, the weights; the head reads and writes.
    body = 3 * 64 + 2 * 3 * 6 * 16 + 9 * 3 * 6 + 12
    head = 6 * 16 + 60 + 2 * 10
    assert found.bytes == 4 * (body + head)
    assert found.critical_path == found.macs
    assert found.depth == 1


def test_the_critical_path_is_the_dearer_branch() -> None:
    dear, cheap = Node("conv5x5"), Node("conv1x1")
    network = Architecture(
        (Node(), dear, cheap, Node()), (Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(2, 3))
    )
    found = cost(network, INPUT_SHAPE, 10)
    assert found.critical_path == 25 * 16 * 64 + 40
    assert found.macs == found.critical_path + 16 * 64
    assert found.depth == 1


def test_the_critical_path_runs_through_cells() -> None:
    inner = Architecture(
        (Node(), Node("conv5x5"), Node("conv1x1"), Node()),
        (Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(2, 3)),
    )
    found = cost(chain(Node(cell=inner), CONV), INPUT_SHAPE, 10)
    assert found.critical_path == (25 + 9) * 16 * 64 + 40
    assert found.depth == 2


def test_operations_on_edges_count_towards_cost_and_depth() -> None:
    network = Architecture((Node(), Node()), (Edge(0, 1, "conv3x3"),))
    found = cost(network, INPUT_SHAPE, 10)
    assert found.nodes[1].parameters == 9 * 16 + 8
    assert found.depth == 1
    assert (
        cost(Architecture((Node(), Node()), (Edge(0, 1, "bn_relu"),)), INPUT_SHAPE, 10).depth == 1
    )


def test_tied_weights_count_once_and_their_work_every_time() -> None:
    tied = Node("conv3x3", tie="a")
    once, twice = cost(chain(CONV), INPUT_SHAPE, 10), cost(chain(tied, tied), INPUT_SHAPE, 10)
    assert twice.parameters == once.parameters
    assert twice.macs - 40 == 2 * (once.macs - 40)


def test_tied_nodes_of_one_name_count_once_too() -> None:
    tied = Node("conv3x3", tie="a", name="conv")
    assert cost(chain(tied, tied), INPUT_SHAPE, 10).parameters == 9 * 16 + 8 + 50


def test_tied_cells_count_once() -> None:
    cell = Node(cell=chain(CONV), tie="a")
    assert cost(chain(cell, cell), INPUT_SHAPE, 10).parameters == 9 * 16 + 8 + 50


def test_a_tie_reaches_no_further_than_its_level() -> None:
    cell = Node(cell=chain(Node("conv3x3", tie="a")))
    assert cost(chain(cell, cell), INPUT_SHAPE, 10).parameters == 2 * (9 * 16 + 8) + 50


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            Node("conv3x3", width=8, tie="a", name="late"),
            r"Node 2 \('late'\) is tied to 'conv' but maps 4 to 8 channels, not 4 to 4[\s\S]*equal",
        ),
        (
            Node("conv5x5", tie="a", name="late"),
            r"\('late'\) is tied to 'conv' but computes 'conv5x5', not 'conv3x3'",
        ),
        (
            Node(cell=chain(CONV), tie="a", name="late"),
            r"\('late'\) is tied to 'conv' but computes a cell, not 'conv3x3'",
        ),
    ],
)
def test_a_tie_between_unlike_nodes_is_refused(second: Node, message: str) -> None:
    first = Node("conv3x3", tie="a", name="conv")
    with pytest.raises(ArchitectureError, match=message):
        cost(chain(first, second), INPUT_SHAPE, 10)


def test_a_tie_between_unlike_cells_is_refused() -> None:
    cells = [Node(cell=chain(inner), tie="a") for inner in (CONV, Node("relu"))]
    with pytest.raises(ArchitectureError, match="computes a cell, not the same cell"):
        cost(chain(*cells), INPUT_SHAPE, 10)


def test_deep_nesting_takes_no_time() -> None:
    network = chain(CONV)
    for _ in range(16):
        network = chain(Node(cell=network))
    assert cost(network, INPUT_SHAPE, 10).parameters == 9 * 16 + 8 + 50


@pytest.mark.fault("D8")
def test_counts_are_exact_beyond_64_bits() -> None:
    huge = chain(Node("conv3x3", width=2**40), Node("conv3x3", width=2**40))
    assert cost(huge, INPUT_SHAPE, 10).parameters > 9 * 2**80

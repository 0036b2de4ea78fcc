"""Blocks that can be left out: lists by hand, what is never offered, and the refusals."""

from __future__ import annotations

import pytest

from nas.cost.shapes import plan
from nas.cost.skippable import skippable_blocks, without_blocks
from nas.errors import ArchitectureError, NotFoundError
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.published import build_published_text

SHAPE = (3, 16, 16)


def named(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    return {block.name: block.nodes for block in skippable_blocks(architecture, SHAPE)}


def network_of(nodes: list[Node], *edges: Edge | tuple[int, int]) -> Architecture:
    own = [Node(**{**vars(node), "name": f"n{place}"}) for place, node in enumerate(nodes)]
    lines = [edge if isinstance(edge, Edge) else Edge(*edge) for edge in edges]
    return Architecture(tuple(own), tuple(lines))


def test_residual_blocks_go_unless_their_skip_changes_the_shape() -> None:
    found = named(build_published_text("resnet-cifar:depth=14"))
    branches = [f"stage{s}.block{b}" for s, b in ((1, 1), (1, 2), (2, 2), (3, 2))]
    pairs = {f"{block}.op1..{block}.op2" for block in branches}
    single = {f"{block}.op{n}" for block in branches for n in (1, 2)}
    changed = {f"stage{s}.block1.op2" for s in (2, 3)}
    assert set(found) == pairs | single | changed
    assert found["stage1.block1.op1..stage1.block1.op2"] == (2, 3)


def test_steps_of_a_chain_go_where_the_shape_stays() -> None:
    widths = [8, 8, 4, 4]
    nodes = [Node(), *(Node("conv3x3", width=width) for width in widths), Node("conv3x3")]
    assert named(network_of(nodes, *((n, n + 1) for n in range(5)))) == {"n2": (2,), "n4": (4,)}


def test_layers_of_a_dense_block_stay() -> None:
    assert named(build_published_text("densenet-cifar:depth=10,growth=4,bc=false")) == {}


def test_columns_of_a_fractal_block_go() -> None:
    assert named(build_published_text("fractalnet:columns=2,blocks=1,width=4")) == {
        "stage1.op1..stage1.op3": (1, 3),
        "stage1.op2": (2,),
        "stage1.op3": (3,),
    }


def test_the_output_exits_and_joins_stay() -> None:
    nodes = [Node(), Node("conv3x3"), Node("conv3x3", exit=True), Node(), Node("conv3x3")]
    assert named(network_of(nodes, (0, 1), (1, 2), (2, 3), (3, 4))) == {"n1": (1,)}


def test_a_block_whose_going_would_change_a_projection_stays() -> None:
    nodes = [Node(), Node("conv3x3", width=6), Node("conv3x3", width=6), Node("relu")]
    found = named(network_of(nodes, (0, 1), (1, 2), (0, 3), (2, 3)))
    assert found == {"n2": (2,)}


def test_numbers_and_places_lead_back_to_the_whole_network() -> None:
    nodes = [Node(), *[Node("conv3x3")] * 3, Node(merge="weighted"), Node("relu")]
    network = network_of(nodes, (0, 1), (1, 2), (1, 3), (1, 4), (2, 4), (3, 4), (4, 5))
    left = without_blocks(network, SHAPE, ["n2"])
    assert left.nodes == (0, 1, 3, 4, 5)
    assert left.positions == ((), (0,), (0,), (0, 2), (0,))
    both = without_blocks(network, SHAPE, ["n2", "n3"])
    assert (both.nodes, both.positions[2]) == ((0, 1, 4, 5), (0,))
    assert plan(both.architecture, SHAPE).output == plan(network, SHAPE).output


def test_a_block_may_be_named_after_a_part_of_it_is_gone() -> None:
    network = build_published_text("resnet-cifar:depth=8")
    name = "stage1.block1.op1..stage1.block1.op2"
    left = without_blocks(network, SHAPE, ["stage1.block1.op1", name, "stage1.block1.op2"])
    assert left.architecture == without_blocks(network, SHAPE, [name]).architecture


def test_the_last_branch_of_a_merge_stays() -> None:
    nodes = [Node(), Node("conv3x3"), Node("conv3x3"), Node(merge="mean")]
    network = network_of(nodes, (0, 1), (0, 2), (1, 3), (2, 3))
    assert set(named(network)) == {"n1", "n2"}
    with pytest.raises(ArchitectureError, match=r"(?s)'n2' cannot be left out once 'n1' is gone"):
        without_blocks(Architecture(network.nodes, (*network.edges,)), SHAPE, ["n1", "n2"])


def test_unknown_blocks_are_refused_with_the_closest() -> None:
    network = build_published_text("resnet-cifar:depth=8")
    with pytest.raises(NotFoundError, match=r"(?s)no block 'stage1.block1.op3'.*Did you mean"):
        without_blocks(network, SHAPE, ["stage1.block1.op3"])

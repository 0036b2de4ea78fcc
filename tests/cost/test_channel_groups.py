"""Groups of channels against lists by hand, the refusals, and the smaller architectures."""

from __future__ import annotations

import pytest

from nas.cost.channel_groups import ChannelGroup, channel_groups, select_channels, slimmed
from nas.cost.count import cost
from nas.cost.shapes import plan
from nas.errors import ArchitectureError, ConfigError, NotFoundError
from nas.topology.graph import Architecture, Edge, Gain, Node

SHAPE = (3, 8, 8)


def network_of(*rows: tuple[Node, list[int | Edge]]) -> Architecture:
    """Return nodes named `n1`, `n2`, ... and what they read."""
    nodes = [Node()]
    edges: list[Edge] = []
    for number, (node, sources) in enumerate(rows, start=1):
        nodes.append(Node(**{**vars(node), "name": f"n{number}"}))
        edges += [Edge(source, number) if isinstance(source, int) else source for source in sources]
    return Architecture(tuple(nodes), tuple(edges))


def conv(width: int, operation: str = "conv3x3", **options: object) -> Node:
    return Node(operation, width=width, **options)  # type: ignore[arg-type]


def groups_of(architecture: Architecture) -> dict[str, dict[str, list[tuple[int, ...]]]]:
    """Return, per group, the sets by the node whose layer makes them."""
    found = channel_groups(architecture, SHAPE)
    return {
        group.name: {member.place: list(member.sets) for member in group.members} for group in found
    }


def single(*numbers: int) -> list[tuple[int, ...]]:
    return [(number,) for number in numbers]


def place(node: int, layer: int = 0) -> str:
    return f"nodes.{node}.operation.{layer}"


RESIDUAL = network_of(
    (conv(4), [0]), (conv(6), [1]), (conv(4, "conv3x3_bn"), [2]), (Node("relu"), [1, 3])
)
PADDED = network_of((conv(2), [0]), (conv(5), [1]), (Node("relu"), [Edge(1, 3, "zero_pad"), 2]))
STACKED = network_of(
    (conv(2), [0]),
    (conv(3), [0]),
    (Node(merge="stack"), [1, 2]),
    (Node("bn_relu"), [3]),
    (conv(5, "conv1x1"), [4]),
    (Node(merge="sum"), [3, 5]),
)
GROUPED = network_of(
    (conv(8, "conv1x1"), [0]), (conv(12, "conv3x3.g4+bn"), [1]), (conv(6, "conv1x1"), [2])
)


def test_a_sum_couples_what_meets_in_it() -> None:
    assert groups_of(RESIDUAL) == {
        "n1": {place(1): single(0, 1, 2, 3), place(3): single(0, 1, 2, 3)},
        "n2": {place(2): single(0, 1, 2, 3, 4, 5)},
    }


def test_zero_padding_leaves_the_added_channels_free() -> None:
    assert groups_of(PADDED) == {
        "n1": {place(1): single(0, 1), place(2): single(0, 1)},
        "n2": {place(2): single(2, 3, 4)},
    }


def test_a_stack_keeps_its_parts_apart_at_their_offsets() -> None:
    assert groups_of(STACKED) == {
        "n1": {place(1): single(0, 1), place(5): single(0, 1)},
        "n2": {place(2): single(0, 1, 2), place(5): single(2, 3, 4)},
    }


def test_an_operation_on_an_edge_of_a_stack_gives_what_the_main_input_has() -> None:
    edges: list[int | Edge] = [Edge(1, 3, "relu"), 2]
    network = network_of((conv(3), [0]), (conv(3), [0]), (Node(merge="stack"), edges))
    assert groups_of(network) == {
        "n1": {place(1): single(0, 1, 2), place(2): single(0, 1, 2)},
    }


def test_a_grouped_convolution_keeps_equal_places_of_its_groups() -> None:
    assert groups_of(GROUPED) == {
        "n1": {place(1): [(0, 2, 4, 6), (1, 3, 5, 7)]},
        "n2": {place(2): [(0, 3, 6, 9), (1, 4, 7, 10), (2, 5, 8, 11)]},
        "n3": {place(3): single(0, 1, 2, 3, 4, 5)},
    }


def test_a_depthwise_convolution_hands_its_channels_on_and_a_projection_ends_them() -> None:
    network = network_of(
        (conv(4), [0]),
        (conv(6, "separable3x3"), [1]),
        (conv(5), [2]),
        (Node("relu"), [Edge(1, 4, "project"), 3]),
    )
    assert groups_of(network) == {
        "n1": {place(1): single(0, 1, 2, 3)},
        "n2": {place(2, 1): single(0, 1, 2, 3, 4, 5)},
        "n3": {place(3): single(0, 1, 2, 3, 4), "nodes.4.adapters.0.0": single(0, 1, 2, 3, 4)},
    }


def test_parts_of_a_tensor_couple_equal_places() -> None:
    halves: list[int | Edge] = [Edge(1, 3, part=(1, 2)), 2]
    network = network_of((conv(6), [0]), (conv(3), [Edge(1, 2, part=(0, 2))]), (Node(), halves))
    assert groups_of(network) == {
        "n1": {place(1): [(0, 3), (1, 4), (2, 5)], place(2): single(0, 1, 2)}
    }


def test_an_expansion_goes_with_what_it_multiplies() -> None:
    network = network_of((conv(2), [0]), (conv(5, "mbconv3x3"), [1]))
    assert groups_of(network) == {
        "n1": {place(1): single(0, 1), place(2): [(0, 2, 4), (1, 3, 5)]},
        "n2": {place(2, 6): single(0, 1, 2, 3, 4)},
    }


def test_tied_nodes_and_cells_of_one_motif_shrink_alike() -> None:
    tied = conv(4, tie="loop")
    assert groups_of(network_of((conv(4), [0]), (tied, [1]), (tied, [2]))) == {
        "n1": {place(n): single(0, 1, 2, 3) for n in (1, 2, 3)}
    }
    cell = Architecture((Node(), conv(6)), (Edge(0, 1),))
    motif = Node(cell=cell, motif="block")
    found = groups_of(network_of((conv(6), [0]), (motif, [1]), (motif, [2])))
    inside = [f"nodes.{n}.cell.nodes.1.operation.0" for n in (2, 3)]
    assert found == {"n1": {key: single(*range(6)) for key in (place(1), *inside)}}


def test_the_image_results_and_fixed_widths_belong_to_no_group() -> None:
    network = network_of((conv(4), [0]), (conv(2, "conv1x1.w6+conv1x1"), [1]), (conv(2), [2]))
    assert groups_of(network) == {
        "n1": {place(1): single(0, 1, 2, 3)},
        "n2": {place(2, 1): single(0, 1)},
        "n3": {place(3): single(0, 1)},
    }
    headless = Architecture(network.nodes, network.edges, head="none")
    assert set(groups_of(headless)) == {"n1", "n2"}
    assert groups_of(network_of((Node("relu"), [0]))) == {}


def test_a_smaller_architecture_says_its_widths() -> None:
    smaller = select_channels(RESIDUAL, SHAPE, {"n1": 3, "n2": [5, 0]}).smaller
    assert [node.width for node in smaller.nodes] == [None, 3, 2, 3, None]
    assert plan(select_channels(GROUPED, SHAPE, {"n2": 4}).smaller, SHAPE).output == (6, 8, 8)
    assert select_channels(RESIDUAL, SHAPE, {}).smaller == RESIDUAL


def test_a_ratio_rounds_to_whole_sets() -> None:
    smaller = slimmed(GROUPED, SHAPE, 0.5)
    assert [node.width for node in smaller.nodes[1:]] == [4, 8, 3]
    assert slimmed(GROUPED, SHAPE, 1.0) == GROUPED
    assert cost(slimmed(GROUPED, SHAPE, 0.01), SHAPE, 5).parameters > 0
    assert slimmed(GROUPED, SHAPE, 0.5, kept={"n2": 12}).nodes[2].width == 12


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"n2": 0}, r"(?s)'n2' cannot keep 0 channels.*nearest: 4\."),
        ({"n2": -3}, r"(?s)cannot keep -3 channels.*nearest: 4\."),
        ({"n2": 13}, r"(?s)'n2' cannot keep 13 channels: it has 12.*nearest: 12\."),
        ({"n2": 6}, r"(?s)steps of 4.*nearest: 4 or 8\."),
        ({"n2": 3}, r"(?s)steps of 4.*nearest: 4 or 8\."),
        ({"n2": []}, r"(?s)sets to keep of group 'n2' are \[\].*sets 0 to 2"),
        ({"n2": [0, 0]}, r"are \[0, 0\]"),
        ({"n2": [3]}, r"are \[3\]"),
    ],
)
def test_impossible_widths_are_refused_with_the_nearest(
    kept: dict[str, int | list[int]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        select_channels(GROUPED, SHAPE, kept)


def test_an_unknown_group_is_refused_with_the_closest() -> None:
    with pytest.raises(NotFoundError, match=r"(?s)no group of channels 'n22'.*Did you mean 'n2'"):
        select_channels(GROUPED, SHAPE, {"n22": 4})


@pytest.mark.parametrize("ratio", [0.0, -1.0, 1.5, float("nan")])
def test_impossible_ratios_are_refused(ratio: float) -> None:
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        slimmed(RESIDUAL, SHAPE, ratio)


def test_a_width_at_which_a_projection_would_vanish_is_refused() -> None:
    gained = Edge(1, 3, gain=Gain("scalar", 0.5))
    network = network_of((conv(4), [0]), (conv(6), [1]), (Node("relu"), [gained, 2]))
    with pytest.raises(ArchitectureError, match=r"(?s)'n1'.*'n3'.*nearest: 5 channels.*'n2'"):
        select_channels(network, SHAPE, {"n2": 4})
    with pytest.raises(ArchitectureError, match=r"Keep one set more or fewer"):
        select_channels(network, SHAPE, {"n2": [0, 1, 2, 3]})


def test_a_group_says_its_width() -> None:
    group = channel_groups(GROUPED, SHAPE)[1]
    assert isinstance(group, ChannelGroup)
    assert (group.size, group.step, group.width) == (3, 4, 12)

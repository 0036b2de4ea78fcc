"""Edits one by one: what they do, what they refuse and which way out they name."""

from __future__ import annotations

from typing import Any

import pytest

from nas.errors import ArchitectureError, NasError, TopologyError
from nas.topology.edits import (
    AbstractEdit,
    AddEdge,
    ChangeGain,
    ChangeMerge,
    ChangeOperation,
    DeleteNode,
    EditCell,
    Graft,
    InsertNode,
    Lineage,
    RemoveEdge,
    Rewire,
    SwapCell,
    SwapMotif,
    contract_node,
    load_edit,
    merge_nodes,
    split_edge,
    split_node,
    zero_edge,
)
from nas.topology.graph import Architecture, Edge, Gain, Node

CONV = Node("conv3x3", name="conv")
RESIDUAL = Architecture(
    (Node(name="in"), CONV, Node("conv3x3", width=8), Node(name="join")),
    (Edge(0, 1), Edge(1, 2), Edge(1, 3), Edge(2, 3)),
)
CELL = Architecture((Node(), CONV), (Edge(0, 1),))
NESTED = Architecture(
    (Node(), Node(cell=CELL, motif="block"), Node(cell=CELL, motif="block"), Node(cell=CELL)),
    (Edge(0, 1), Edge(1, 2), Edge(2, 3)),
)


def pairs(architecture: Architecture) -> list[tuple[int, int]]:
    return [(edge.source, edge.target) for edge in architecture.edges]


def test_edges_are_added_removed_rewired_and_scaled() -> None:
    assert pairs(AddEdge(Edge(0, 3)).apply(RESIDUAL)) == [(0, 1), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert pairs(RemoveEdge(Edge(1, 3)).apply(RESIDUAL)) == [(0, 1), (1, 2), (2, 3)]
    rewired = Rewire(Edge(1, 3), Edge(0, 3)).apply(RESIDUAL)
    assert pairs(rewired) == [(0, 1), (0, 3), (1, 2), (2, 3)]
    scaled = ChangeGain(Edge(2, 3), Gain("channel", 1e-4)).apply(RESIDUAL)
    assert scaled.inputs(3)[1].gain == Gain("channel", 1e-4)
    assert pairs(scaled) == pairs(RESIDUAL)


def test_an_edge_is_split_with_all_it_carries() -> None:
    edge = Edge(1, 3, "project", "main", (1, 2), Gain("fixed", 0.5))
    network = Architecture(RESIDUAL.nodes, (Edge(0, 1), Edge(1, 2), edge, Edge(2, 3)))
    early = split_edge(network, edge).apply(network)
    assert early.nodes[2] == Node()
    assert early.edges == (
        Edge(0, 1),
        Edge(1, 2, part=(1, 2)),
        Edge(1, 3),
        Edge(2, 4, "project", "main", gain=Gain("fixed", 0.5)),
        Edge(3, 4),
    )
    late = split_edge(network, edge, CONV, late=True).apply(network)
    assert late.nodes[3] == CONV
    assert late.inputs(4)[-1] == Edge(3, 4, "project", "main", gain=Gain("fixed", 0.5))
    assert contract_node(early, 2).apply(early) == network
    assert contract_node(late, 3).apply(late) == network


def test_a_node_becomes_two_and_two_become_one() -> None:
    network = Architecture(
        RESIDUAL.nodes,
        (Edge(0, 1), Edge(1, 2, gain=Gain("scalar")), Edge(1, 3), Edge(2, 3, port="main")),
    )
    twins = split_node(network, 2).apply(network)
    assert twins.nodes[3] == twins.nodes[2] == network.nodes[2]
    assert pairs(twins) == [(0, 1), (1, 2), (1, 3), (1, 4), (2, 4), (3, 4)]
    assert twins.inputs(3)[0].gain == Gain("scalar")
    assert [edge.port for edge in twins.inputs(4)] == ["default", "main", "default"]
    assert split_node(network, 1).apply(network).nodes[2].name == "conv.twin"
    for kept, gone in ((2, 3), (3, 2)):
        one = merge_nodes(twins, kept, gone).apply(twins)
        assert pairs(one) == pairs(network)
    assert merge_nodes(twins, 2, 3).apply(twins) == network


def test_a_merged_node_reads_and_feeds_what_both_did() -> None:
    # 1 and 2 read the input, 3 reads 1, 4 reads 2, the last all but 1.
    edges = (Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(2, 4), Edge(2, 5), Edge(3, 5), Edge(4, 5))
    network = Architecture((Node(), *[Node("conv3x3", width=4)] * 4, Node()), edges)
    assert pairs(merge_nodes(network, 1, 2).apply(network)) == [
        (0, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 4),
        (3, 4),
    ]
    edit = merge_nodes(network, 3, 4)  # 3 reads what 4 read
    assert pairs(edit.apply(network)) == [(0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 4)]
    assert edit.undo(network).apply(edit.apply(network)) == network
    with pytest.raises(
        ArchitectureError,
        match=r"Node 4 cannot take the place of node 1: node 3 lies between(?s:.*)3",
    ):
        merge_nodes(network, 4, 1)
    for call in (lambda: split_node(network, 5), lambda: merge_nodes(network, 0, 1)):
        with pytest.raises(ArchitectureError, match="stays"):
            call()


def test_the_readers_of_a_deleted_node_read_what_it_read() -> None:
    assert pairs(contract_node(RESIDUAL, 1).apply(RESIDUAL)) == [(0, 1), (0, 2), (1, 2)]
    # The bridge 1→3 is there already.
    assert pairs(contract_node(RESIDUAL, 2).apply(RESIDUAL)) == [(0, 1), (1, 2)]


def test_a_motif_is_swapped_everywhere_and_a_private_cell_alone() -> None:
    other = Architecture((Node(), Node("relu")), (Edge(0, 1),))
    everywhere = SwapMotif("block", other).apply(NESTED)
    assert [node.cell for node in everywhere.nodes] == [None, other, other, CELL]
    alone = SwapCell(1, other).apply(NESTED)
    assert [node.cell for node in alone.nodes] == [None, other, CELL, CELL]
    assert [node.motif for node in alone.nodes] == ["", "", "block", ""]


def test_the_inside_of_a_motif_is_edited_everywhere() -> None:
    inner = ChangeOperation(1, "relu")
    for index, changed in ((1, [1, 2]), (3, [3])):
        child = EditCell(index, inner).apply(NESTED)
        relus = [n for n, node in enumerate(child.nodes) if node.cell and node.cell != CELL]
        assert relus == changed


def test_a_motif_within_a_cell_is_edited_at_every_level() -> None:
    outer = Architecture((Node(), Node(cell=CELL, motif="block")), (Edge(0, 1),))
    network = Architecture(
        (Node(), Node(cell=outer), Node(cell=CELL, motif="block")), (Edge(0, 1), Edge(1, 2))
    )
    edit = EditCell(1, EditCell(1, ChangeOperation(1, "relu")))
    child = edit.apply(network)
    changed = child.nodes[2].cell
    assert changed != CELL
    assert child.nodes[1].cell is not None
    assert child.nodes[1].cell.nodes[1].cell == changed
    assert edit.undo(network).apply(child) == network


def test_the_cells_of_tied_nodes_are_edited_together() -> None:
    tied = Node(cell=CELL, tie="shared")
    network = Architecture((Node(), tied, tied), (Edge(0, 1), Edge(1, 2)))
    child = EditCell(2, ChangeOperation(1, "conv1x1")).apply(network)
    assert child.nodes[1] == child.nodes[2] != tied


NEW = Architecture((Node(), Node(cell=CELL, motif="block")), (Edge(0, 1),))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (AddEdge(Edge(1, 3)), r"Adding the edge 1→3 is refused: Edge \(1, 3\) is there twice"),
        (AddEdge(Edge(3, 1)), r"Edge \(3, 1\) runs backwards"),
        (AddEdge(Edge(0, 9)), r"names a node that is not there: nodes are 0 to 3"),
        (AddEdge(Edge(0, 3, "conv33")), r"Unknown transform 'conv33'[\s\S]*Did you mean 'conv3x3'"),
        (RemoveEdge(Edge(0, 2)), r"no edge 0→2[\s\S]*Node 2[\s\S]*into this node are: 1→2"),
        (RemoveEdge(Edge(0, 9)), r"no node 9; nodes are 0 to 3"),
        (RemoveEdge(Edge(1, 2)), r"Node 2 is disconnected[\s\S]*delete it with delete_node"),
        (Rewire(Edge(0, 1), Edge(0, 3)), r"Rewiring 0→1 to 0→3 is refused: Node 1 \('conv'\)"),
        (ChangeGain(Edge(0, 3), Gain("scalar", 0.0)), r"no edge 0→3"),
        (InsertNode(0, CONV, ()), r"cannot get the number 0[\s\S]*before the output: 1 to 3"),
        (InsertNode(2, CONV, (Edge(0, 1),)), r"0→1 does not touch the new node 2[\s\S]*add_edge"),
        (InsertNode(2, CONV, (Edge(1, 2),)), r"Node 2 \('conv'\) is disconnected"),
        (InsertNode(2, CONV, (), (Edge(0, 3),)), r"no edge 0→3"),
        (DeleteNode(0), r"Node 0 \('in'\) is the input and stays[\s\S]*Nodes 1 to 2"),
        (DeleteNode(3), r"Node 3 \('join'\) is the output and stays"),
        (DeleteNode(7), r"no node 7; nodes are 0 to 3"),
        (DeleteNode(1), r"Deleting node 1 \('conv'\) is refused: Node 0 \('in'\) is disconn"),
        (ChangeOperation(1, "conv33"), r"Unknown operation 'conv33'[\s\S]*Node 1[\s\S]*'conv3x3'"),
        (ChangeOperation(1, "conv3x3", 0), r"width 0; a width is at least 1"),
        (ChangeMerge(3, "summ"), r"Unknown merge 'summ'[\s\S]*Node 3[\s\S]*'sum'"),
        (ChangeMerge(3, "sum", "big"), r"scale 'big'[\s\S]*auto, none, rsqrt, mean"),
        (SwapCell(1, CELL), r"Node 1 \('conv'\) holds no cell[\s\S]*No node of this graph"),
        (SwapMotif("block", CELL), r"no motif 'block'[\s\S]*Motifs: none"),
        (EditCell(9, ChangeMerge(1, "sum")), r"no node 9"),
        (Graft((0, 1), (0,), (), ()), r"Give as many places as nodes"),
        (Graft((0, 3), (0, 1), (), (Edge(0, 1),)), r"0→1 of a graft connects two nodes that were"),
    ],
)
def test_refusals_name_the_node_and_the_way_out(edit: AbstractEdit, message: str) -> None:
    with pytest.raises((ArchitectureError, TopologyError), match=message):
        edit.apply(RESIDUAL)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (ChangeOperation(1, "relu"), r"Node 1 holds a cell[\s\S]*swap_cell, or edit_cell"),
        (SwapCell(0, CELL), r"Node 0 holds no cell[\s\S]*Nodes with a cell: 1, 2, 3"),
        (SwapCell(3, RESIDUAL, "block"), r"different cells under the one motif 'block'"),
        (SwapCell(1, NEW, "other"), None),
        (SwapMotif("blok", CELL), r"no motif 'blok'[\s\S]*Did you mean 'block'"),
        (SwapMotif("block", NEW), r"holds the motif itself"),
    ],
)
def test_refusals_about_cells(edit: AbstractEdit, message: str | None) -> None:
    if message is None:
        edit.apply(NESTED)
        return
    with pytest.raises(ArchitectureError, match=message):
        edit.apply(NESTED)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"edit must be an object"),
        ({"edit": "add_egde", "edge": [0, 1]}, r"Unknown edit 'add_egde'[\s\S]*'add_edge'"),
        ({"edit": "add_edge"}, r"'add_edge'\) has no key 'edge'"),
        ({"edit": "add_edge", "egde": [0, 1]}, r"Unknown key 'egde'[\s\S]*Did you mean 'edge'"),
        ({"edit": "add_edge", "edge": "x"}, r"edit\.edge must be \[source, target\]"),
        ({"edit": "delete_node", "index": "1", "bridges": []}, r"index must be a whole number"),
        ({"edit": "delete_node", "index": 1, "bridges": 3}, r"bridges must be a list"),
        ({"edit": "change_merge", "index": 1, "merge": 2, "scale": "auto"}, r"must be text"),
        ({"edit": "change_gain", "edge": [0, 1], "gain": ["big", 1]}, r"Unknown kind of gain"),
        ({"edit": "edit_cell", "index": 1, "inner": 5}, r"edit\.inner must be an object"),
    ],
)
def test_a_malformed_edit_is_refused(data: Any, message: str) -> None:
    with pytest.raises(NasError, match=message):
        load_edit(data)


def test_edits_nested_without_end_are_refused() -> None:
    data: dict[str, Any] = {"edit": "change_merge", "index": 1, "merge": "sum", "scale": "auto"}
    for _ in range(40):
        data = {"edit": "edit_cell", "index": 1, "inner": data}
    with pytest.raises(ArchitectureError, match=r"nested deeper than 16 levels"):
        load_edit(data)


def test_a_zero_edge_is_refused_where_it_would_change_the_function() -> None:
    wide = Architecture(
        (Node(), Node("conv3x3", width=8), Node("conv3x3"), Node(merge="mean")),
        (Edge(0, 1), Edge(0, 2), Edge(2, 3), Edge(0, 3), Edge(1, 2)),
    )
    with pytest.raises(ArchitectureError, match=r"Node 3 changes what it computes[\s\S]*'mean'"):
        zero_edge(wide, 1, 3)
    tail = Architecture(
        (Node(), Node("conv3x3", width=8), Node("relu"), Node()),
        (Edge(0, 1), Edge(1, 3), Edge(0, 2), Edge(2, 3)),
    )
    assert zero_edge(tail, 0, 3).edge.gain == Gain("scalar", 0.0)
    open_end = Architecture(
        (Node(), Node("relu"), Node("conv3x3", width=8), Node("relu"), Node()),
        (Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(2, 4), Edge(3, 4)),
    )
    with pytest.raises(ArchitectureError, match=r"2→3 would set the shape of Node 3[\s\S]*'main'"):
        zero_edge(open_end, 2, 3)


def test_a_lineage_is_replayed_on_its_parent_alone() -> None:
    lineage = Lineage.of(RESIDUAL, [AddEdge(Edge(0, 3))])
    assert lineage.replay(RESIDUAL) == AddEdge(Edge(0, 3)).apply(RESIDUAL)
    with pytest.raises(ArchitectureError, match=r"not the parent[\s\S]*it is another network"):
        lineage.replay(CELL)
    renamed = Architecture((Node(), *RESIDUAL.nodes[1:]), RESIDUAL.edges)
    with pytest.raises(ArchitectureError, match=r"not the parent[\s\S]*named otherwise"):
        lineage.replay(renamed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "nas.architecture/1"}, r"schema 'nas.lineage/1'"),
        ({"more": 1}, r"keys schema, parent, digest and edits"),
        ({"edits": 3}, r"keys schema, parent, digest and edits"),
        ({"parent": 3}, r"are text"),
        ({"edits": [{"edit": "fly"}]}, r"Unknown edit 'fly'[\s\S]*edits\[0\]"),
    ],
)
def test_a_malformed_lineage_is_refused(change: dict[str, Any], message: str) -> None:
    data = Lineage.of(RESIDUAL).dump() | change
    with pytest.raises(ArchitectureError, match=message):
        Lineage.load(data)

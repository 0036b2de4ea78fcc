"""Motifs: one definition or private copies; costs follow, and flattening keeps the function."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import INPUT_SHAPE, architectures
from torch import nn

from nas.cost.count import cost
from nas.errors import ArchitectureError
from nas.model.network import AbstractWired, Network
from nas.topology.edits import ChangeOperation, EditCell
from nas.topology.flatten import flatten
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.motifs import (
    check_motif,
    detach,
    motif_instances,
    motif_library,
    share,
    swap_motif,
)

CONV = Architecture((Node(), Node("conv3x3"), Node()), (Edge(0, 1), Edge(0, 2), Edge(1, 2)))
WIDE = Architecture((Node(), Node("conv5x5"), Node()), (Edge(0, 1), Edge(0, 2), Edge(1, 2)))
GROUP = Architecture(
    (Node(), Node(cell=CONV, motif="block"), Node(cell=CONV, motif="block"), Node()),
    (Edge(0, 1), Edge(1, 2), Edge(0, 3), Edge(2, 3)),
)
NETWORK = Architecture(
    (
        Node(),
        Node("conv3x3", width=8),
        Node(cell=GROUP, motif="group"),
        Node(cell=CONV, motif="block"),
        Node(cell=GROUP, motif="group"),
    ),
    tuple(Edge(n, n + 1) for n in range(4)),
)


def parameters(network: Architecture) -> int:
    return cost(network, INPUT_SHAPE, 10).parameters


CONV3, CONV5 = 9 * 64 + 16, 25 * 64 + 16
"""Parameters of the two blocks at 8 channels."""


def test_the_library_tells_every_motif_at_every_level() -> None:
    assert motif_library(NETWORK) == {"group": GROUP, "block": CONV}
    assert motif_instances(NETWORK, "group") == 2
    assert motif_instances(NETWORK, "block") == 5


def test_editing_a_shared_motif_changes_every_instance_and_the_parameters_follow() -> None:
    edited = swap_motif(NETWORK, "block", WIDE)
    assert motif_library(edited)["block"] == WIDE
    assert motif_instances(edited, "block") == 5
    assert parameters(edited) - parameters(NETWORK) == 5 * (CONV5 - CONV3)
    assert swap_motif(edited, "block", CONV) == NETWORK


def test_editing_a_private_copy_changes_one() -> None:
    alone = detach(NETWORK, 3)
    assert parameters(alone) == parameters(NETWORK)
    edited = EditCell(3, ChangeOperation(1, "conv5x5")).apply(alone)
    assert parameters(edited) - parameters(NETWORK) == CONV5 - CONV3
    assert motif_instances(edited, "block") == 4
    others = swap_motif(alone, "block", WIDE)
    assert parameters(others) - parameters(NETWORK) == 4 * (CONV5 - CONV3)


def test_detaching_a_group_keeps_the_motifs_within_it() -> None:
    alone = detach(NETWORK, 2)
    assert motif_instances(alone, "group") == 1
    assert motif_instances(alone, "block") == 5
    inside = EditCell(2, EditCell(1, ChangeOperation(1, "conv5x5"))).apply(alone)
    assert parameters(inside) - parameters(NETWORK) == 5 * (CONV5 - CONV3)
    apart = EditCell(2, ChangeOperation(3, "relu")).apply(alone)
    assert apart.nodes[2].cell != apart.nodes[4].cell == GROUP


def test_a_private_cell_becomes_an_instance_again() -> None:
    assert share(detach(NETWORK, 3), 3, "block") == NETWORK
    with pytest.raises(ArchitectureError, match=r"Node 3 holds another cell than .* 'group'"):
        share(NETWORK, 3, "group")
    with pytest.raises(ArchitectureError, match=r"A motif needs a name"):
        share(NETWORK, 3, "")
    with pytest.raises(ArchitectureError, match=r"Node 3 holds a private cell already"):
        detach(detach(NETWORK, 3), 3)
    with pytest.raises(ArchitectureError, match=r"Node 1 holds no cell[\s\S]*cell: 2, 3, 4"):
        detach(NETWORK, 1)
    with pytest.raises(ArchitectureError, match=r"no node 9; nodes are 0 to 4"):
        detach(NETWORK, 9)


def test_unknown_and_recursive_motifs_are_refused() -> None:
    assert check_motif(NETWORK, "block") == CONV
    with pytest.raises(ArchitectureError, match=r"no motif 'blok'[\s\S]*Did you mean 'block'"):
        swap_motif(NETWORK, "blok", CONV)
    with pytest.raises(ArchitectureError, match=r"holds the motif itself"):
        swap_motif(NETWORK, "block", GROUP)
    other = replace(GROUP, nodes=(*GROUP.nodes[:2], *[Node(cell=WIDE)], GROUP.nodes[3]))
    mixed = replace(NETWORK, nodes=(*NETWORK.nodes[:2], Node(cell=other), *NETWORK.nodes[3:]))
    odd = swap_motif(mixed, "group", CONV)
    assert motif_instances(odd, "block") == 2
    wrong = replace(GROUP, nodes=(Node(), *[Node(cell=WIDE, motif="block")] * 2, Node()))
    with pytest.raises(ArchitectureError, match=r"different cells under the one motif 'block'"):
        swap_motif(NETWORK, "group", wrong)


def wired(module: AbstractWired) -> list[nn.Module]:
    """Return what has weights, in the order of flat nodes: a cell's node comes before its nodes."""
    found: list[nn.Module] = []
    for node in module.nodes.values():
        cell = node.cell
        found += [node.adapters, *([node.merge] if node.merge is not None else [])]
        if isinstance(cell, AbstractWired):
            found += wired(cell)
        else:
            found.append(node.operation)
    return found


def outputs_agree(first: Architecture, second: Architecture) -> None:
    one, other = (Network(net, INPUT_SHAPE, 3, initialisation="default") for net in (first, second))
    rows = [[*wired(net), net.head] for net in (one, other)]
    ours, theirs = ([list(module.state_dict().values()) for module in row] for row in rows)
    flat = [[tensor for state in states for tensor in state] for states in (ours, theirs)]
    assert [tensor.shape for tensor in flat[0]] == [tensor.shape for tensor in flat[1]]
    with torch.no_grad():
        for mine, yours in zip(*flat, strict=True):
            if mine.is_floating_point():
                mine.copy_(torch.rand_like(mine) * 0.3 + 0.2)
            yours.copy_(mine)
    images = torch.randn(2, *INPUT_SHAPE, dtype=torch.float64)
    expected, found = (net.double().eval()(images) for net in (one, other))
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-6)


@settings(max_examples=30)
@given(cells=st.lists(architectures(4, cells=1, ties=False), min_size=2, max_size=2))
def test_a_flat_network_computes_what_the_nested_one_does(cells: list[Architecture]) -> None:
    network = Architecture(
        (Node(), Node(cell=cells[0]), Node("conv1x1", width=4), Node(cell=cells[0])),
        (Edge(0, 1), Edge(1, 2), Edge(2, 3)),
    )
    for nested in (network, *cells, NETWORK):
        outputs_agree(nested, flatten(nested))

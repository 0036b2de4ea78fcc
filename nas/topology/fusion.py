"""Fusing parallel branches into one wide branch: exact, and one kernel instead of several.

Two branches `V_i g(U_i x)` that are added, with `g` acting on every channel alone, are one branch
with stacked weights: `[V_1 V_2] g([U_1; U_2] x)` (FFN Fusion, Bercovich et al. 2025,
arXiv:2503.18908). Parameters and multiply-adds stay what they were; `nas.model.fused_branches`
moves the weights. A branch is two nodes in a row: a dense convolution followed by nothing but
layers that act on every channel alone, then such layers followed by a dense convolution without a
bias. A norm behind the second convolution would have to tell the branches apart, so such branches
stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from nas.topology.edits.base import moved
from nas.topology.graph import Architecture, Edge
from nas.topology.layers import AbstractLayer, Conv
from nas.topology.lookups import node_merge, node_operation
from nas.topology.symbolic import SymbolicShape, architecture_shapes

Branch = tuple[int, int]
"""The two nodes of a branch."""


@final
@dataclass(frozen=True)
class Fusion:
    """A network with fewer, wider branches.

    Args:
        architecture: The fused network.
        groups: Branches of the old network that became one, oldest first; the first keeps its
            place.
        number: New number of every old node that is still there.
    """

    architecture: Architecture
    groups: tuple[tuple[Branch, ...], ...]
    number: dict[int, int]


def fuse_branches(architecture: Architecture) -> Fusion:
    """Return the network with all parallel branches fused that can be fused exactly.

    Without any it is the same network, and there are no groups.

    Raises:
        ArchitectureError: If an operation or merge is unknown.
    """
    shapes = architecture_shapes(architecture)
    readers: list[list[Edge]] = [[] for _ in architecture.nodes]
    for edge in architecture.edges:
        readers[edge.source].append(edge)
    alike: dict[tuple[object, ...], list[Branch]] = {}
    for second in range(1, len(architecture.nodes)):
        branch = _branch(architecture, second, readers)
        if branch is not None and _computes_by_channel(architecture, branch, shapes):
            join = readers[second][0].target
            key = _key(architecture, branch, shapes)
            if _adds_plainly(architecture, join, second, shapes):
                alike.setdefault((join, *key), []).append(branch)
    groups = tuple(tuple(branches) for branches in alike.values() if len(branches) > 1)
    return _fused(architecture, groups, shapes)


def _branch(architecture: Architecture, second: int, readers: list[list[Edge]]) -> Branch | None:
    """Return the branch that ends in a node: two plain nodes in a row that nobody else reads."""
    inputs = architecture.inputs(second)
    if len(inputs) != 1 or len(readers[second]) != 1:
        return None
    first = inputs[0].source
    entries = architecture.inputs(first)
    if first == 0 or len(entries) != 1 or len(readers[first]) != 1:
        return None
    plain = all(_is_plain(edge) for edge in (*entries, *inputs, *readers[second]))
    loose = all(
        node.cell is None and node.tie is None and not node.exit
        for node in (architecture.nodes[first], architecture.nodes[second])
    )
    return (first, second) if plain and loose else None


def _is_plain(edge: Edge) -> bool:
    return edge == Edge(edge.source, edge.target)


def _computes_by_channel(
    architecture: Architecture, branch: Branch, shapes: list[SymbolicShape]
) -> bool:
    """Tell whether the weights of such branches can be stacked, and their widths are known."""
    one, other = (node_operation(architecture, node).layers for node in branch)
    if not (one and other and _is_dense(one[0]) and _is_dense(other[-1])):
        return False
    alone = all(layer.channel_use == "each" for layer in (*one[1:], *other[:-1]))
    biased = isinstance(other[-1], Conv) and other[-1].bias
    known = len(set(shapes[branch[0]].channels)) == len(set(shapes[branch[1]].channels)) == 1
    return alone and not biased and known


def _is_dense(layer: AbstractLayer) -> bool:
    return (
        isinstance(layer, Conv)
        and layer.channel_use == "sum"
        and layer.expand is None
        and layer.own_width is None
    )


def _key(
    architecture: Architecture, branch: Branch, shapes: list[SymbolicShape]
) -> tuple[object, ...]:
    """Return what branches into one join must share to be fused."""
    one, other = (architecture.nodes[node] for node in branch)
    source = architecture.inputs(branch[0])[0].source
    return (source, one.operation, one.stride, other.operation, other.stride, shapes[branch[1]])


def _adds_plainly(
    architecture: Architecture, join: int, second: int, shapes: list[SymbolicShape]
) -> bool:
    """Tell whether a node just adds up, and takes the branch as it is."""
    rule, node = node_merge(architecture, join), architecture.nodes[join]
    if rule.weight != "identity" or rule.resolve_scale(node.scale) != "none":
        return False
    inputs = architecture.inputs(join)
    main = next((edge for edge in inputs if edge.port == "main"), inputs[-1])
    return shapes[main.source] == shapes[second]


def _fused(
    architecture: Architecture,
    groups: tuple[tuple[Branch, ...], ...],
    shapes: list[SymbolicShape],
) -> Fusion:
    gone = {node for branches in groups for branch in branches[1:] for node in branch}
    nodes = list(architecture.nodes)
    for branches in groups:
        first, second = branches[0]
        width = sum(shapes[branch[0]].channels[0] for branch in branches)
        nodes[first] = replace(nodes[first], width=width)
        nodes[second] = replace(nodes[second], width=shapes[second].channels[0])
    kept = [node for node in range(len(nodes)) if node not in gone]
    number = {old: new for new, old in enumerate(kept)}
    fused = replace(
        architecture,
        nodes=tuple(nodes[old] for old in kept),
        edges=tuple(moved(architecture.edges, number)),
    )
    return Fusion(fused, groups, number)

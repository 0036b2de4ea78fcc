"""Share by role: what a node does in its block, whatever number and pattern it has.

Nodes whose names agree up to the last dot (`stage1.op2`, `stage1.join1`) form a block; a graph
without such names is one block. With L(v) the operations on the longest path from the block's entry
up to and including v, and R(v) those behind it up to the block's end, the role of v says

- whether it computes (`op`) or only joins (`join`);
- its place, counted from the nearer end: `first1` is the first operation, `last0` the last one;
- its column: by how many operations the longest path through v is shorter than the block's longest
  path. Column 0 is the spine; the short columns of a fractal and the inner levels of a hierarchy
  have numbers of their own.

So the last operation of a chain of three and of a chain of five share, which by position they do
not; and the columns of a fractal do not read the weights of a chain's inner nodes. Nodes of one
member with one role are told apart by their order.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from nas.supernet.sharing import sharing_policy
from nas.topology.graph import Architecture, Edge
from nas.topology.operations import OPERATIONS


@sharing_policy("role")
def role(node_name: str, architecture: Architecture) -> str:
    """Return the node's block and role; names outside all blocks stand for themselves."""
    return _roles(architecture).get(node_name, node_name)


@lru_cache(maxsize=4096)
def _roles(architecture: Architecture) -> dict[str, str]:
    names = [node.name or f"node{index}" for index, node in enumerate(architecture.nodes)]
    blocks: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        blocks[name.rpartition(".")[0]].append(index)
    if len(blocks) > 1:
        blocks.pop("", None)
    found: dict[str, str] = {}
    for block, members in blocks.items():
        for index, place in _block_roles(architecture, members).items():
            found[names[index]] = f"{block}.{place}" if block else place
    return found


def _block_roles(architecture: Architecture, members: list[int]) -> dict[int, str]:
    before, behind = _lengths(architecture, members)
    longest = max(before[index] + behind[index] for index in members)
    seen: dict[str, int] = defaultdict(int)
    found = {}
    for index in members:
        length, rest = before[index], behind[index]
        computes = _computes(architecture, index)
        kind = "op" if computes else "join"
        place = f"first{length}" if length - computes <= rest else f"last{rest}"
        column = longest - length - rest
        text = f"{kind}.{place}" + (f".column{column}" if column else "")
        seen[text] += 1
        found[index] = text if seen[text] == 1 else f"{text}.again{seen[text]}"
    return found


def _lengths(
    architecture: Architecture, members: list[int]
) -> tuple[dict[int, int], dict[int, int]]:
    """Return the operations up to and including each node, and those behind it."""
    inside = set(members)
    edges = [
        edge
        for edge in architecture.edges
        if edge.source in inside and edge.target in inside and not _is_absent(edge)
    ]
    own = {index: int(_computes(architecture, index)) for index in members}
    before = dict(own)
    for edge in sorted(edges, key=lambda edge: edge.target):
        step = before[edge.source] + _on_edge(edge) + own[edge.target]
        before[edge.target] = max(before[edge.target], step)
    behind = dict.fromkeys(members, 0)
    for edge in sorted(edges, key=lambda edge: -edge.source):
        step = behind[edge.target] + own[edge.target] + _on_edge(edge)
        behind[edge.source] = max(behind[edge.source], step)
    return before, behind


def _computes(architecture: Architecture, index: int) -> bool:
    node = architecture.nodes[index]
    return node.cell is not None or node.operation != "identity"


def _on_edge(edge: Edge) -> int:
    return int(edge.transform in OPERATIONS and edge.transform != "identity")


def _is_absent(edge: Edge) -> bool:
    return edge.transform in OPERATIONS and OPERATIONS.get(edge.transform).zero

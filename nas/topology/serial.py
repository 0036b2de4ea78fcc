"""Architectures as JSON: what a run folder keeps, and what a stranger's file may contain.

`load_architecture(dump_architecture(a)) == a` for every architecture. Defaults are left out, and
an edge is the list `[source, target]`, followed by its transform, its port and an object with its
part and gain where they are not the usual ones. A file is data and nothing else: sizes and depth
are capped before anything is built, unknown keys and names are refused, and every error names the
node or edge it is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

from nas.errors import ArchitectureError, TopologyError
from nas.topology.graph import (
    HEADS,
    MAX_EDGES,
    MAX_NODES,
    PLAIN,
    WHOLE,
    Architecture,
    Edge,
    Gain,
    Node,
)
from nas.topology.lookups import RESERVED_TRANSFORMS
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS
from nas.topology.serial_values import (
    check_keys,
    kind_of,
    read_flag,
    read_known,
    read_list,
    read_number,
    read_scale,
    read_text,
    wrong_type,
)

SCHEMA = "nas.architecture/1"
MAX_BYTES = 16_000_000
MAX_DEPTH = 16
"""Levels of nested cells."""
MAX_WIDTH = 1_000_000
MAX_STRIDE = 1_000

_GRAPH_KEYS = ["nodes", "edges", "wiring", "zero_allowed", "head"]
_NODE_KEYS = [
    "operation",
    "merge",
    "scale",
    "width",
    "stride",
    "tie",
    "cell",
    "name",
    "own_norms",
    "exit",
    "motif",
]
_EDGE_KEYS = ["part", "gain"]


def dump_architecture(architecture: Architecture) -> dict[str, Any]:
    """Return the architecture as plain JSON data with its schema."""
    return {"schema": SCHEMA, **_dump_graph(architecture)}


def architecture_text(architecture: Architecture) -> str:
    """Return the architecture as one line of JSON, the same for equal architectures."""
    data = dump_architecture(architecture)
    return json.dumps(data, separators=(",", ":"), sort_keys=True, allow_nan=False)


def load_architecture(source: str | dict[str, Any]) -> Architecture:
    """Read an architecture from JSON text or from data that was parsed already.

    Raises:
        ArchitectureError: If the text is no strict JSON, is too large or nested too deep, has
            unknown keys or names, wrong types, impossible numbers, or another schema.
        TopologyError: If the edges are no connected acyclic graph; a cycle is printed.
    """
    data = _parse(source) if isinstance(source, str) else source
    if not isinstance(data, dict):
        raise ArchitectureError(
            f"An architecture is a JSON object, not {kind_of(data)}.",
            fix=f'Start with {{"schema": "{SCHEMA}", "nodes": [...], "edges": [...]}}.',
        )
    _check_schema(data.get("schema"))
    return _load_graph({k: v for k, v in data.items() if k != "schema"}, "", 0, [0, 0])


def _dump_graph(architecture: Architecture) -> dict[str, Any]:
    graph: dict[str, Any] = {
        "nodes": [dump_node(node) for node in architecture.nodes],
        "edges": [dump_edge(edge) for edge in architecture.edges],
    }
    if architecture.wiring:
        graph["wiring"] = list(architecture.wiring)
    if architecture.zero_allowed:
        graph["zero_allowed"] = True
    if architecture.head != "classifier":
        graph["head"] = architecture.head
    return graph


_DEFAULTS = Node()


def dump_node(node: Node) -> dict[str, Any]:
    """Return a node as plain JSON data."""
    fields = {
        key: getattr(node, key)
        for key in _NODE_KEYS
        if getattr(node, key) != getattr(_DEFAULTS, key)
    }
    if node.cell is not None:
        fields["cell"] = _dump_graph(node.cell)
    return fields


def dump_edge(edge: Edge) -> list[Any]:
    """Return an edge as plain JSON data."""
    more: dict[str, Any] = {}
    if edge.part != WHOLE:
        more["part"] = list(edge.part)
    if edge.gain != PLAIN:
        more["gain"] = [edge.gain.kind, edge.gain.value]
    if more:
        return [edge.source, edge.target, edge.transform, edge.port, more]
    if edge.port != "default":
        return [edge.source, edge.target, edge.transform, edge.port]
    if edge.transform != "auto":
        return [edge.source, edge.target, edge.transform]
    return [edge.source, edge.target]


def _parse(text: str) -> Any:
    if len(text) > MAX_BYTES:
        raise ArchitectureError(
            f"An architecture of {len(text):,} characters is beyond the limit of {MAX_BYTES:,}.",
            why=f"Graphs have at most {MAX_NODES:,} nodes and {MAX_EDGES:,} edges.",
            fix="Check that this is the file of one architecture.",
        )
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ArchitectureError(
            f"The architecture is not valid JSON: {error.msg}.",
            where=f"line {error.lineno}, column {error.colno}",
            fix="Correct it there; `nas arch build chain -o FILE` writes one to compare with.",
        ) from None
    except RecursionError:
        raise _too_deep("") from None
    except ValueError as error:  # an integer of more digits than Python converts
        if isinstance(error, ArchitectureError):
            raise
        raise ArchitectureError(
            f"The architecture is not valid JSON: {error}.",
            fix="Give a file that `nas arch build -o` wrote, as it was written.",
        ) from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ArchitectureError(
            f"Key '{twice}' stands twice in one object of the architecture.", fix="Remove one."
        )
    return result


def _refuse_constant(constant: str) -> NoReturn:
    raise ArchitectureError(
        f"{constant} is not a JSON number, and no number of an architecture is infinite.",
        fix="Write a finite number.",
    )


def _check_schema(schema: Any) -> None:
    name, _, version = SCHEMA.partition("/")
    if schema == SCHEMA:
        return
    found = str(schema).partition("/")
    if found[0] == name and found[2].isdecimal() and int(found[2]) > int(version):
        raise ArchitectureError(
            f"The architecture has the schema '{schema}', which is newer than '{SCHEMA}', the one "
            "this version of nas reads.",
            fix="Update nas.",
        )
    raise ArchitectureError(
        f"The architecture's schema is {schema!r}, not '{SCHEMA}'."
        if schema is not None
        else "The architecture has no key 'schema'.",
        fix=f'Add "schema": "{SCHEMA}".',
    )


def _load_graph(data: dict[str, Any], where: str, depth: int, totals: list[int]) -> Architecture:
    """Read one level; `totals` counts the nodes and edges of all levels."""
    if depth > MAX_DEPTH:
        raise _too_deep(where)
    check_keys(data, _GRAPH_KEYS, where or "the architecture")
    nodes = read_list(data.get("nodes"), f"{where}nodes")
    edges = read_list(data.get("edges"), f"{where}edges")
    _count(totals, len(nodes), len(edges), where)
    wiring = read_list(data.get("wiring", []), f"{where}wiring")
    zero_allowed = data.get("zero_allowed", False)
    if not isinstance(zero_allowed, bool):
        raise wrong_type(f"{where}zero_allowed", "true or false", zero_allowed)
    head = data.get("head", "classifier")
    if head not in HEADS:
        raise ArchitectureError(
            f"Unknown head {head!r}.", where=f"{where}head", fix=f"Known: {', '.join(HEADS)}."
        )
    loaded = [load_edge(edge, f"{where}edges[{i}]") for i, edge in enumerate(edges)]
    _refuse_cycle(loaded, where)
    built = tuple(_load_node(node, i, where, depth, totals) for i, node in enumerate(nodes))
    names = tuple(read_text(name, f"{where}wiring[{i}]") for i, name in enumerate(wiring))
    try:
        return Architecture(built, tuple(loaded), names, zero_allowed, head)
    except (ArchitectureError, TopologyError) as error:
        place = where.rstrip(".") or error.where
        raise type(error)(error.what, where=place, why=error.why, fix=error.fix) from None


def load_node(data: Any, place: str) -> Node:
    """Read a node as `dump_node` wrote it; `place` is what messages call it.

    Raises:
        ArchitectureError: If it is malformed.
        TopologyError: If its cell is no connected acyclic graph.
    """
    return _load_node(data, 0, f"{place}.", 0, [0, 0])


def _load_node(data: Any, index: int, where: str, depth: int, totals: list[int]) -> Node:
    place = f"{where}nodes[{index}]"
    if not isinstance(data, dict):
        raise wrong_type(place, "an object", data)
    if isinstance(data.get("name"), str):
        place += f" ('{data['name'][:80]}')"
    check_keys(data, _NODE_KEYS, place)
    fields = _load_fields(data, place)
    if "cell" in data:
        if not isinstance(data["cell"], dict):
            raise wrong_type(f"{place}.cell", "an object with nodes and edges", data["cell"])
        fields["cell"] = _load_graph(data["cell"], f"{place}.cell.", depth + 1, totals)
    return Node(**fields)


def _load_fields(data: dict[str, Any], place: str) -> dict[str, Any]:
    readers: dict[str, Callable[[Any, str], Any]] = {
        "operation": lambda value, where: read_known(OPERATIONS, value, where),
        "merge": lambda value, where: read_known(MERGES, value, where),
        "scale": read_scale,
        "width": lambda value, where: read_number(value, where, MAX_WIDTH),
        "stride": lambda value, where: read_number(value, where, MAX_STRIDE),
        "tie": read_text,
        "name": read_text,
        "own_norms": read_flag,
        "exit": read_flag,
        "motif": read_text,
    }
    return {key: read(data[key], f"{place}.{key}") for key, read in readers.items() if key in data}


def load_edge(data: Any, place: str) -> Edge:
    """Read an edge as `dump_edge` wrote it; `place` is what messages call it.

    Raises:
        ArchitectureError: If it is malformed.
    """
    if not isinstance(data, list) or not 2 <= len(data) <= 5:
        raise wrong_type(
            place, "[source, target], followed by transform, port and an object if need be", data
        )
    for number in data[:2]:
        if not isinstance(number, int) or isinstance(number, bool):
            raise wrong_type(place, "a pair of node numbers", data[:2])
    texts = [read_text(item, place) for item in data[2:4]]
    if texts and texts[0] not in RESERVED_TRANSFORMS and texts[0] not in OPERATIONS:
        error = OPERATIONS.unknown(texts[0])
        raise ArchitectureError(
            f"Unknown transform '{texts[0]}' on the edge {(data[0], data[1])}.",
            where=place,
            fix=f"{error.fix} Further transforms: {', '.join(RESERVED_TRANSFORMS)}.",
        )
    more = _load_carried(data[4], place) if len(data) == 5 else {}
    more.update(zip(("transform", "port"), texts, strict=False))
    return Edge(data[0], data[1], **more)


def _load_carried(data: Any, place: str) -> dict[str, Any]:
    """Read the part and the gain of an edge."""
    if not isinstance(data, dict):
        raise wrong_type(place, "an object with 'part' or 'gain' in fifth place", data)
    check_keys(data, _EDGE_KEYS, place)
    fields: dict[str, Any] = {}
    if "part" in data:
        part = data["part"]
        if not (isinstance(part, list) and len(part) == 2 and all(type(n) is int for n in part)):
            raise wrong_type(f"{place}.part", "[index, count]", part)
        if not part[1] <= MAX_WIDTH:
            raise ArchitectureError(
                f"{place}.part has more than {MAX_WIDTH:,} groups.",
                fix="Cut the channels into fewer groups.",
            )
        fields["part"] = (part[0], part[1])
    if "gain" in data:
        gain = data["gain"]
        if not (
            isinstance(gain, list)
            and len(gain) == 2
            and isinstance(gain[0], str)
            and type(gain[1]) in (int, float)
        ):
            raise wrong_type(f"{place}.gain", "[kind, value]", gain)
        try:
            fields["gain"] = Gain(gain[0], gain[1])
        except (ArchitectureError, OverflowError) as error:
            what = error.what if isinstance(error, ArchitectureError) else "The gain is too large."
            fix = error.fix if isinstance(error, ArchitectureError) else None
            raise ArchitectureError(what, where=f"{place}.gain", fix=fix) from None
    return fields


def _refuse_cycle(edges: list[Edge], where: str) -> None:
    """Print a cycle where there is one; a mere backward edge is refused by the architecture."""
    if all(edge.source < edge.target for edge in edges):
        return
    import networkx as nx

    graph = nx.DiGraph((edge.source, edge.target) for edge in edges)
    try:
        cycle = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return
    shown = "→".join(str(edge[0]) for edge in cycle[:20]) + f"→{cycle[0][0]}"
    raise TopologyError(
        f"The graph has a cycle: {shown}.",
        where=where.rstrip(".") or None,
        fix="Remove one of its edges.",
    )


def _count(totals: list[int], num_nodes: int, num_edges: int, where: str) -> None:
    totals[0] += num_nodes
    totals[1] += num_edges
    if totals[0] > MAX_NODES or totals[1] > MAX_EDGES:
        raise ArchitectureError(
            f"The architecture has more than {MAX_NODES:,} nodes or {MAX_EDGES:,} edges "
            f"(at least {totals[0]:,} and {totals[1]:,}).",
            where=where.rstrip(".") or None,
            fix="Use fewer; what stands several times can be a cell that is named as a motif.",
        )


def _too_deep(where: str) -> ArchitectureError:
    return ArchitectureError(
        f"Cells are nested deeper than {MAX_DEPTH} levels.",
        where=where.rstrip(".")[:200] or None,
        fix="Flatten cells that hold one cell only, or nest fewer.",
    )

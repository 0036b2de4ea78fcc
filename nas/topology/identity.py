"""Which architectures are the same network: three ids, each exact.

- `structural_id`: wiring and operations, simplified. Two architectures have one exactly when they
  are the same network up to renaming.
- `sharing_id`: the same, and which instances share weights (`Node.tie`).
- `executed_id`: as it runs, unsimplified: dead edges, identities and dead nodes count, since a
  device runs them too. Latencies are replayed by it.

Results of training are replayed by `trained_id`, which is one of the first two.

An id is a letter, the version of the scheme, and 24 hexadecimal digits of the SHA-256 of the
canonical form. Names and `wiring` are in none of them, and no id depends on the process, its hash
seed or the version of Python. The version changes whenever the same network would get another id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from nas.topology.canonical import LabelledGraph, canonical_form
from nas.topology.canonical_batch import canonical_forms
from nas.topology.executed import executed_graph
from nas.topology.graph import Architecture
from nas.topology.graph_batch import GraphBatch
from nas.topology.simplify import simplify

SCHEME = 1
"""Version of the three ids."""

DIGITS = 24


def is_current(identity: str) -> bool:
    """Tell whether an id was made by this version of the scheme, so that it can be compared."""
    return identity[1:].startswith(f"{SCHEME}-")


@lru_cache(maxsize=16_384)
def structural_id(architecture: Architecture) -> str:
    """Return the id of the network: equal exactly for equal networks up to renaming.

    Raises:
        ArchitectureError: If an operation, merge or transform is unknown.
    """
    return _identifier("s", simplify(architecture))


@lru_cache(maxsize=16_384)
def sharing_id(architecture: Architecture) -> str:
    """Return the id of the network and of which of its instances share weights.

    Raises:
        ArchitectureError: If an operation, merge or transform is unknown.
    """
    return _identifier("w", simplify(architecture, sharing=True))


@lru_cache(maxsize=16_384)
def executed_id(architecture: Architecture) -> str:
    """Return the id of what a device runs, whatever its effect on the output.

    Raises:
        ArchitectureError: If an operation, merge or transform is unknown.
    """
    return _identifier("x", executed_graph(architecture))


def trained_id(architecture: Architecture) -> str:
    """Return the id by which results of training are replayed.

    Networks that share weights among their nodes train differently from those that do not, so
    they go by their sharing id; all others by their structural id.

    Raises:
        ArchitectureError: If an operation, merge or transform is unknown.
    """
    return sharing_id(architecture) if shares_weights(architecture) else structural_id(architecture)


@lru_cache(maxsize=16_384)
def shares_weights(architecture: Architecture) -> bool:
    """Tell whether nodes share weights, at any level."""
    ties = [node.tie for node in architecture.nodes if node.tie is not None]
    cells = (node.cell for node in architecture.nodes if node.cell is not None)
    return len(set(ties)) < len(ties) or any(map(shares_weights, cells))


def structural_ids(architectures: Sequence[Architecture]) -> list[str]:
    """Return the structural id of every architecture, as `structural_id` does.

    Raises:
        ArchitectureError: If an operation, merge or transform is unknown.
    """
    graphs = {architecture: simplify(architecture) for architecture in dict.fromkeys(architectures)}
    distinct = list(dict.fromkeys(graphs.values()))  # members of a small space simplify to few
    known = dict(zip(distinct, graph_ids(distinct), strict=True))
    return [known[graphs[architecture]] for architecture in architectures]


def graph_ids(graphs: Sequence[LabelledGraph] | GraphBatch, letter: str = "s") -> list[str]:
    """Return the id of every labelled graph: equal exactly for graphs equal up to renaming.

    Args:
        graphs: Graphs of any sizes, or a batch of equally sized ones.
        letter: Kind of id; `s` gives the structural id of architectures that simplify to these.

    Raises:
        TopologyError: If a graph has a cycle or an edge to a vertex that is not there.
    """
    prefix = f"{letter}{SCHEME}-"
    return [prefix + _digits(form) for form in canonical_forms(graphs)]


def _identifier(letter: str, graph: LabelledGraph) -> str:
    return f"{letter}{SCHEME}-{_digits(canonical_form(graph))}"


def _digits(form: bytes) -> str:
    return hashlib.sha256(form).hexdigest()[:DIGITS]

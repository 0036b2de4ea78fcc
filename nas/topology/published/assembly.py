"""Writing a network down node by node, and the checks that the families share."""

from __future__ import annotations

from typing import Literal, final

from nas.errors import ConfigError
from nas.topology.facts import Link
from nas.topology.graph import Architecture, Edge, Node

Source = int | tuple[int, str | Link]
"""A node; or a node and the transform, or all fields, of the edge that leaves it."""

MAX_LAYERS = 1500
MAX_WIDTH = 4096
MAX_STAGES = 8


@final
class Assembly:
    """Nodes and edges of a network under construction; node 0 is the input."""

    def __init__(self) -> None:
        self._nodes = [Node(name="input")]
        self._edges: list[Edge] = []

    def add(
        self,
        name: str,
        operation: str,
        *sources: Source,
        width: int | None = None,
        stride: int = 1,
        merge: str = "sum",
    ) -> int:
        """Append a node and return its number.

        Args:
            name: Unique label.
            operation: Registered operation.
            sources: What it reads.
            width: Output channels; None keeps those of the input.
            stride: Stride of the operation.
            merge: How several sources become one tensor.
        """
        number = len(self._nodes)
        node = Node(operation, merge=merge, width=width, stride=stride, name=name)
        self._nodes.append(node)
        for source in sources:
            start, link = source if isinstance(source, tuple) else (source, Link())
            link = Link(link) if isinstance(link, str) else link
            self._edges.append(Edge(start, number, link.transform, link.port, link.part, link.gain))
        return number

    def architecture(
        self, pattern: str, stages: int, head: Literal["classifier", "none"] = "classifier"
    ) -> Architecture:
        """Return what was built, labelled as `stages` stages of one pattern."""
        label = (pattern,) * stages
        return Architecture(tuple(self._nodes), tuple(self._edges), label, head=head)


def check_range(family: str, option: str, value: int, low: int, high: int) -> None:
    """Refuse an option outside its range.

    Raises:
        ConfigError: If `value` is below `low` or above `high`.
    """
    if not low <= value <= high:
        raise ConfigError(
            f"{family}: '{option}' is {value}, but must be {low} to {high}.",
            fix=f"The nearest is {option}={min(max(value, low), high)}.",
        )


def layers_per_stage(family: str, depth: int, stages: int, step: int, offset: int) -> int:
    """Return n of a network whose depth is `step * stages * n + offset`, n at least 1.

    Raises:
        ConfigError: If the stages are out of range or no n gives this depth; the message names
            the nearest depths.
    """
    check_range(family, "stages", stages, 1, MAX_STAGES)
    block = step * stages
    if depth > MAX_LAYERS:
        check_range(family, "depth", depth, block + offset, MAX_LAYERS)
    layers, rest = divmod(depth - offset, block)
    if layers < 1 or rest:
        lower = max(layers, 1) * block + offset
        near = [lower] if layers < 1 else [lower, lower + block]
        raise ConfigError(
            f"{family}: 'depth' is {depth}, but a depth is {block}n + {offset} "
            f"with {stages} stages.",
            fix=f"The nearest: {' or '.join(f'depth={value}' for value in near)}.",
        )
    return layers

"""Writing a network down node by node, and the checks that the families share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar, final

from nas.errors import ConfigError
from nas.registry import suggest
from nas.topology.facts import Link
from nas.topology.graph import Architecture, Edge, Node

Source = int | tuple[int, str | Link]
"""A node; or a node and the transform, or all fields, of the edge that leaves it."""

Key = TypeVar("Key", int, str)
Value = TypeVar("Value")

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


def check_range(family: str, option: str, value: float, low: float, high: float) -> None:
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


def check_percent(family: str, option: str, value: float) -> int:
    """Return a probability in percent.

    Raises:
        ConfigError: If it is below 0, above 0.99 or no whole percent.
    """
    check_range(family, option, value, 0, 0.99)
    percent = round(100 * value)
    if abs(100 * value - percent) > 1e-9:
        raise ConfigError(
            f"{family}: '{option}' is {value}, but must be a whole percent.",
            fix=f"The nearest is {option}={percent / 100}.",
        )
    return percent


def choose(family: str, option: str, value: Key, known: Mapping[Key, Value]) -> Value:
    """Return what an option stands for.

    Raises:
        ConfigError: If `value` is not known; the message names the nearest number or word.
    """
    if value in known:
        return known[value]
    if isinstance(value, int):
        near: object = min(known, key=lambda entry: abs(int(entry) - int(value)))
        hint = f"The nearest is {option}={near}."
    else:
        near = suggest(value, [str(entry) for entry in known])
        hint = f"Did you mean {option}={near}?" if near else f"Write one of them after {option}=."
    raise ConfigError(
        f"{family}: '{option}' is {value}, but must be one of {', '.join(map(str, known))}.",
        fix=hint,
    )


def share(channels: int, percent: int, multiple: int = 1) -> int:
    """Return `percent` of the channels, rounded down to a multiple, at least one multiple."""
    return max(multiple, channels * percent // 100 // multiple * multiple)

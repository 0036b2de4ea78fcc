"""What a node can compute, as data: one file per family, registered by name, or written as text.

An `Operation` is a sequence of primitive layers and a few facts that identity, costs, the supernet
and the compiler read. `nas.model` builds its module from the layers; nothing else is needed for a
new operation than a file here (or in a plugin module) that calls `operation(...)`. An operation
without a name of its own is written as a row of layers, `bn+relu+conv3x3.g32`: see
`nas.topology.operation_rows`. A row has exactly one accepted spelling, so equal names are equal
operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.errors import ArchitectureError, ConfigError, NotFoundError
from nas.registry import Paper, Registry
from nas.topology.layers import AbstractLayer, AbstractNorm, Shape
from nas.topology.operation_rows import bad_row, looks_written, read_row

MAX_SIDE = 65_536
"""Largest resolution inside an operation."""


@final
@dataclass(frozen=True)
class Operation:
    """A named sequence of layers.

    Args:
        name: Registered name, such as `conv3x3`, or the row of layers as text.
        layers: Primitive layers in order of execution; none for the identity.
        zero: True if the operation yields zeros whatever it reads (an absent edge).
    """

    name: str
    layers: tuple[AbstractLayer, ...] = ()
    zero: bool = False

    @property
    def identity(self) -> bool:
        """Whether the operation returns its input unchanged."""
        return not self.layers and not self.zero

    @property
    def parametric(self) -> bool:
        """Whether the operation owns weights (the count is positive for any width)."""
        return any(layer.parametric for layer in self.layers)

    @property
    def repeatable(self) -> bool:
        """Whether two nodes that apply it to one tensor compute one value."""
        return not self.parametric and not any(layer.random for layer in self.layers)

    @property
    def normalised(self) -> bool:
        """Whether the output passed a norm, so that the scale of the input is lost."""
        return any(isinstance(layer, AbstractNorm) for layer in self.layers)

    @property
    def keeps_channels(self) -> bool:
        """Whether output channels always equal input channels (pooling, identity, rectifier)."""
        probes = ((2, 5), (3, 7))
        return all(
            layer.channels(channels, width) == channels
            for layer in self.layers
            for channels, width in probes
        )

    @property
    def can_stride(self) -> bool:
        """Whether one of its layers carries a stride."""
        return any(layer.strided for layer in self.layers)

    def shapes(self, shape: Shape, width: int, stride: int) -> tuple[Shape, ...]:
        """Return the input shape of every layer, and the output shape last.

        Raises:
            ArchitectureError: If a layer cannot read what reaches it (groups that do not divide
                the channels), or a resolution grows beyond `MAX_SIDE`.
        """
        shapes = [shape]
        for layer in self.layers:
            refusal = layer.refusal(shapes[-1][0], width)
            if refusal is not None:
                raise ArchitectureError(f"'{self.name}': {refusal[0]}.", fix=refusal[1])
            shapes.append(layer.output(shapes[-1], width, stride))
            if max(shapes[-1][1:]) > max(MAX_SIDE, *shape[1:]):
                raise ArchitectureError(
                    f"'{self.name}': the resolution grows to {shapes[-1][1]}x{shapes[-1][2]}.",
                    fix=f"Keep it at {MAX_SIDE} or below: use fewer or smaller upsamplings.",
                )
        return tuple(shapes)

    def parameters(self, shape: Shape, width: int, stride: int = 1) -> int:
        """Return the trainable numbers at this input shape and width."""
        shapes = self.shapes(shape, width, stride)
        return sum(
            layer.at(entry).parameters(entry[0], width)
            for layer, entry in zip(self.layers, shapes, strict=False)
        )

    def macs(self, shape: Shape, width: int, stride: int = 1) -> int:
        """Return the multiply-adds on one image."""
        shapes = self.shapes(shape, width, stride)
        return sum(
            layer.macs(entry, width, stride)
            for layer, entry in zip(self.layers, shapes, strict=False)
        )


@final
class OperationRegistry(Registry[Operation]):
    """Operations by registered name, and every well-formed row of layers by its text.

    Iteration and `names` give the registered ones only.
    """

    def __init__(self) -> None:
        super().__init__("operation", package=__name__)
        self._written: dict[str, Operation | NotFoundError] = {}

    def add(self, name: str, entry: Operation, paper: Paper | None = None) -> None:
        """File an operation under its name; a taken name is an error."""
        super().add(name, entry, paper)
        self._written.clear()  # a row may have got a name

    def get(self, name: str) -> Operation:
        """Return a registered operation, or the one that a row of layers describes.

        Raises:
            NotFoundError: If it is neither; the message names the part of the row that is wrong.
        """
        self.load()
        known = self._entries.get(name)
        if known is not None:
            return known
        found = self._read(name)
        if isinstance(found, NotFoundError):
            raise NotFoundError(found.what, why=found.why, fix=found.fix)
        return found

    def __contains__(self, name: object) -> bool:
        self.load()
        if name in self._entries:
            return True
        return isinstance(name, str) and isinstance(self._read(name), Operation)

    def unknown(self, name: str) -> NotFoundError:
        """Build the error for a name that is not here, or for a row that is malformed."""
        if looks_written(name):
            found = self._read(name)
            if isinstance(found, NotFoundError):
                return NotFoundError(found.what, why=found.why, fix=found.fix)
        return super().unknown(name[:80])

    def paper(self, name: str) -> Paper | None:
        """Return the source of a registered operation; a written one has none."""
        self.get(name)
        return self._papers.get(name)

    def _read(self, name: str) -> Operation | NotFoundError:
        if name not in self._written:
            if len(self._written) > 10_000:  # a server may see any number of names
                self._written.clear()
            self._written[name] = self._parse(name)
        return self._written[name]

    def _parse(self, name: str) -> Operation | NotFoundError:
        if not looks_written(name):
            return super().unknown(name[:80])
        row = read_row(name)
        if isinstance(row, NotFoundError):
            return row
        for known, entry in self._entries.items():
            if entry.layers == row.layers:
                return bad_row(
                    name, "is another spelling of a named operation", f"Write '{known}'."
                )
        if row.text != name:
            return bad_row(name, "is not the spelling of this row", _way_out(name, row.text))
        return Operation(name, row.layers)


OPERATIONS = OperationRegistry()


def _way_out(name: str, spelling: str) -> str:
    if spelling == f"{name}.s":  # most who write the name of a kernel want what follows it too
        return f"Write '{spelling}' for the bare convolution, or '{name}+bn+relu'."
    return f"Write '{spelling}'."


def operation(
    name: str, *layers: AbstractLayer, paper: Paper | None = None, zero: bool = False
) -> Operation:
    """Register and return the operation `name` made of `layers`.

    Raises:
        ConfigError: If the name is taken.
    """
    entry = Operation(name, tuple(layers), zero)
    OPERATIONS.add(name, entry, paper)
    return entry


def row_name(text: str) -> str:
    """Return the one accepted name of a row of layers, for code that puts rows together.

    `conv3x3+bn+relu` is `conv3x3`, `conv3x3.s+bn+relu6` is `conv3x3+bn+relu6`. Names of registered
    operations stay as they are.

    Raises:
        ConfigError: If the row is malformed.
    """
    OPERATIONS.load()
    if text in OPERATIONS:
        return text
    row = read_row(text)
    if isinstance(row, NotFoundError):
        raise ConfigError(row.what, why=row.why, fix=row.fix)
    for known in OPERATIONS:
        if OPERATIONS.get(known).layers == row.layers:
            return known
    return row.text

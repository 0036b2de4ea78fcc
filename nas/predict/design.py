"""From counted features to a matrix: one column per thing a latency may be additive over.

Every column is in rough milliseconds (`nas.predict.features.ROUGH`), so that a weight of 1 on the
four core columns is the untrained guess and weights of all columns are of one order. Columns belong
to blocks, which share one prior spread each: the totals (`core`), the longest path (`path`), each
operation by name (`group`), each piece at its shapes (`piece`), and the same of what a compiler
would leave (`live`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from nas.cost.pieces import Piece
from nas.predict.features import ROUGH, Counts, NetworkFeatures

Floats = NDArray[np.float64]

CONSTANT_MS = 0.05
PIECE_MS = ROUGH.ms_per_piece
MACS_MS = 1e-9 * ROUGH.ms_per_gmac
BYTES_MS = 1e-9 * ROUGH.ms_per_gbyte

Column = tuple[str, str]
"""Block and name."""

_SCALARS: dict[Column, Callable[[NetworkFeatures], float]] = {
    ("core", "constant"): lambda own: CONSTANT_MS,
    ("core", "pieces"): lambda own: PIECE_MS * _count(own.executed),
    ("core", "macs"): lambda own: MACS_MS * own.macs,
    ("core", "bytes"): lambda own: BYTES_MS * own.bytes,
    ("path", "critical_macs"): lambda own: MACS_MS * own.critical_macs,
    ("path", "critical_pieces"): lambda own: PIECE_MS * own.critical_pieces,
    ("path", "depth"): lambda own: PIECE_MS * own.depth,
    ("live", "any"): lambda own: CONSTANT_MS * (own.critical_pieces > 1),
    ("live", "pieces"): lambda own: PIECE_MS * _count(own.live),
    ("live", "macs"): lambda own: MACS_MS * sum(n * piece.macs for piece, n in own.live),
    ("live", "bytes"): lambda own: BYTES_MS * sum(n * piece.bytes for piece, n in own.live),
}
SCALAR_COLUMNS: tuple[Column, ...] = tuple(_SCALARS)


def _count(counts: Counts) -> int:
    return sum(number for _, number in counts)


@final
@dataclass(frozen=True)
class Design:
    """The columns of a fit: scalars, operations and pieces seen in its networks.

    Args:
        scalars: Some of `SCALAR_COLUMNS`.
        pieces: Pieces with a column of their own; none for an ablation.
    """

    scalars: tuple[Column, ...]
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, networks: Iterable[NetworkFeatures]) -> Design:
        """Return the design with a column for everything that occurs in `networks`."""
        found = {piece for own in networks for piece, _ in own.executed}
        return cls(SCALAR_COLUMNS, tuple(sorted(found, key=repr)))

    @cached_property
    def groups(self) -> tuple[tuple[str, str], ...]:
        """Kind and name of every operation, adapter and merge."""
        return tuple(sorted({(piece.kind, piece.name) for piece in self.pieces}))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Block and name of every column, in order."""
        own = list(self.scalars)
        for block in ("group", "live"):
            for kind, name in self.groups:
                own += [(block, f"{kind} {name} {what}") for what in ("pieces", "macs", "bytes")]
        for block in ("piece", "live"):
            own += [(block, repr(piece)) for piece in self.pieces]
        return tuple(own)

    @cached_property
    def constants(self) -> list[int]:
        """Return the columns that do not depend on a network's pieces."""
        plain = (("core", "constant"), ("live", "any"))
        return [index for index, column in enumerate(self.columns) if column in plain]

    def block(self, *names: str) -> Floats:
        """Return 1 for the columns of the named blocks and 0 for the others."""
        return np.array([float(block in names) for block, _ in self.columns])

    def matrix(self, networks: Sequence[NetworkFeatures]) -> Floats:
        """Return one row per network; pieces without a column count in the totals alone.

        Returns:
            `(networks, columns)`, in rough milliseconds.
        """
        scalars = np.array(
            [[_SCALARS[column](own) for column in self.scalars] for own in networks]
        ).reshape(len(networks), len(self.scalars))
        if not self.pieces:
            return scalars
        executed = self._counts([own.executed for own in networks])
        live = self._counts([own.live for own in networks])
        return np.hstack(
            [
                scalars,
                executed @ self._by_group,
                live @ self._by_group,
                executed * self._rough,
                live * self._rough,
            ]
        )

    def unknown_share(self, own: NetworkFeatures) -> float:
        """Return which share of a network's rough time its unseen pieces have, 0 to 1."""
        known = set(self.pieces)
        missing = sum(n * ROUGH(piece) for piece, n in own.executed if piece not in known)
        return missing / own.rough_ms if self.pieces else 0.0

    def _counts(self, rows: Sequence[Counts]) -> Floats:
        place = {piece: index for index, piece in enumerate(self.pieces)}
        counts = np.zeros((len(rows), len(self.pieces)))
        for row, own in enumerate(rows):
            for piece, number in own:
                index = place.get(piece)
                if index is not None:
                    counts[row, index] = number
        return counts

    @cached_property
    def _rough(self) -> Floats:
        return np.array([ROUGH(piece) for piece in self.pieces])

    @cached_property
    def _by_group(self) -> Floats:
        """What one of each piece adds to its group's columns, `(pieces, 3 * groups)`."""
        place = {group: index for index, group in enumerate(self.groups)}
        added = np.zeros((len(self.pieces), len(self.groups), 3))
        for row, piece in enumerate(self.pieces):
            own = (PIECE_MS, MACS_MS * piece.macs, BYTES_MS * piece.bytes)
            added[row, place[piece.kind, piece.name]] = own
        return added.reshape(len(self.pieces), -1)


def interaction_inputs(networks: Sequence[NetworkFeatures]) -> Floats:
    """Return what the smooth correction reads: sizes and shapes of whole networks, in logarithms.

    Returns:
        `(networks, 6)`, without unit.
    """
    rows = [
        (
            np.log(own.macs + 1.0),
            np.log(own.bytes + 1.0),
            np.log(_count(own.executed) + 1.0),
            own.critical_macs / (own.macs + 1.0),
            own.critical_pieces / (_count(own.executed) + 1.0),
            _count(own.live) / (_count(own.executed) + 1.0),
        )
        for own in networks
    ]
    return np.array(rows).reshape(len(networks), 6)

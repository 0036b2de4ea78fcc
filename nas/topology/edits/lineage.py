"""Where an architecture comes from: a parent and the edits that led from it, to be replayed.

Edits speak of nodes by number, so a lineage holds two ids of its parent: the structural id, which
other records know it by, and a digest of the very graph, numbers and names included, which is what
a replay needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, final

from nas.errors import ArchitectureError
from nas.topology.edits.base import AbstractEdit
from nas.topology.edits.files import dump_edit, load_edit
from nas.topology.graph import Architecture
from nas.topology.identity import structural_id
from nas.topology.serial import architecture_text

SCHEMA = "nas.lineage/1"


@final
@dataclass(frozen=True)
class Lineage:
    """A parent and the edits that made a child of it.

    Args:
        parent: Structural id of the parent.
        digest: SHA-256 of the parent's JSON.
        edits: In the order in which they were applied.
    """

    parent: str
    digest: str
    edits: tuple[AbstractEdit, ...] = ()

    @classmethod
    def of(cls, parent: Architecture, edits: Iterable[AbstractEdit] = ()) -> Lineage:
        """Return the lineage of what the edits make of a parent."""
        return cls(structural_id(parent), graph_digest(parent), tuple(edits))

    def replay(self, parent: Architecture) -> Architecture:
        """Return the child.

        Args:
            parent: The architecture that the edits were recorded on.

        Raises:
            ArchitectureError: If it is another one.
        """
        if graph_digest(parent) != self.digest:
            same = structural_id(parent) == self.parent
            other = "numbered or named otherwise" if same else "another network"
            raise ArchitectureError(
                f"This is not the parent that the edits were recorded on: it is {other}.",
                why=f"They were recorded on {self.parent}, and speak of nodes by number.",
                fix="Replay on the very file that was edited.",
            )
        child = parent
        for edit in self.edits:
            child = edit.apply(child)
        return child

    def undo(self, parent: Architecture) -> tuple[AbstractEdit, ...]:
        """Return the edits that lead from the child back to the parent, in order."""
        back: list[AbstractEdit] = []
        for edit in self.edits:
            back.append(edit.undo(parent))
            parent = edit.apply(parent)
        return tuple(reversed(back))

    def dump(self) -> dict[str, Any]:
        """Return the lineage as plain JSON data."""
        return {
            "schema": SCHEMA,
            "parent": self.parent,
            "digest": self.digest,
            "edits": [dump_edit(edit) for edit in self.edits],
        }

    @classmethod
    def load(cls, data: Any) -> Lineage:
        """Read a lineage as `dump` wrote it.

        Raises:
            ArchitectureError: If it is malformed.
        """
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise ArchitectureError(
                f"A lineage is a JSON object with the schema '{SCHEMA}'.",
                fix=f'Start with {{"schema": "{SCHEMA}", "parent": ..., "edits": [...]}}.',
            )
        texts = [data.get(key) for key in ("parent", "digest")]
        edits = data.get("edits")
        if set(data) != {"schema", "parent", "digest", "edits"} or not isinstance(edits, list):
            raise ArchitectureError(
                f"A lineage has the keys schema, parent, digest and edits, not {sorted(data)}.",
                fix="Give a file that `nas arch edit --lineage` wrote, as it was written.",
            )
        if not all(isinstance(text, str) for text in texts):
            raise ArchitectureError(
                "The parent and the digest of a lineage are text.",
                fix="Give a file that `nas arch edit --lineage` wrote, as it was written.",
            )
        loaded = (load_edit(edit, f"edits[{index}]") for index, edit in enumerate(edits))
        return cls(str(texts[0]), str(texts[1]), tuple(loaded))


def graph_digest(architecture: Architecture) -> str:
    """Return the SHA-256 of the graph as JSON, numbers and names of nodes included."""
    text = architecture_text(replace(architecture, wiring=()))
    return hashlib.sha256(text.encode()).hexdigest()

"""Runs that were read: kept as long as their logs stand still, so that a run is read once."""

from __future__ import annotations

from typing import Any, final

from nas.run_store import Run

from .addresses import Address
from .folder import Folder


@final
class Readings:
    """Makes documents.

    Args:
        folder: The folder of runs.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def document(self, address: Address) -> dict[str, Any]:
        """Return the document of an address.

        Raises:
            NasError: If the run cannot be read or has no such document.
        """
        if not address.runs:
            return {"runs": sorted(self._folder.names())}
        with Run.open(self._folder.run(address.runs[0])) as run:
            state = {"name": run.path.name, "state": run.state()}
            return {"seq": len(run.records()) - 1, "run": state}

"""Files of architectures: views, one per network, for who looks at a run with other tools.

The log holds every architecture with the first trial of it, and whatever reads a run takes it from
there. So these files do not wait for the disk, which would be most of what it costs to ask a trial.
What a power loss leaves of them may be empty, torn or missing: an owner compares all of them with
the log once, when views are made for the first time.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, final

from nas.errors import NasError
from nas.run_store.atomic import make_folder, read_bytes, write_bytes
from nas.run_store.layout import ARCHITECTURES, check_identity
from nas.run_store.records import Record

Fault = Literal["missing", "not what the log says"]

_ENDING: Final = ".json"


@final
class ArchitectureFiles:
    """The files of a run's architectures, as its log has them.

    Args:
        run_folder: The run.
    """

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / ARCHITECTURES
        self._followed = 0
        self._whole: set[str] = set()

    def follow(self, records: Sequence[Record]) -> list[str]:
        """Write the files that are missing or not what the log says; return their names.

        What this object found or made right is not looked at again. Only the owner of the run may
        call this.

        Args:
            records: All records of the run.

        Raises:
            RunError: If a record has an id that is no plain name, or something that is no folder
                stands where the files are to be.
            EnvironmentFault: If the disk is full or failing.
        """
        written = []
        for identity, text in _first_of_each(records[self._followed :], self._whole):
            file = self._file(identity)
            if _fault(file, text) is not None:
                make_folder(self._folder)
                write_bytes(file, text, synced=False)
                written.append(f"{ARCHITECTURES}/{file.name}")
            self._whole.add(identity)
        self._followed = len(records)
        return written

    def faults(self, records: Iterable[Record]) -> dict[Fault, list[str]]:
        """Return what is wrong with the files, with the ids of the architectures concerned.

        Args:
            records: All records of the run.

        Raises:
            RunError: If a record has an id that is no plain name.
        """
        found: dict[Fault, list[str]] = {}
        for identity, text in _first_of_each(records, ()):
            fault = _fault(self._file(identity), text)
            if fault is not None:
                found.setdefault(fault, []).append(identity)
        return found

    def _file(self, identity: str) -> Path:
        return self._folder / (check_identity(identity) + _ENDING)


def _first_of_each(records: Iterable[Record], known: Container[str]) -> Iterator[tuple[str, bytes]]:
    """Yield id and text of every architecture; trials may write one network differently."""
    seen: set[str] = set()
    for record in records:
        identity, architecture = record.get("architecture_id"), record.get("architecture")
        if record["kind"] != "trial_asked" or not isinstance(architecture, dict):
            continue
        if isinstance(identity, str) and identity not in seen and identity not in known:
            seen.add(identity)
            yield identity, _text(architecture)


def _text(architecture: Record) -> bytes:
    """Return an architecture as `nas.topology.serial.architecture_text` writes it."""
    return json.dumps(architecture, separators=(",", ":"), sort_keys=True).encode("ascii")


def _fault(file: Path, text: bytes) -> Fault | None:
    try:
        return None if read_bytes(file) == text else "not what the log says"
    except FileNotFoundError:
        return "missing"
    except NasError:  # a link, a folder, a disk that cannot read it
        return "not what the log says"

"""Measurements on their way to a profile: a line of JSON each, on disk before the next begins.

The file lies beside the profile it will become and goes when that is written. A process that is
killed loses the measurement it was at; a line torn by a power cut is dropped. The first line says
what is being built, so that measurements of two builds never end up in one profile.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from pydantic import BaseModel, ValidationError

from nas.errors import ConfigError
from nas.predict.profile import MAXIMUM_BYTES, Measurement
from nas.run_store.atomic import storage_fault, sync_folder, write_all

SUFFIX = ".partial"
HEADER_BYTES = 100_000
MAXIMUM_REFERENCE_MS = 1e6


@final
class Line(BaseModel, frozen=True, extra="forbid"):
    """One measurement, and which network of the plan it is of."""

    network: str
    """Its `executed_id`."""

    measurement: Measurement


def _beside(profile: Path) -> Path:
    return profile.with_name(profile.name + SUFFIX)


def earlier_reference(profile: Path) -> float | None:
    """Return the reference's own time that a killed build has established, None if there is none.

    Whatever else the file holds is checked when it is opened.

    Args:
        profile: Path of the profile that was being built.
    """
    try:
        with _beside(profile).open("rb") as file:
            found = json.loads(file.readline(HEADER_BYTES))["reference_ms"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    is_time = type(found) is float and 0 < found < MAXIMUM_REFERENCE_MS
    return found if is_time else None


@final
class MeasuredLines:
    """The file of one build.

    Args:
        profile: Path of the profile that is being built.
        header: What tells this build from another; plain data.

    Raises:
        ConfigError: If the file belongs to another build, is no such file, or another process
            writes it.
        EnvironmentFault: If the folder cannot be written.
    """

    def __init__(self, profile: Path, header: Mapping[str, Any]) -> None:
        self.path = _beside(profile)
        self.found: dict[str, Measurement] = {}
        self.header = dict(header)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(
                self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            try:
                self._begin()
            except BaseException:
                self.close()
                raise
        except OSError as error:
            raise storage_fault(error, f"write {self.path.name}", self.path) from error

    def _begin(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"Another process is building this profile: it writes {self.path}.",
                fix="Wait for it, or write elsewhere with -o.",
            ) from None
        if not self._read():
            self._append(self.header)
            sync_folder(self.path.parent)

    def add(self, network: str, measurement: Measurement) -> None:
        """Keep one measurement durably.

        Raises:
            EnvironmentFault: If the disk is full.
        """
        line = Line(network=network, measurement=measurement)
        try:
            self._append(line.model_dump(mode="json"))
        except OSError as error:
            raise storage_fault(error, f"write {self.path.name}", self.path) from error
        self.found[network] = measurement

    def close(self) -> None:
        """Close the file; it stays, to go on from."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Remove the file: the profile is written."""
        self.path.unlink(missing_ok=True)

    def _append(self, data: Mapping[str, Any]) -> None:
        text = json.dumps(data, allow_nan=False, separators=(",", ":"))
        write_all(self._descriptor, text.encode() + b"\n")
        os.fsync(self._descriptor)

    def _read(self) -> bool:
        """Take over what an earlier process measured, if one has; cut off a torn last line."""
        with self.path.open("rb") as file:
            raw = file.read(MAXIMUM_BYTES)
        whole = raw[: raw.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", errors="replace").splitlines()
        if not lines:
            os.ftruncate(self._descriptor, 0)
            return False
        self._check_header(lines[0])
        for number, text in enumerate(lines[1:], start=2):
            try:
                line = Line.model_validate_json(text, strict=True)
            except ValidationError as error:
                raise ConfigError(
                    f"Line {number} of {self.path} is no measurement: {error.errors()[0]['msg']}.",
                    where=f"{self.path}:{number}",
                    fix=f"Remove the file to begin anew: {self.path}",
                ) from None
            self.found[line.network] = line.measurement
        if len(whole) < len(raw):
            os.ftruncate(self._descriptor, len(whole))
        return True

    def _check_header(self, text: str) -> None:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.keys() != self.header.keys():
            raise ConfigError(
                f"{self.path} holds no measurements of a profile that is being built.",
                fix="Remove it, or write the profile elsewhere with -o.",
            )
        differing = [key for key in self.header if found[key] != self.header[key]]
        if differing:
            raise ConfigError(
                f"{self.path} holds measurements of another build: its {differing[0]} is "
                f"{found[differing[0]]}, now it is {self.header[differing[0]]}.",
                why="Measurements of two builds in one profile would contradict each other.",
                fix="Give the settings it was begun with, remove it, or write elsewhere with -o.",
            )

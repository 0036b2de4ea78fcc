"""Files that need torch: made by `nas arch export` in one child process at a time, and kept.

The server itself never loads torch and never writes into a run; what a child makes lies in a folder
of the server's own that goes when it ends. No code of a run is started from the browser: a run that
names plugins is exported by hand.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Hashable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

from nas.errors import EnvironmentFault, NasError, NotFoundError, RunError
from nas.foreign_code import NO_CODE

CARD: Final = "README.md"
"""The model card's name in an archive."""

HEAVY: Final[Mapping[str, str]] = {
    "onnx": "onnx",
    "torch-export": "torch-export",
    "source": "source",
    "card": "json",
}
"""Name of a download to the format of `nas arch export` that makes it."""

COMMAND: Final = (sys.executable, "-P", "-m", "nas", "arch", "export")
"""`nas arch export` of this Python; modules in the current folder, which may be one of runs, are no
part of it."""

LONGEST_S: Final = 300.0
LARGEST: Final = 512 << 20
MOST_KEPT: Final = 16
MOST_WAITING: Final = 8
_LONGEST_TALK: Final = 1 << 16


@final
class Exports:
    """Exported networks, by what they were made from.

    Args:
        longest_s: Seconds a child may take.
        command: What makes a file: `nas arch export` of this Python.
    """

    def __init__(
        self,
        longest_s: float = LONGEST_S,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self._longest_s = longest_s
        self._command = command
        self._one = asyncio.Lock()
        self._waiting = 0
        self._folder: Path | None = None
        self._kept: dict[str, Path] = {}

    async def archive(self, run: Path, trial: int, format_: str, state: Hashable) -> Path:
        """Return an archive with the network of a trial and its model card.

        Args:
            run: Folder of the run.
            trial: Number of the trial.
            format_: A key of `HEAVY`.
            state: What tells one state of the run from another.

        Raises:
            RunError: If the export says no; its words are told.
            EnvironmentFault: If it takes too long, or too many wait already.
        """
        told = repr((str(run), trial, HEAVY[format_], state))
        key = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        if self._waiting >= MOST_WAITING:
            raise EnvironmentFault("Too many files are being made.", fix="Try again in a minute.")
        self._waiting += 1
        try:
            async with self._one:
                if key not in self._kept:
                    self._kept[key] = await self._made(key, run, trial, HEAVY[format_])
                return self._kept[key]
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Remove everything that was made."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _made(self, key: str, run: Path, trial: int, format_: str) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="nas-dash-"))
        while len(self._kept) >= MOST_KEPT:
            self._kept.pop(next(iter(self._kept))).unlink(missing_ok=True)
        path = self._folder / f"{key}.zip"
        options = ("--format", format_, "--output", str(path), "--", f"{run}:{trial}")
        try:
            code, said = await self._run(*self._command, *options)
        except BaseException:
            self._tidy()
            raise
        if code != 0 or not path.is_file():
            self._tidy()
            raise _refused(said)
        self._tidy(path)
        return path

    def _tidy(self, made: Path | None = None) -> None:
        """Remove what a child left beside what is kept: one that was ended tidies up nothing."""
        if self._folder is None or not self._folder.is_dir():
            return  # the server has ended meanwhile
        for left in set(self._folder.iterdir()) - {*self._kept.values(), made}:
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)

    async def _run(self, *command: str) -> tuple[int, str]:
        """Run a child in a group of its own; return its exit code and what it said on stderr."""
        assert self._folder is not None
        own = {"TMPDIR": str(self._folder), "OMP_NUM_THREADS": "1", NO_CODE: "1"}
        environment = {**os.environ, **own}
        with tempfile.TemporaryFile(dir=self._folder) as said:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=said,
                env=environment,
                start_new_session=True,
            )
            _restrain(child.pid)
            try:
                await asyncio.wait_for(child.wait(), self._longest_s)
            except TimeoutError:
                raise EnvironmentFault(
                    f"The file was not finished within {self._longest_s:g} s.",
                    fix="Type the command beside it in a terminal, where it may take longer.",
                ) from None
            finally:
                # Also on a stop of the server: no child outlives it.
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
            said.seek(max(0, said.seek(0, os.SEEK_END) - _LONGEST_TALK))
            return child.returncode or 0, said.read().decode("utf-8", "replace")


def card_of(archive: Path) -> bytes:
    """Return the model card in an archive.

    Raises:
        RunError: If there is none.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            name = next(name for name in opened.namelist() if name.endswith(CARD))
            return opened.read(name)
    except (OSError, StopIteration, zipfile.BadZipFile) as error:
        raise RunError("The export holds no model card.", fix="Export it by hand.") from error


def check_no_code(config: Mapping[str, Any]) -> None:
    """Refuse a run whose network only its own code can build.

    Raises:
        RunError: If its settings name plugins.
    """
    space = config.get("space")
    named = config.get("plugins") or (space.get("plugins") if isinstance(space, Mapping) else None)
    if named:
        raise RunError(
            "This run names plugins, and the dashboard starts no code of a run.",
            fix="Type the command beside it in a terminal, where you trust the run.",
        )


def _restrain(pid: int) -> None:
    """Let a child write no file that fills the disk, and step back for a search."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, 10)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (LARGEST, LARGEST))


def _refused(said: str) -> NasError:
    """Return what a child said as an error; its places are paths of this machine and stay here."""
    told: dict[str, str] = {}
    for line in said.splitlines():
        name, _, text = line.strip().partition(": ")
        if name in ("error", "fix"):
            told[name] = text
    what = told.get("error", "The network could not be exported.")
    kind = NotFoundError if "no trial" in what else RunError
    return kind(what[:500], fix=told.get("fix"))

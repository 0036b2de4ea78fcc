"""What travels with a job and says what it is to do: one small JSON file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, Self, final

from nas.cluster.begin import ORDER
from nas.config_files import load_document
from nas.errors import ConfigError, RunError
from nas.run_store.atomic import read_bytes
from nas.run_store.layout import LOG, check_slug

FOLDER: Final = "nas_submission"
"""Folder of a package that is no module of the user's."""

CONFIG: Final = "search.json"
CARRIED: Final = "run.tar.gz"


@final
@dataclass(frozen=True)
class LogState:
    """How far a log is.

    Args:
        length: Bytes of its whole records.
        sha256: Their hash.
    """

    length: int
    sha256: str

    @classmethod
    def of(cls, run: Path) -> Self:
        """Read it from the folder of a run; bytes behind the last whole record do not count."""
        data = read_bytes(run / LOG)
        return cls.of_bytes(data[: data.rfind(b"\n") + 1])

    @classmethod
    def of_bytes(cls, data: bytes) -> Self:
        """Return the state of a log with these bytes."""
        return cls(len(data), hashlib.sha256(data).hexdigest())

    def is_within(self, run: Path) -> bool:
        """Tell whether the log of a run begins with this one, and so knows all it knows."""
        data = read_bytes(run / LOG)
        return len(data) >= self.length and LogState.of_bytes(data[: self.length]) == self


@final
@dataclass(frozen=True, kw_only=True)
class Order:
    """What a job is to do.

    Args:
        verb: `search`: begin or go on with a run; `send`: write a run to the job's log.
        name: The run's name.
        nas: Version of nas that sent it.
        runs: Absolute folder of runs on the cluster; None takes the default there.
        config_sha256: Hash of the config that was sent; None goes on with whatever is there.
        arguments: Words for `nas search` and `nas resume`, such as `--time`, `2h`.
        more: Words for `nas resume` alone.
        copy: How far the sender's copy of the run is, if there is one.
        carried: Whether that copy is in the package.
    """

    verb: Literal["search", "send"]
    name: str
    nas: str
    runs: str | None = None
    config_sha256: str | None = None
    arguments: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    copy: LogState | None = None
    carried: bool = False

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(asdict(self), sort_keys=True, indent=1) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the file in a package.

        Raises:
            ConfigError: If it is not what a submission writes.
        """
        data = load_document(folder / ORDER).data
        try:
            copy = data["copy"]
            read = cls(
                **{
                    **data,
                    "arguments": tuple(map(str, data["arguments"])),
                    "more": tuple(map(str, data["more"])),
                    "copy": None if copy is None else LogState(**copy),
                }
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(
                f"{ORDER} is not what a submission writes: {error}.",
                where=str(folder / ORDER),
                fix="Send it with: nas submit",
            ) from error
        check_slug(read.name)
        return read


class CopyNeededError(RunError):
    """The sender's copy of a run is further than the one on the cluster, and was not sent along."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: the sender tries again with the copy

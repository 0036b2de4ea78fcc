"""Names inside a run folder, what makes a folder a run, and how its config is written."""

from __future__ import annotations

import copy
import difflib
import hashlib
import io
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nas.errors import ConfigError, NotFoundError, RunError
from nas.run_store.atomic import read_bytes

SCHEMA: Final = "nas.run"
VERSION: Final = 2

CONFIG: Final = "run.yaml"
ENVIRONMENT: Final = "environment.json"
LOCK: Final = "lock"
LEASE: Final = "lease"
LOG: Final = "trials.log"
NOTES: Final = "log.jsonl"
STOP: Final = "stop"
ARCHITECTURES: Final = "architectures"
WEIGHTS: Final = "weights"
TRAININGS: Final = "trainings"
"""Holds where trainings stand that have no end yet, a folder each."""

QUARANTINE: Final = "quarantine"
ORIGINALS: Final = "originals"
"""Holds what a run of an older format was before it was brought to the one of today."""

_PARTS: Final = (CONFIG, ENVIRONMENT, LOG)

BUILDING_PREFIX: Final = ".tmp-run-"
"""Begins the name of a run folder that is being built or removed beside the runs."""

REPLACED_PREFIX: Final = ".tmp-replaced-"
"""Before a run's name: its older copy, until the newer one has the name."""

RESERVED: Final = frozenset(
    {
        *(CONFIG, ENVIRONMENT, LOCK, LEASE, LOG, NOTES, STOP),
        *(ARCHITECTURES, WEIGHTS, TRAININGS, QUARANTINE, ORIGINALS),
    }
)
"""Names that no view may have."""

_DEVICES: Final = frozenset(
    {*("con", "nul", "aux", "prn"), *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)
"""Names that Windows, and disks shared with it, keep for devices."""

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VIEW: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_IDENTITY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_LARGEST_CONFIG: Final = 1 << 20


@final
class NewerFormatError(RunError):
    """A run of a format that a newer version of nas wrote."""


def schema(version: int) -> str:
    """Return what a run of a version of the format calls it."""
    return f"{SCHEMA}/{version}"


def head(name: str, created: str) -> dict[str, Any]:
    """Return what environment.json and the first record say of a run of the newest format."""
    return {"schema": schema(VERSION), "name": name, "created": created}


def typed(path: Path) -> str:
    """Return what to type for a run: its name in the usual folder, else its path, quoted."""
    usual = path.parent == Path("runs").absolute()
    return path.name if usual else shlex.quote(str(path))


def version_of(environment: Mapping[str, Any]) -> int:
    """Return the version of the format, from what `read_environment` returned."""
    return int(str(environment["schema"]).partition("/")[2])


def check_slug(name: str) -> str:
    """Return `name` if it can name a run.

    Raises:
        ConfigError: If it is not a slug.
    """
    if not isinstance(name, str) or not _SLUG.fullmatch(name):
        raise ConfigError(
            f"{_shown(name)} is not a name for a run: a name has 1 to 64 characters out of "
            "a-z, 0-9, '-' and '_', and begins with a letter or digit.",
            why="The name is a folder on every file system and part of web addresses.",
            fix="Choose another name, for example --name my-run-1.",
        )
    if name in _DEVICES:
        raise ConfigError(
            f"'{name}' is not a name for a run: Windows keeps it for a device.",
            why="A run can be copied to any disk, also to one shared with Windows.",
            fix=f"Choose another name, for example --name {name}-1.",
        )
    return name


def check_view_name(name: str) -> str:
    """Return `name` if a view may be written under it.

    Raises:
        RunError: If it is no plain file name, or belongs to the run itself.
    """
    if not _VIEW.fullmatch(name) or name in RESERVED:
        raise RunError(
            f"{_shown(name)} cannot be the name of a view.",
            why="A view is a plain lower-case file name beside the log and replaces none of the "
            f"run's own: {', '.join(sorted(RESERVED))}.",
            fix="Choose a name such as front.json.",
        )
    return name


def check_identity(name: str) -> str:
    """Return `name` if an architecture may be kept under it.

    Raises:
        RunError: If it is no plain file name.
    """
    if not _IDENTITY.fullmatch(name):
        raise RunError(
            f"{_shown(name)} is not the id of an architecture: letters, digits, '-', '_', '.', "
            "at most 128.",
            fix="Use the id that the architecture reports.",
        )
    return name


def _shown(name: object) -> str:
    # repr escapes newlines and control characters, so a name cannot forge output.
    shown = repr(name)
    return shown if len(shown) <= 100 else f"{shown[:96]}...{shown[-1]}"


def is_run(path: Path) -> bool:
    """Tell whether `path` looks like a run folder."""
    return path.is_dir() and (path / ENVIRONMENT).is_file() and (path / LOG).is_file()


def require_run(path: Path) -> None:
    """Check that `path` is a run folder with a log, whatever else is missing.

    Raises:
        NotFoundError: If there is nothing; runs with a similar name are listed.
        RunError: If it is not a run, or has no log.
    """
    if not path.exists():
        raise _no_such_run(path)
    missing = missing_parts(path)
    if len(missing) == len(_PARTS):
        raise RunError(
            f"'{path.name}' is not a run folder.",
            where=str(path),
            why=f"A run folder holds {CONFIG}, {ENVIRONMENT} and {LOG}.",
            fix="List the runs with `nas runs list`.",
        )
    if LOG in missing:
        raise incomplete(path, missing)


def missing_parts(path: Path) -> list[str]:
    """Return which of the files without which a run is not whole are not there."""
    return [name for name in _PARTS if not (path / name).is_file()]


def incomplete(path: Path, missing: Iterable[str], *, recorded: bool = False) -> RunError:
    """Build the error for a run of which files are missing.

    Args:
        path: The run.
        missing: Names of what is not there.
        recorded: Whether the log holds what these files said.
    """
    return RunError(
        f"The run '{path.name}' is incomplete: {', '.join(missing)} missing.",
        where=str(path),
        why="A run folder is made whole, so a part was deleted or not copied.",
        fix="Copy the folder again, completely."
        if not recorded
        else "Copy the folder again, completely, or have them made again from the log: "
        f"`nas doctor {typed(path)} --repair`. Reading works without them.",
    )


def _no_such_run(path: Path) -> NotFoundError:
    folder = path.parent
    names = [child.name for child in folder.iterdir() if is_run(child)] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(repr(name) for name in near)}? " if near else ""
    return NotFoundError(
        f"There is no run '{path.name}'.",
        where=str(folder),
        fix=f"{hint}List the runs with `nas runs list`.",
    )


def read_environment(path: Path) -> dict[str, Any]:
    """Return the parsed environment.json of the run `path`, of a version this package knows.

    Raises:
        RunError: If it is damaged.
        NewerFormatError: If it is from a newer version.
    """
    file = path / ENVIRONMENT
    try:
        found = json.loads(read_bytes(file))
    except (ValueError, RecursionError) as error:
        raise _damaged_environment(file, f"{type(error).__name__}: {error}") from error
    return check_environment(path, found)


def check_environment(path: Path, found: Any) -> dict[str, Any]:
    """Return what environment.json of the run `path` holds, or the log in its place, if it may.

    Raises:
        RunError: If it is damaged.
        NewerFormatError: If it is from a newer version.
    """
    file = path / ENVIRONMENT
    try:
        named, _, version = str(found["schema"]).partition("/")
        number = int(version)
        if not isinstance(found.get("environment", {}), dict):
            raise TypeError("its environment is no object")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged_environment(file, f"{type(error).__name__}: {error}") from error
    if named != SCHEMA or number < 1:
        raise RunError(
            f"'{path.name}' is not a run of nas: its schema is '{found['schema']}'.",
            where=str(file),
            fix=f"A run has the schema {schema(VERSION)}.",
        )
    if number > VERSION:
        raise NewerFormatError(
            f"The run '{path.name}' has the format {schema(number)}; this version of nas reads "
            f"up to {schema(VERSION)}.",
            where=str(file),
            fix="Update nas, or open the run with the version that wrote it.",
        )
    return dict(found)


def _damaged_environment(file: Path, why: str) -> RunError:
    return RunError(
        f"{ENVIRONMENT} is damaged: {why}.",
        where=str(file),
        fix="Copy the file again from where the run came from.",
    )


def config_text(config: Mapping[str, Any]) -> str:
    """Return run.yaml for `config`: YAML 1.2 that reads back as the same values.

    Raises:
        RunError: If the config holds what JSON cannot.
    """
    plain = json.loads(_canonical(config, sort=False))
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 100
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    try:
        yaml.dump(plain, stream)
        if _parse_config(stream.getvalue()) == plain:
            return stream.getvalue()
    except YAMLError:
        pass
    # A string that YAML cannot carry plainly: JSON is YAML 1.2 too.
    return json.dumps(plain, indent=2) + "\n"


def read_config(path: Path) -> dict[str, Any]:
    """Return the parsed run.yaml of the run `path`.

    Raises:
        RunError: If it is damaged.
    """
    file = path / CONFIG
    try:
        data = read_bytes(file)
        if len(data) > _LARGEST_CONFIG:
            raise ValueError(f"it has {len(data)} bytes, more than {_LARGEST_CONFIG}")
        config = _parse_config(data.decode("utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it is not a mapping")
        _check_size(config, len(data))
    except (YAMLError, ValueError, RecursionError) as error:
        raise RunError(
            f"{CONFIG} is damaged: {error}",
            where=str(file),
            fix="Copy the file again from where the run came from.",
        ) from error
    return config


def _parse_config(text: str) -> Any:
    if text.startswith("{"):
        return json.loads(text)
    return copy.deepcopy(_parse_yaml(text))


@lru_cache(maxsize=8)
def _parse_yaml(text: str) -> Any:
    """Parse the text of a run.yaml once, however often its run is opened: it takes 15 ms."""
    return YAML(typ="safe", pure=True).load(text)


def _check_size(config: Any, size: int) -> None:
    """Refuse a config with more values than its text has characters: a few aliases make billions.

    Raises:
        ValueError: Then.
    """
    pending, count = [config], 0
    while pending:
        value = pending.pop()
        count += 1
        if count > size:
            raise ValueError("it repeats itself through aliases")
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a config's values, whatever their order and layout in the file."""
    return hashlib.sha256(_canonical(config).encode()).hexdigest()


def _canonical(config: Mapping[str, Any], *, sort: bool = True) -> str:
    try:
        return json.dumps(dict(config), sort_keys=sort, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RunError(
            f"The config of a run cannot be kept: {error}.",
            why="run.yaml holds plain values: text, finite numbers, lists and mappings.",
            fix="Convert the value before the run is created.",
        ) from error

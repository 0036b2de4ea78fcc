"""Check a run from end to end: what is wrong, what is lost by it, and the command that helps.

`examine` changes nothing; `nas.run_store.repairs.repair` does what its findings tell to type.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from nas.errors import NasError, RunError
from nas.run_store import layout
from nas.run_store.architectures import ArchitectureFiles
from nas.run_store.atomic import read_bytes, stray_temporaries
from nas.run_store.heads import LOST, is_emptied, recorded_head
from nas.run_store.lock import owner_of
from nas.run_store.log import scan_log
from nas.run_store.log_mark import read_mark
from nas.run_store.migrating import check_config_unchanged
from nas.run_store.migrations import steps_between
from nas.run_store.records import Record
from nas.run_store.repairs import salvage_log, unlike_recorded
from nas.run_store.run import Run
from nas.run_store.trials import TrialTable
from nas.run_store.views import views_of
from nas.run_store.weights import WeightStore

Level = Literal["error", "warning", "note"]

NOTHING: Final = "nothing"

_MOST_NAMED: Final = 8
"""Architectures that are named in one finding; the rest are counted."""

_WEIGHT_FIELDS: Final = ("checkpoint", "weights")


@dataclass(frozen=True)
class Finding:
    """One thing about a run.

    Args:
        level: How bad it is.
        what: What it is.
        where: The file or folder.
        fix: The command to type, or what to do by hand.
        lost: What is gone for good, once that is done; normally nothing.
    """

    level: Level
    what: str
    where: str
    fix: str | None = None
    lost: str = NOTHING


def examine(path: Path | str) -> list[Finding]:
    """Check the whole run; an empty list (or only notes) means that nothing is wrong.

    Raises:
        NotFoundError: If it does not exist.
        RunError: If it is not a run.
    """
    path = Path(path).expanduser().absolute()
    layout.require_run(path)
    findings: list[Finding] = []
    for look in _LOOKS:
        findings.extend(look(path))
    return findings


def _look_at_head(path: Path) -> Iterator[Finding]:
    records = scan_log(path / layout.LOG).records
    head = recorded_head(records)
    if head is not None:
        for name in unlike_recorded(path, head, records):
            what = f"{name} is {_state_of(path / name)}; the log holds what it said."
            yield Finding("error", what, str(path / name), _repair_command(path))
        return
    for name in layout.missing_parts(path):
        what = f"{name} is missing, and the log does not hold what it said."
        fix = "Copy it again from where the run came from."
        yield Finding("error", what, str(path / name), fix, lost=f"what {name} said")
    for read in (layout.read_environment, layout.read_config):
        with suppress(FileNotFoundError, layout.NewerFormatError):
            try:
                read(path)
            except layout.NewerFormatError:
                raise
            except RunError as error:
                yield Finding("error", error.what, error.where or str(path), error.fix)


def _state_of(file: Path) -> str:
    if not os.path.lexists(file):
        return "missing"
    try:
        (layout.read_config if file.name == layout.CONFIG else layout.read_environment)(file.parent)
    except RunError:
        return "damaged"
    return "not what the run was created with"


def _look_at_format(path: Path) -> Iterator[Finding]:
    try:
        version = layout.version_of(layout.read_environment(path))
    except layout.NewerFormatError as error:
        yield Finding("error", error.what, error.where or str(path), error.fix)
    except (FileNotFoundError, RunError):
        return
    else:
        if version != layout.VERSION:
            what = f"The run has the format {layout.schema(version)}; its next owner brings it to "
            what += f"{layout.schema(layout.VERSION)} and keeps the originals."
            yield Finding("note", what, str(path / layout.ENVIRONMENT))


def _look_at_lock(path: Path) -> Iterator[Finding]:
    owner = owner_of(path / layout.LOCK)
    if owner:
        yield Finding("note", f"The run is in use by {owner}.", str(path / layout.LOCK))


def _look_at_log(path: Path) -> Iterator[Finding]:
    log = path / layout.LOG
    mark = None if owner_of(path / layout.LOCK) else read_mark(path / layout.LOCK)
    contents = scan_log(log)
    lost = None if mark is None else mark.lost_in(log)
    if contents.bad:
        what = f"Record {contents.bad.number} at byte {contents.bad.offset} is damaged: "
        yield _damage(path, what + contents.bad.reason + ".", lost)
        return
    if is_emptied(contents):
        what = "The log is empty, or holds no whole record; every run begins with one."
        yield Finding("error", what, str(log), _repair_command(path), lost=LOST)
        return
    if mark is not None and lost is not None:
        what = f"The log has {len(contents.records)} whole records, its owner had written "
        what += f"{mark.records}. If there is a longer copy of {layout.LOG}, put it back."
        yield Finding("error", what, str(log), _repair_command(path), lost=lost)
    elif contents.torn and not owner_of(path / layout.LOCK):
        what = f"The last write was torn ({len(contents.torn)} bytes); nothing acknowledged is lost"
        yield Finding("warning", what + ".", str(log), _repair_command(path))
    try:
        TrialTable.fold(contents.records)
    except RunError as error:
        yield _damage(path, f"{error.what} ({error.where})")
    yield from _look_at_config_hash(path, contents.records)


def _damage(path: Path, what: str, missing: str | None = None) -> Finding:
    log = path / layout.LOG
    lost = "; ".join(salvage_log(read_bytes(log), missing).lost)
    return Finding("error", what, str(log), _repair_command(path), lost=lost or NOTHING)


def _look_at_config_hash(path: Path, records: tuple[Record, ...]) -> Iterator[Finding]:
    """Say that a config was edited, of a run whose log does not hold what it was."""
    if recorded_head(records) is not None:
        return
    try:
        config, version = layout.read_config(path), layout.version_of(layout.read_environment(path))
    except (FileNotFoundError, RunError):
        return
    try:
        check_config_unchanged(path, config, records, steps_between(version, layout.VERSION))
    except RunError:
        what = f"{layout.CONFIG} was changed after the run was created."
        yield Finding("error", what, str(path / layout.CONFIG), "Undo the change.")


def _look_at_weights(path: Path) -> Iterator[Finding]:
    store = WeightStore(path / layout.WEIGHTS, writable=False)
    stored = store.names()
    records = scan_log(path / layout.LOG).records
    needed = referenced_weights(records)
    for sha in stored:
        try:
            store.get_bytes(sha)
        except NasError as error:
            others = [name for name in stored if name != sha]
            lost = NOTHING
            if sha in needed:
                lost = _missing_weights(path, sha, records, others).lost
            yield Finding(
                "error", error.what, str(store.path(sha)), _repair_command(path), lost=lost
            )
    for sha in sorted(needed - set(stored)):
        yield _missing_weights(path, sha, records, stored)


def _missing_weights(
    path: Path, sha: str, records: tuple[Record, ...], stored: list[str]
) -> Finding:
    """Tell what missing weights cost: a stage makes its own again, a network is trained anew."""
    folder = str(path / layout.WEIGHTS)
    what = f"The weights {sha[:12]} are missing; the log names them."
    namers = [record for record in records if sha in _addresses(record)]
    if any("stage" in record for record in namers):
        lost = "the time to train them again"
        fix = f"nas resume {layout.typed(path)}"
        return Finding("warning", what, folder, fix, lost=lost)
    trials = [record["trial"] for record in namers if isinstance(record.get("trial"), int)]
    lost = "a trained network; its figures are kept"
    if not trials:
        return Finding("warning", what, folder, lost=lost)
    if any(record.get("trial") in trials and record.get("weights") in stored for record in records):
        return Finding("note", f"{what} Trial {trials[0]} has others.", folder, lost=lost)
    fix = f"nas arch train {layout.typed(path)}:{trials[0]}"
    return Finding("warning", what, folder, fix, lost=lost)


def _look_at_files(path: Path) -> Iterator[Finding]:
    for child in sorted(path.rglob("*")):
        if child.is_symlink() or not (child.is_file() or child.is_dir()):
            what = f"'{child.name}' is a link or a pipe; a run holds files and folders only."
            yield Finding("error", what, str(child), f"rm {shlex.quote(str(child))}")
    if owner_of(path / layout.LOCK) is None:
        for stray in stray_temporaries(path):
            what = "A temporary file was left by a process that was killed."
            yield Finding("warning", what, str(stray), _repair_command(path))


def _look_at_views(path: Path) -> Iterator[Finding]:
    if owner_of(path / layout.LOCK):
        return  # they are behind the log, and their owner makes them
    fix = f"nas runs rebuild {layout.typed(path)}"
    try:
        run = Run.open(path)
        run.table()
    except NasError:
        return  # nothing can be made of a damaged log, and its damage is found already
    for name, function in views_of(run).items():
        try:
            kept, made = run.read_view(name), function(run)
        except NasError as error:
            yield Finding("error", f"{name} cannot be made: {error.what}", str(path / name), fix)
            continue
        if kept != made:
            state = "missing" if kept is None else "out of date"
            yield Finding("warning", f"{name} is {state}.", str(path / name), fix)


def _look_at_architectures(path: Path) -> Iterator[Finding]:
    if owner_of(path / layout.LOCK):
        return  # as for views
    folder = str(path / layout.ARCHITECTURES)
    fix = f"nas runs rebuild {layout.typed(path)}"
    try:
        records = Run.open(path).records()
    except NasError:
        return  # as for views
    try:
        faults = ArchitectureFiles(path).faults(records)
    except RunError as error:
        yield Finding("error", error.what, folder, error.fix)
        return
    for fault, identities in faults.items():
        named = ", ".join(identities[:_MOST_NAMED])
        more = len(identities) - _MOST_NAMED
        what = f"Files of architectures are {fault}: {named}"
        what += f" and {more} more." if more > 0 else "."
        yield Finding("warning", what, folder, fix)


_LOOKS: Final[tuple[Callable[[Path], Iterable[Finding]], ...]] = (
    _look_at_format,
    _look_at_head,
    _look_at_lock,
    _look_at_log,
    _look_at_weights,
    _look_at_files,
    _look_at_views,
    _look_at_architectures,
)


def _repair_command(path: Path) -> str:
    return f"nas doctor {layout.typed(path)} --repair"


def referenced_weights(records: Iterable[Record]) -> set[str]:
    """Return the addresses of weights that the log needs.

    These are the fields `checkpoint` and `weights` at any depth; of `checkpoint_saved` only the
    last of each stage counts, and none once the stage is finished: its own record names what is
    needed then.
    """
    found: set[str] = set()
    latest: dict[Any, Record] = {}
    for record in records:
        if record["kind"] == "checkpoint_saved":
            latest[record.get("stage")] = record
        else:
            found |= _addresses(record)
            if record["kind"] == "stage_finished":
                latest.pop(record.get("stage"), None)
    for record in latest.values():
        found |= _addresses(record)
    return found


def _addresses(record: Record) -> set[str]:
    found: set[str] = set()
    pending: list[Any] = [record]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
            named = (value.get(key) for key in _WEIGHT_FIELDS)
            found |= {name for name in named if isinstance(name, str) and len(name) == 64}
    return found

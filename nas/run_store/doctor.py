"""Check a run from end to end, and repair what can be repaired.

`examine` changes nothing and returns findings, each with the command that helps. `repair` never
throws bytes away: what is damaged goes to `quarantine/`, and every loss is named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from nas.errors import NasError, RunError
from nas.run_store import layout
from nas.run_store.atomic import (
    make_folder,
    probe_writable,
    read_bytes,
    remove_stray_temporaries,
    stray_temporaries,
    sync_folder,
    write_bytes,
)
from nas.run_store.lock import RunLock, owner_of
from nas.run_store.log import QUARANTINE, quarantine, scan_log
from nas.run_store.records import Record, encode, salvage
from nas.run_store.run import Run
from nas.run_store.trials import TrialTable
from nas.run_store.views import views_of
from nas.run_store.weights import WeightStore

Level = Literal["error", "warning", "note"]

_WEIGHT_FIELDS: Final = ("checkpoint", "weights")


@dataclass(frozen=True)
class Finding:
    """One thing about a run: how bad it is, what it is, where, and the command that helps."""

    level: Level
    what: str
    where: str
    fix: str | None = None


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
    for read in (layout.read_environment, layout.read_config):
        try:
            read(path)
        except RunError as error:
            yield Finding("error", error.what, error.where or str(path), error.fix)


def _look_at_lock(path: Path) -> Iterator[Finding]:
    owner = owner_of(path / layout.LOCK)
    if owner:
        yield Finding("note", f"The run is in use by {owner}.", str(path / layout.LOCK))


def _look_at_log(path: Path) -> Iterator[Finding]:
    log = path / layout.LOG
    contents = scan_log(log)
    if contents.bad:
        what = f"Record {contents.bad.number} at byte {contents.bad.offset} is damaged: "
        yield Finding("error", what + contents.bad.reason + ".", str(log), _repair_command(path))
        return
    if contents.torn and not owner_of(path / layout.LOCK):
        what = f"The last write was torn ({len(contents.torn)} bytes); nothing acknowledged is lost"
        yield Finding("warning", what + ".", str(log), _repair_command(path))
    try:
        TrialTable.fold(contents.records)
    except RunError as error:
        yield Finding("error", f"{error.what} ({error.where})", str(log), _repair_command(path))
    yield from _look_at_config_hash(path, contents.records)


def _look_at_config_hash(path: Path, records: tuple[Record, ...]) -> Iterator[Finding]:
    expected = records[0].get("config_sha256") if records else None
    try:
        changed = expected is not None and expected != layout.config_hash(layout.read_config(path))
    except RunError:
        return
    if changed:
        what = f"{layout.CONFIG} was changed after the run was created."
        yield Finding("error", what, str(path / layout.CONFIG), "Undo the change.")


def _look_at_weights(path: Path) -> Iterator[Finding]:
    store = WeightStore(path / layout.WEIGHTS, writable=False)
    stored = store.names()
    for sha in stored:
        try:
            store.get_bytes(sha)
        except NasError as error:
            yield Finding("error", error.what, str(store.path(sha)), _repair_command(path))
    for sha in sorted(referenced_weights(scan_log(path / layout.LOG).records) - set(stored)):
        what = f"The weights {sha[:12]} are missing; the log names them."
        fix = f"nas resume {path.name}"
        yield Finding("warning", what, str(store.folder), fix)


def _look_at_files(path: Path) -> Iterator[Finding]:
    for child in sorted(path.rglob("*")):
        if child.is_symlink() or not (child.is_file() or child.is_dir()):
            what = f"'{child.name}' is a link or a pipe; a run holds files and folders only."
            yield Finding("error", what, str(child), f"rm {child}")
    if owner_of(path / layout.LOCK) is None:
        for stray in stray_temporaries(path):
            what = "A temporary file was left by a process that was killed."
            yield Finding("warning", what, str(stray), _repair_command(path))


def _look_at_views(path: Path) -> Iterator[Finding]:
    fix = f"nas runs rebuild {_typed(path)}"
    try:
        run = Run.open(path)
    except NasError:
        return
    for name, function in views_of(run).items():
        try:
            kept, made = run.read_view(name), function(run)
        except NasError as error:
            yield Finding("error", f"{name} cannot be made: {error.what}", str(path / name), fix)
            continue
        if kept != made:
            state = "missing" if kept is None else "out of date"
            yield Finding("warning", f"{name} is {state}.", str(path / name), fix)


_LOOKS: Final[tuple[Callable[[Path], Iterable[Finding]], ...]] = (
    _look_at_head,
    _look_at_lock,
    _look_at_log,
    _look_at_weights,
    _look_at_files,
    _look_at_views,
)


def _repair_command(path: Path) -> str:
    return f"nas doctor {_typed(path)} --repair"


def _typed(path: Path) -> str:
    """Return what to type for a run: its name in the usual folder, else its path."""
    return path.name if path.parent.name == "runs" else str(path)


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


def repair(path: Path | str) -> list[str]:
    """Repair the run as far as possible; return one sentence per thing that was done.

    Raises:
        NotFoundError: If it does not exist.
        RunError: If it is not a run or is in use.
        EnvironmentFault: If the disk is full or read-only.
    """
    path = Path(path).expanduser().absolute()
    layout.require_run(path)
    probe_writable(path)
    lock = RunLock(path / layout.LOCK, path.name)
    try:
        done = [f"Removed the stray file {file.name}." for file in remove_stray_temporaries(path)]
        return [*done, *_repair_log(path), *_repair_weights(path)]
    finally:
        lock.release()


def _repair_log(path: Path) -> list[str]:
    log = path / layout.LOG
    data = read_bytes(log)
    records, lost = salvage(data)
    kept, refused = _consistent(records)
    if not lost and not refused and scan_log(log).bad is None:
        return []
    original = quarantine(path, "trials-log", data)
    losses = [f"{len(stretch)} unreadable bytes at byte {offset}" for offset, stretch in lost]
    losses += [f"{_named(record)}, which no longer fits the rest" for record in refused]
    note = {"kind": "repaired", "lost": losses, "original": f"{QUARANTINE}/{original.name}"}
    lines = [encode(seq, record) for seq, record in enumerate([*kept, note])]
    write_bytes(log, b"".join(lines))
    done = [f"Kept {len(kept)} whole records; the old log is {QUARANTINE}/{original.name}."]
    return done + [f"Lost: {loss}." for loss in losses]


def _consistent(records: list[Record]) -> tuple[list[Record], list[Record]]:
    table = TrialTable()
    kept: list[Record] = []
    refused: list[Record] = []
    for record in records:
        try:
            table.apply(record)
            kept.append(record)
        except RunError:
            refused.append(record)
    return kept, refused


def _named(record: Record) -> str:
    trial = f" of trial {record['trial']}" if "trial" in record else ""
    return f"{record['kind']}{trial}"


def _repair_weights(path: Path) -> list[str]:
    store = WeightStore(path / layout.WEIGHTS)
    done: list[str] = []
    for sha in store.names():
        file = store.path(sha)
        if not file.is_symlink() and hashlib.sha256(read_bytes(file)).hexdigest() == sha:
            continue
        make_folder(path / QUARANTINE)
        file.rename(path / QUARANTINE / file.name)
        sync_folder(store.folder)
        done.append(f"Lost: the weights {sha[:12]}, damaged; the file is in {QUARANTINE}/.")
    return done

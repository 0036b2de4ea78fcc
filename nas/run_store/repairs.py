"""Repair of a run: what is whole is kept, what is damaged moved aside, every loss named."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.errors import RunError
from nas.run_store import faults, layout
from nas.run_store.atomic import (
    make_folder,
    probe_writable,
    read_bytes,
    remove_stray_temporaries,
    sync_folder,
    write_bytes,
    write_json,
    write_text,
)
from nas.run_store.heads import LOST, Head, begin_emptied_log, recorded_head
from nas.run_store.layout import QUARANTINE
from nas.run_store.lock import RunLock
from nas.run_store.log import quarantine, scan_log
from nas.run_store.records import Record, encode, salvage
from nas.run_store.trials import TrialTable
from nas.run_store.weights import WeightStore


@final
@dataclass(frozen=True)
class Salvage:
    """What can be had of a damaged log.

    Args:
        kept: The whole records that fit together, oldest first.
        lost: One sentence's object per loss: bytes that are no record, records that do not fit.
    """

    kept: tuple[Record, ...]
    lost: tuple[str, ...]


def salvage_log(data: bytes, missing: str | None = None) -> Salvage:
    """Return the records of a log that are whole and fit together, and what is lost.

    Args:
        data: The log.
        missing: What it has lost at its end, as `LogMark.lost_in` tells. A damaged last line may be
            what is missing, and is lost once only.
    """
    records, unreadable = salvage(data)
    table = TrialTable()
    kept: list[Record] = []
    lost = [f"{len(stretch)} unreadable bytes at byte {offset}" for offset, stretch in unreadable]
    for record in records:
        try:
            table.apply(record)
            kept.append(record)
        except RunError:
            lost.append(f"{_named(record)}, which no longer fits the rest")
    offset, last = unreadable[-1] if unreadable else (0, b"")
    if missing is not None and not (offset + len(last) == len(data) and b"\n" in last):
        lost.append(missing)
    return Salvage(tuple(kept), tuple(lost))


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
        return [*done, *_repair_log(path, lock), *_repair_head(path), *_repair_weights(path)]
    finally:
        lock.release()


def _repair_log(path: Path, lock: RunLock) -> list[str]:
    log = path / layout.LOG
    missing = lock.mark.lost_in(log) if lock.mark else None
    lock.expect_new_log(missing)
    done = _repair_records(path, missing)
    lock.note(scan_log(log).mark)
    return done


def _repair_records(path: Path, missing: str | None) -> list[str]:
    log = path / layout.LOG
    if begin_emptied_log(path):
        return [f"Began the log anew with what {layout.CONFIG} says.", f"Lost: {LOST}."]
    data = read_bytes(log)
    found = salvage_log(data, missing)
    if not found.lost and scan_log(log).bad is None:
        return []
    original = quarantine(path, "trials-log", data)
    note = {"kind": "repaired", "lost": list(found.lost), "original": _aside(original)}
    lines = [encode(seq, record) for seq, record in enumerate([*found.kept, note])]
    faults.reach("repair_before_log")
    write_bytes(log, b"".join(lines))
    done = [f"Kept {len(found.kept)} whole records; the old log is {_aside(original)}."]
    return done + [f"Lost: {loss}." for loss in found.lost]


def _aside(file: Path) -> str:
    return f"{QUARANTINE}/{file.name}"


def _named(record: Record) -> str:
    trial = f" of trial {record['trial']}" if "trial" in record else ""
    return f"{record['kind']}{trial}"


def _repair_head(path: Path) -> list[str]:
    """Write run.yaml and environment.json again where they do not say what the log says."""
    records = scan_log(path / layout.LOG).records
    head = recorded_head(records)
    if head is None:
        return []
    done = []
    for name in unlike_recorded(path, head, records):
        file = path / name
        aside = ""
        if file.is_file():
            kept = quarantine(path, name.replace(".", "-"), read_bytes(file))
            aside = f"; what stood there is {_aside(kept)}"
        if name == layout.CONFIG:
            write_text(file, layout.config_text(head.config))
        else:
            write_json(file, head.environment)
        done.append(f"Wrote {name} again from the log{aside}.")
    return done


def unlike_recorded(path: Path, head: Head, records: tuple[Record, ...]) -> list[str]:
    """Return which of run.yaml and environment.json is missing, damaged, or not as recorded."""
    found = []
    try:
        config = layout.config_hash(layout.read_config(path))
    except (FileNotFoundError, RunError):
        config = ""
    if config != records[0].get("config_sha256"):
        found.append(layout.CONFIG)
    try:
        layout.read_environment(path)
    except layout.NewerFormatError:
        pass
    except (FileNotFoundError, RunError):
        found.append(layout.ENVIRONMENT)
    return found


def _repair_weights(path: Path) -> list[str]:
    store = WeightStore(path / layout.WEIGHTS)
    done: list[str] = []
    for sha in store.names():
        file = store.path(sha)
        if not file.is_symlink() and hashlib.sha256(read_bytes(file)).hexdigest() == sha:
            continue
        make_folder(path / QUARANTINE)
        faults.reach("repair_before_weights")
        file.rename(path / QUARANTINE / file.name)
        sync_folder(store.folder)
        done.append(f"Lost: the weights {sha[:12]}, damaged; the file is in {QUARANTINE}/.")
    return done

"""One run folder, open for reading by anybody or for writing by its one owner.

`Run.create` builds the folder aside and renames it, so a run exists whole or not at all.
`Run.open(path, write=True)` makes the caller the owner: it takes the lock, moves a torn write
aside and removes what a killed owner left behind. Facts go through `append`, which returns when
they are on disk; everything else in the folder can be made again from them.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from nas.errors import RunError
from nas.run_store import faults, layout
from nas.run_store.architectures import ArchitectureFiles
from nas.run_store.atomic import (
    StorageLost,
    is_real_folder,
    make_folder,
    probe_writable,
    read_bytes,
    read_only,
    remove_stray_temporaries,
    write_bytes,
)
from nas.run_store.creation import (
    fill_folder,
    move_into_place,
    name_taken,
    prepare_root,
)
from nas.run_store.heads import begin_emptied_log, loss_of_records, read_head, require_whole
from nas.run_store.lock import Owner, RunLock, owner_of
from nas.run_store.log import Log, read_log, scan_log
from nas.run_store.migrating import check_config_unchanged, migrate
from nas.run_store.migrations import (
    steps_between,
    take_up_config,
    take_up_environment,
    take_up_record,
)
from nas.run_store.notes import append_note, read_notes
from nas.run_store.records import Record, normalize, read_for_good
from nas.run_store.rescue import keep_elsewhere
from nas.run_store.trial_rules import Trial
from nas.run_store.trials import RunState, TrialTable
from nas.run_store.weights import WeightStore

_serial = itertools.count()


@final
class Run:
    """A run folder. Use `Run.create` or `Run.open`; close it, or use it in a `with` statement.

    Attributes:
        path: The folder, absolute.
        name: The name the run was created with; the folder may have been renamed since.
        config: The resolved config, as `run.yaml` holds it.
        environment: What was given to `create`: versions, device, commit, data fingerprint.
        created: When it was created, UTC, ISO 8601. A label: order comes from record numbers.
        weights: Weights and checkpoints by hash.
    """

    def __init__(self, path: Path, lock: RunLock | None) -> None:
        head = read_head(path)
        self._steps = steps_between(layout.version_of(head.environment), layout.VERSION)
        found = take_up_environment(self._steps, head.environment)
        self.path = path
        self.name = str(found.get("name", path.name))
        self.created = str(found.get("created", ""))
        self.environment: dict[str, Any] = dict(found.get("environment", {}))
        self.config = take_up_config(self._steps, head.config)
        self.weights = WeightStore(
            path / layout.WEIGHTS, writable=lock is not None, guard=self._keeping_facts
        )
        self._architectures = ArchitectureFiles(path)
        self._lock = lock
        self._log: Log | None = None
        self._table = TrialTable()
        self._records: list[Record] = []
        self._read_to = 0
        self._mutex = threading.RLock()

    @classmethod
    def create(
        cls,
        root: Path | str,
        name: str,
        config: Mapping[str, Any],
        environment: Mapping[str, Any],
    ) -> Run:
        """Create the run `root/name` and return it, owned by the caller.

        Args:
            root: Folder of runs; it is made if it is not there.
            name: Slug of 1 to 64 characters.
            config: Resolved config; plain values.
            environment: Versions, device, commit, data fingerprint; plain values.

        Raises:
            ConfigError: If the name is not a slug.
            RunError: If the name is taken, or config or environment are not plain values.
            EnvironmentFault: If the disk is full or read-only. Nothing is left behind.
        """
        layout.check_slug(name)
        root = prepare_root(Path(root))
        target = root / name
        if os.path.lexists(target):
            raise name_taken(target)
        aside = root / f"{layout.BUILDING_PREFIX}{name}-{os.getpid()}-{next(_serial)}"
        lock: RunLock | None = None
        try:
            make_folder(aside)
            lock = RunLock(aside / layout.LOCK, name)
            fill_folder(aside, name, config, environment)
            faults.reach("create_before_rename")
            move_into_place(aside, target)
            lock.moved(target / layout.LOCK)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            if lock is not None:
                lock.release()
            raise
        faults.reach("create_after_rename")
        return cls._opened(target, lock)

    @classmethod
    def open(cls, path: Path | str, *, write: bool = False, take_over: bool = False) -> Run:
        """Open an existing run.

        Args:
            path: The run's folder.
            write: Become its owner. Otherwise nothing on disk is touched and no lock is needed,
                also while a search is going on.
            take_over: To write a run on a network file system: take it from a process of another
                machine that does not renew its lease any more; that takes most of a minute.

        Raises:
            NotFoundError: If it does not exist.
            RunError: If it is not a run, damaged, of a newer format, or (to write) in use or with
                a config that was edited since. A run of an older format is brought to the newest
                by its owner, its originals kept; a reader leaves it as it is.
            EnvironmentFault: If it is to be written and the disk is full or read-only.
        """
        path = Path(path).expanduser().absolute()
        layout.require_run(path)
        if not write:
            return cls(path, None)
        require_whole(path)
        layout.read_environment(path)
        probe_writable(path)
        return cls._opened(path, RunLock(path / layout.LOCK, path.name, take_over=take_over))

    @classmethod
    def _opened(cls, path: Path, lock: RunLock) -> Run:
        try:
            remove_stray_temporaries(path)
            if is_real_folder(path / layout.TRAININGS):  # a level deeper than the rest
                remove_stray_temporaries(path / layout.TRAININGS)
            lost = lock.mark.lost_in(path / layout.LOG) if lock.mark else None
            if begin_emptied_log(path):
                lost = None  # it is named already
            migrate(path, lambda: lock.expect_new_log(lost))
            return cls(path, lock)._own(lost)
        except BaseException:
            lock.release()
            raise

    @read_for_good()
    def _own(self, lost: str | None) -> Run:
        self._log, records = Log.open(self.path / layout.LOG, is_short=lost is not None)
        try:
            self._table = TrialTable.fold(records)
            self._records = list(records)
            check_config_unchanged(self.path, self.config, records)
            with suppress(FileNotFoundError):
                (self.path / layout.STOP).unlink()
            if lost is not None:
                self.append(loss_of_records(self.path, lost))
            self._note_end()
        except BaseException:
            self._log.close()
            raise
        return self

    @property
    def is_of_older_format(self) -> bool:
        """Whether the files are of an older format than what is read from them here."""
        return bool(self._steps)

    @property
    def writable(self) -> bool:
        """Whether this object owns the run."""
        return self._log is not None

    def close(self) -> None:
        """Give the run free; a second call does nothing."""
        if self._log is not None:
            self._read_to = self._log.close()
            self._log = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, record: Record) -> int:
        """Add a fact to the run; when this returns, it is on disk.

        Returns:
            The number of the record. A result that the log holds already is not written again:
            its old number is returned.

        Raises:
            RunError: If the run is open for reading, the record is not plain JSON, or it
                contradicts the log (see `TrialTable.check`).
            EnvironmentFault: If the disk is full; the log is as it was before.
        """
        with self._mutex:
            if self._log is None:
                raise read_only(self.path)
            plain = normalize(record)
            known = self._table.check(plain)
            if known is not None:
                return known
            if self._lock is not None:
                self._lock.check()
            with self._keeping_facts(plain):
                seq = self._log.append(plain)
            self._note_end()
            self._table.apply(plain)
            self._records.append(plain)
            return seq

    def _note_end(self) -> None:
        if self._log is not None and self._lock is not None:
            self._lock.note(self._log.mark)

    @contextmanager
    def _keeping_facts(self, *unwritten: Record) -> Iterator[None]:
        """Keep all facts elsewhere, and write no more, if the disk goes away inside the block."""
        try:
            yield
        except StorageLost as error:
            if self._log is None:
                raise
            head = layout.head(self.name, self.created)
            fault = keep_elsewhere(
                self.path,
                self.config,
                {**head, "environment": self.environment},
                [*self._records, *unwritten],
                error,
            )
            self.close()
            raise fault from error

    def records(self) -> list[Record]:
        """Return all records, oldest first; the index of a record is its number.

        The log is read once, later only what was appended since, and its owner knows it already:
        do not change the records.

        Raises:
            RunError: If one is damaged.
        """
        with self._mutex:
            if self._log is None:
                self._follow()
            return list(self._records)

    def table(self) -> TrialTable:
        """Return stages, trials and state as of now; do not change it.

        For the owner this costs nothing. A reader reads what was appended since the last call.
        """
        if self._log is None:
            with self._mutex:
                self._follow()
                for record in self._records[self._table.num_records :]:
                    self._table.apply(record)
        return self._table

    def _follow(self) -> None:
        """Read what was appended to the log since the last time."""
        log = self.path / layout.LOG
        news = scan_log(log, offset=self._read_to, seq=len(self._records))
        if news.bad is not None or news.end > log.stat().st_size:
            # Either damage, which reading from the start names, or a repaired (shorter) log.
            self._records, self._read_to, self._table = [], 0, TrialTable()
            news = read_log(log)
        self._records.extend(take_up_record(self._steps, record) for record in news.records)
        self._read_to = news.end

    def stale_trials(self) -> list[Trial]:
        """Return the trials a dead owner left open: ask each again with `attempt + 1`."""
        return self.table().stale()

    def owner(self) -> Owner | None:
        """Return the process that owns the run now, or None."""
        return owner_of(self.path / layout.LOCK)

    def state(self) -> RunState:
        """Return created, running, interrupted, finished or failed, derived from the records."""
        return self.table().state(owned=self.writable or self.owner() is not None)

    def architecture_of(self, trial: Trial) -> dict[str, Any]:
        """Return the architecture of a trial as its record holds it: JSON data.

        Raises:
            RunError: If it holds none.
        """
        if not isinstance(trial.architecture, dict):
            raise RunError(
                f"The record of trial {trial.number} holds no architecture.",
                where=str(self.path),
                fix=f"Choose another trial: `nas front {layout.typed(self.path)}`.",
            )
        return trial.architecture

    def write_architectures(self) -> list[str]:
        """Write the files of architectures that are not as the log says; return their names.

        Raises:
            RunError: If the run is open for reading, or `architectures` is not a folder.
        """
        self._check_writable()
        with self._keeping_facts():
            return self._architectures.follow(self.records())

    def write_view(self, name: str, data: bytes) -> None:
        """Replace the view `name` (front.json, report.html, ...), whole or not at all.

        Raises:
            RunError: If the run is open for reading, or the name is one of the run's own.
        """
        self._check_writable()
        faults.reach("view_before_write")
        with self._keeping_facts():
            write_bytes(self.path / layout.check_view_name(name), data)
        faults.reach("view_after_write")

    def read_view(self, name: str) -> bytes | None:
        """Return the content of a view, or None if it has not been made."""
        try:
            return read_bytes(self.path / layout.check_view_name(name))
        except FileNotFoundError:
            return None

    def note(self, kind: str, **fields: Any) -> None:
        """Add a line of talk or health to log.jsonl; it may be lost and never raises for that."""
        self._check_writable()
        append_note(self.path / layout.NOTES, kind, fields)

    def notes(self) -> list[Record]:
        """Return the readable lines of log.jsonl, oldest first."""
        return read_notes(self.path / layout.NOTES)

    def stop_requested(self) -> bool:
        """Tell whether `nas stop` was called since this owner opened the run."""
        return os.path.lexists(self.path / layout.STOP)

    def _check_writable(self) -> None:
        if self._log is None:
            raise read_only(self.path)

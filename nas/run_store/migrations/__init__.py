"""Formats of run folders that came before: what a run of each looks like to the code of today.

One file per step, from one format to the next. Whoever reads an old run has its records taken up
step by step while reading, and touches nothing; its next owner writes what was taken up, keeps the
originals beside it (`nas.run_store.migrating`), and from then on the run has the format of today.

A step must leave alone what it has taken up already: a process killed between two files leaves a
run of which one is old and one is new, and the next owner takes up both again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from nas.registry import Registry
from nas.run_store.records import Record

Environment = dict[str, Any]
Config = dict[str, Any]


def _same(value: dict[str, Any]) -> dict[str, Any]:
    return value


@final
@dataclass(frozen=True)
class Migration:
    """One step of the format.

    Args:
        to: Version that it leads to; it starts from the one before.
        why: What the new format says that the old one could not, in one sentence.
        record: From a record of the old format to the new; of a new record, the record itself.
        environment: The same for the content of environment.json, without its `schema`.
        config: The same for the config.
    """

    to: int
    why: str
    record: Callable[[Record], Record] = _same
    environment: Callable[[Environment], Environment] = _same
    config: Callable[[Config], Config] = _same


MIGRATIONS: Final[Registry[Migration]] = Registry("migration", "nas.run_store.migrations")
"""By name, `to_2`, `to_3`, ...: each module of this package registers its step."""


def steps_between(version: int, newest: int) -> tuple[Migration, ...]:
    """Return the steps that lead from a version to the newest, in order.

    Raises:
        NotFoundError: If one is missing.
    """
    return tuple(MIGRATIONS.get(f"to_{number}") for number in range(version + 1, newest + 1))


def take_up_record(steps: tuple[Migration, ...], record: Record) -> Record:
    """Return a record as the newest format says it."""
    for step in steps:
        record = step.record(record)
    return record


def take_up_environment(
    steps: tuple[Migration, ...], environment: Mapping[str, Any]
) -> Environment:
    """Return the content of environment.json as the newest format says it."""
    found = dict(environment)
    for step in steps:
        found = step.environment(found)
    return found


def take_up_config(steps: tuple[Migration, ...], config: Mapping[str, Any]) -> Config:
    """Return a config as the newest format says it."""
    found = dict(config)
    for step in steps:
        found = step.config(found)
    return found

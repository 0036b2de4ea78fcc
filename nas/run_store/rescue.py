"""What is done when the disk below a running search goes away: its facts are kept elsewhere.

The owner of a run has every record in memory, also the one that could not be written. They go into
a new run folder beside the lost one, or where temporary files lie: a run like any other, which
`nas resume` goes on with. Weights are not in it; what needs them makes them again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.errors import EnvironmentFault, NasError
from nas.run_store import layout
from nas.run_store.atomic import StorageLost, make_folder, write_bytes, write_json, write_text
from nas.run_store.records import Record, encode

_MOST_TRIES = 20


def keep_elsewhere(
    path: Path,
    config: dict[str, Any],
    environment: dict[str, Any],
    records: Sequence[Record],
    fault: StorageLost,
) -> EnvironmentFault:
    """Keep the facts of the run `path` in another folder; return the error that says where.

    Args:
        path: The folder that was lost.
        config: The run's config.
        environment: The content of its environment.json, of the newest format.
        records: All its records, and those that could not be written.
        fault: Why.
    """
    why = f"All {len(records)} records were in memory, also one that could not be written."
    for target in _places(path):
        with suppress(NasError, OSError):
            _fill(target, config, environment, records)
            return StorageLost(
                fault.what,
                where=fault.where,
                why=f"{why} They are kept in {target}; weights are not.",
                fix=f"Go on there with `nas resume {layout.typed(target)}`, or look at what the "
                f"folder lost: {fault.fix}",
            )
    return StorageLost(
        fault.what,
        where=fault.where,
        why=f"{why} They could not be kept anywhere else either.",
        fix=fault.fix,
    )


def _places(path: Path) -> Iterator[Path]:
    """Yield folders that do not exist yet, the nearest to the lost one first."""
    stem = f"{path.name.lower()[:48]}-rescued"
    for folder in (path.parent, Path(tempfile.gettempdir())):
        names = (f"{stem}-{number}" for number in range(1, _MOST_TRIES))
        free = (name for name in (stem, *names) if not (folder / name).exists())
        for name in free:
            yield folder / name
            break


def _fill(
    target: Path,
    config: dict[str, Any],
    environment: dict[str, Any],
    records: Iterable[Record],
) -> None:
    make_folder(target)
    write_text(target / layout.CONFIG, layout.config_text(config))
    write_json(target / layout.ENVIRONMENT, environment)
    lines = [encode(seq, record) for seq, record in enumerate(records)]
    write_bytes(target / layout.LOG, b"".join(lines))

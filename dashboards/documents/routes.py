"""From a path such as `/api/runs/R/front` to the document that answers it.

Nothing of a path reaches the file system but the name of a run, and only if the folder of runs
lists it: no link is followed, no other folder is opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from nas.errors import ConfigError, NasError, NotFoundError, RunError
from nas.run_store import Run

from .compare import MOST_RUNS, compare_document
from .failures import failures_document
from .networks import baseline_document
from .progress import progress_document
from .provenance import provenance_document
from .reading import Reading
from .runs import run_document, runs_document, unreadable_document
from .space import space_document
from .supernet import supernet_document
from .trial import trial_document
from .trials import trials_document

Document = dict[str, Any]
Query = Mapping[str, str]
OpenReading = Callable[[Path, str], Reading]
BASE = "/api/runs"
COMPARE = "/api/compare"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_OF_STUDIES = ("", "progress", "provenance", "failures")
"""Documents that a study has as well."""


def document(runs: Path, path: str, open_reading: OpenReading | None = None) -> Document:
    """Return the document at a path, its query included.

    Args:
        runs: Folder of runs.
        path: As in `/api/runs/R/trials?after=12`; names in it are percent-encoded.
        open_reading: Returns the reading of a run by its name; a server keeps them.

    Raises:
        NotFoundError: If there is no such run, trial, network or document.
        ConfigError: If a number of the query is none.
        RunError: If the run is damaged or of a newer version.
    """
    place, _, text = path.partition("?")
    query = {key: values[-1] for key, values in parse_qs(text).items()}
    find = open_reading or read_run
    parts = [unquote(part) for part in place.strip("/").split("/")]
    if place == COMPARE:
        return compare_runs(runs, query, find)
    if parts[:2] != ["api", "runs"] or len(parts) > 5:
        raise _no_document(path)
    if len(parts) == 2:
        return all_runs(runs, find)
    if len(parts) == 3:
        return one_run(runs, parts[2], find)
    reading = find(runs, parts[2])
    with reading_guard(reading.name):
        return run_part(reading, parts[3:], query)


def run_part(reading: Reading, parts: list[str], query: Query) -> Document:
    """Return one of a run's documents.

    Args:
        reading: The run.
        parts: What stands behind the run's name, as `["trials", "12"]`.
        query: As `{"after": "3"}`.

    Raises:
        NotFoundError: If there is no such document.
        ConfigError: If a number of the query is none.
        RunError: If a study is asked for its front.
    """
    name, *rest = parts
    if reading.is_study and name not in _OF_STUDIES:
        raise RunError(
            f"'{reading.name}' is a study: it has tables and no {name}.",
            fix="Open its tables.md, or one of the runs in its folder.",
        )
    if name == "trials" and len(rest) == 1 and _NUMBER.fullmatch(rest[0]):
        return trial_document(reading, int(rest[0]))
    if name == "baselines" and len(rest) == 1:
        return baseline_document(reading, rest[0])
    if rest or name not in _PARTS:
        raise _no_document(f"{BASE}/{reading.name}/{'/'.join(parts)}")
    return _PARTS[name](reading, query)


def _after(query: Query) -> int | None:
    if "after" not in query:
        return None
    given = query["after"]
    if given != "-1" and not _NUMBER.fullmatch(given):
        raise ConfigError(
            f"'{given[:40]}' is no number of a record.", where="after", fix="Write ?after=0."
        )
    return int(given)


_PARTS: Mapping[str, Callable[[Reading, Query], Document]] = {
    "front": lambda reading, query: reading.front,
    "trials": lambda reading, query: trials_document(reading, _after(query)),
    "supernet": lambda reading, query: supernet_document(reading),
    "progress": lambda reading, query: progress_document(reading),
    "space": lambda reading, query: space_document(reading, query.get("objective")),
    "failures": lambda reading, query: failures_document(reading),
    "provenance": lambda reading, query: provenance_document(reading),
}


def increment(reading: Reading, after: int) -> Document:
    """Return what has changed since a record, for a live view.

    Args:
        reading: The run.
        after: Number of the last record that the view has seen.
    """
    with reading_guard(reading.name):
        return {
            "seq": reading.seq,
            "run": run_document(reading),
            "trials": trials_document(reading, after),
        }


def run_names(runs: Path) -> list[str]:
    """Return the names of the folders that may be runs, sorted; links and hidden ones are not."""
    try:
        found = [each for each in runs.iterdir() if not each.name.startswith(".")]
    except OSError:
        return []
    return sorted(
        each.name for each in found if not each.is_symlink() and (each / "trials.log").exists()
    )


def read_run(runs: Path, name: str) -> Reading:
    """Open a run of a folder by its name.

    Raises:
        NotFoundError: If the folder has no run of that name.
        RunError: If it is damaged or of a newer version.
    """
    if name not in run_names(runs):
        raise NotFoundError(
            f"There is no run '{name[:80]}'.", fix="Open one of those on the overview."
        )
    with reading_guard(name):
        return Reading(Run.open(runs / name))


def all_runs(runs: Path, find: OpenReading) -> Document:
    """Return the overview of a folder of runs."""
    return runs_document(runs, [one_run(runs, name, find) for name in run_names(runs)])


def one_run(runs: Path, name: str, find: OpenReading) -> Document:
    """Return what the overview tells of a run, also of one that cannot be opened.

    Raises:
        NotFoundError: If there is none of that name.
    """
    try:
        reading = find(runs, name)
        with reading_guard(name):
            return run_document(reading)
    except NotFoundError:
        raise
    except NasError as error:
        return unreadable_document(runs, name, error)


def compare_runs(runs: Path, query: Query, find: OpenReading) -> Document:
    """Return the comparison of the runs named in a query.

    Raises:
        ConfigError: If none or too many are named.
        NotFoundError: If one does not exist.
        RunError: If one cannot be opened.
    """
    names = [name for name in dict.fromkeys(query.get("runs", "").split(",")) if name]
    if not 1 <= len(names) <= MOST_RUNS:
        raise ConfigError(
            f"{len(names)} runs cannot be compared.", fix=f"Name 1 to {MOST_RUNS} of them."
        )
    readings = [find(runs, name) for name in names]
    with reading_guard(", ".join(names)):
        return compare_document(readings)


@contextmanager
def reading_guard(name: str) -> Iterator[None]:
    """Turn what a stranger's records may cause into an error that says so.

    The log's checksums say that records are as they were written, not that nas wrote them.
    """
    try:
        yield
    except NasError:
        raise
    except OSError as error:
        raise RunError(
            f"'{name}' cannot be read: {error.strerror or type(error).__name__}.",
            fix=f"Look with `nas doctor {name}`.",
        ) from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise _misfit(name, error) from error
    except RecursionError as error:
        raise _misfit(name, error) from error


def _misfit(name: str, error: Exception) -> RunError:
    return RunError(
        f"The records of '{name}' do not fit together "
        f"({type(error).__name__}: {str(error)[:120]}).",
        why="They are whole, but a field is missing or is not what this version of nas writes.",
        fix=f"Look with `nas doctor {name}`, or open the run with the version that wrote it.",
    )


def _no_document(path: str) -> NotFoundError:
    return NotFoundError(
        f"There is nothing at '{path[:200]}'.", fix="Begin at the overview of all runs."
    )


def run_path(name: str, *parts: str) -> str:
    """Return the path of a run's document, each part encoded."""
    return "/".join([BASE, *(quote(part, safe="") for part in (name, *parts))])

"""RUN on the command line: a name under the folder of runs, or a path."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

RUNS = Path("runs")

LATEST = "latest"
"""Names the run that was created last."""

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Name under --runs, path of a run folder, or latest.")
]
RunsOption = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of runs.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def find_run(run: str, runs: Path = RUNS) -> Path:
    """Return the folder of a run.

    A text with a slash is a path. Any other is a name under `runs` first, and a path second, so
    that `nas front .` works inside a run. `latest` is the run that was created last, unless one
    has that name.

    Args:
        run: What the user typed.
        runs: Folder of runs.

    Raises:
        NotFoundError: If there is nothing of that name; similar names are listed.
        RunError: If it is a file, or a folder that is no run.
    """
    from nas.run_store.layout import require_run

    path = runs.expanduser() / run
    given = Path(run).expanduser()
    # A path made absolute, not resolved: a link to a run keeps its own name.
    if os.sep in run or (not path.exists() and given.exists()):
        path = given
    elif run == LATEST and not path.exists():
        path = _latest(runs)
    path = Path(os.path.normpath(path.absolute()))
    require_run(path)
    return path


def _latest(runs: Path) -> Path:
    """Return the run under a folder that was created last."""
    from nas.errors import NasError, NotFoundError
    from nas.run_store import layout

    found: list[tuple[str, Path]] = []
    folder = runs.expanduser()
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        with suppress(NasError):  # a damaged run is not the one that is meant
            if not path.name.startswith(".") and layout.is_run(path):
                found.append((str(layout.read_environment(path)["created"]), path))
    if not found:
        raise NotFoundError(
            f"There is no run under '{runs}' yet.",
            fix="Make one: nas search wired_cnn --data digits --preset smoke",
        )
    return max(found)[1]


def shown_run(path: Path) -> str:
    """Return what to type for a run: its name where that is enough, else its path."""
    from nas.run_store.layout import typed  # late: a command begins without the run store

    return typed(path)

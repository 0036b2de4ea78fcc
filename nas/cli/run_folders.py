"""RUN on the command line: a name under the folder of runs, or a path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

RUNS = Path("runs")

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Name under --runs, or path of a run folder.")
]
RunsOption = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of runs.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def find_run(run: str, runs: Path = RUNS) -> Path:
    """Return the folder of a run.

    A text with a slash is a path. Any other is a name under `runs` first, and a path second, so
    that `nas front .` works inside a run.

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
    path = Path(os.path.normpath(path.absolute()))
    require_run(path)
    return path


def shown_run(path: Path, runs: Path = RUNS) -> str:
    """Return what to type for a run: its name where that is enough, else its path."""
    if path.parent == Path(os.path.normpath(RUNS.absolute())):
        return path.name
    return str(path)

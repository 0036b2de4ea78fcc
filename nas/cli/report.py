"""Write the report of a run: the dashboard's page with all its views in one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import print_text
from nas.cli.run_folders import RUNS, RunArgument, RunsOption, find_run

if TYPE_CHECKING:
    from nas.run_store import Run


def report(
    run: RunArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; else RUN/report.html.")
    ] = None,
    runs: RunsOption = RUNS,
) -> None:
    """Read the run, write one file, name it."""
    from nas.errors import ConfigError
    from nas.run_store import Run
    from nas.run_store.atomic import write_bytes

    with Run.open(find_run(run, runs)) as opened:
        path = output or opened.path / "report.html"
        if path.is_dir() or not path.absolute().parent.is_dir():
            missing = path if path.is_dir() else path.parent
            what = "is a folder, not a file to write" if path.is_dir() else "does not exist"
            raise ConfigError(
                f"{missing} {what}.",
                where="--output",
                fix="Name a file in a folder that exists: -o report.html.",
            )
        write_bytes(path.absolute(), render_report(opened))
    print_text(str(path))


def render_report(run: Run) -> bytes:
    """Return the report page of an opened run."""
    import importlib

    page = importlib.import_module(f"{pages_package()}.report")
    text: str = page.report_page(run)
    return text.encode()


def pages_package() -> str:
    """Return where the pages are: beside the package in a checkout, else `nas_dashboards`."""
    import nas

    beside = Path(nas.__file__).resolve().parents[1] / "dashboards" / "report.py"
    return "dashboards" if beside.is_file() else "nas_dashboards"

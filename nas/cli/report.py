"""Write the report of a run: front, drawings and provenance in one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.output import print_text


def report(
    run: Annotated[Path, typer.Argument(help="A folder under runs/.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; else RUN/report.html.")
    ] = None,
) -> None:
    """Read the run, write one file, name it."""
    from nas.errors import ConfigError
    from nas.run_store.atomic import write_bytes
    from nas.run_store.run import Run

    with Run.open(run) as opened:
        path = output or opened.path / "report.html"
        if not path.parent.is_dir():
            raise ConfigError(
                f"There is no folder {path.parent} to write the report to.", fix="Make it first."
            )
        write_bytes(path, render_report(opened))
    print_text(str(path))


def render_report(run: object) -> bytes:
    """Return the report page of an opened run."""
    import importlib
    import importlib.util

    from nas.search.front_view import front_document

    # A wheel carries the pages as `nas_dashboards`; a checkout has them beside the package.
    package = "nas_dashboards" if importlib.util.find_spec("nas_dashboards") else "dashboards"
    page = importlib.import_module(f"{package}.static_report")
    text: str = page.report_page(run, front_document(run))  # type: ignore[arg-type]
    return text.encode()

"""Compare methods on data sets with paired seeds: a paper's table from one file.

FILE says which methods, spaces, data and seeds (schema: nas.study/1). Everything is kept in a
folder of the study's name; Ctrl-C saves the state, and the same command goes on where it was.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import print_json, print_text, talk
from nas.cli.run_folders import Json

if TYPE_CHECKING:
    from nas.study.config import StudyConfig

_STUDIES = Path("studies")
_FOLDERS = re.compile(r"(?<![\w./])/(?:[^/\s,\]'\"]+/)*")


def study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A YAML or JSON file.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the file, repeatable."),
    ] = None,
    runs: Annotated[
        Path, typer.Option("--runs", metavar="DIR", help="Folder that holds the study's own.")
    ] = _STUDIES,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=4096, help="Trainings at a time; changes no number."),
    ] = None,
    executor: Annotated[str, typer.Option(help="local, ray or inline.")] = "local",
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="DOC", help="Put the table between its marks in this document."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Resolve, run, print."""
    from nas.study.resolve import resolve_study

    config = resolve_study(file, settings or [])
    if dry_run:
        from nas.cli.study_dry_run import print_estimate

        print_estimate(config, workers, as_json)
        return
    if markdown is not None:
        from nas.study.outputs import place_in

        place_in(markdown, config.name)  # before hours of training, not after them
    command = command_line(file, settings or [])
    path = _run(config, runs, command, workers, executor)
    _print(path, markdown, as_json)


def _run(config: StudyConfig, runs: Path, command: str, workers: int | None, executor: str) -> Path:
    from nas.cli.search_progress import StageDisplay
    from nas.study.runner import run_study

    with StageDisplay() as display:
        return run_study(
            config,
            studies=runs,
            command=command,
            listener=display.show,
            workers=workers,
            executor=executor,
        ).path


def _print(path: Path, markdown: Path | None, as_json: bool) -> None:
    """Print the table or its document, and put it where the user wants it."""
    from nas.run_store import Run
    from nas.study.outputs import MARKDOWN, document, write_markdown
    from nas.study.results import read_results

    with Run.open(path) as run:
        found = document(read_results(run))
        if as_json:
            print_json({**found, "path": str(path)})
        else:
            print_text((run.read_view(MARKDOWN) or b"").decode("utf-8"))
            if found["diagram"]:
                print_text(str(found["diagram"]))
        if markdown is not None:
            write_markdown(run, markdown)
    talk(f"written: {path}/table.csv, table.tex, table.md, cd.svg, study.json")


def command_line(file: Path, settings: list[str]) -> str:
    """Return what was typed, without folders that say whose machine this is."""
    shown = Path(file.name) if file.is_absolute() else file
    plain = (shlex.quote(_FOLDERS.sub("", each)) for each in settings)
    return " ".join(["nas study", str(shown), *(f"--set {each}" for each in plain)])

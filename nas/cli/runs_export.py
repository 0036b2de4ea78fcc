"""`nas runs export`: runs in the formats of other tools, each into files that are not there yet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import print_text, talk
from nas.cli.run_folders import RUNS, RunsOption, find_run

if TYPE_CHECKING:
    from nas.run_store import Run

Runs = Mapping[str, "Run"]

_MANY_TRIALS = 500
_JOURNALS = (".log", ".journal")


def export(
    run: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN...]", help="Names or paths of runs.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every run that can be read.")] = False,
    optuna: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A study per run: SQLite, or with the ending .log Optuna's faster journal.",
        ),
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of curves per run.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="One line per trial.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same with types.")
    ] = None,
    runs: RunsOption = RUNS,
) -> None:
    """Export runs for Optuna's dashboard, TensorBoard, spreadsheets and data frames."""
    wanted = {
        "--optuna": (optuna, _write_optuna),
        "--tensorboard": (tensorboard, _write_tensorboard),
        "--csv": (csv, _write_csv),
        "--parquet": (parquet, _write_parquet),
    }
    targets = {
        option: (path, write) for option, (path, write) in wanted.items() if path is not None
    }
    paths = chosen_runs(run or [], every, runs)
    _check_targets({option: path for option, (path, _) in targets.items()})
    with ExitStack() as stack:
        opened = _open(paths, stack)
        if tensorboard is not None:
            _check_folders(tensorboard, opened)
        for path, write in targets.values():
            write(opened, path)
            print_text(str(path))
    if optuna is not None:
        talk(f"next: pip install optuna-dashboard; optuna-dashboard {_shown_storage(optuna)}")
    if tensorboard is not None:
        talk(f"next: pip install tensorboard; tensorboard --logdir {tensorboard}")


def chosen_runs(names: list[str], every: bool, runs: Path) -> list[Path]:
    """Return the folders of the runs that were asked for.

    Raises:
        ConfigError: If none or both ways of choosing are used.
        NotFoundError: If there is no such run.
    """
    from nas.errors import ConfigError, NotFoundError
    from nas.run_store import list_runs

    if bool(names) == every:
        raise ConfigError(
            "Name the runs to export, or give --all; not both." if every else "Which runs?",
            fix="Write `nas runs export RUN --csv trials.csv`, or --all in place of RUN.",
        )
    if names:
        return list(dict.fromkeys(find_run(name, runs) for name in names))
    found = list_runs(runs)
    for summary in found:
        if summary.problem:
            talk(f"left out: {summary.name}: {' '.join(summary.problem.split())[:100]}")
    readable = [summary.path for summary in found if not summary.problem]
    if not readable:
        raise NotFoundError(
            f"There is no run in {runs}.", fix="Name the folder of runs with --runs DIR."
        )
    return readable


def _open(paths: list[Path], stack: ExitStack) -> dict[str, Run]:
    """Open runs by the names of their folders; studies of nas among several are left out.

    Raises:
        ConfigError: If two have one name.
    """
    from nas.errors import ConfigError, RunError
    from nas.run_store import Run
    from nas.search.front.reading import check_is_search

    found: dict[str, Run] = {}
    for path in paths:
        name = path.name
        if name in found:
            raise ConfigError(
                f"Two of the runs are called '{name}'.",
                why="The export tells them apart by their names.",
                fix="Export them one by one, or rename a folder.",
            )
        opened = stack.enter_context(Run.open(path))
        try:
            check_is_search(opened)
        except RunError:
            if len(paths) == 1:
                raise
            talk(f"left out: {name}: a study of nas, which has tables of its own")
            continue
        found[name] = opened
    return found


def _check_targets(targets: Mapping[str, Path]) -> None:
    """Find out before any work begins whether everything can be written.

    Raises:
        ConfigError: If nothing is asked for, two files are one, a file is there already, or its
            folder is not.
        EnvironmentFault: If a library is missing.
    """
    from nas.errors import ConfigError

    if not targets:
        raise ConfigError(
            "No format was asked for.",
            fix="Add one or more of --optuna FILE, --tensorboard DIR, --csv FILE, --parquet FILE.",
        )
    for option, path in targets.items():
        if sum(path.absolute() == other.absolute() for other in targets.values()) > 1:
            raise ConfigError(
                f"{path} is asked for twice.", where=option, fix="Name a file for each format."
            )
        if option != "--tensorboard" and os.path.lexists(path):
            raise ConfigError(
                f"{path} exists already.",
                where=option,
                fix="Name another file, or remove this one first.",
            )
        if not path.absolute().parent.is_dir():
            raise ConfigError(
                f"{path.parent} does not exist.",
                where=option,
                fix="Name a place in a folder that exists.",
            )


def _check_folders(folder: Path, runs: Runs) -> None:
    """Refuse to mix the curves of two exports, which TensorBoard would draw as one."""
    from nas.errors import ConfigError
    from nas.search.exports.tensorboard import import_tensorboard

    import_tensorboard()
    for name in runs:
        target = folder / name
        if os.path.lexists(target):
            raise ConfigError(
                f"{target} exists already.",
                where="--tensorboard",
                fix="Name another folder, or remove this one first.",
            )


def _write_optuna(runs: Runs, path: Path) -> None:
    from nas.search.exports.study import export_studies

    trials = sum(len(run.table().trials) for run in runs.values())
    if trials > _MANY_TRIALS and path.suffix.lower() not in _JOURNALS:
        talk(
            f"{trials:,} trials: Optuna writes SQLite at some ten trials a second; its journal "
            f"(--optuna {path.with_suffix('.log')}) is ten times as fast"
        )
    export_studies(dict(runs), path.absolute())


def _write_tensorboard(runs: Runs, path: Path) -> None:
    from nas.search.exports.tensorboard import write_events

    path.mkdir(exist_ok=True)
    for name, run in runs.items():
        write_events(run, path.absolute() / name)


def _write_csv(runs: Runs, path: Path) -> None:
    from nas.run_store.atomic import write_bytes
    from nas.search.exports.trials import runs_table, table_csv

    write_bytes(path.absolute(), table_csv(runs_table(runs)))


def _write_parquet(runs: Runs, path: Path) -> None:
    from nas.run_store.atomic import write_bytes
    from nas.search.exports.trials import runs_table
    from nas.search.front.tables import table_parquet

    write_bytes(path.absolute(), table_parquet(runs_table(runs)))


def _shown_storage(path: Path) -> str:
    return str(path) if path.suffix.lower() in _JOURNALS else f"sqlite:///{path}"

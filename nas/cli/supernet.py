"""Ask how far the ranking of a run's supernet can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.commands import command_group
from nas.cli.output import print_json, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunArgument, RunsOption, find_run

if TYPE_CHECKING:
    from nas.run_store import Run
    from nas.search.session import Session
    from nas.search.settings.config import SearchConfig
    from nas.supernet.trust.rank import RankReport

app = command_group(__doc__)

VIEW = "rank.json"


@app.command()
def rank(
    run: RunArgument,
    architectures: Annotated[
        str,
        typer.Option(metavar="N|all", help="Members to train alone, equally many per family."),
    ] = "100",
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings per member.")] = 2,
    epochs: Annotated[int, typer.Option(metavar="N", help="Epochs of each training.")] = 10,
    families: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Families; by default those with enough members."),
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Take the trainings of this run of the same data too."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Trainings at a time; never changes a number.")
    ] = None,
    executor: Annotated[
        str | None, typer.Option(metavar="NAME", help="local, ray or inline.")
    ] = None,
    runs: RunsOption = RUNS,
    as_json: Json = False,
) -> None:
    """Train members alone and print how the supernet ranks them; goes on where it was left."""
    from nas.run_store import Run
    from nas.search.ranking.stage import trained_weights
    from nas.supernet.trust.rank_table import rank_table

    wanted = _limits(architectures, seeds, epochs, workers)
    path = find_run(run, runs)
    other = find_run(truth, runs) if truth is not None else None
    with Run.open(path) as opened:
        trained_weights(opened)  # refuse before the lock is taken
    names = tuple(filter(None, families.split(","))) if families is not None else None
    with Run.open(path, write=True) as opened:
        session = _session(opened, workers, executor)
        report = _rank(session, (wanted, seeds, epochs, names), other)
        _write(opened, report)
    if as_json:
        print_json(report.to_dict())
    else:
        print_text(rank_table(report))
    talk(f"written: {path / VIEW}")


def _limits(architectures: str, seeds: int, epochs: int, workers: int | None) -> int | None:
    """Return how many members are wanted, None for all.

    Raises:
        ConfigError: If a number is out of its range.
    """
    from nas.errors import ConfigError

    members = None if architectures == "all" else _whole(architectures)
    limits = {
        "--architectures": (members, 3, 10_000),
        "--seeds": (seeds, 2, 100),
        "--epochs": (epochs, 1, 100_000),
        "--workers": (workers, 1, 4096),
    }
    for option, (value, low, high) in limits.items():
        if value is not None and not low <= value <= high:
            given = architectures if option == "--architectures" else value
            raise ConfigError(
                f"'{given}' is not possible: a whole number, {low} to {high:,}"
                + (", or all." if option == "--architectures" else "."),
                where=option,
                fix="Leave it out for the default.",
            )
    return members


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _session(run: Run, workers: int | None, executor: str | None) -> Session:
    """Return a session of a run whose space and data are what they were."""
    from nas.search.driver import check_unchanged, open_session, run_config
    from nas.search.executors import EXECUTORS
    from nas.search.interrupts import Stopper
    from nas.search.material import prepare_material

    config: SearchConfig = run_config(run)
    if executor is not None:
        EXECUTORS.get(executor)
    material = prepare_material(config)
    check_unchanged(run, config, material)
    return open_session(run, material, Stopper(run.stop_requested), workers, executor)


def _rank(
    session: Session,
    wanted: tuple[int | None, int, int, tuple[str, ...] | None],
    other: Path | None,
) -> RankReport:
    """Rank, every result kept as it comes.

    Raises:
        InterruptedRunError: If a signal or `nas stop` ended it.
    """
    from nas.cli.search_progress import StageDisplay
    from nas.errors import InterruptedRunError
    from nas.run_store import Run
    from nas.search.front_view import register_views
    from nas.search.ranking.stage import RankSettings, rank, rank_recipe
    from nas.search.ranking.taken_truths import take_truths
    from nas.search.session import Stopped
    from nas.search.training.kept_trainings import told_left

    members, seeds, epochs, families = wanted
    settings = RankSettings(members, seeds, rank_recipe(session.config, epochs), families)
    if other is not None:
        with Run.open(other) as opened:
            talk(f"{take_truths(session.run, opened, settings)} trainings taken from {other.name}")
    register_views()
    try:
        with StageDisplay() as display, session.stopper.listening():
            session.listener = display.show
            return rank(session, settings)
    except Stopped:
        raise InterruptedRunError(
            "The ranking was interrupted; the members trained so far are kept."
            f"{told_left(session.run.path)}",
            where=str(session.run.path),
            fix="Type the same command again to go on.",
        ) from None
    finally:
        session.close()


def _write(run: Run, report: RankReport) -> None:
    import json

    from nas.cli.report import render_report
    from nas.cli.search_end import REPORT

    document: dict[str, Any] = report.to_dict()
    run.write_view(VIEW, json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")
    run.write_view(REPORT, render_report(run))  # it names the verdict

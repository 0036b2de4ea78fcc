"""Go on with an interrupted run, or give a finished one more trials."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import talk
from nas.cli.run_folders import RUNS, Json, RunArgument, RunsOption, find_run
from nas.cli.search_options import TimeOption, WorkersOfRunOption

if TYPE_CHECKING:
    from pathlib import Path

_MOST_TRIALS = 1_000_000


def resume(
    run: RunArgument,
    trials: Annotated[
        str | None,
        typer.Option(metavar="+N", help="+100 for a hundred more, 300 for three hundred in all."),
    ] = None,
    time: TimeOption = None,
    runs: RunsOption = RUNS,
    executor: Annotated[str | None, typer.Option(help="local, ray or inline.")] = None,
    workers: WorkersOfRunOption = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Take a run on a network disk from a machine that is gone."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Open, go on, print."""
    from nas.run_store.layout import LOCK
    from nas.run_store.lock import refuse_if_owned

    path = find_run(run, runs)
    refuse_if_owned(path / LOCK, path.name)

    from nas.cli.durations import parse_duration
    from nas.cli.search_end import finish, saving_report, way_on
    from nas.cli.search_progress import StageDisplay
    from nas.search.driver import resume as go_on
    from nas.search.executors import EXECUTORS

    time_limit_s = None if time is None else parse_duration(time)
    _check_workers(workers)
    if executor is not None:
        EXECUTORS.get(executor)
    extra = 0 if trials is None else _extra_trials(path, trials)
    with saving_report(), StageDisplay() as display:
        go_on(
            path,
            extra_trials=extra,
            time_limit_s=time_limit_s,
            listener=display.show,
            workers=workers,
            executor=executor,
            take_over=take_over,
        )
    if not extra:
        talk(f"give it more with: {way_on(path)} --trials +100")
    finish(path, as_json)


def _check_workers(workers: int | None) -> None:
    from nas.errors import ConfigError

    if workers is not None and not 1 <= workers <= 4096:
        raise ConfigError(
            f"{workers} workers are not possible: 1 to 4096.",
            where="--workers",
            fix="Leave it out for the run's own number.",
        )


def _extra_trials(path: Path, text: str) -> int:
    """Return how many trials `+100` or `300` add to those planned."""
    from nas.errors import ConfigError
    from nas.run_store import Run
    from nas.search.exploring.history import planned_trials

    form = re.fullmatch(r"(\+?)([0-9]{1,9})", text.strip())
    if form is None or int(form[2]) > _MOST_TRIALS:
        raise ConfigError(
            f"'{text}' is no number of trials up to {_MOST_TRIALS:,}.",
            where="--trials",
            fix="Write --trials +100 for a hundred more.",
        )
    if form[1]:
        return int(form[2])
    with Run.open(path) as run:
        planned = planned_trials(run)
    if int(form[2]) < planned:
        raise ConfigError(
            f"The run has {planned} trials planned already; {form[2]} in all are fewer.",
            where="--trials",
            fix="Write --trials +100 for a hundred more.",
        )
    return int(form[2]) - planned

"""Search a space of wirings: train a supernet, explore it, confirm the Pareto front.

SOURCE is a declared space, a file that declares one, or a file that configures a search; the first
key of a file, schema, says which. Ctrl-C saves the state: go on with nas resume.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from nas.cli.run_folders import RUNS, Json, RunsOption
from nas.cli.search_options import (
    DeviceOption,
    ImageSizeOption,
    NameOption,
    PresetOption,
    SeedOption,
    SettingsOption,
    TimeOption,
    WorkersOption,
)

# What an option sets in the config, so that a bad value is reported under the option's name.
_KEYS = {
    "data": "--data",
    "preset": "--preset",
    "image_size": "--image-size",
    "seed": "--seed",
    "device": "--device",
    "search.trials": "--trials",
    "executor.kind": "--executor",
    "executor.workers": "--workers",
}


def search(
    source: Annotated[
        str, typer.Argument(metavar="SPACE|CONFIG", help="Name of a space, or path of a file.")
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="D", help="digits (default), .npz, folder of images, module:function."
        ),
    ] = None,
    image_size: ImageSizeOption = None,
    settings: SettingsOption = None,
    preset: PresetOption = None,
    trials: Annotated[
        str | None, typer.Option(metavar="N", help="Distinct members to evaluate.")
    ] = None,
    time: TimeOption = None,
    seed: SeedOption = None,
    name: NameOption = None,
    runs: RunsOption = RUNS,
    executor: Annotated[str | None, typer.Option(help="local (default), ray or inline.")] = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Resolve, run, print."""
    from nas.cli.durations import parse_duration

    time_limit_s = None if time is None else parse_duration(time)
    given = {
        "data": data,
        "image_size": number_of(image_size),
        "preset": preset,
        "seed": number_of(seed),
        "device": device,
        "search.trials": number_of(trials),
        "executor.kind": executor,
        "executor.workers": number_of(workers),
    }
    config = resolve_typed(source, given, settings or [])
    if dry_run:
        from nas.cli.dry_run import print_estimate

        print_estimate(config, name, as_json)
        return
    _run(config, runs, name, time_limit_s, as_json)


def number_of(text: str | None) -> int | str | None:
    """Return a whole number where the text is one; the config refuses the rest by value."""
    return int(text) if text is not None and re.fullmatch(r"[+-]?[0-9]{1,18}", text) else text


def resolve_typed(source: str, given: dict[str, Any], settings: list[str]) -> Any:
    """Return the checked config; a bad option is reported under the name it was typed with."""
    from nas.errors import NasError
    from nas.search.settings.resolve import resolve_config

    try:
        return resolve_config(source, options=given, overrides=settings)
    except NasError as error:
        for key, option in _KEYS.items():
            prefix = f"option {key}"
            if error.where and error.where.partition(",")[0] == prefix:
                error.where = option
        raise


def _run(
    config: Any, runs: Path, name: str | None, time_limit_s: float | None, as_json: bool
) -> None:
    from nas.cli.search_end import finish, saving_report
    from nas.cli.search_progress import StageDisplay
    from nas.search.driver import search as run_search

    with saving_report(), StageDisplay() as display:
        run = run_search(
            config, runs=runs, name=name, time_limit_s=time_limit_s, listener=display.show
        )
    finish(run.path, as_json)

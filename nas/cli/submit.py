"""Send a search to a Ray cluster; with --follow, wait for it and bring its run back.

SOURCE is what nas search takes, or a run that lies here: submitting a run's name again goes on with
it. The config, its plugins and its data are sent, at most 100 MiB; --remote-data names data that
are on the cluster already. The run comes back to --runs, or stays in --remote-runs.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.job_talk import AddressOption, TokenOption, fetch_run, follow_job, tell_end
from nas.cli.output import print_json, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption, shown_run
from nas.cli.search import number_of, resolve_typed
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
from nas.cli.submit_render import (
    CpusOption,
    HoursOption,
    ImageOption,
    MemoryOption,
    ModulesOption,
    NodesOption,
    RenderOption,
    print_manifest,
)

if TYPE_CHECKING:
    from nas.cluster.http import Endpoint
    from nas.cluster.submitting import Submission


def submit(
    source: Annotated[
        str,
        typer.Argument(metavar="SPACE|CONFIG|RUN", help="Name of a space, path of a file, or run."),
    ],
    address: AddressOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show what it says, and bring the run back.")
    ] = False,
    gpus: Annotated[
        float, typer.Option(min=0, metavar="N", help="GPUs of the job that trains the supernet.")
    ] = 0,
    data: Annotated[
        str | None, typer.Option(metavar="D", help="As for nas search; files are sent along.")
    ] = None,
    remote_data: Annotated[
        str | None, typer.Option(metavar="PATH", help="Data that are on the cluster, not sent.")
    ] = None,
    image_size: ImageSizeOption = None,
    settings: SettingsOption = None,
    preset: PresetOption = None,
    trials: Annotated[
        str | None,
        typer.Option(metavar="N", help="Members to evaluate; of a run: +100 for more."),
    ] = None,
    time: TimeOption = None,
    seed: SeedOption = None,
    name: NameOption = None,
    runs: RunsOption = RUNS,
    remote_runs: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder on the cluster where the run is and stays."),
    ] = None,
    executor: Annotated[
        str | None, typer.Option(help="ray (default: all nodes), local or inline.")
    ] = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    token_file: TokenOption = None,
    as_json: Json = False,
    render: RenderOption = None,
    nodes: NodesOption = 2,
    cpus: CpusOption = 4,
    memory_gib: MemoryOption = 8,
    hours: HoursOption = 24,
    image: ImageOption = None,
    remote_modules: ModulesOption = None,
) -> None:
    """Resolve, send, follow, bring back."""
    given = {
        "data": _data(data, remote_data),
        "image_size": number_of(image_size),
        "preset": preset,
        "seed": number_of(seed),
        "device": device,
        "executor.kind": executor,
        "executor.workers": number_of(workers),
    }
    wanted = _wanted(
        source, given, settings or [], trials, time, name, runs, remote_runs, gpus, remote_data
    )
    if render is not None:
        sizes = {"nodes": nodes, "cpus": cpus, "memory_gib": memory_gib, "hours": hours}
        print_manifest(render, wanted, remote_modules, image=image, **sizes)
        return
    _submit(wanted, address, token_file, follow, as_json)


def _submit(
    wanted: Submission, address: str | None, token_file: Path | None, wait: bool, as_json: bool
) -> None:
    from nas.cluster.addresses import find_cluster
    from nas.cluster.submitting import COPY_NEEDED, submit

    endpoint = find_cluster(address, token_file)
    key = submit(endpoint, wanted, carry=not wait)
    talk(f"submitted run '{wanted.name}' to {endpoint.address} as job {key}")
    if not wait:
        _say_next(endpoint, wanted, key, as_json)
        return
    job, said = follow_job(endpoint, key, wanted.name)
    if job.exit_code == COPY_NEEDED:
        talk("the copy here is further: sending it along")
        key = submit(endpoint, wanted, carry=True)
        job, said = follow_job(endpoint, key, wanted.name)
    path = _bring_back(endpoint, wanted)
    tell_end(endpoint, job, said, path, as_json)


def _bring_back(endpoint: Endpoint, wanted: Submission) -> Path | None:
    """Bring the run back unless it stays; None if the job ended before there was one."""
    from nas.errors import NotFoundError

    if wanted.remote_runs is not None:
        return None
    try:
        fetch_run(endpoint, wanted.name, wanted.local)
    except NotFoundError:
        return None
    return wanted.local


def _say_next(endpoint: Endpoint, wanted: Submission, key: str, as_json: bool) -> None:
    if as_json:
        print_json({"schema": "nas.job/1", "run": wanted.name, "job": key, "state": "pending"})
    else:
        print_text(wanted.name)
    steps = [f"jobs logs {wanted.name} --follow"]
    if wanted.remote_runs is None:
        is_usual = shown_run(wanted.local) == wanted.name
        folder = "" if is_usual else f" --runs {shlex.quote(str(wanted.local.parent))}"
        steps.append(f"jobs fetch {wanted.name}{folder}")
    steps.append(f"jobs stop {wanted.name}")
    talk(f"next: {'; '.join(endpoint.command(each) for each in steps)}")


def _data(data: str | None, remote: str | None) -> str | None:
    from nas.errors import ConfigError

    if remote is None:
        return data
    if data is not None or not remote.startswith("/"):
        raise ConfigError(
            "Data are given twice." if data is not None else f"'{remote}' is no absolute path.",
            where="--remote-data",
            why="It is a path on the cluster, where your working folder is not.",
            fix="Give either --data, which is sent, or --remote-data, from the root.",
        )
    return remote


def _wanted(
    source: str,
    given: dict[str, Any],
    settings: list[str],
    trials: str | None,
    time: str | None,
    name: str | None,
    runs: Path,
    remote_runs: str | None,
    gpus: float,
    remote_data: str | None,
) -> Submission:
    from nas.cli.durations import parse_duration
    from nas.cluster.submitting import Submission, new_name

    limits: tuple[str, ...] = ()
    if time is not None:
        parse_duration(time)
        limits = ("--time", time)
    run = _run_here(source, runs)
    if run is not None:
        more = ["--executor", given.pop("executor.kind") or "ray"]
        more += _words("--workers", given.pop("executor.workers")) + _words("--trials", trials)
        _refuse_changes(run, {**given, "name": name, "set": settings or None})
        config, values = _config_of(run)
        name, folder = run.name, run.parent
    else:
        given["search.trials"] = number_of(trials)
        config, more = _resolve(source, given, settings), []
        values = config.to_dict()
        name = new_name(config) if name is None else name
        folder = runs.expanduser().absolute()
    return Submission(
        name=name,
        config=config,
        values=values,
        local=folder / name,
        remote_runs=remote_runs,
        gpus=gpus,
        with_data=remote_data is None,
        arguments=limits,
        more=tuple(more),
    )


def _resolve(source: str, given: dict[str, Any], settings: list[str]) -> Any:
    """Return the config of a search that is to begin."""
    from nas.errors import NotFoundError
    from nas.search.settings.resolve import read_search

    try:
        read_search(source)
    except NotFoundError as error:
        error.fix = f"{error.fix} A run that is only on the cluster: nas jobs fetch RUN"
        raise
    return resolve_typed(source, _on_ray(source, given, settings), settings)


def _words(option: str, value: object) -> list[str]:
    return [] if value is None else [option, str(value)]


def _on_ray(source: str, given: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """Let evaluations use the whole cluster unless an executor was chosen somewhere."""
    from nas.search.settings.resolve import read_search

    if given["executor.kind"] is None and not any("executor" in each for each in settings):
        data = read_search(source).data
        chosen = data.get("executor") if isinstance(data, dict) else None
        if not (isinstance(chosen, dict) and "kind" in chosen):
            return {**given, "executor.kind": "ray"}
    return given


def _run_here(source: str, runs: Path) -> Path | None:
    """Return the run that a text names, if it names one and no space or file."""
    from nas.run_store.layout import is_run
    from nas.space.declared import space_names

    if source in space_names():
        return None
    for path in (runs.expanduser() / source, Path(source).expanduser()):
        if is_run(path):
            return path.absolute()
    return None


def _config_of(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the config of a run, with its data where they are, and as the run keeps it."""
    from nas.run_store import Run
    from nas.search.driver import run_config

    with Run.open(path) as run:
        return run_config(run), run.config


def _refuse_changes(run: Path, given: dict[str, Any]) -> None:
    from nas.errors import ConfigError

    changed = sorted(key for key, value in given.items() if value is not None)
    if changed:
        raise ConfigError(
            f"A run keeps its config: {', '.join(changed)} cannot be changed.",
            where=f"run '{run.name}'",
            fix="Leave them out, or submit the config under another --name.",
        )

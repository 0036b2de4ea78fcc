"""The driver: one process that owns a run and takes it from its config to its front.

Stages follow one another - prepare, relax, supernet, explore, measure (where a profile steered),
confirm, report - and each is a pair of records with whatever it learned between them. What is
finished is never done again; what was left open by a signal, a time limit or a `kill -9` goes on
where its last record ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nas.errors import (
    BudgetError,
    ClusterError,
    ConfigError,
    EveryTrialFailedError,
    InterruptedRunError,
    NothingFeasibleError,
    RunError,
)
from nas.run_store import Run, rebuild_views
from nas.run_store.layout import check_slug, typed
from nas.search.callbacks.base import AbstractCallback, telling
from nas.search.checks.budget_check import check_budgets_on_node, check_latencies
from nas.search.checks.device_check import check_same_device, package_versions
from nas.search.checks.memory_check import check_memory
from nas.search.confirm.stage import confirm
from nas.search.executors import EXECUTORS
from nas.search.exploring.explore import explore
from nas.search.exploring.propose import PATH_TRAINING, RELAXATION
from nas.search.front.reading import check_is_search
from nas.search.front_view import PREPARE, register_views
from nas.search.interrupts import Stopper
from nas.search.material import Material, check_same_data, data_of_run, prepare_material
from nas.search.measuring.measure_front import measure_front
from nas.search.measuring.node_timing import time_front_nodes
from nas.search.measuring.prediction import keep_profiles
from nas.search.measuring.remote import RemoteDevice, check_measure_on
from nas.search.progress import Listener, no_listener
from nas.search.quantisation import check_objectives_here
from nas.search.session import Session, Stopped
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import resolve_space
from nas.search.training.kept_trainings import told_left
from nas.search.training.learning import proposed_by_paths, relax, train_supernet
from nas.space.counting import digits_of
from nas.space.declared import import_plugins
from nas.training.device import resolve_device

REPORT = "report"

_log = logging.getLogger("nas")


def search(
    config: SearchConfig,
    *,
    runs: Path | str = "runs",
    name: str | None = None,
    time_limit_s: float | None = None,
    listener: Listener = no_listener,
    workers: int | None = None,
    executor: str | None = None,
    callbacks: Sequence[AbstractCallback] = (),
) -> Run:
    """Create a run from a resolved config and take it to its end.

    Args:
        config: From `nas.search.settings.resolve.resolve_config`.
        runs: Folder of runs.
        name: Slug; by default `<space>-<data>-<UTC time>`.
        time_limit_s: Seconds after which the run is left in good order, to be resumed.
        listener: Told how far each stage is.
        workers: Evaluations at a time; never changes the result.
        executor: `local`, `ray` or `inline`; never changes the result.
        callbacks: Told what is recorded while it runs; never change the result.

    Returns:
        The run, closed for writing: its `front()` can be read. Its state is `interrupted` if the
        time limit was reached.

    Raises:
        ConfigError: If the name is no slug; RunError if it is taken.
        DataError: If the data are unfit. Nothing is written then.
        BudgetError: If a latency budget is surely below the fastest network; nothing is written,
            unless a node of a cluster measures.
        EveryTrialFailedError: If no trial finished.
        NothingFeasibleError: If none keeps the constraints.
        InterruptedRunError: If a signal or `nas stop` ended it; the state is saved.
    """
    import_plugins(config.plugins)
    if name is not None:
        check_slug(name)
    device = resolve_device(config.device)
    check_objectives_here(config, str(device))
    _check_executor(config, executor or config.executor.kind)
    material = prepare_material(config)
    check_memory(config, material, str(device))
    check_latencies(config, material, str(device))
    run = Run.create(
        runs,
        name or default_name(config, material),
        config.to_dict(),
        environment(config, material, str(device)),
    )
    with run, telling(run.path, callbacks, listener) as told:
        _drive(run, material, time_limit_s, told, workers, executor)
    return Run.open(run.path)


def resume(
    path: Path | str,
    *,
    extra_trials: int = 0,
    time_limit_s: float | None = None,
    listener: Listener = no_listener,
    workers: int | None = None,
    executor: str | None = None,
    callbacks: Sequence[AbstractCallback] = (),
    take_over: bool = False,
) -> Run:
    """Go on with a run that was interrupted, or give a finished one more trials.

    Args:
        path: The run's folder.
        extra_trials: Trials beyond those planned so far, at least 0.
        time_limit_s: As in `search`.
        listener: As in `search`.
        workers: As in `search`.
        executor: As in `search`.
        callbacks: As in `search`; they are told the whole log from its beginning.
        take_over: Of a run on a network file system: take it from a process of another machine
            that does not renew its lease any more.

    Raises:
        ConfigError: If `extra_trials` is negative.
        RunError: If the run is in use, its config was edited, space or data changed, or it holds
            measurements of another device.
        EnvironmentFault: If its device is not there.
        InterruptedRunError: As in `search`, like the other errors there.
    """
    if extra_trials < 0:
        raise ConfigError(
            f"{extra_trials} more trials are not possible: at least 0.",
            fix="Write --trials +100 for a hundred more.",
        )
    with Run.open(path) as read:
        if read.is_of_older_format:
            # Its owner changes the format for good, so nothing may be left that stops it then.
            _material_to_go_on(read, executor)
    with Run.open(path, write=True, take_over=take_over) as run:
        material = _material_to_go_on(run, executor)
        run.append({"kind": "run_resumed", "extra_trials": extra_trials})
        with telling(run.path, callbacks, listener) as told:
            _drive(run, material, time_limit_s, told, workers, executor)
    return Run.open(run.path)


def _material_to_go_on(run: Run, executor: str | None) -> Material:
    """Return what a run needs to go on, or raise what `resume` says."""
    config = run_config(run)
    material = prepare_material(config)
    check_unchanged(run, config, material)
    check_same_device(run, config)
    check_objectives_here(config, str(run.environment.get("device", config.device)))
    _check_executor(config, executor or config.executor.kind)
    return material


def run_config(run: Run) -> SearchConfig:
    """Return the config that a run keeps, its plugins imported.

    Raises:
        RunError: If it is no config of this version.
    """
    from pydantic import ValidationError

    check_is_search(run)
    try:
        config = SearchConfig.model_validate(run.config)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RunError(
            f"The config of run '{run.name}' is not one of this version: {first['msg']}.",
            where=f"run.yaml, key {'.'.join(map(str, first['loc']))}",
            fix="Resume it with the version of nas that made it.",
        ) from error
    import_plugins(config.plugins)
    return config.model_copy(update={"data": data_of_run(config.data, run.path)})


def check_unchanged(run: Run, config: SearchConfig, material: Material) -> None:
    """Refuse a run whose space or data are not what they were.

    Raises:
        RunError: Naming the difference.
    """
    expected = _recorded(run, "space")
    found = space_facts(config)
    for key in ("fingerprint", "members"):
        if key in expected and expected[key] != found[key]:
            raise RunError(
                f"The space '{found['name']}' has changed: its {key} is {found[key]}, the run has "
                f"{expected[key]}.",
                where=f"run '{run.name}'",
                why="A pattern, operation or plugin it is made of is not what it was.",
                fix="Put the old code back, or start a new run.",
            )
    kept = _recorded(run, "data").get("fingerprint")
    if kept is None:
        raise RunError(
            f"Run '{run.name}' does not say which data it was made with.",
            where=str(run.path / "environment.json"),
            fix="Copy the run again, or start a new one.",
        )
    check_same_data(material, str(kept))


def _recorded(run: Run, part: str) -> Mapping[str, Any]:
    found = run.environment.get(part)
    return found if isinstance(found, Mapping) else {}


def space_facts(config: SearchConfig) -> dict[str, Any]:
    """Return name, fingerprint and size of a config's space."""
    space = resolve_space(config)
    return {
        "name": space.name,
        "fingerprint": space.fingerprint,
        "members": digits_of(space.count()),  # beyond what JSON readers take for a number
    }


def default_name(config: SearchConfig, material: Material) -> str:
    """Return `<space>-<data>-<UTC time>`, short enough for a slug."""
    time_label = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    space = resolve_space(config).name
    return f"{space[:24]}-{material.data.name[:20].strip('-')}-{time_label}"


def environment(config: SearchConfig, material: Material, device: str) -> dict[str, Any]:
    """Return what a run keeps of where it was made: no host, user or path."""
    from nas.objectives.device_fingerprint import device_fingerprint

    return {
        "versions": package_versions(),
        "device": device,
        "fingerprint": device_fingerprint(device, config.latency.threads).to_dict(),
        "data": material.summary(),
        "space": space_facts(config),
        "threads": {
            "supernet": config.supernet.threads,
            "evaluation": config.search.threads_per_evaluation,
            "latency": config.latency.threads,
        },
    }


def _check_executor(config: SearchConfig, kind: str) -> None:
    """Find out before anything is written whether the executor can be had, and what it is for."""
    EXECUTORS.get(kind)
    check_measure_on(config, kind)
    if kind == "ray":
        from nas.search.executors.ray_link import check_cluster

        check_cluster(config.executor.address)


def open_session(
    run: Run,
    material: Material,
    stopper: Stopper,
    workers: int | None,
    executor: str | None,
    listener: Listener = no_listener,
) -> Session:
    """Return a session of an owned run, on the device that the run was made on.

    Args:
        run: The run.
        material: Its data, prepared and unchanged.
        stopper: Asked whether to stop.
        workers: Evaluations at a time; None takes the config's.
        executor: Name of the executor; None takes the config's.
        listener: Told how far a stage is.
    """
    config = run_config(run)
    session = Session(
        run=run,
        config=config,
        space=resolve_space(config),
        goals=Goals.of(config),
        material=material,
        device=resolve_device(str(run.environment.get("device", config.device))),
        stopper=stopper,
        listener=listener,
        workers=workers,
        executor_kind=executor,
    )
    if config.executor.measure_on and session.goals.measured:
        session.remote = RemoteDevice(session)
    return session


def _drive(
    run: Run,
    material: Material,
    time_limit_s: float | None,
    listener: Listener,
    workers: int | None,
    executor: str | None,
) -> None:
    stopper = Stopper(run.stop_requested, time_limit_s)
    session = open_session(run, material, stopper, workers, executor, listener)
    register_views()
    try:
        with stopper.listening():
            _stages(session)
    except Stopped:
        _interrupted(run, stopper)
    except ClusterError as error:
        error.fix = f"{error.fix or ''} Go on with: nas resume {typed(run.path)}".strip()
        raise
    except (BudgetError, EveryTrialFailedError, NothingFeasibleError) as error:
        rebuild_views(run)
        run.append({"kind": "run_failed", "reason": type(error).__name__, "message": error.what})
        raise
    finally:
        session.close()


def _stages(session: Session) -> None:
    started = time.perf_counter()
    session.stage(PREPARE, lambda: _prepare(session))
    if session.remote is not None:
        session.remote.open()
        check_budgets_on_node(session)
    preferred = [(RELAXATION, each) for each in relax(session)]
    weights = train_supernet(session)
    preferred += [(PATH_TRAINING, each) for each in proposed_by_paths(session)]
    explore(session, weights, preferred)
    measure_front(session)
    confirm(session)
    time_front_nodes(session)
    session.again(REPORT, lambda: {"views": rebuild_views(session.run)})
    rebuild_views(session.run)
    seconds = round(time.perf_counter() - started, 1)
    session.run.append({"kind": "run_finished", "seconds": seconds})


def _prepare(session: Session) -> Mapping[str, Any]:
    """Write down what the numbers of this run mean."""
    keep_profiles(session)
    goals = session.goals
    described = [
        {"name": each.name, "unit": each.unit, "source": each.source} for each in goals.searched
    ]
    return {
        "objectives": described,
        "constraints": [each.to_dict() for each in goals.constraints],
        "data": session.material.summary(),
        "recipe_hash": session.config.confirm.recipe.recipe_hash,
    }


def _interrupted(run: Run, stopper: Stopper) -> None:
    """Close the run in good order; a signal and `nas stop` are told to the caller."""
    rebuild_views(run)
    reason = stopper.signal_name or stopper.reason or "stop"
    run.append({"kind": "run_interrupted", "reason": reason})
    if stopper.reason == "time":
        _log.info("the time limit was reached")  # the command line says how to go on
        return
    how = f"by {stopper.signal_name}" if stopper.reason == "signal" else "by nas stop"
    raise InterruptedRunError(
        f"Run '{run.name}' was interrupted {how}; its state is saved.{told_left(run.path)}",
        where=str(run.path),
        fix=f"Go on with: nas resume {typed(run.path)}",
    )

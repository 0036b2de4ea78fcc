"""The runner: one process that owns a study's folder and takes it from its file to its table.

Three steps: every method chooses its networks, every cell (network and seed) is trained and tested
once, every network is measured alone. Each result is a record of an append-only log, synced before
it counts; the same command goes on after a signal or `kill -9` and repeats nothing that finished.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from nas.cost.count import cost
from nas.errors import ConfigError, InterruptedRunError
from nas.run_store import Run
from nas.search.checks.device_check import package_versions, warn_elsewhere
from nas.search.executors import EXECUTORS, Job, Outcome
from nas.search.interrupts import Stopper
from nas.search.material import check_same_data
from nas.search.progress import Listener, no_listener
from nas.search.session import Stopped
from nas.search.training.kept_trainings import told_left
from nas.study.config import StudyConfig
from nas.study.measuring import measure_networks
from nas.study.methods.base import Choice, MethodContext
from nas.study.outputs import write_outputs
from nas.study.resolve import check_same_study, make_methods
from nas.study.results import (
    CELL,
    CELL_FAILED,
    ROW,
    Cell,
    cells,
    choice_fields,
    row_record,
)
from nas.study.session import (
    LASTING,
    Materials,
    Row,
    StudySession,
    material_config,
    spaces_of,
    training_seed,
)
from nas.training.device import resolve_device

STUDIES = Path("studies")

_log = logging.getLogger("nas")


def run_study(
    config: StudyConfig,
    *,
    studies: Path | str = STUDIES,
    command: str = "nas study FILE",
    listener: Listener = no_listener,
    workers: int | None = None,
    executor: str = "local",
) -> Run:
    """Take a study to its end, or go on with it.

    Args:
        config: From `nas.study.resolve.resolve_study`.
        studies: Folder in which the study's own folder is made.
        command: What was typed; stands in every output.
        listener: Told how far each step is.
        workers: Trainings at a time; never changes a number.
        executor: `local`, `ray` or `inline`; never changes a number.

    Returns:
        Its folder, closed for writing.

    Raises:
        ConfigError: If a method has no network of the size asked for, where that is an error.
        RunError: If the folder is in use, or was made from another file or other data.
        DataError: If the data are unfit. Nothing is written then.
        EnvironmentFault: If the device is not there, or no more that of the folder.
        InterruptedRunError: If a signal or `nas stop` ended it; the state is saved.
    """
    methods = make_methods(config)
    EXECUTORS.get(executor)
    device = resolve_device(config.device)
    materials = Materials(config)
    facts = materials.facts()
    run = _owned(config, Path(studies), facts, str(device), command)
    device = resolve_device(str(run.environment["device"]))
    with run:
        stopper = Stopper(run.stop_requested)
        session = StudySession(
            run, config, methods, materials, device, stopper, listener, workers, executor
        )
        try:
            with stopper.listening():
                _Study(session).work()
        except (Stopped, InterruptedRunError):
            session.release()
            write_outputs(run)
            run.append({"kind": "run_interrupted", "reason": stopper.signal_name or "stop"})
            raise InterruptedRunError(
                f"Study '{run.name}' was interrupted; its finished cells are saved."
                f"{told_left(run.path)}",
                where=str(run.path),
                fix=f"Go on with the same command: {command}",
            ) from None
        finally:
            session.release()
    return Run.open(run.path)


def _owned(
    config: StudyConfig, studies: Path, facts: Mapping[str, Any], device: str, command: str
) -> Run:
    """Return the study's folder, created or opened to go on.

    Raises:
        RunError: If it is in use, or was made from another file or other data.
        EnvironmentFault: If the device that it was made on is not there.
    """
    path = studies.expanduser().absolute() / config.name
    if not os.path.lexists(path):
        return Run.create(
            studies, config.name, config.to_dict(), _environment(config, facts, device, command)
        )
    run = Run.open(path, write=True)
    try:
        check_same_study(run.config, config, str(path))
        kept = run.environment["data"]
        for name, fact in facts.items():
            if kept[name]["fingerprint"] != fact["fingerprint"]:
                check_same_data(
                    Materials(config).of(name), str(kept[name]["fingerprint"])
                )  # raises, naming both
        # Whatever `auto` finds now, rows are compared only where one device trained them.
        warn_elsewhere(run, str(resolve_device(str(run.environment["device"]))), config.threads)
        if run.state() != "finished":
            run.append({"kind": "run_resumed", "extra_trials": 0})
    except BaseException:
        run.close()
        raise
    return run


def _environment(
    config: StudyConfig, facts: Mapping[str, Any], device: str, command: str
) -> dict[str, Any]:
    """Return what a study keeps of where it was made: no host, user or path."""
    from nas.objectives.device_fingerprint import device_fingerprint

    fingerprint = device_fingerprint(device, config.threads)
    return {
        "versions": package_versions(),
        "device": device,
        "fingerprint": fingerprint.to_dict(),
        "device_digest": fingerprint.digest,
        "data": dict(facts),
        "spaces": [
            {"name": space.name, "fingerprint": space.fingerprint} for space in spaces_of(config)
        ],
        "command": command,
    }


@final
class _Study:
    """One pass over a study.

    Args:
        session: The session.
    """

    def __init__(self, session: StudySession) -> None:
        self.session = session
        self.run = session.run
        self.config = session.config

    def work(self) -> None:
        """Choose, train, measure, write."""
        self._choose()
        for data in self.config.data:
            self._train(data)
        self.session.release()
        measure_networks(self.session)
        if self.run.state() != "finished":
            self.run.append({"kind": "run_finished"})
        write_outputs(self.run)

    def _choose(self) -> None:
        """Let every method choose; those first that need no training for it."""
        rows = self.session.rows
        chosen = self._chosen()
        missing = [row for row in rows if row.key not in chosen]
        previews = {row.key: row.method.preview(self.session.context(row)) for row in missing}
        missing.sort(key=lambda row: previews[row.key] is None)
        for row in missing:
            self.session.check_stop()
            context = self.session.context(row)
            choice = previews[row.key] or row.method.choose(context, self.session)
            self._keep_row(row, context, choice)
            self.session.tell("choosing networks", len(self._chosen()), len(rows), "rows")

    def _keep_row(self, row: Row, context: MethodContext, choice: Choice) -> None:
        facts = [self._facts(context, network) for network in choice.networks]
        outside = [fact for fact in facts if not fact["within"]]
        if outside and self.config.match is not None:
            self._outside(row, outside[0], self.config.match.outside)
        data = self.session.materials.of(row.data).data.name
        head = row_record(row.key, data, row.space.name, row.method.label, row.method.kind)
        self.run.append({**head, **choice_fields(choice, facts)})

    def _facts(self, context: MethodContext, network: Any) -> dict[str, Any]:
        counted = cost(network, context.input_shape, context.num_classes)
        off = None if context.target is None else context.target.off(network)
        return {
            "macs": counted.macs,
            "parameters": counted.parameters,
            "depth": counted.depth,
            "off": off,
            "within": off is None or context.target is None or context.target.within(off),
        }

    def _outside(self, row: Row, fact: Mapping[str, Any], outside: str) -> None:
        """Flag a network of another size, or refuse it.

        Raises:
            ConfigError: If the file says that this is an error.
        """
        what = (
            f"The method '{row.method.label}' has no network of the size asked for in "
            f"'{row.space.name}': its nearest has {fact['macs']:,} multiply-adds, "
            f"{100 * fact['off']:+.1f} %."
        )
        if outside == "flag":
            _log.warning("%s It is flagged.", what)
            return
        raise ConfigError(
            what,
            where="match.outside",
            fix="Choose another match.macs, a wider match.tolerance, or outside: flag.",
        )

    def _chosen(self) -> dict[str, dict[str, Any]]:
        return {record["row"]: record for record in self.run.records() if record["kind"] == ROW}

    def _train(self, data: str) -> None:
        """Train the cells of one data set, all networks with one seed before the next seed."""
        chosen = self._chosen()
        keys = [row.key for row in self.session.rows if row.data == data]
        records = self.run.records()
        closed = set(cells(records)) | {
            cell for cell, each in cells(records, CELL_FAILED).items() if each["reason"] in LASTING
        }
        wanted = [
            (key, place, index)
            for index in range(self.config.seeds)
            for key in keys
            for place in chosen[key]["by_seed"][index]
        ]
        jobs = [self._job(cell, chosen[cell[0]]) for cell in wanted if cell not in closed]
        material = self.session.materials.of(data)
        setting = self.session.setting(
            material_config(self.config, data), material.data.fingerprint, "test"
        )
        self.session.train(
            f"training on {material.data.name}", setting, jobs, self._keep_cell, len(wanted)
        )

    def _job(self, cell: Cell, chosen: Mapping[str, Any]) -> Job:
        key, place, index = cell
        return Job(
            f"{key}#{place}#{index}",
            {
                "architecture": chosen["networks"][place]["architecture"],
                "seed": training_seed(self.config, index),
                "recipe": self.config.recipe.recipe_hash,
            },
        )

    def _keep_cell(self, outcome: Outcome) -> None:
        key, place, index = outcome.key.split("#")
        head = {
            "row": key,
            "network": int(place),
            "seed_index": int(index),
            "seed": training_seed(self.config, int(index)),
            "seconds": round(outcome.seconds, 3),
        }
        if outcome.result is None:
            _log.warning("training %s failed: %s", outcome.key, outcome.message)
            failure = {"reason": outcome.reason, "message": (outcome.message or "")[:1000]}
            self.run.append({"kind": CELL_FAILED, **head, **failure})
        else:
            self.run.append({"kind": CELL, **head, **outcome.result})

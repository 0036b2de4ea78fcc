"""What the log of a study says: rows, their networks, and one figure per seed.

Read from the records alone, so that a table can be made again anywhere and looks the same while a
study is still going on.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from pydantic import ValidationError

from nas.errors import RunError
from nas.run_store import Run
from nas.study.config import StudyConfig
from nas.study.methods.base import Choice
from nas.topology.graph import Architecture
from nas.topology.identity import trained_id
from nas.topology.serial import dump_architecture

ROW: Final = "study_row"
CELL: Final = "study_cell"
CELL_FAILED: Final = "study_cell_failed"
LATENCY: Final = "study_latency"

Cell = tuple[str, int, int]
"""Row, place of the network in the row, index of the seed."""


@final
@dataclass(frozen=True)
class NetworkResult:
    """One network of a row.

    Args:
        architecture_id: Structural id.
        wiring: Patterns of its stages.
        macs: Multiply-adds.
        parameters: Trainable numbers.
        depth: Parametric operations on the longest path.
        off: How far off the size asked for, relative to it; None where none is.
        within: Whether that is within the tolerance.
        latency: What was measured, None while it was not.
    """

    architecture_id: str
    wiring: str
    macs: int
    parameters: int
    depth: int
    off: float | None
    within: bool
    latency: Mapping[str, Any] | None


@final
@dataclass(frozen=True)
class RowResult:
    """One row of the table.

    Args:
        key: Of the row in the log.
        data: Name of the data set.
        space: Name of the space.
        label: Name of the method.
        kind: Kind of the method.
        note: What the method says of its choice.
        details: How it chose.
        selection_s: Time it took to choose, in seconds.
        networks: Its networks.
        errors: Test error per seed, 0 to 1; None where a training is missing or failed.
        cross_entropies: The same in nats.
        failures: What failed trainings said.
        train_s: Time of all its trainings, in seconds.
        images: Test images of each figure, 0 while there is none.
    """

    key: str
    data: str
    space: str
    label: str
    kind: str
    note: str
    details: Mapping[str, Any]
    selection_s: float
    networks: tuple[NetworkResult, ...]
    errors: tuple[float | None, ...]
    cross_entropies: tuple[float | None, ...]
    failures: tuple[str, ...]
    train_s: float
    images: int

    @property
    def known(self) -> tuple[float, ...]:
        """The test errors that are there."""
        return tuple(each for each in self.errors if each is not None)

    @property
    def complete(self) -> bool:
        """Whether every seed has its figure."""
        return len(self.known) == len(self.errors)

    @property
    def mean(self) -> float | None:
        """Mean test error over the seeds that are there."""
        return statistics.fmean(self.known) if self.known else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds (n - 1), None for fewer than two."""
        return statistics.stdev(self.known) if len(self.known) > 1 else None

    @property
    def within(self) -> bool:
        """Whether every network has the size asked for."""
        return all(network.within for network in self.networks)

    def typical(self, name: str) -> float:
        """Return the mean of `macs`, `parameters` or `depth` over the row's networks."""
        return statistics.fmean(float(getattr(each, name)) for each in self.networks)

    @property
    def latency_ms(self) -> float | None:
        """Mean latency of the row's networks, None while one is not measured."""
        times = [each.latency["latency_ms"] for each in self.networks if each.latency is not None]
        return statistics.fmean(times) if len(times) == len(self.networks) else None

    @property
    def unstable(self) -> bool:
        """Whether a latency of the row is unstable, or was measured beside other work."""
        measured = [each.latency for each in self.networks if each.latency is not None]
        return any(each["unstable"] or each.get("busy", False) for each in measured)


@final
@dataclass(frozen=True)
class StudyResults:
    """A study as far as it got.

    Args:
        name: Of the study.
        config: Its resolved file.
        environment: Of its folder: versions, device, data.
        rows: Its rows, those not chosen yet left out.
        planned: Rows in all.
    """

    name: str
    config: StudyConfig
    environment: Mapping[str, Any]
    rows: tuple[RowResult, ...]
    planned: int

    @property
    def complete(self) -> bool:
        """Whether no figure is missing; one whose training failed is missing."""
        return len(self.rows) == self.planned and all(row.complete for row in self.rows)

    def panels(self) -> list[list[RowResult]]:
        """Return the rows of each data set and space, in the order of the file."""
        found: dict[str, list[RowResult]] = {}
        for row in self.rows:
            # By place, not by name: two files in two folders may have one name.
            found.setdefault(row.key.rpartition("-")[0], []).append(row)
        return list(found.values())

    def data_facts(self, row: RowResult) -> Mapping[str, Any]:
        """Return name, fingerprint and sizes of the data set of a row."""
        place = int(row.key.partition("-")[0][1:])
        facts: Mapping[str, Any] = self.environment["data"][self.config.data[place]]
        return facts


def row_record(key: str, data: str, space: str, label: str, kind: str) -> dict[str, Any]:
    """Return the head of a row's record."""
    return {"kind": ROW, "row": key, "data": data, "space": space, "label": label, "method": kind}


def choice_fields(choice: Choice, facts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields of a row's record that say what was chosen.

    Args:
        choice: What the method chose.
        facts: Per network `macs`, `parameters`, `depth`, `off` and `within`.
    """
    return {
        "networks": [
            {**_identity(network), **fact}
            for network, fact in zip(choice.networks, facts, strict=True)
        ],
        "by_seed": [list(places) for places in choice.by_seed],
        "note": choice.note,
        "details": dict(choice.details),
        "seconds": round(choice.seconds, 3),
    }


def _identity(network: Architecture) -> dict[str, Any]:
    return {
        "architecture_id": trained_id(network),
        "wiring": "-".join(network.wiring),
        "architecture": dump_architecture(network),
    }


def read_results(run: Run) -> StudyResults:
    """Return what a study's folder holds.

    Raises:
        RunError: If it is no study, or one of another version.
    """
    try:
        config = StudyConfig.model_validate(run.config)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RunError(
            f"'{run.name}' is no study of this version: {first['msg']}.",
            where=f"run.yaml, key {'.'.join(map(str, first['loc']))}",
            fix="Open it with the version of nas that made it.",
        ) from error
    records = run.records()
    chosen = {record["row"]: record for record in records if record["kind"] == ROW}
    rows = [_row(record, records, config.seeds) for record in chosen.values()]
    rows.sort(key=lambda row: [int(part[1:]) for part in row.key.split("-")])
    return StudyResults(
        name=run.name,
        config=config,
        environment=run.environment,
        rows=tuple(rows),
        planned=len(config.data) * len(config.spaces) * len(config.methods),
    )


def cells(records: Iterable[Mapping[str, Any]], kind: str = CELL) -> dict[Cell, Mapping[str, Any]]:
    """Return the trainings of a kind, the last one of each cell."""
    return {
        (str(each["row"]), int(each["network"]), int(each["seed_index"])): each
        for each in records
        if each["kind"] == kind
    }


def _row(record: Mapping[str, Any], records: list[dict[str, Any]], seeds: int) -> RowResult:
    key = str(record["row"])
    own = [each for each in records if each.get("row") == key]
    done, failed = cells(own), cells(own, CELL_FAILED)
    latencies = {int(each["network"]): each for each in own if each["kind"] == LATENCY}
    by_seed = [tuple(places) for places in record["by_seed"]]
    images = [int(each["images"]) for each in done.values()]
    return RowResult(
        key=key,
        data=str(record["data"]),
        space=str(record["space"]),
        label=str(record["label"]),
        kind=str(record["method"]),
        note=str(record["note"]),
        details=record["details"],
        selection_s=float(record["seconds"]),
        networks=tuple(
            _network(each, latencies.get(place)) for place, each in enumerate(record["networks"])
        ),
        errors=tuple(_figure(done, key, by_seed, index, "error") for index in range(seeds)),
        cross_entropies=tuple(
            _figure(done, key, by_seed, index, "cross_entropy") for index in range(seeds)
        ),
        failures=tuple(
            f"seed {cell[2]}: {each['reason']}: {each['message']}"
            for cell, each in failed.items()
            if cell not in done
        ),
        train_s=math.fsum(float(each["seconds"]) for each in done.values()),
        images=min(images, default=0),
    )


def _figure(
    done: Mapping[Cell, Mapping[str, Any]],
    key: str,
    by_seed: list[tuple[int, ...]],
    index: int,
    name: str,
) -> float | None:
    """Return the mean over the networks that a seed trains, None unless all are there."""
    found = [done.get((key, place, index)) for place in by_seed[index]]
    values = [float(each[name]) for each in found if each is not None]
    return statistics.fmean(values) if len(values) == len(found) else None


def _network(record: Mapping[str, Any], latency: Mapping[str, Any] | None) -> NetworkResult:
    return NetworkResult(
        architecture_id=str(record["architecture_id"]),
        wiring=str(record["wiring"]),
        macs=int(record["macs"]),
        parameters=int(record["parameters"]),
        depth=int(record["depth"]),
        off=None if record["off"] is None else float(record["off"]),
        within=bool(record["within"]),
        latency=latency,
    )

"""The latency of every network of a study, measured alone when the trainings are over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from nas.errors import NasError
from nas.objectives.latency_config import LatencyConfig
from nas.seeds import derive_seed
from nas.study.results import LATENCY, ROW
from nas.study.session import StudySession
from nas.topology.serial import load_architecture

if TYPE_CHECKING:
    from nas.objectives.latency import LatencyMeter

_log = logging.getLogger("nas")


def measure_networks(session: StudySession) -> None:
    """Measure the networks that have no stable latency yet, with nothing else of the study running.

    So the same command, typed once more on a quiet machine, measures anew what was flagged.

    Raises:
        Stopped: If it was left before its end; what was measured is in the log.
    """
    if session.config.latency is None:
        return
    records = session.run.records()
    last = {(each["row"], each["network"]): each for each in records if each["kind"] == LATENCY}
    done = {
        network
        for network, each in last.items()
        if not each["unstable"] and not each.get("busy", False)
    }
    networks = [
        (str(record["row"]), place, network["architecture"])
        for record in records
        if record["kind"] == ROW
        for place, network in enumerate(record["networks"])
    ]
    meters: dict[str, LatencyMeter] = {}
    data = {row.key: row.data for row in session.rows}
    for count, (key, place, architecture) in enumerate(networks):
        if (key, place) in done:
            continue
        session.check_stop()
        name = data[key]
        if name not in meters:
            meters[name] = _meter(session, name, records)
        found = _measured(session, name, meters[name], architecture)
        if found is not None:
            session.run.append({"kind": LATENCY, "row": key, "network": place, **found})
        session.tell("measuring latency", count + 1, len(networks), "networks")


def _measured(
    session: StudySession, data: str, meter: LatencyMeter, architecture: Any
) -> dict[str, Any] | None:
    from nas.model.network import Network

    material = session.materials.of(data).data
    network = Network(
        load_architecture(architecture),
        material.input_shape,
        material.num_classes,
        initialisation="default",
        seed=derive_seed(session.config.seed, "measured network", 0),
    )
    try:
        reading = meter.measure(network.eval())
    except (NasError, RuntimeError, MemoryError) as error:
        _log.warning("a latency is missing: %s", error)
        return None
    return {
        "data": data,
        "latency_ms": float(reading.latency_ms),
        "iqr_ms": float(reading.iqr_ms),
        "relative_error": float(reading.relative_error),
        "reference_ms": float(reading.reference_ms),
        "unstable": bool(reading.unstable),
        "busy": bool(reading.busy),
        "device": str(reading.device),
    }


def _meter(session: StudySession, data: str, records: list[dict[str, Any]]) -> LatencyMeter:
    """Return a meter with the reference's own time of an earlier process on this very device."""
    from nas.objectives.device_fingerprint import device_fingerprint
    from nas.objectives.latency import LatencyMeter

    config: LatencyConfig | None = session.config.latency
    assert config is not None
    here = device_fingerprint(str(session.device), config.threads).digest
    known = [
        float(each["reference_ms"])
        for each in records
        if each["kind"] == LATENCY and each["data"] == data and each["device"] == here
    ]
    shape = session.materials.of(data).data.input_shape
    reference = known[0] if known else None
    return LatencyMeter(config, shape, str(session.device), reference_ms=reference)


def latency_name(config: LatencyConfig) -> str:
    """Return the objective that is measured, as records name it."""
    return f"latency_ms[{config.runtime},b{config.batch},{config.dtype}]"

"""On which device a run's latencies were taken: the driver's, or that of a cluster's node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nas.run_store import Run

MEASURING_DEVICE: Final = "measuring_device"
"""Kind of the record that says on which node's device a run measures."""


def measuring_device(run: Run) -> Mapping[str, Any] | None:
    """Return the record of the device that a run measures on; None where that is not a node's."""
    return next((each for each in run.records() if each["kind"] == MEASURING_DEVICE), None)


def measured_on(run: Run) -> Mapping[str, Any]:
    """Return the fingerprint of the device that a run's latencies are of; empty if unknown."""
    record = measuring_device(run) or run.environment
    found = record.get("fingerprint")
    return found if isinstance(found, Mapping) else {}

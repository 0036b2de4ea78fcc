"""Where a run may go on: anywhere, unless it holds times that were measured on one device."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from nas import __version__
from nas.errors import RunError
from nas.objectives.base import AbstractObjective
from nas.run_store import Run
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.training.device import resolve_device

MEASURED_ON: Final = ("device", "processor", "threads", "torch")
"""Fields of a device fingerprint that change what a network's time is."""
MAY_CHANGE_TIMES: Final = ("cores", "clock_policy", "runtimes", "driver", "system")
"""Fields that may change it, and that nobody may be able to set back."""

_log = logging.getLogger("nas")


def package_versions() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    versions = {"nas": __version__, "python": platform.python_version()}
    for package in ("torch", "optuna", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # a build without metadata
            versions[package] = "unknown"
    return versions


def check_same_device(run: Run, config: SearchConfig) -> None:
    """Refuse to go on measuring on another device; warn where only the last bits may differ.

    Raises:
        RunError: If the run measures and this device is not the one it measured on.
        EnvironmentFault: If the run's device is not there.
    """
    from nas.objectives.device_fingerprint import device_fingerprint

    device = resolve_device(str(run.environment.get("device", config.device)))
    here = device_fingerprint(str(device), config.latency.threads).to_dict()
    there = run.environment.get("fingerprint", {})
    # Where a node of a cluster measures, it is asked: see nas.search.measuring.remote.
    measured = () if config.executor.measure_on else Goals.of(config).measured
    changed = times_differ(there, here, measured)
    if changed and measured:
        raise RunError(
            f"Run '{run.name}' measured on another device: {'; '.join(changed)}.",
            where=f"run '{run.name}', environment.fingerprint",
            why=f"Its {', '.join(each.name for each in measured)} would be compared with times of "
            "this device; mixing both is no search.",
            fix="Resume it on that device with those versions, or start a new run.",
        )
    if measured:
        warn_of_conditions(run.name, there, here)
    _warn_of_changes(run, changed)


def times_differ(
    there: Mapping[str, Any], here: Mapping[str, Any], measured: Iterable[AbstractObjective]
) -> list[str]:
    """Return what makes times of two devices incomparable, in words; nothing where they compare.

    Args:
        there: Fingerprint of the device that was measured on.
        here: Fingerprint of this one.
        measured: The objectives that are compared.
    """
    changed = _differences(there, here, MEASURED_ON)
    if any(getattr(each, "runtime", "") == "ort" for each in measured):
        changed += _differences(there, here, ("runtimes",))
    return changed


def warn_of_conditions(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Warn where a run goes on measuring on the same device under other conditions."""
    if slower := _differences(there, here, MAY_CHANGE_TIMES):
        _log.warning(
            "run '%s' goes on measuring under other conditions (%s): times before and after may "
            "differ by more than their noise",
            name,
            "; ".join(slower),
        )


def warn_elsewhere(run: Run, device: str, threads: int) -> None:
    """Warn where a run that compares no times goes on with other parts than it began with."""
    from nas.objectives.device_fingerprint import device_fingerprint

    here = device_fingerprint(device, threads).to_dict()
    _warn_of_changes(run, _differences(run.environment.get("fingerprint", {}), here, MEASURED_ON))


def _warn_of_changes(run: Run, changed: list[str]) -> None:
    now = package_versions()
    changed = changed + _differences(run.environment.get("versions", {}), now, tuple(now))
    if changed:
        _log.warning(
            "run '%s' goes on elsewhere (%s): the same bits as there are not guaranteed",
            run.name,
            "; ".join(changed),
        )


def _differences(
    there: Mapping[str, Any], here: Mapping[str, Any], names: tuple[str, ...]
) -> list[str]:
    return [
        f"{name} was {there[name]}, here it is {here[name]}"
        for name in names
        if name in there and there[name] != here[name]
    ]

"""Whether a stored profile still describes its device: a handful of members, measured again.

What is compared are ratios to the reference network, old against new, and the reference's own time
apart: a machine that is busy or clocks lower slows both sides of a ratio, so the profile still
orders networks right; a drift of the ratios means that something between the networks has changed
(libraries, memory, another kind of processor) and the profile is to be built again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from scipy.stats import trim_mean
from scipy.stats.mstats import trimmed_mean_ci

from nas.errors import ConfigError, EnvironmentFault
from nas.predict.building import Meter, read_measurement
from nas.predict.probes import Planned
from nas.predict.profile import LatencyProfile, Measurement
from nas.seeds import derive_seed

TOLERATED = 0.03
"""Drift of the ratios, as a part of them, below which a profile fits."""

COVERAGE = 0.95
TRIMMED = 0.15
"""Part of the networks left out at either end: a burst of load hits one, a drift hits all."""


@final
@dataclass(frozen=True)
class Remeasured:
    """One network then and now, as ratios to the reference."""

    label: str
    before: float
    now: float
    busy: bool = False
    """Whether others used the device meanwhile."""

    unstable: bool = False
    """Whether the new reading stayed noisy."""


@final
@dataclass(frozen=True)
class Drift:
    """How far the device has moved from its profile.

    Args:
        networks: What was measured again.
        drift: Trimmed geometric mean of new over old ratios, less 1.
        low: Lower end of its 95 % interval (Tukey and McLaughlin 1963, Sankhya A 25:331).
        high: Its upper end.
        spread: Standard deviation of single networks around it, relative.
        reference_drift: The reference's own time now over then, less 1.
        verdict: `fits`: the interval lies within the tolerated drift. `drifted`: it lies outside.
            `unsure`: it holds both; measure more.
    """

    networks: tuple[Remeasured, ...]
    drift: float
    low: float
    high: float
    spread: float
    reference_drift: float
    verdict: Literal["fits", "drifted", "unsure"]


def check_device(profile: LatencyProfile, meter: Meter) -> None:
    """Refuse to compare a profile with another device than its own.

    Raises:
        EnvironmentFault: If device or software differ; the message says in what.
    """
    here = meter.fingerprint
    if here.digest == profile.fingerprint:
        return
    differing = profile.device.differences(here.to_dict())
    raise EnvironmentFault(
        f"The profile is of another device or software: {'; '.join(differing) or 'unknown'}.",
        why="Latencies of two devices are no drift of one.",
        fix="Check it where it was built, or build one here: "
        f"nas latency build {profile.space.name}.",
    )


def measure_drift(
    profile: LatencyProfile,
    meter: Meter,
    number: int,
    seed: int,
    progress: Callable[[int, int, str], None],
) -> Drift:
    """Measure members of a profile again.

    Args:
        profile: Of this device.
        meter: With the profile's settings.
        number: Members to measure, at least 3.
        seed: Of the choice among them.
        progress: Told after each measurement.

    Raises:
        EnvironmentFault: If the profile is of another device.
        ConfigError: If there are fewer than 3 stable members to measure again.
    """
    check_device(profile, meter)
    pairs = []
    chosen = _chosen(profile, number, seed)
    for done, entry in enumerate(chosen, start=1):
        planned = Planned("member", entry.label, entry.network(1.0).architecture)
        again = read_measurement(meter, planned, profile.input_shape, profile.num_classes)
        pairs.append(Remeasured(entry.label, entry.ratio, again.ratio, again.busy, again.unstable))
        progress(done, len(chosen), entry.label)
    return drift_of(pairs, meter.reference_ms / profile.reference_ms - 1)


def drift_of(pairs: list[Remeasured], reference_drift: float) -> Drift:
    """Return drift, interval and verdict of networks measured twice.

    Args:
        pairs: At least 3.
        reference_drift: The reference's own time now over then, less 1.
    """
    logs = np.array([math.log(pair.now / pair.before) for pair in pairs])
    middle = float(trim_mean(logs, TRIMMED))
    ends = trimmed_mean_ci(logs, limits=(TRIMMED, TRIMMED), alpha=1 - COVERAGE)
    low, high = (math.expm1(float(end)) for end in ends)
    spread = float(logs.std(ddof=1))
    verdict: Literal["fits", "drifted", "unsure"] = "unsure"
    if low >= -TOLERATED and high <= TOLERATED:
        verdict = "fits"
    elif low > TOLERATED or high < -TOLERATED:
        verdict = "drifted"
    return Drift(tuple(pairs), math.expm1(middle), low, high, spread, reference_drift, verdict)


def _chosen(profile: LatencyProfile, number: int, seed: int) -> list[Measurement]:
    stable = [
        entry for entry in profile.measurements if entry.kind == "member" and not entry.unstable
    ]
    if min(number, len(stable)) < 3:
        raise ConfigError(
            f"A drift needs 3 networks measured twice; asked for are {number}, and the profile "
            f"holds {len(stable)} stable members.",
            fix="Raise --number, or build the profile again: "
            f"nas latency build {profile.space.name}.",
        )
    rng = np.random.default_rng(derive_seed(seed, "latency_check", 0))
    order = rng.permutation(len(stable))[:number]
    return [stable[index] for index in order]

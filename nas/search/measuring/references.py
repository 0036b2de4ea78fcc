"""The reference's own time, which whoever goes on measuring takes over.

A latency is a ratio to a reference network times that reference's time. Whoever goes on with a run,
in this process or as a worker elsewhere, takes the time over that the run's first measurement
found, instead of establishing another one on a machine that may be busier by now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Self, final

from nas.objectives.kinds.latency import Latency
from nas.objectives.latency_config import LatencyConfig
from nas.predict.profile import LatencyProfile
from nas.run_store import Run
from nas.topology.layers import Shape

if TYPE_CHECKING:
    from nas.objectives.latency import LatencyMeter

_KEY: Final = ("device", "runtime", "batch", "dtype")
_VALUE: Final = "reference_ms"


@final
class References:
    """Times of the reference by device (digest of its fingerprint), runtime, batch and format.

    Args:
        measured: Details of measurements; of each kind the first counts.
        profile: A profile that steers: ratios times one and the same time, so that what is
            measured and what was predicted compare.
    """

    def __init__(
        self, measured: Iterable[Mapping[str, Any]] = (), profile: LatencyProfile | None = None
    ) -> None:
        self._known: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._of_profile: dict[str, Any] = {}
        if profile is not None:
            self._of_profile = {"objective": profile.objective, _VALUE: profile.reference_ms}
        for details in measured:
            self.note(details)

    @classmethod
    def of_run(cls, run: Run, profile: LatencyProfile | None) -> Self:
        """Read what a run has measured."""
        details = (
            each
            for trial in run.table().finished()
            for each in trial.extra.get("measurements", {}).values()
        )
        return cls(details, profile)

    @classmethod
    def of_dict(cls, told: Mapping[str, Any]) -> Self:
        """Return what `to_dict` told."""
        found = cls(told["measured"])
        found._of_profile = dict(told["profile"])
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a worker."""
        return {"measured": list(self._known.values()), "profile": self._of_profile}

    def note(self, details: Mapping[str, Any]) -> None:
        """Keep what a measurement says of the reference, unless it is known."""
        if details.get(_VALUE) and all(name in details for name in _KEY):
            key = tuple(details[name] for name in _KEY)
            kept = {name: details[name] for name in (*_KEY, _VALUE)}
            self._known.setdefault(key, kept)

    def known(self, config: LatencyConfig, device: str) -> float | None:
        """Return the reference's time in milliseconds on this process's device, None if unknown."""
        from nas.objectives.device_fingerprint import device_fingerprint

        name = Latency(config.runtime, config.batch, config.dtype).name
        if self._of_profile.get("objective") == name:
            return float(self._of_profile[_VALUE])
        digest = device_fingerprint(device, config.threads).digest
        executed = {"device": digest, **Latency.executed(config)}
        found = self._known.get(tuple(executed[name] for name in _KEY))
        return None if found is None else float(found[_VALUE])


@final
class Meters:
    """The meters of one process: one for each device, input shape and way of executing.

    Args:
        references: Times to take over.
    """

    def __init__(self, references: References) -> None:
        self.references = references
        self._meters: dict[tuple[LatencyConfig, Shape, str], LatencyMeter] = {}

    def __call__(self, config: LatencyConfig, shape: Shape, device: str) -> LatencyMeter:
        """Return the meter, made at its first use."""
        from nas.objectives.latency import LatencyMeter

        key = (config, shape, device)
        if key not in self._meters:
            known = self.references.known(config, device)
            self._meters[key] = LatencyMeter(config, shape, device, reference_ms=known)
        return self._meters[key]

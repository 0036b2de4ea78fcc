"""Latency on a device that is not this one: `latency_ms[eager,b1,fp32]@pi4`.

Nothing can be measured there from here, so its numbers are predicted from a profile that was built
on that device (`nas latency build`). The column names the device in the config, `latency.devices`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final, final

from nas.errors import ConfigError
from nas.objectives.base import AbstractObjective, EvaluationContext, Measurement, Source
from nas.units import Unit

AT: Final = "@"
_COLUMN = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@final
@dataclass(frozen=True)
class LatencyElsewhere(AbstractObjective):
    """Latency on another device, in milliseconds, predicted from a profile of it.

    Args:
        base: Full name of the latency, such as `latency_ms[eager,b1,fp32]`.
        column: Name of the device in the config.
    """

    base: str
    column: str

    family: ClassVar[str] = "latency"
    unit: ClassVar[Unit] = Unit.MILLISECONDS
    source: ClassVar[Source] = "predicted"

    @property
    def name(self) -> str:
        """Return the full name, such as `latency_ms[eager,b1,fp32]@pi4`."""
        return f"{self.base}{AT}{self.column}"

    def measure(self, context: EvaluationContext) -> Measurement:
        """Refuse: the search predicts it.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"{self.name} cannot be measured here: '{self.column}' is another device.",
            fix=f"Predict it from a profile of that device: latency.devices.{self.column}.",
        )


def elsewhere(base: AbstractObjective, column: str) -> LatencyElsewhere:
    """Return the objective of `base` on another device.

    Raises:
        ConfigError: If it is no latency of this device, or the name of the device is none.
    """
    from nas.objectives.kinds.latency import Latency

    if not isinstance(base, Latency):
        raise ConfigError(
            f"{base.name} has no value on another device: only latencies have.",
            fix=f"Write '{base.name}', or for example 'latency{AT}{column}'.",
        )
    if not _COLUMN.fullmatch(column):
        raise ConfigError(
            f"'{column}' is no name of a device: 1 to 32 characters of a-z, 0-9, - and _.",
            fix=f"Write for example 'latency{AT}pi4', with 'latency.devices: {{pi4: FILE}}'.",
        )
    return LatencyElsewhere(base.name, column)

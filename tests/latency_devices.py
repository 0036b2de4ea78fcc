"""Made-up devices for tests of latency prediction: exact sums of pieces, and a meter of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas.objectives.device_fingerprint import DeviceFingerprint
from nas.predict.features import NetworkFeatures, network_features
from nas.predict.latency_predictor import MeasuredNetwork
from nas.space import load_space
from nas.topology.graph import Architecture

SHAPE = (3, 32, 32)
CLASSES = 10


@dataclass(frozen=True)
class MadeDevice:
    """Milliseconds that a made-up device takes.

    `favours` makes operations whose name holds a word faster or slower; a device that `prunes`
    runs live pieces only.
    """

    per_piece: float = 0.02
    per_gmac: float = 30.0
    per_gbyte: float = 80.0
    favours: tuple[tuple[str, float], ...] = ()
    prunes: bool = False

    def latency_ms(self, own: NetworkFeatures) -> float:
        pieces = own.live if self.prunes else own.executed
        total = 0.1
        for piece, number in pieces:
            factor = math.prod(factor for word, factor in self.favours if word in piece.name)
            work = 1e-9 * (self.per_gmac * piece.macs + self.per_gbyte * piece.bytes)
            total += number * (self.per_piece + factor * work)
        return total


def members(space: str, number: int, seed: int = 0) -> list[Architecture]:
    """Return random members of a space."""
    loaded = load_space(space)
    rng = np.random.default_rng(seed)
    return [loaded.build(loaded.sample(rng)) for _ in range(number)]


def measured(
    device: MadeDevice, networks: Sequence[Architecture], noise: float = 0.0, seed: int = 0
) -> list[MeasuredNetwork]:
    """Measure networks on a made-up device with relative noise."""
    rng = np.random.default_rng(seed)
    return [
        MeasuredNetwork(
            network,
            device.latency_ms(network_features(network, SHAPE, CLASSES))
            * math.exp(noise * rng.standard_normal()),
            noise / 3,
        )
        for network in networks
    ]


@dataclass(frozen=True)
class MadeReading:
    """What a profile keeps of a reading."""

    ratio: float
    relative_error: float
    unstable: bool
    busy: bool = False


@dataclass
class MadeMeter:
    """Answers as `LatencyMeter` does, without timing; fails when its readings are used up."""

    device: MadeDevice = MadeDevice()
    reference_ms: float = 0.5
    readings: float = math.inf
    processor: str = "made up"
    slower: float = 1.0
    noise: float = 0.01
    taken: list[Any] = field(default_factory=list)

    @property
    def fingerprint(self) -> DeviceFingerprint:
        known = dict.fromkeys(DeviceFingerprint.__dataclass_fields__, "1")
        return DeviceFingerprint(**{**known, "processor": self.processor})  # type: ignore[arg-type]

    def measure(self, network: Any) -> Any:
        if len(self.taken) >= self.readings:
            raise KeyboardInterrupt
        self.taken.append(network)
        rng = np.random.default_rng(len(self.taken))
        latency = self.device.latency_ms(network) * math.exp(self.noise * rng.standard_normal())
        return MadeReading(self.slower * latency / self.reference_ms, 0.005, False)

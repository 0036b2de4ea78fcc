"""Latency profiles made by hand: members whose time follows from their multiply-adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas.cost.count import cost
from nas.objectives.device_fingerprint import device_fingerprint
from nas.objectives.latency_config import LatencyConfig
from nas.predict.profile import SCHEMA, LatencyProfile
from nas.space import load_space
from nas.topology.graph import Architecture
from nas.topology.serial import dump_architecture

LATENCY = "latency_ms[eager,b1,fp32]"
SHAPE = (1, 8, 8)
CLASSES = 10


def made_up_ms(architecture: Architecture) -> float:
    """Return a time that multiply-adds decide, in milliseconds."""
    return 0.2 + cost(architecture, SHAPE, CLASSES).macs / 1e6


def made_profile(
    path: Path,
    space: str = "tiny_exhaustive",
    *,
    slower: float = 1.0,
    noise: float = 0.0,
    **keys: Any,
) -> Path:
    """Write a profile of a space on digits.

    Args:
        path: Where to.
        space: Name of the space.
        slower: Factor on every time.
        noise: Relative standard deviation of the times around what multiply-adds say.
        keys: Fields that are to be others, and facts of the device by name.
    """
    declared = load_space(space)
    rng = np.random.default_rng(0)
    members = {}
    for _ in range(40):
        architecture = declared.build(declared.sample(rng))
        members[str(dump_architecture(architecture))] = architecture
    facts = {**device_fingerprint("cpu", 1).to_dict(), **keys.pop("facts", {})}
    measurements = [
        {
            "kind": "member",
            "label": f"member {number}",
            "architecture": dump_architecture(architecture),
            "ratio": slower * made_up_ms(architecture) * float(np.exp(noise * rng.normal())),
            "relative_error": 0.005,
        }
        for number, architecture in enumerate(members.values())
    ]
    profile = LatencyProfile.model_validate(
        {
            "schema": SCHEMA,
            "objective": LATENCY,
            "space": {"name": declared.name, "fingerprint": declared.fingerprint},
            "input_shape": list(SHAPE),
            "num_classes": CLASSES,
            "device": {"digest": "0123456789ab", "facts": facts},
            "settings": LatencyConfig().model_dump(),
            "seed": 0,
            "built": "2026-01-01T00:00:00Z",
            "reference_ms": 1.0,
            "measurements": measurements,
            **keys,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    profile.save(path)
    return path

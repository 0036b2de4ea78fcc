"""The networks that a run knows: those of its trials and those beside its front."""

from __future__ import annotations

from typing import Any

from nas.errors import NotFoundError
from nas.run_store import Trial
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.serial import load_architecture

from .architecture import architecture_document
from .plain import items, mapping, text, whole
from .reading import Reading

_ASSUMED_SHAPE: Shape = (3, 32, 32)
_ASSUMED_CLASSES = 10
LARGEST_SIDE = 16_384


def images_of(reading: Reading) -> tuple[Shape, int]:
    """Return the shape of a run's images and its number of classes.

    Where the run does not say, those of CIFAR-10 are assumed, so that a wiring can be drawn.
    """
    data = mapping(reading.run.environment.get("data"))
    sides = [whole(side) for side in items(data.get("input_shape"))]
    known = [side for side in sides if side is not None and 0 < side <= LARGEST_SIDE]
    shape = (known[0], known[1], known[2]) if len(known) == len(sides) == 3 else _ASSUMED_SHAPE
    classes = whole(data.get("num_classes"))
    return shape, classes if classes and 0 < classes <= 1_000_000 else _ASSUMED_CLASSES


def trial_network(reading: Reading, trial: Trial) -> Architecture:
    """Return the network of a trial.

    Raises:
        RunError: If its record holds none.
    """
    return load_architecture(reading.run.architecture_of(trial))


def baseline_document(reading: Reading, key: str) -> dict[str, Any]:
    """Return a network beside the front, by its key or its name.

    Raises:
        NotFoundError: If there is none of that name.
    """
    candidates = reading.facts.candidates
    found = candidates.get(key) or next(
        (each for each in candidates.values() if each.get("name") == key), None
    )
    if found is None or not isinstance(found.get("architecture"), dict):
        known = ", ".join(sorted(candidates)) or "none"
        raise NotFoundError(
            f"Run '{reading.name}' has no network '{key[:80]}' beside its front.",
            fix=f"Those it has: {known}.",
        )
    shape, classes = images_of(reading)
    identity = text(found.get("architecture_id"))
    return architecture_document(
        load_architecture(found["architecture"]), shape, classes, identity=identity
    )

"""What stands in a training's checkpoint beside weights: stamp, faults, plain JSON as bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import RunError

VERSION = 1
"""Of the checkpoint's content; a training goes on from its own version only."""

Checkpoint = dict[str, NDArray[Any]]


@final
@dataclass(frozen=True)
class Fault:
    """A divergence that a training recovered from.

    Args:
        step: Where it was noticed.
        loss: The loss there, in nats; not finite, or far above guessing.
        back_to: Step of the snapshot it went back to.
        learning_rate: Largest learning rate from there on.
    """

    step: int
    loss: float
    back_to: int
    learning_rate: float

    def describe(self) -> str:
        """Return the diagnosis in a sentence."""
        kind = "far above guessing" if math.isfinite(self.loss) else "not finite"
        return (
            f"at step {self.step} the loss became {self.loss:.4g}, which is {kind}; it went back "
            f"to step {self.back_to} and on with a learning rate of {self.learning_rate:g}."
        )

    def to_list(self) -> list[float | str]:
        """Return plain JSON values; a loss that is not finite is a word."""
        loss = self.loss if math.isfinite(self.loss) else str(self.loss)
        return [self.step, loss, self.back_to, self.learning_rate]

    @classmethod
    def of(cls, values: list[Any]) -> Fault:
        """Return the fault that `to_list` described."""
        step, loss, back_to, learning_rate = values
        return cls(int(step), float(loss), int(back_to), float(learning_rate))


def pack(content: object) -> NDArray[np.uint8]:
    """Return plain JSON values as bytes in an array."""
    text = json.dumps(content, allow_nan=False)
    return np.frombuffer(text.encode("utf-8"), dtype=np.uint8).copy()


def unpack(packed: NDArray[Any]) -> Any:
    """Return the values that `pack` packed.

    Raises:
        RunError: If the bytes are no JSON.
    """
    try:
        return json.loads(packed.tobytes().decode("utf-8"))
    except ValueError as error:
        raise RunError(
            "The checkpoint of the supernet holds values that cannot be read.",
            why=str(error),
            fix="Start the training anew.",
        ) from error


def check_stamp(checkpoint: Mapping[str, NDArray[Any]], stamp: dict[str, Any]) -> None:
    """Check that a checkpoint belongs to the training with this stamp.

    Args:
        checkpoint: To go on from.
        stamp: What this training's own checkpoints carry.

    Raises:
        RunError: If it does not; what differs is named.
    """
    needed = ("stamp", "progress", "rate_factor", "faults")
    missing = [name for name in needed if name not in checkpoint]
    if missing:
        raise RunError(
            f"The checkpoint of the supernet holds no {missing[0]}.",
            why="It was not written by this training.",
            fix="Start the training anew.",
        )
    check_same(unpack(checkpoint["stamp"]), stamp, "The checkpoint")


def check_same(found: Any, expected: Mapping[str, Any], what: str) -> None:
    """Check that what is stored tells the same origin as what would read it.

    Args:
        found: The origin that is stored with it.
        expected: That of the reader.
        what: What is stored, at the start of a sentence.

    Raises:
        RunError: If they differ; the first difference is named.
    """
    known = json.loads(json.dumps(dict(expected)))
    found = found if isinstance(found, dict) else {}
    for name in {**known, **found}:
        if found.get(name) != known.get(name):
            raise RunError(
                f"{what} is of another training: its {name.replace('_', ' ')} is "
                f"{found.get(name)!r}, here it is {known.get(name)!r}.",
                why="Weights of another space, version or setting would be read wrongly.",
                fix="Use the settings it was written with, or start the training anew.",
            )


def below(checkpoint: Checkpoint, prefix: str) -> Checkpoint:
    """Return the arrays whose names start with `prefix`, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in checkpoint.items()
        if name.startswith(prefix)
    }

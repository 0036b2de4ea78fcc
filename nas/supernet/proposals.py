"""What a relaxed training proposes: the members that its gates stand for, best first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from nas.seeds import derive_seed
from nas.space import Decisions
from nas.space.choices import Answer
from nas.supernet.discretisations import Trained
from nas.supernet.gate_batches import GateBatches
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.mixture import Mixing
from nas.supernet.mixtures.relaxed import relaxed_slots
from nas.supernet.relaxation import Context, GateValues, Relaxation

if TYPE_CHECKING:
    from nas.supernet.relaxed_training import RelaxedTraining

TRIED_PER_MEMBER = 16
"""Contexts drawn for every member that is asked for."""


def likeliest_members(
    relaxation: Relaxation,
    count: int,
    rng: np.random.Generator,
    discretise: Callable[[Context], Decisions | None] | None = None,
) -> list[Decisions]:
    """Return the most probable members, without repetition, best first.

    The first has the most probable answer to every joint question; the others come from the most
    probable of many sampled contexts.

    Args:
        relaxation: The gates.
        count: How many; fewer come back if the space does not hold that many.
        rng: Draws the contexts.
        discretise: Makes a member of a context; one of which it makes nothing (None) is passed
            over. By default the gate samplers settle.
    """
    drawn = [relaxation.sample(rng) for _ in range(TRIED_PER_MEMBER * count)]
    with torch.no_grad():
        ranked = sorted(drawn, key=lambda context: -float(relaxation.log_probability(context)))
    found: list[Decisions] = []
    tried: list[Mapping[str, Answer]] = []
    for context in (relaxation.likeliest(), *ranked):
        if context.sampled in tried:
            continue
        tried.append(context.sampled)
        member = (discretise or relaxation.discretise)(context)
        if member is not None and member not in found:
            found.append(member)
        if len(found) == count:
            break
    return found


def trained(training: RelaxedTraining) -> Trained:
    """Return what a discretisation reads."""

    def mixture(context: Context) -> Mixing:
        return mix(training.supernet, training.binder, context, training.portion)

    @torch.no_grad()
    def loss(mixing: Mixing, values: GateValues) -> float:
        return float(training.loss(mixing, values, training.gate_batches.at(training.step)))

    tuning = GateBatches(training.batches, derive_seed(training.seed, "tuning images", 0))

    def tune(mixing: Mixing, values: GateValues, number: int, learning_rate: float) -> None:
        training.optimizer.zero_grad()
        training.loss(mixing, values, tuning.at(number)).backward()  # type: ignore[no-untyped-call]
        active = relaxed_slots(training.supernet, mixing)
        training.optimizer.clip(active, training.config.gradient_clip)
        training.optimizer.step(active, learning_rate)

    return Trained(
        supernet=training.supernet,
        relaxation=training.relaxation,
        mix=mixture,
        loss=loss,
        tune=tune,
        undone=lambda: undone(training),
        seed=training.seed,
    )


@contextmanager
def undone(training: RelaxedTraining) -> Iterator[None]:
    """Put the weights and momentum of a training back at the end."""
    weights, momentum = training.supernet.state_arrays(), training.optimizer.arrays()
    try:
        yield
    finally:
        training.supernet.load_arrays(weights)
        training.optimizer.load_arrays(momentum)

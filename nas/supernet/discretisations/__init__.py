"""Discretisations: how trained gates become a member; one file each."""

from __future__ import annotations

import abc
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import final

from nas.registry import Registry
from nas.space import Decisions
from nas.supernet.declared_parts import AbstractPart
from nas.supernet.mixtures.mixture import Mixing
from nas.supernet.relaxation import Context, GateValues, Relaxation
from nas.supernet.supernet import Supernet


@final
@dataclass(frozen=True, eq=False)
class Trained:
    """What is left after a relaxed training.

    Args:
        supernet: The weights, trained on mixtures.
        relaxation: The gates.
        mix: Plans the relaxed member of a context.
        loss: The loss of a relaxed member at given gate values on images of the gates' part, in
            nats; validation images are never read here.
        tune: Trains the weights of a relaxed member at given gate values for a step, given its
            number from 0 and the learning rate.
        undone: Puts the weights back at its end.
        seed: Of all draws.
    """

    supernet: Supernet
    relaxation: Relaxation
    mix: Callable[[Context], Mixing]
    loss: Callable[[Mixing, GateValues], float]
    tune: Callable[[Mixing, GateValues, int, float], None]
    undone: Callable[[], AbstractContextManager[None]]
    seed: int


class AbstractDiscretisation(AbstractPart):
    """From gates to a member."""

    @abc.abstractmethod
    def settle(self, trained: Trained, context: Context) -> Decisions:
        """Return the preferred member of a context."""


DISCRETISATIONS: Registry[type[AbstractDiscretisation]] = Registry("discretisation", __name__)

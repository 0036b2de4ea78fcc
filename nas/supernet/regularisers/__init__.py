"""Regularisers: terms added to the loss of the gates; one file each.

A term reads probabilities, never magnitudes: in front of a norm the common scale of a node's gates
is free, so a term on magnitudes would shrink them and decide nothing.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, Field
from torch import Tensor

from nas.registry import Registry
from nas.supernet.declared_parts import AbstractPart
from nas.supernet.relaxation import Context, Relaxation

if TYPE_CHECKING:
    from nas.supernet.supernet import Supernet


class Strength(BaseModel, frozen=True, extra="forbid"):
    """Options every regulariser has: its factor, which moves linearly over the training."""

    strength: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] = 0.1
    """Factor on the term at the last step that moves gates."""

    start: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] | None = None
    """Factor at the first; null for the same throughout."""

    def at(self, progress: float) -> float:
        """Return the factor at a share of the training from 0 to 1."""
        first = self.strength if self.start is None else self.start
        return first + (self.strength - first) * progress


class AbstractRegulariser(AbstractPart):
    """A term of the gates' loss."""

    Options: ClassVar[type[BaseModel]] = Strength

    def prepare(self, supernet: Supernet, relaxation: Relaxation) -> None:
        """Look at the space once, before the training.

        Raises:
            ConfigError: If the term says nothing about this space.
        """

    @abc.abstractmethod
    def term(self, relaxation: Relaxation, context: Context) -> Tensor:
        """Return the term of a context, a differentiable number, before its factor."""

    def factor(self, progress: float) -> float:
        """Return the factor on the term at a share of the training from 0 to 1."""
        return float(self.options.at(progress))


REGULARISERS: Registry[type[AbstractRegulariser]] = Registry("regulariser", __name__)

"""Pointwise nonlinearities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nas.topology.layers.base import AbstractFree, check_number


@final
@dataclass(frozen=True)
class ReLU(AbstractFree):
    """Rectifier."""


@final
@dataclass(frozen=True)
class ReLU6(AbstractFree):
    """Rectifier that stops at 6 (MobileNetV2, arXiv:1801.04381)."""


@final
@dataclass(frozen=True)
class LeakyReLU(AbstractFree):
    """Rectifier that lets a share of what is negative pass.

    Args:
        slope: The share, in whole percent at best: only those can be written as text.
    """

    slope: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "slope", self.slope, 0.0, 1.0)


@final
@dataclass(frozen=True)
class SiLU(AbstractFree):
    """`x * sigmoid(x)` (Ramachandran et al. 2017, arXiv:1710.05941)."""


@final
@dataclass(frozen=True)
class GELU(AbstractFree):
    """`x * Phi(x)`, Phi the normal distribution function (arXiv:1606.08415)."""


@final
@dataclass(frozen=True)
class Mish(AbstractFree):
    """`x * tanh(softplus(x))` (Misra 2019, arXiv:1908.08681)."""


@final
@dataclass(frozen=True)
class Sigmoid(AbstractFree):
    """`1 / (1 + exp(-x))`."""


@final
@dataclass(frozen=True)
class Hardsigmoid(AbstractFree):
    """`relu6(x + 3) / 6` (MobileNetV3, arXiv:1905.02244)."""


@final
@dataclass(frozen=True)
class Hardswish(AbstractFree):
    """`x * relu6(x + 3) / 6` (MobileNetV3, arXiv:1905.02244)."""

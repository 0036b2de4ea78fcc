"""Settings of the rivals that cost something: random search at equal cost, and swept families."""

from __future__ import annotations

from typing import Annotated, Final, final

from pydantic import BaseModel, ConfigDict, Field

EQUAL_COST: Final = ("random_halving", "random_weight_sharing")
"""Rivals that may spend what the search spent."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@final
class EqualCostConfig(_Part):
    """Random search at equal cost: the rivals `random_halving` and `random_weight_sharing`.

    Their budget is what the search spent: the device-seconds of relaxation, supernet, exploring
    and measuring.
    """

    eta: Annotated[int, Field(ge=2, le=16)] = 3
    """How many times longer each rung of successive halving trains its members; at equal prices
    one of as many goes on."""

    rungs: Annotated[int, Field(ge=1, le=8)] = 3
    """Lengths of training; the last is that of `confirm.recipe`. Each rung may spend an equal
    share."""

    finalists: Annotated[int, Field(ge=1, le=1000)] = 4
    """Most members that each of these arms sends into the confirmation, fronts first."""


@final
class SweepConfig(_Part):
    """Hand-made families in several sizes: the rivals `swept_wirings` and `swept_published`."""

    depths: Annotated[int, Field(ge=1, le=32)] = 2
    """Most depths per wiring, spread over those that the space offers it."""

    widths: Annotated[int, Field(ge=1, le=32)] = 2
    """Most widths per wiring, spread over those of the space; every depth comes in every width."""

    sizes: Annotated[int, Field(ge=1, le=32)] = 3
    """Sizes per published family, from the front's smallest to its largest, in equal ratios."""

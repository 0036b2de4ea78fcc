"""Sharing policies: which members use the same weights, one file each, registered by name.

A policy is a function from a node's name and the architecture it stands in to a slot: nodes with
equal slots (and equal operations) share their weights. Sharing is a hypothesis about a space, not a
fact: `nas supernet rank` tells what it costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from nas.registry import Paper, Registry
from nas.topology.graph import Architecture

SlotOf = Callable[[str, Architecture], str]


@final
@dataclass(frozen=True)
class Sharing:
    """A registered policy.

    Args:
        name: Registered name.
        slot: From a node's name (`head` for the classifier) and its architecture to its slot.
        member_limit: Largest space it is meant for; None for any.
    """

    name: str
    slot: SlotOf
    member_limit: int | None = None


SHARING: Registry[Sharing] = Registry("sharing policy", __name__, plural="sharing policies")


def sharing_policy(
    name: str, paper: Paper | None = None, *, member_limit: int | None = None
) -> Callable[[SlotOf], SlotOf]:
    """Register the decorated function under `name`."""

    def decorate(slot: SlotOf) -> SlotOf:
        SHARING.add(name, Sharing(name, slot, member_limit), paper)
        return slot

    return decorate

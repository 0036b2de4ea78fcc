"""Sharing policies: which members use the same weights, one file each, registered by name.

A policy is a function from a node's name and the architecture it stands in to a slot: nodes with
equal slots (and equal operations) share their weights. Sharing is a hypothesis about a space, not a
fact: `nas supernet rank` tells what it costs. `nas.supernet.sharing_rule` combines policies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from nas.registry import Paper, Registry
from nas.topology.graph import Architecture

SlotOf = Callable[[str, Architecture], str]

_STAGE = re.compile(r"stage(\d+)\.")


@final
@dataclass(frozen=True)
class Sharing:
    """A registered policy.

    Args:
        name: Registered name.
        slot: From a node's name (`head` for the classifier) and its architecture to its slot.
            Inside a cell it is asked with the cell, and the slot stands behind that of the cell.
        member_limit: Largest space it is meant for; None for any.
        measured: Whether slots are split after a measurement of the gradients.
    """

    name: str
    slot: SlotOf
    member_limit: int | None = None
    measured: bool = False


SHARING: Registry[Sharing] = Registry("sharing policy", __name__, plural="sharing policies")


def sharing_policy(
    name: str,
    paper: Paper | None = None,
    *,
    member_limit: int | None = None,
    measured: bool = False,
) -> Callable[[SlotOf], SlotOf]:
    """Register the decorated function under `name`."""

    def decorate(slot: SlotOf) -> SlotOf:
        SHARING.add(name, Sharing(name, slot, member_limit, measured), paper)
        return slot

    return decorate


def family_at(node_name: str, architecture: Architecture) -> str:
    """Return the family that a node belongs to in a member.

    That is the pattern of its stage; of a node outside the stages (stem, head) the one pattern of
    all stages, or `mixed`.
    """
    stage = stage_pattern(node_name, architecture)
    if stage is not None:
        return stage
    patterns = set(architecture.wiring)
    return patterns.pop() if len(patterns) == 1 else "mixed"


def stage_pattern(node_name: str, architecture: Architecture) -> str | None:
    """Return the pattern of a node's stage, None for nodes outside the stages."""
    found = _STAGE.match(node_name)
    if found is None or int(found.group(1)) > len(architecture.wiring):
        return None
    return architecture.wiring[int(found.group(1)) - 1]

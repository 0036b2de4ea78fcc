"""Which operations of a stage share one set of weights, as choices.

Every operation has weights of its own or those of an earlier one, so the members are all partitions
of a stage's operations into groups (neural parameter allocation search, Plummer et al. 2020,
arXiv:2006.10598). The budget of parameters is a constraint of the search. Norms stay each
operation's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from nas.space.choices import Answer, Choice, OneOf, Option
from nas.topology.graph import Topology

WEIGHTS = "weights"
OWN = "own"


def sharable(topology: Topology, merges: list[str]) -> list[int]:
    """Return the operations whose weights have the same shape: those that map width to width.

    Args:
        topology: The stage's wiring.
        merges: Merges that a space offers for it, `default` among them.
    """
    stacks = "stack" in merges or ("default" in merges and topology.merge == "stack")
    return [
        node
        for node in topology.operations
        if topology.rule(node).tie is None
        and topology.rule(node).width == (1, 1)
        and not (stacks and len(topology.sources(node)) > 1)
        and topology.rule(node).merge != "stack"
        and all(topology.link((source, node)).part[1] == 1 for source in topology.sources(node))
        and all(topology.rule(source).width == (1, 1) for source in topology.sources(node))
    ]


def weight_choices(names: list[str]) -> list[Choice]:
    """Return, for every operation but the first, whose weights it has.

    Args:
        names: Of the operations that may share, in order.
    """
    local = [name.rpartition(".")[2] for name in names]
    return [
        OneOf(f"{name}.{WEIGHTS}", tuple(map(Option, (OWN, *local[:number]))))
        for number, name in enumerate(names)
        if number
    ]


def holders(decisions: Mapping[str, Answer], operations: Mapping[str, str]) -> dict[str, str]:
    """Return, per operation that shares weights, the first operation of its group.

    Args:
        decisions: Of a member.
        operations: What every operation of the stage computes, by name, in order. Operations that
            compute different things share nothing.
    """
    found: dict[str, str] = {}
    for name, computes in operations.items():
        stage = name.rpartition(".")[0]
        answer = decisions.get(f"{name}.{WEIGHTS}", OWN)
        earlier = f"{stage}.{answer}"
        holder = found.get(earlier, earlier)
        if answer != OWN and operations[holder] == computes:
            found[holder] = found[name] = holder
    return found

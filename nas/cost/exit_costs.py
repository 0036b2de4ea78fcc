"""What an answer at each exit costs, by arithmetic: the nodes it needs and the heads it asked."""

from __future__ import annotations

from nas.cost.count import exit_nodes, plan_costs
from nas.cost.shapes import plan
from nas.errors import ArchitectureError
from nas.topology.graph import Architecture
from nas.topology.layers import Shape


def exit_order(architecture: Architecture) -> tuple[tuple[int, ...], ...]:
    """Return, per exit and for the output last, the nodes to run for it that none before needed.

    The input is left out; a node that only later answers need is not run for an earlier one.
    """
    done = {0}
    groups: list[tuple[int, ...]] = []
    for goal in (*exit_nodes(architecture), len(architecture.nodes) - 1):
        needed, waiting = set[int](), [goal]
        while waiting:
            node = waiting.pop()
            if node not in done and node not in needed:
                needed.add(node)
                waiting.extend(edge.source for edge in architecture.inputs(node))
        groups.append(tuple(sorted(needed)))
        done |= needed
    return tuple(groups)


def exit_macs(architecture: Architecture, input_shape: Shape, num_classes: int) -> tuple[int, ...]:
    """Return the multiply-adds on one image until each exit has answered, and the output last.

    An image that leaves at an exit has asked the heads of all exits before; so the costs grow
    strictly from exit to exit.

    Args:
        architecture: The network; without exits there is one number, that of the whole.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of every head.

    Raises:
        ArchitectureError: If the network has no head at its end, so that the last exit is no
            answer, or a shape is impossible.
    """
    if architecture.head == "none":
        raise ArchitectureError(
            "This network has no head at its end, so there is no last answer to leave to.",
            fix="Build it with head='classifier'.",
        )
    schedule = plan(architecture, input_shape)
    costs = plan_costs(schedule)
    goals = (*exit_nodes(architecture), len(architecture.nodes) - 1)
    total, found = 0, []
    for goal, group in zip(goals, exit_order(architecture), strict=True):
        total += sum(costs[node].macs for node in group)
        total += schedule.steps[goal].output[0] * num_classes
        found.append(total)
    return tuple(found)

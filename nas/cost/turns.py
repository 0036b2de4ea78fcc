"""The order in which a network's nodes run: what each reads, and what is let go before it computes.

Stacks that grow run as one writes them by hand: where a node concatenates what an earlier node
already did, plus more (every layer of a dense block), it appends to that tensor instead of copying
all parts again. The tensor is kept only where its parts are then read by nobody else, so no more
memory is held than without it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

from nas.cost.shapes import NodeStep, Plan


class Turn(NamedTuple):
    """What happens around one node; values are numbered by node, kept stacks come behind them.

    Args:
        node: Number of the node.
        stacked: What is concatenated first, into the value `kept`; empty for most nodes.
        kept: Number of the kept stack.
        reads: What the node gets.
        frees: What nothing reads after the node got its inputs.
    """

    node: int
    stacked: tuple[int, ...]
    kept: int
    reads: tuple[int, ...]
    frees: tuple[int, ...]


def turns(schedule: Plan) -> tuple[Turn, ...]:
    """Return the turns of all nodes but the input, in order."""
    growing = growing_stacks(schedule)
    first = len(schedule.steps)
    kept = {owner: first + place for place, owner in enumerate(sorted({*growing.values()}))}
    rows: list[tuple[int, tuple[int, ...], int, tuple[int, ...]]] = []
    for step in schedule.steps[1:]:
        reads = _sources(step)
        if step.index in growing:
            owner = growing[step.index]
            covered = len(schedule.steps[owner].inputs)
            reads = (kept[owner], *reads[covered:])
        if step.index not in kept:
            rows.append((step.index, (), 0, reads))
        else:
            own = kept[step.index]
            rows.append((step.index, reads if len(reads) > 1 else (), own, (own,)))
    return tuple(_with_frees(rows, first - 1))


def _with_frees(
    rows: list[tuple[int, tuple[int, ...], int, tuple[int, ...]]], final: int
) -> list[Turn]:
    """Add to each row what is read there for the last time."""
    last: dict[int, int] = {}
    for index, stacked, kept, reads in rows:
        last.update(dict.fromkeys((*stacked, *reads, *((kept,) if stacked else ())), index))
        last.setdefault(index, index + 1)  # a value nobody reads goes a turn later
    gone: defaultdict[int, list[int]] = defaultdict(list)
    for value, index in last.items():
        if value != final:
            gone[index].append(value)
    return [Turn(*row, tuple(sorted(gone[row[0]]))) for row in rows]


def growing_stacks(schedule: Plan) -> dict[int, int]:
    """Return, for nodes whose stack begins with an earlier node's whole stack, that node."""
    grown = _prefixes(schedule)
    while grown:
        held = _held(schedule, grown)
        kept = {
            index: owner
            for index, owner in grown.items()
            if all(held[source](owner) for source in _sources(schedule.steps[owner]))
        }
        if len(kept) == len(grown):
            break
        grown = kept
    return grown


def _held(schedule: Plan, grown: dict[int, int]) -> dict[int, Callable[[int], bool]]:
    """Return, per value, whether all that read it behind a node find it in that stack or later.

    Otherwise the value, or an older stack with it, would have to live beside the stack.
    """
    spans: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for step in schedule.steps[1:]:
        owner = grown.get(step.index, -1)
        covered = len(schedule.steps[owner].inputs) if owner > 0 else 0
        for place, source in enumerate(_sources(step)):
            spans[source].append((owner if place < covered else -1, step.index))
    return {source: _none_around(sorted(pairs)) for source, pairs in spans.items()}


def _none_around(spans: list[tuple[int, int]]) -> Callable[[int], bool]:
    """Return a function that tells whether a number lies strictly inside none of the spans."""
    starts = [start for start, _ in spans]
    furthest = list(accumulate((end for _, end in spans), max))

    def none_around(number: int) -> bool:
        before = bisect_left(starts, number)
        return before == 0 or furthest[before - 1] <= number

    return none_around


def _prefixes(schedule: Plan) -> dict[int, int]:
    """Return, per node that stacks, the earlier one with the longest stack it begins with."""
    tree: dict[tuple[int, int], int] = {}  # (place in the tree, next source) -> place
    owners: dict[int, int] = {}
    found: dict[int, int] = {}
    for step in schedule.steps[1:]:
        if not _stacks_plainly(step):
            continue
        place = 0
        for source in _sources(step):
            place = tree.setdefault((place, source), len(tree) + 1)
            if place in owners:
                found[step.index] = owners[place]
        owners.setdefault(place, step.index)
    return found


def _stacks_plainly(step: NodeStep) -> bool:
    stacked = step.merge.weight == "stacked" and len(step.inputs) > 1
    return stacked and all(entry.adapter.identity for entry in step.inputs)


def _sources(step: NodeStep) -> tuple[int, ...]:
    return tuple(entry.edge.source for entry in step.inputs)

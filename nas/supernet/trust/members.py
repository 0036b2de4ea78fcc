"""Which members are trained alone: equal numbers of each family, or all there are."""

from __future__ import annotations

from collections.abc import Sequence

from nas.errors import NotFoundError, SpaceError
from nas.registry import suggest
from nas.space import AbstractSpace, Decisions
from nas.space.counting import short_count
from nas.supernet.trust.truth import stratified_members

MOST_MEMBERS_LISTED = 20_000
"""Largest space that is listed to find its distinct members; larger ones are sampled."""

MIXED = "mixed"


def possible_families(space: AbstractSpace) -> tuple[str, ...]:
    """Return the families that a space can have: patterns that every stage offers, and `mixed`.

    The covering members hold every option of every choice, so each stage's patterns are all seen.
    """
    stages: list[set[str]] = []
    for decisions in space.cover():
        patterns = space.stage_patterns(decisions)
        stages += [set() for _ in range(len(patterns) - len(stages))]
        for offered, pattern in zip(stages, patterns, strict=False):
            offered.add(pattern)
    pure = set.intersection(*stages) if stages else set()
    mixed = len(stages) > 1 and len(set.union(*stages)) > 1
    return (*sorted(pure), *([MIXED] if mixed else []))


def all_members(space: AbstractSpace) -> dict[str, Decisions]:
    """Return every distinct member by structural id.

    Raises:
        SpaceError: If the space is too large to list.
    """
    if space.count() > MOST_MEMBERS_LISTED:
        raise SpaceError(
            f"The space '{space.name}' has {short_count(space.count())} members, too many to train "
            "all.",
            fix="Say how many to draw, for example --architectures 100.",
        )
    members: dict[str, Decisions] = {}
    for decisions in space.enumerate():
        members.setdefault(space.member_id(decisions), decisions)
    return members


def choose_members(
    space: AbstractSpace, count: int | None, seed: int, families: Sequence[str] | None = None
) -> dict[str, Decisions]:
    """Return the members to train alone, by structural id.

    Args:
        space: The space.
        count: How many in all, the same number of each family; None takes every distinct member.
        seed: Of the draws.
        families: Which families; None takes those that have enough members.

    Raises:
        NotFoundError: If the space has no such family.
        SpaceError: If all members of a space too large to list are asked for, or a family that was
            asked for has too few.
    """
    known = possible_families(space)
    for family in families or ():
        if family not in known:
            near = suggest(family, list(known))
            raise NotFoundError(
                f"The space '{space.name}' has no family '{family}'.",
                fix=(f"Did you mean '{near}'? " if near else "")
                + f"Its families: {', '.join(known)}.",
            )
    if count is None:
        members = all_members(space)
        chosen = families or known
        return {name: each for name, each in members.items() if space.family(each) in chosen}
    if families:
        return stratified_members(space, count, seed, families)
    return stratified_members(space, count, seed, _large_families(space, count, known))


def _large_families(space: AbstractSpace, count: int, known: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out the families with too few members, smallest first, until the rest can give all.

    Raises:
        SpaceError: If the space has fewer members than asked for.
    """
    if space.count() > MOST_MEMBERS_LISTED:
        return known
    sizes = dict.fromkeys(known, 0)
    for decisions in all_members(space).values():
        sizes[space.family(decisions)] += 1
    kept = list(known)
    while kept:
        share = -(-count // len(kept))
        smallest = min(kept, key=lambda family: sizes[family])
        if sizes[smallest] >= share:
            return tuple(kept)
        kept.remove(smallest)
    raise SpaceError(
        f"No family of the space '{space.name}' has {count} distinct members.",
        where=f"{count} members",
        fix="Ask for fewer, or for all of them: --architectures all.",
    )

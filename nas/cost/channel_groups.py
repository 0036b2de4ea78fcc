"""Groups of channels that elastic width chooses from, on any architecture.

A *set* is what must be kept or dropped as one: channel 3 of a stem together with channel 3 of every
tensor that is added to it. A *group* holds the sets that lie in the same layers, so any of them can
be kept: its width is a number one may choose. Which channels are coupled is found in
`nas.cost.channels`; here they are grouped, requests are checked, and the smaller architecture is
written down. Channels of the image, of a network's result, and of layers nobody knows belong to no
group: they stay whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import final

import numpy as np
from numpy.typing import NDArray

from nas.cost.channels import Channels, Units, channels
from nas.cost.shapes import Plan, plan
from nas.errors import ArchitectureError, ConfigError, NotFoundError
from nas.registry import suggest
from nas.topology.graph import Architecture, Node
from nas.topology.layers import Shape

Kept = Mapping[str, int | Sequence[int]]
"""By group: how many channels to keep (the leading ones), or which sets."""


@final
@dataclass(frozen=True)
class Member:
    """A layer whose output channels belong to a group.

    Args:
        place: Of the layer, as in `nodes.3.operation.0`.
        sets: Per set, its channels among the layer's output channels.
    """

    place: str
    sets: tuple[tuple[int, ...], ...]


@final
@dataclass(frozen=True)
class ChannelGroup:
    """Sets of channels that lie in the same layers.

    Args:
        name: Of the node that makes them first; `#2` behind it for a second group of that node.
        size: Sets.
        step: Channels of the first layer in each set: widths are multiples of it.
        members: The layers that make these channels, in order of execution.
    """

    name: str
    size: int
    step: int
    members: tuple[Member, ...]

    @property
    def width(self) -> int:
        """Channels of the first layer in this group."""
        return self.size * self.step


@final
@dataclass(frozen=True)
class Selection:
    """Channels kept of a network.

    Args:
        architecture: The network.
        smaller: The network of the kept channels.
        plan: Of the network.
        channels: Its units.
        kept: Per unit, whether it is kept.
    """

    architecture: Architecture
    smaller: Architecture
    plan: Plan
    channels: Channels
    kept: NDArray[np.bool_]

    def positions(self, row: Units) -> Units:
        """Return which channels of a row are kept, in order."""
        return np.flatnonzero(self.kept[row])


def channel_groups(architecture: Architecture, input_shape: Shape) -> tuple[ChannelGroup, ...]:
    """Return the groups of a network, in order of execution.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of one image.

    Raises:
        ArchitectureError: If a node cannot be computed.
    """
    return tuple(group for group, _ in _grouped(architecture, input_shape)[1])


def select_channels(architecture: Architecture, input_shape: Shape, kept: Kept) -> Selection:
    """Return what is left of a network when only these channels are kept.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of one image.
        kept: What to keep of each group; groups that are not named stay whole.

    Raises:
        NotFoundError: If there is no such group.
        ConfigError: If a group would keep nothing, more than it has, or no whole number of sets.
        ArchitectureError: If two widths become equal where an edge holds a projection between
            them, which the smaller network would not have.
    """
    try:
        return _select(architecture, input_shape, kept)
    except _ProjectionGoneError as gone:
        raise _explained(gone, architecture, input_shape, kept) from None


def _select(architecture: Architecture, input_shape: Shape, kept: Kept) -> Selection:
    found, groups = _grouped(architecture, input_shape)
    by_name = {group.name: (group, sets) for group, sets in groups}
    unit_kept = np.ones(len(found.origins), dtype=bool)
    for name, wanted in kept.items():
        group, sets = by_name[_known(name, list(by_name))]
        for number in set(range(group.size)) - set(_chosen(group, wanted)):
            unit_kept[sets[number]] = False
    schedule = plan(architecture, input_shape)
    smaller = _smaller(architecture, found, unit_kept, "")
    _check(schedule, plan(smaller, input_shape), found, unit_kept, "")
    return Selection(architecture, smaller, schedule, found, unit_kept)


def slimmed(
    architecture: Architecture,
    input_shape: Shape,
    ratio: float,
    *,
    kept: Kept | None = None,
) -> Architecture:
    """Return the architecture with a share of the channels of every group.

    Args:
        architecture: The network.
        input_shape: `(channels, height, width)` of one image.
        ratio: Share of each group's sets that stays, above 0 and at most 1; rounded to the
            nearest number of sets, at least one.
        kept: Groups with widths of their own.

    Raises:
        ConfigError: If the ratio is out of range; see `select_channels` for the rest.
    """
    return select_channels(
        architecture, input_shape, ratio_widths(architecture, input_shape, ratio, kept)
    ).smaller


def ratio_widths(
    architecture: Architecture, input_shape: Shape, ratio: float, kept: Kept | None = None
) -> Kept:
    """Return the width of every group at a ratio; those in `kept` have their own.

    Raises:
        ConfigError: If the ratio is not above 0 and at most 1.
    """
    if not 0.0 < ratio <= 1.0:
        raise ConfigError(
            f"The ratio of channels to keep is {ratio}; it is above 0 and at most 1.",
            fix="Use 1 to keep all of them, 0.5 for half.",
        )
    groups = channel_groups(architecture, input_shape)
    widths = {group.name: max(1, round(ratio * group.size)) * group.step for group in groups}
    return {**widths, **(kept or {})}


@lru_cache(maxsize=64)
def _grouped(
    architecture: Architecture, input_shape: Shape
) -> tuple[Channels, tuple[tuple[ChannelGroup, tuple[Units, ...]], ...]]:
    """Return the units, and each group with the units of its sets."""
    found = channels(plan(architecture, input_shape))
    labels = found.sets()
    whole = set(labels[np.concatenate(found.whole)].tolist()) if found.whole else set()
    sets: defaultdict[int, list[int]] = defaultdict(list)
    for unit, label in enumerate(labels.tolist()):
        if label not in whole:
            sets[label].append(unit)
    alike: defaultdict[tuple[tuple[str, int], ...], list[list[int]]] = defaultdict(list)
    for units in sets.values():
        alike[tuple(Counter(found.origins[unit] for unit in units).items())].append(units)
    starts = {place: unit for unit, place in reversed(list(enumerate(found.origins)))}
    names: Counter[str] = Counter()
    groups = []
    for together in sorted(alike.values()):
        group = _group(found, together, starts, names)
        if group is not None:
            groups.append((group, tuple(np.array(units) for units in together)))
    return found, tuple(groups)


def _group(
    found: Channels, together: list[list[int]], starts: dict[str, int], names: Counter[str]
) -> ChannelGroup | None:
    """Describe sets with the same layers; None where nothing but padding is in them."""
    by_place: dict[str, list[list[int]]] = {}
    for number, units in enumerate(together):
        for unit in units:
            place = found.origins[unit]
            if not place.endswith(".zeros"):
                rows = by_place.setdefault(place, [[] for _ in together])
                rows[number].append(unit - starts[place])
    if not by_place:
        return None
    members = tuple(
        Member(place, tuple(tuple(row) for row in rows)) for place, rows in by_place.items()
    )
    first = members[0]
    name = found.names[_node_of(first.place)]
    names[name] += 1
    shown = name if names[name] == 1 else f"{name}#{names[name]}"
    return ChannelGroup(shown, len(together), len(first.sets[0]), members)


def _node_of(place: str) -> str:
    """Return the place of the node that a layer belongs to."""
    for part in (".operation.", ".adapters.", ".merge"):
        head, found, tail = place.rpartition(part)
        if found and "nodes." not in tail:
            return head
    return place


def _known(name: str, names: list[str]) -> str:
    if name in names:
        return name
    near = suggest(name, names)
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    raise NotFoundError(
        f"There is no group of channels '{name}'.",
        fix=(f"Did you mean '{near}'? " if near else "") + f"Its groups: {shown or 'none'}.",
    )


def _chosen(group: ChannelGroup, wanted: int | Sequence[int]) -> Sequence[int]:
    """Return the sets to keep."""
    if isinstance(wanted, int):
        _check_width(group, wanted)
        return range(wanted // group.step)
    chosen = list(wanted)
    if not chosen or len(set(chosen)) != len(chosen) or not set(chosen) <= set(range(group.size)):
        raise ConfigError(
            f"The sets to keep of group '{group.name}' are {chosen}.",
            why=f"It has the sets 0 to {group.size - 1}, and keeps at least one.",
            fix="Name each set once.",
        )
    return chosen


def _check_width(group: ChannelGroup, wanted: int) -> None:
    low = min(max(wanted // group.step, 1), group.size)
    near = sorted({low * group.step, min(low + 1, group.size) * group.step})
    if 0 < wanted <= group.width and wanted % group.step == 0:
        return
    if wanted <= 0 or wanted > group.width:
        near = [group.step if wanted <= 0 else group.width]
        rule = f"it has {group.width} channels and keeps at least {group.step}"
    else:
        rule = f"its channels go in steps of {group.step}, which are coupled"
    raise ConfigError(
        f"The group '{group.name}' cannot keep {wanted} channels: {rule}.",
        fix=f"The nearest: {' or '.join(map(str, near))}.",
    )


def _smaller(
    architecture: Architecture, found: Channels, kept: NDArray[np.bool_], prefix: str
) -> Architecture:
    """Write the kept widths into an architecture."""
    nodes = [architecture.nodes[0]]
    for index, node in enumerate(architecture.nodes[1:], start=1):
        nodes.append(_smaller_node(node, found, kept, f"{prefix}nodes.{index}"))
    return replace(architecture, nodes=tuple(nodes))


def _smaller_node(node: Node, found: Channels, kept: NDArray[np.bool_], place: str) -> Node:
    if node.cell is not None:
        return replace(node, cell=_smaller(node.cell, found, kept, f"{place}.cell."))
    rows = found.nodes[place]
    if rows.width is None:
        return node
    width = int(kept[rows.width].sum())
    if node.width is None and width == int(kept[rows.merged].sum()):
        return node
    return replace(node, width=width)


class _ProjectionGoneError(Exception):
    """An edge that would lose its projection: the two nodes' places."""


def _check(
    before: Plan, after: Plan, found: Channels, kept: NDArray[np.bool_], prefix: str
) -> None:
    """Hold the smaller plan to the kept channels, node by node."""
    for old, new in zip(before.steps[1:], after.steps[1:], strict=True):
        place = f"{prefix}nodes.{old.index}"
        for mine, theirs in zip(old.inputs, new.inputs, strict=True):
            if mine.adapter.kind != theirs.adapter.kind:
                raise _ProjectionGoneError(f"{prefix}nodes.{mine.edge.source}", place)
        rows = found.nodes[place]
        counted = (int(kept[rows.merged].sum()), int(kept[rows.output].sum()))
        assert counted == (new.merged[0], new.output[0]), f"channels of {place} are miscounted"
        if old.cell is not None and new.cell is not None:
            _check(old.cell, new.cell, found, kept, f"{place}.cell.")


def _explained(
    gone: _ProjectionGoneError, architecture: Architecture, input_shape: Shape, kept: Kept
) -> ArchitectureError:
    """Say which edge is in the way, and a width of a group at which it is not."""
    found, groups = _grouped(architecture, input_shape)
    source, target = (found.names.get(place, "the input") for place in gone.args)
    fix = "Keep one set more or fewer of a group on either side."
    for group, _ in groups:
        if not isinstance(kept.get(group.name), int):
            continue
        for width in _near(group, kept[group.name]):
            if _possible(architecture, input_shape, {**kept, group.name: width}):
                fix = f"The nearest: {width} channels for the group '{group.name}'."
                return _gone(source, target, fix)
    return _gone(source, target, fix)


def _gone(source: str, target: str, fix: str) -> ArchitectureError:
    return ArchitectureError(
        f"With these widths '{source}' has as many channels as '{target}' merges, so that the "
        "edge between them would lose its projection.",
        fix=fix,
    )


def _near(group: ChannelGroup, width: int | Sequence[int]) -> list[int]:
    assert isinstance(width, int)
    near = [width + sign * group.step for sign in (1, -1)]
    return [value for value in near if 0 < value <= group.width]


def _possible(architecture: Architecture, input_shape: Shape, kept: Kept) -> bool:
    try:
        _select(architecture, input_shape, kept)
    except _ProjectionGoneError:
        return False
    return True

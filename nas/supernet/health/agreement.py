"""Do families want the same of their common weights? Cosines of gradients on the same images.

Every member's gradient is taken at the same weights and on the same images, each norm normalising
by the batch. Compared are *units*: all tensors of one operation at one place, or an edge's merge
weights. Two members are compared on what both read; a family's gradient is the mean over its
members. That gradients of wirings which share a weight disagree, and that splitting then helps, is
the finding of Hu et al. 2022 (arXiv:2203.15207); here the parts are families.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.supernet.sharing_rule import unit_of
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture
from nas.training.device import reduced_precision

Gradients = Mapping[str, Tensor]
"""Per unit, the gradient of one member, flat."""


@final
@dataclass(frozen=True)
class UnitAgreement:
    """How the families that read one unit agree on it.

    Args:
        families: Their names, sorted.
        cosines: Of their mean gradients, by pair of families.
        members: Members of each.
    """

    families: tuple[str, ...]
    cosines: Mapping[tuple[str, str], float]
    members: Mapping[str, int]


@final
@dataclass(frozen=True)
class Agreement:
    """How gradients agree.

    Args:
        within: Mean cosine of two members of one family over the units that both read; NaN if no
            family has two members.
        between: The same for members of two families; NaN if there is one family.
        units: Per unit, how families agree on it.
    """

    within: float
    between: float
    units: Mapping[str, UnitAgreement]

    def numbers(self) -> dict[str, float]:
        """Return what is written down per epoch; what is not known is left out."""
        named = {"agreement/within": self.within, "agreement/between": self.between}
        return {name: value for name, value in named.items() if not math.isnan(value)}


def gradient_agreement(
    supernet: Supernet,
    families: Mapping[str, Sequence[Architecture]],
    images: Tensor,
    labels: Tensor,
) -> Agreement:
    """Compare the gradients of members within and between families.

    Args:
        supernet: In training mode; its weights are read, not changed.
        families: Members by family, at least one each.
        images: `(batch, channels, height, width)`, the same for all.
        labels: `(batch,)`.
    """
    owners = [family for family, members in families.items() for _ in members]
    members = [member for several in families.values() for member in several]
    gradients = member_gradients(supernet, members, images, labels)
    return compare(gradients, lambda member, unit: owners[member])


def member_gradients(
    supernet: Supernet, members: Sequence[Architecture], images: Tensor, labels: Tensor
) -> list[Gradients]:
    """Return every member's gradient by unit, on the CPU; weights keep no gradient of it.

    Args:
        supernet: In training mode, so that slots that members meet late stay.
        members: The members.
        images: `(batch, channels, height, width)`.
        labels: `(batch,)`.
    """
    for member in members:
        supernet.program(member)  # late slots are held before any gradient has their size
    return _aligned([_gradients(supernet, member, images, labels) for member in members])


def _gradients(
    supernet: Supernet, architecture: Architecture, images: Tensor, labels: Tensor
) -> dict[str, dict[str, Tensor]]:
    """Return a member's gradient by unit and slot."""
    keys = list(supernet.active(architecture))
    parameters = [supernet.weights.slot(key) for key in keys]
    with torch.enable_grad():
        with reduced_precision(images.device):
            logits = supernet.run(images, architecture)
        loss = F.cross_entropy(logits.float(), labels)
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, parameter, gradient in zip(keys, parameters, found, strict=True):
        value = torch.zeros_like(parameter) if gradient is None else gradient
        parts[unit_of(key)][key] = value.detach().double().flatten().cpu()
    return parts


def _aligned(gradients: Sequence[Mapping[str, Mapping[str, Tensor]]]) -> list[Gradients]:
    """Return one vector per unit, over all slots that any member reads there.

    Members may read different slots of one unit, as the parts of a hypernetwork that only some
    kernels need; what a member does not read has no gradient of it.
    """
    blank: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for units in gradients:
        for unit, slots in units.items():
            blank[unit] |= {key: torch.zeros_like(value) for key, value in slots.items()}
    return [
        {
            unit: torch.cat([slots.get(key, zeros) for key, zeros in blank[unit].items()])
            for unit, slots in units.items()
        }
        for units in gradients
    ]


def compare(gradients: Sequence[Gradients], family_of: Callable[[int, str], str]) -> Agreement:
    """Compare gradients.

    Args:
        gradients: Of every member.
        family_of: From a member's number and a unit to the family it belongs to there.
    """
    readers: dict[str, list[int]] = defaultdict(list)
    for member, units in enumerate(gradients):
        for unit in units:
            readers[unit].append(member)
    pairs: dict[bool, list[float]] = {True: [], False: []}
    found: dict[str, UnitAgreement] = {}
    for unit in sorted(readers):
        members = readers[unit]
        families = [family_of(member, unit) for member in members]
        values = [gradients[member][unit] for member in members]
        _compare_members(values, families, pairs)
        found[unit] = _compare_families(values, families)
    return Agreement(_mean(pairs[True]), _mean(pairs[False]), found)


def _compare_members(
    values: Sequence[Tensor], families: Sequence[str], pairs: Mapping[bool, list[float]]
) -> None:
    cosines = _cosines(values)
    for first in range(len(values)):
        for second in range(first):
            pairs[families[first] == families[second]].append(float(cosines[first, second]))


def _compare_families(values: Sequence[Tensor], families: Sequence[str]) -> UnitAgreement:
    names = sorted(set(families))
    grouped = {
        name: [value for value, family in zip(values, families, strict=True) if family == name]
        for name in names
    }
    cosines = _cosines([torch.stack(group).mean(0) for group in grouped.values()])
    return UnitAgreement(
        tuple(names),
        {
            (names[first], names[second]): float(cosines[first, second])
            for second in range(len(names))
            for first in range(second)
        },
        {name: len(group) for name, group in grouped.items()},
    )


def _cosines(values: Sequence[Tensor]) -> Tensor:
    """Return the cosine of every pair; 0 where one has no gradient at all."""
    matrix = torch.stack(list(values))
    return (unit := F.normalize(matrix, dim=1)) @ unit.T


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else math.nan

"""Published networks in several sizes over the range of the front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, final

import numpy as np

from nas.cost.count import cost
from nas.errors import NasError
from nas.model.published import published_like
from nas.search.confirm.arms.base import ARMS, AbstractArm, ArmContext
from nas.search.confirm.arms.published import FAMILIES
from nas.search.confirm.candidate import Candidate, Kind
from nas.topology.identity import structural_id

NAME: Final = "swept_published"


@ARMS.register(NAME)
@final
class SweptPublished(AbstractArm):
    """ResNet, DenseNet-BC and FractalNet in the sizes of the front, smallest to largest."""

    name: ClassVar[str] = NAME
    kind: ClassVar[Kind] = "hand_made"

    def candidates(self, context: ArmContext) -> Iterator[Candidate]:
        """Yield every family in every size; a family that cannot read the images is left out."""
        targets = sizes(
            [int(trial.extra["measures"]["macs"]) for trial in context.points],
            context.settings.baselines.sweep.sizes,
        )
        for family in FAMILIES:
            known: set[str] = set()
            for target in targets:
                try:
                    candidate = self._fitted(context, family, target)
                except NasError as error:
                    context.leave_out(NAME, f"published {family}", error.what)
                    break
                if candidate.key not in known:
                    known.add(candidate.key)
                    yield candidate

    def _fitted(self, context: ArmContext, family: str, macs: int) -> Candidate:
        data = context.session.material.data
        network = published_like(family, data.input_shape, data.num_classes, macs)
        counted = cost(network, data.input_shape, data.num_classes).macs
        key = f"published-{family}-{structural_id(network)[-8:]}"
        name = f"published {family} ({_short(counted)} MACs)"
        return Candidate.of(key, NAME, self.kind, name, network, family=family)


def sizes(macs: list[int], count: int) -> list[int]:
    """Return multiply-adds from the smallest to the largest, in equal ratios.

    Args:
        macs: Of the networks to compare with.
        count: How many sizes; one is the middle.
    """
    if not macs:
        return []
    low, high = min(macs), max(macs)
    if count == 1 or low == high:
        return [round(float(np.sqrt(low * high)))]
    return [round(float(size)) for size in np.geomspace(low, high, count)]


def _short(macs: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if macs >= size:
            return f"{macs / size:.3g} {unit}"
    return str(macs)

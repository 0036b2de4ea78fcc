"""The policy `auto`: after a short common training, part the families whose gradients disagree.

Once, at the start of an epoch, members are drawn, their gradients compared on the same images
(`nas.supernet.health.agreement`), and every unit is split on which some families disagree: families
are joined pair by pair, the most agreeing first, while the mean cosine between two groups reaches
the threshold. The largest group keeps the weights, the others go on with copies of their own. The
same seed gives the same splits; they are plain data among the supernet's arrays, so every
checkpoint has them.
"""

from __future__ import annotations

import itertools
import logging
import statistics
from collections.abc import Mapping
from typing import final

import numpy as np

from nas.seeds import derive_seed
from nas.supernet.health.agreement import Agreement, UnitAgreement, compare, member_gradients
from nas.supernet.sharing import family_at
from nas.supernet.sharing_rule import Splits, node_of
from nas.supernet.supernet import Supernet
from nas.training.batches import part_tensors
from nas.training.parts import DataPart

_log = logging.getLogger("nas")

FEWEST_MEMBERS = 2
"""Members of a family without which its gradient is not judged."""


@final
class AutoSharing:
    """Splits a supernet during its training, if its policy asks for it.

    Args:
        supernet: The supernet.
        part: Images of the weights' part.
        seed: Of the training.
        epochs: Of the training.
        steps_per_epoch: Of the training.
    """

    def __init__(
        self, supernet: Supernet, part: DataPart, *, seed: int, epochs: int, steps_per_epoch: int
    ) -> None:
        self.supernet = supernet
        self.part = part
        self.seed = seed
        config = supernet.rule.config.auto
        self.due = max(1, round(config.after * epochs)) * steps_per_epoch
        self.steps = epochs * steps_per_epoch

    def before_step(self, step: int) -> None:
        """Measure and split, if this is the step before which it is due."""
        if not self.supernet.rule.measured or step != self.due or self.due >= self.steps:
            return
        agreement = self.measure()
        splits = choose_splits(agreement, self.supernet.rule.config.auto.threshold)
        self.supernet.split(splits)
        _log.info(
            "gradients agree to %.2f within and %.2f between families: %d of %d units split",
            agreement.within,
            agreement.between,
            len(splits),
            len(agreement.units),
        )

    def measure(self) -> Agreement:
        """Compare the gradients of drawn members, each unit by the families of its place."""
        config, space = self.supernet.rule.config.auto, self.supernet.space
        rng = np.random.default_rng(derive_seed(self.seed, "agreement members", 0))
        members = [space.build(space.sample(rng)) for _ in range(config.members)]
        count = min(config.images, len(self.part))
        chosen = self.part.limited(count, derive_seed(self.seed, "agreement images", 0))
        images, labels = part_tensors(chosen, self.supernet.weights.anchor.device)
        images = images.to(self.supernet.weights.anchor.dtype)
        gradients = member_gradients(self.supernet, members, images, labels)
        return compare(gradients, lambda member, unit: family_at(node_of(unit), members[member]))


def choose_splits(agreement: Agreement, threshold: float) -> Splits:
    """Return which families leave which units.

    Args:
        agreement: What was measured.
        threshold: Mean cosine from which on two groups of families stay together.
    """
    splits: dict[str, Mapping[str, str]] = {}
    for unit, measured in agreement.units.items():
        groups = _groups(measured, threshold)
        # The largest group keeps the weights, and with it families that were not judged.
        _, *leaving = sorted(groups, key=lambda group: (-len(group), group))
        if leaving:
            splits[unit] = {family: "+".join(group) for group in leaving for family in group}
    return splits


def _groups(measured: UnitAgreement, threshold: float) -> list[tuple[str, ...]]:
    """Join families, the most agreeing groups first."""
    judged = [name for name in measured.families if measured.members[name] >= FEWEST_MEMBERS]
    groups: list[tuple[str, ...]] = [(name,) for name in judged] or [()]
    while len(groups) > 1:
        pairs = list(itertools.combinations(groups, 2))
        cosines = [_between(measured, *pair) for pair in pairs]
        best = max(range(len(pairs)), key=lambda number: cosines[number])
        if cosines[best] < threshold:
            break
        joined = tuple(sorted(itertools.chain(*pairs[best])))
        groups = [group for group in groups if group not in pairs[best]] + [joined]
    return groups


def _between(measured: UnitAgreement, first: tuple[str, ...], second: tuple[str, ...]) -> float:
    return statistics.fmean(
        measured.cosines[min(pair), max(pair)] for pair in itertools.product(first, second)
    )

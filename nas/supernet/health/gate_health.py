"""Health of a relaxation's gates: is it deciding, is it collapsing, does everything get a chance.

A search that drifts to identities and pools ranks nothing, and one that never tries an answer says
nothing about it; both show here long before a front does. What needs images is in
`nas.supernet.health.gaps`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from nas.space import Choice, OneOf, SubsetOf
from nas.supernet.binding import role
from nas.supernet.checkpoints import Checkpoint
from nas.supernet.gate_samplers import answers_of, is_on
from nas.supernet.gates import normalised
from nas.supernet.relaxation import Context, Relaxation
from nas.topology.operations import OPERATIONS

STARVED = 0.02
"""Mean gate, in shares of an equal one, below which an answer gets no chance."""
CHANCE = 10.0
"""Steps with an equal gate, or as many with more or less of it, that are a chance: a gate that
closes after so much has decided, however long the training goes on."""
ENOUGH_STEPS = 10
"""Steps per answer after which a choice can be judged: random gates need time to meet all."""


def gate_numbers(relaxation: Relaxation, usage: Usage) -> dict[str, float]:
    """Return what the gates alone tell after an epoch."""
    return {
        "gate_entropy": gate_entropy(relaxation),
        "skip_share": free_share(relaxation, "identity"),
        "free_share": free_share(relaxation),
        "fair_free_share": fair_free_share(relaxation),
        "edge_share": edge_share(relaxation),
        "starved_share": usage.starved_share(relaxation),
    }


@torch.no_grad()
def gate_entropy(relaxation: Relaxation) -> float:
    """Return the mean entropy of all open choices, each as a share of its largest: 1 to 0."""
    shares = []
    for choice in relaxation.every_choice():
        p = relaxation.probabilities(choice).double()
        if isinstance(choice, SubsetOf):
            pairs = torch.stack([p, 1 - p]).clamp_min(0)
            shares.extend((-torch.xlogy(pairs, pairs).sum(0) / math.log(2)).tolist())
        elif len(p) > 1:
            shares.append(float(-torch.xlogy(p, p).sum()) / math.log(len(p)))
    return _mean(shares)


@torch.no_grad()
def free_share(relaxation: Relaxation, *names: str) -> float:
    """Return the probability of operations without weights, mean over the choices that offer both.

    Identities, pools and absent edges count; 0 where no choice offers one.

    Args:
        relaxation: The gates.
        names: The operations to count; all without weights by default.
    """
    shares = []
    for choice in relaxation.every_choice():
        free = free_options(choice)
        if free:
            counted = [n for n in free if not names or answers_of(choice)[n] in names]
            shares.append(float(relaxation.probabilities(choice)[counted].sum()))
    return _mean(shares)


def fair_free_share(relaxation: Relaxation) -> float:
    """Return what `free_share` is where all open options are equally likely."""
    shares = []
    for choice in relaxation.every_choice():
        free = free_options(choice)
        if free:
            opened = relaxation.open[relaxation.answer_positions(choice)]
            shares.append(float(opened[free].sum()) / float(opened.sum()))
    return _mean(shares)


def free_options(choice: Choice) -> list[int]:
    """Return the numbers of a choice's options without weights; none unless others have some."""
    if not isinstance(choice, OneOf) or role(choice) != "operation":
        return []
    kinds = [OPERATIONS.get(str(option.value)) for option in choice.options]
    free = [number for number, kind in enumerate(kinds) if not kind.parametric]
    return free if len(free) < len(kinds) else []


@torch.no_grad()
def edge_share(relaxation: Relaxation) -> float:
    """Return the mean probability that an optional edge is on; 0 where there is none."""
    shares: list[float] = []
    for choice in relaxation.every_choice():
        if isinstance(choice, SubsetOf):
            shares.extend(relaxation.probabilities(choice).tolist())
    return _mean(shares)


@final
class Usage:
    """How much of an equal gate every answer had, mean over the steps that asked.

    Counted from the first step that moves gates.

    Args:
        relaxation: Whose gates are watched.
    """

    def __init__(self, relaxation: Relaxation) -> None:
        self.total = torch.zeros(len(relaxation.open), dtype=torch.float64)
        self.count = torch.zeros(len(relaxation.open), dtype=torch.float64)

    @torch.no_grad()
    def add(self, relaxation: Relaxation, context: Context, values: Mapping[str, Tensor]) -> None:
        """Count a step with its gate values and what was sampled whole."""
        places: list[int] = []
        parts: list[Tensor] = []
        for choice in context.relaxed:
            places += relaxation.answer_positions(choice)
            parts.append(_relative(choice, values[choice.name]))
        for choice in relaxation.space.asked(context.base):
            if choice.name in context.sampled:
                places += relaxation.answer_positions(choice)
                on = is_on(choice, context.sampled[choice.name])
                parts.append(_relative(choice, on.to(relaxation.logits)))
        if places:
            index = torch.tensor(places)
            self.total.index_add_(0, index, torch.cat(parts).double().cpu())
            self.count.index_add_(0, index, torch.ones(len(places), dtype=torch.float64))

    def starved_share(self, relaxation: Relaxation) -> float:
        """Return the share of open answers that were never tried.

        Those with neither `CHANCE` steps of an equal gate nor a mean of `STARVED` of one, among the
        choices that were asked often enough.
        """
        starved = judged = 0
        for choice in relaxation.every_choice():
            places = relaxation.answer_positions(choice)
            if len(places) < 2:
                continue
            opened = relaxation.open[places].cpu()
            enough = opened & (self.count[places] >= ENOUGH_STEPS * len(places))
            mean = self.total[places] / self.count[places].clamp_min(1)
            judged += int(enough.sum())
            tried = self.total[places] >= CHANCE
            starved += int((enough & ~tried & (mean < STARVED)).sum())
        return starved / judged if judged else 0.0

    def arrays(self) -> Checkpoint:
        """Return totals and counts."""
        return {"usage": np.stack([self.total.numpy(), self.count.numpy()])}

    def load_arrays(self, arrays: Checkpoint) -> None:
        """Take what `arrays` gave."""
        self.total, self.count = (torch.from_numpy(row.copy()) for row in arrays["usage"])


def _relative(choice: Choice, values: Tensor) -> Tensor:
    """Return gates in shares of an equal one."""
    if isinstance(choice, SubsetOf):
        return normalised(values)
    return values * len(answers_of(choice))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0

"""What rules that close and open answers have in common: which are weak, and what was found.

Weakness is relative to the strongest answer of the same choice. A common scale of a node's gates
changes nothing that the network computes, so it must not change what is pruned first either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nas.pareto.dominance import non_dominated
from nas.space import Choice, Decisions, SubsetOf
from nas.supernet.binding import Role, role
from nas.supernet.budgets.expected_cost import CostModel, named, presence
from nas.supernet.budgets.resources import POSITIONS, ResourceName, charged
from nas.supernet.gate_samplers import answers_of
from nas.supernet.relaxation import Relaxation

if TYPE_CHECKING:
    from nas.supernet.alternations import Step
    from nas.supernet.relaxed_training import RelaxedTraining

FOUND_BATCHES = 4
"""Batches of the gates' images on which a found member is scored; the same ones every time."""


@final
@dataclass(frozen=True)
class FoundMember:
    """A member that a training left on its way.

    Args:
        decisions: The member.
        costs: Its parameters, MACs, bytes and milliseconds.
        expected: The same of the mixture it was taken from, in expectation.
        loss: Its cross-entropy with the shared weights of that moment, on images of the gates'
            part, in nats.
        step: Steps done.
        factor: Of the resource term.
    """

    decisions: Decisions
    costs: Mapping[str, float]
    expected: Mapping[str, float]
    loss: float
    step: int
    factor: float


@final
@dataclass(frozen=True)
class Weak:
    """An answer that may be closed, and its gate relative to the strongest of its choice."""

    choice: Choice
    answer: object
    share: float


def relative(choice: Choice, probabilities: Tensor) -> Tensor:
    """Return each answer's gate relative to the strongest of the choice, at most 1, `(answers,)`.

    Where no edge has to be there, an edge that is always on stands beside them.
    """
    if isinstance(choice, SubsetOf):
        return presence(choice, probabilities)
    return probabilities / probabilities.max()


@torch.no_grad()
def weak_answers(
    relaxation: Relaxation, roles: Iterable[Role] = ("edges", "merge", "operation")
) -> list[Weak]:
    """Return the open answers that may be closed, weakest first; joint choices are left alone."""
    wanted = set(roles)
    found: list[Weak] = []
    for choice in relaxation.every_choice():
        if role(choice) not in wanted:
            continue
        is_open = relaxation.open[relaxation.answer_positions(choice)].tolist()
        if sum(is_open) <= fewest(choice):
            continue
        shares = relative(choice, relaxation.probabilities(choice)).tolist()
        rows = zip(answers_of(choice), shares, is_open, strict=True)
        found.extend(Weak(choice, answer, share) for answer, share, flag in rows if flag)
    return sorted(found, key=lambda weak: weak.share)


def fewest(choice: Choice) -> int:
    """Return how many answers of a choice have to stay open."""
    return choice.minimum if isinstance(choice, SubsetOf) else 1


def close_weak(relaxation: Relaxation, weak: Iterable[Weak]) -> int:
    """Close answers, as far as their choices can spare them; return how many were closed."""
    closed = 0
    for each in weak:
        is_open = relaxation.open[relaxation.answer_positions(each.choice)]
        if int(is_open.sum()) > fewest(each.choice):
            relaxation.close(each.choice, each.answer)
            closed += 1
    return closed


def epochs_of_gates(training: RelaxedTraining, step: Step) -> int:
    """Return how many epochs the gates have learned if `step` ends one of them, else 0."""
    per_epoch = training.batches.steps_per_epoch
    warmup = -(-int(training.relaxed.gate_warmup_epochs * per_epoch) // per_epoch)
    if not step.gates_learn or (step.number + 1) % per_epoch:
        return 0
    return (step.number + 1) // per_epoch - warmup


def find_members(
    training: RelaxedTraining, model: CostModel, step: Step, factor: float
) -> list[FoundMember]:
    """Return what the gates stand for at this moment, scored.

    First the member with every edge that is not closed, which the mixture approaches as gates are
    closed; then the discretised one, where that is another.
    """
    context = training.relaxation.likeliest()
    with torch.no_grad():
        expected = named(model.expected(training.relaxation, context))
    settled = training.settle(context)
    running = context.running()
    subsets = {choice.name for choice in context.relaxed if isinstance(choice, SubsetOf)}
    whole = {name: running[name] if name in subsets else settled[name] for name in settled}
    return [
        FoundMember(
            decisions=decisions,
            costs=named(model.discrete(decisions)),
            expected=expected,
            loss=member_loss(training, decisions),
            step=step.number + 1,
            factor=factor,
        )
        for decisions in ([whole] if whole == settled else [whole, settled])
    ]


@torch.no_grad()
def member_loss(training: RelaxedTraining, decisions: Decisions) -> float:
    """Return the cross-entropy of a member on a few batches of the gates' images, in nats."""
    architecture = training.supernet.space.build(decisions)
    count = min(FOUND_BATCHES, training.gate_batches.batches.steps_per_epoch)
    losses = []
    for number in range(count):
        images, labels = training.gate_batches.at(number)
        logits = training.supernet(images, architecture).float()
        losses.append(float(F.cross_entropy(logits, labels)))
    return float(np.mean(losses))


def front_of(found: Iterable[FoundMember], resource: ResourceName) -> list[FoundMember]:
    """Return the members that no other beats in both cost and loss, cheapest first.

    Args:
        found: The members.
        resource: What they are charged for.
    """
    members = list(found)
    if not members:
        return []

    def cost(member: FoundMember) -> float:
        return float(charged(resource, [member.costs[name] for name in POSITIONS]))

    points = np.array([[cost(member), member.loss] for member in members])
    kept = [member for member, keep in zip(members, non_dominated(points), strict=True) if keep]
    unique: dict[str, FoundMember] = {}
    for member in kept:
        unique.setdefault(json.dumps(member.decisions), member)
    return sorted(unique.values(), key=cost)


def to_array(found: Iterable[FoundMember]) -> NDArray[np.uint8]:
    """Return found members as bytes for a checkpoint."""
    text = json.dumps([plain(member) for member in found])
    return np.frombuffer(text.encode(), dtype=np.uint8).copy()


def from_array(array: NDArray[Any]) -> list[FoundMember]:
    """Return the members that `to_array` wrote."""
    return [FoundMember(**entry) for entry in json.loads(array.astype(np.uint8).tobytes())]


def plain(member: FoundMember) -> dict[str, Any]:
    """Return a found member as plain JSON."""
    return asdict(member)


def open_answers(relaxation: Relaxation) -> Iterator[tuple[Choice, tuple[object, ...]]]:
    """Yield every choice with the answers that are still open."""
    for choice in relaxation.every_choice():
        flags = relaxation.open[relaxation.answer_positions(choice)].tolist()
        answers = zip(answers_of(choice), flags, strict=True)
        yield choice, tuple(answer for answer, flag in answers if flag)

"""Does a relaxation find the edges of a planted wiring, and do baselines find them as well.

What is compared are rankings of edges: the F1 of as many of the best edges as the teacher has, and
the average precision. Gates are compared between nodes after the normalisation that the merges
apply, since their common scale at a node means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nas.seeds import derive_seed
from nas.supernet.gates import normalised
from nas.supernet.planted_wiring import (
    Planted,
    PlantedEdge,
    PlantedSetup,
    PlantedSpace,
    Question,
    edge_choice,
    node_choice,
    plant,
    random_wiring,
)
from nas.supernet.relaxation import Relaxation
from nas.supernet.relaxation_config import RelaxationSettings
from nas.supernet.relaxed_training import RelaxationConfig, make_relaxation, train_relaxation
from nas.supernet.supernet import Supernet
from nas.training.batches import Batches

EdgeScores = Mapping[PlantedEdge, float]


@final
@dataclass(frozen=True)
class Schedule:
    """How long and how fast a student learns; the same for every relaxation.

    Args:
        epochs: Passes over the weights' part, and as many steps on the gates' part.
        batch_size: Images per step.
        gate_learning_rate: Of the gates.
        learning_rate: Of weights that learn.
    """

    epochs: int = 6
    batch_size: int = 128
    gate_learning_rate: float = 0.1
    learning_rate: float = 0.1


@final
@dataclass(frozen=True)
class Recovery:
    """How well a ranking of edges agrees with the teacher's edges, both from 0 to 1.

    Args:
        f1: Of as many edges as the teacher has; precision and recall are then equal.
        average_precision: Over all thresholds.
    """

    f1: float
    average_precision: float


def recovery(scores: EdgeScores, edges: frozenset[PlantedEdge]) -> Recovery:
    """Compare a ranking with the teacher's edges; equal scores count as in random order."""
    order = sorted(set(scores.values()), reverse=True)
    wanted = len(edges)
    found = taken = 0
    kept = precision_sum = 0.0
    for score in order:
        tied = [edge for edge, value in scores.items() if value == score]
        hits = sum(edge in edges for edge in tied)
        room = min(max(wanted - taken, 0), len(tied))
        kept += hits * room / len(tied)
        found, taken = found + hits, taken + len(tied)
        precision_sum += hits * found / taken
    return Recovery(kept / wanted, precision_sum / wanted)


def question_of(lines: Mapping[str, Any]) -> Question:
    """Return how edges have to be asked so that the gates a relaxation is about answer.

    Args:
        lines: Of the relaxation. Those that name gates of edges get sets of edges, others that
            mix operations one question per edge.
    """
    mixed = lines.get("operations") == "mixed"
    return "options" if mixed and "edges" not in lines.get("gates", {}) else "subsets"


def student_config(
    declared: Mapping[str, Any], schedule: Schedule, *, learned: bool = False
) -> RelaxationConfig:
    """Return a relaxation's own lines with the length and the rates that all share.

    Args:
        declared: Lines of the relaxation; a preset's, written out or by its name.
        schedule: Length and rates.
        learned: Whether the weights learn too.
    """
    settings = RelaxationSettings(**declared)
    lines = settings.model_dump()
    if not learned:
        lines["rules"] = [*lines["rules"], "frozen_weights"]
    lines |= {
        "gate_learning_rate": schedule.gate_learning_rate,
        "gate_warmup_epochs": 1.0 if learned else 0.0,
    }
    return RelaxationConfig(
        **{key: value for key, value in lines.items() if key != "preset"},
        epochs=schedule.epochs,
        batch_size=schedule.batch_size,
        learning_rate=schedule.learning_rate,
        warmup_epochs=0.0,
    )


def recover(
    planted: Planted,
    declared: Mapping[str, Any],
    schedule: Schedule | None = None,
    *,
    seed: int,
    learned: bool = False,
) -> Recovery:
    """Relax a student on the teacher's labels and compare its edges with the teacher's.

    Args:
        planted: The problem.
        declared: Lines of the relaxation; a preset's, written out or by its name.
        schedule: Length and rates.
        seed: Of batches and draws.
        learned: Whether the student starts with weights of its own and learns them.
    """
    config = student_config(declared, schedule or Schedule(), learned=learned)
    supernet = planted.supernet(shared=not learned)
    relaxation = make_relaxation(supernet, config)
    train_relaxation(supernet, relaxation, planted.parts, config, seed=seed)
    return recovery(edge_scores(planted.space, relaxation), planted.edges)


@torch.no_grad()
def edge_scores(space: PlantedSpace, relaxation: Relaxation) -> EdgeScores:
    """Return the probability of every optional edge, normalised per node as the merges do.

    Where a relaxation has strengths beside its gates, they multiply the probabilities.
    """
    by_name = {choice.name: choice for choice in relaxation.every_choice()}
    found: dict[PlantedEdge, float] = {}
    for target in range(2, space.setup.nodes + 1):
        edges = [(source, target) for source in range(target)]
        if space.setup.question == "options":
            choices = [by_name[edge_choice(edge)] for edge in edges]
            shares = torch.stack([relaxation.probabilities(choice)[1] for choice in choices])
        else:
            choices = [by_name[node_choice(target)]]
            shares = relaxation.probabilities(choices[0])
        places = [place for choice in choices for place in relaxation.strength_positions(choice)]
        if places:
            shares = shares * relaxation.logits[places].softmax(0)
        found |= zip(edges, normalised(shares.double()).tolist(), strict=True)
    return found


def recover_anew(
    lines: Mapping[str, Any],
    setup: PlantedSetup,
    schedule: Schedule | None = None,
    *,
    seed: int,
    shuffled: bool = False,
    learned: bool = False,
) -> Recovery:
    """Plant a wiring, ask for its edges as a relaxation's gates answer, and recover it.

    Args:
        lines: Of the relaxation, written out.
        setup: Sizes; its question gives way to that of the relaxation.
        schedule: Length and rates.
        seed: Of the problem and of the student's training.
        shuffled: Whether the labels are dealt at random.
        learned: Whether the student learns weights of its own.
    """
    planted = plant(replace(setup, question=question_of(lines)), seed, shuffled=shuffled)
    return recover(planted, lines, schedule, seed=seed, learned=learned)


def chance(setup: PlantedSetup) -> float:
    """Return the F1 of edges chosen blindly, at the teacher's number of edges."""
    return setup.edges / len(setup.optional)


def keep_all(setup: PlantedSetup) -> float:
    """Return the F1 of keeping every edge: recall 1, precision that of chance."""
    return 2 * setup.edges / (setup.edges + len(setup.optional))


def random_wirings(planted: Planted, draws: int = 1000) -> list[float]:
    """Return the F1 of wirings drawn as the teacher's was: what the rule of drawing gives away."""
    rng = np.random.default_rng(derive_seed(planted.seed, "random wirings", 0))
    drawn = (random_wiring(planted.setup, rng) for _ in range(draws))
    return [len(wiring & planted.edges) / planted.setup.edges for wiring in drawn]


def magnitude(planted: Planted, schedule: Schedule | None = None, *, seed: int) -> Recovery:
    """Rank edges by the size of learned numbers in the network that keeps all edges.

    Every edge has a free number, all 1 at the start; they learn by Adam on the images that gates
    learn on, and nothing else does. A node's numbers are compared after normalisation.
    """
    schedule = schedule or Schedule()
    setup = replace(planted.setup, merge="weighted", question="subsets")
    space = PlantedSpace(setup)
    supernet = Supernet(space, (setup.channels, 1, 1), setup.classes, seed=0).train()
    planted.give_weights(supernet)
    everything = space.build(space.decisions(frozenset(setup.optional)))
    numbers = {edge: supernet.weights.slot(_number_key(edge)) for edge in setup.optional}
    adam = torch.optim.Adam(list(numbers.values()), schedule.gate_learning_rate)
    batches = Batches(planted.parts.gates, schedule.batch_size, torch.device("cpu"))
    for epoch in range(schedule.epochs):
        for images, labels in batches.epoch(derive_seed(seed, "magnitude", 0), epoch):
            adam.zero_grad()
            F.cross_entropy(supernet(images, everything), labels).backward()  # type: ignore[no-untyped-call]
            adam.step()
    return recovery(_normalised_numbers(numbers), planted.edges)


def _number_key(edge: PlantedEdge) -> str:
    source = f"op{edge[0]}" if edge[0] else "in"
    return f"op{edge[1]}<{source}|scalar"


def _normalised_numbers(numbers: Mapping[PlantedEdge, Tensor]) -> EdgeScores:
    found: dict[PlantedEdge, float] = {}
    for target in {target for _, target in numbers}:
        edges = [edge for edge in numbers if edge[1] == target]
        sizes = torch.cat([numbers[edge].detach().abs().double() for edge in edges])
        found |= zip(edges, normalised(sizes).tolist(), strict=True)
    return found

"""Inherited scores: what a member scores with the supernet's weights, after recalibration.

The images that recalibrate batch norm come from the weights' training part; the images that score
are those of the validation part. Fused norms and latency belong to the stand-alone network, see
`Supernet.extract`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from nas.errors import TrialError
from nas.seeds import derive_seed
from nas.supernet.execution import Norm, Statistics
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.shared_passes import (
    Expressions,
    SharedPass,
    fixed_norms,
    in_shared_order,
    record_statistics,
)
from nas.supernet.slots import Program, SlotUse
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture
from nas.training.batches import part_tensors
from nas.training.device import reduced_precision, use_threads
from nas.training.evaluate import Evaluation, ScoreNoise, Tally, evaluate
from nas.training.faults import memory_faults
from nas.training.parts import DataPart, FiveParts

MEMORY_BYTES = 2**29
"""Most memory that `score_all` keeps for members to come, in bytes."""


@final
@dataclass(frozen=True)
class InheritedScore:
    """What a member scores with the supernet's weights.

    Args:
        error: Share of wrong answers, a fraction from 0 to 1.
        cross_entropy: Mean negative log-likelihood in nats.
        count: Images evaluated.
        uncalibrated: The score without recalibration, if it was asked for and is finite.
        noise: How far error and cross-entropy may be off, for validation images drawn anew.
    """

    error: float
    cross_entropy: float
    count: int
    uncalibrated: Evaluation | None = None
    noise: ScoreNoise | None = None

    @property
    def accuracy(self) -> float:
        """Share of right answers, a fraction from 0 to 1."""
        return 1 - self.error

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = _numbers(self)
        if self.uncalibrated is not None:
            values["uncalibrated"] = _numbers(self.uncalibrated)
        if self.noise is not None:
            values["noise"] = self.noise.to_dict()
        return values


def _numbers(score: InheritedScore | Evaluation) -> dict[str, Any]:
    return {
        "error": score.error,
        "cross_entropy": score.cross_entropy,
        "count": score.count,
    }


@final
@dataclass(frozen=True, eq=False)
class ScoringData:
    """What a score needs, on the supernet's device.

    Args:
        recalibration: Images of the weights' part, `(count, channels, height, width)`.
        images: Validation images.
        labels: Validation labels.
        policy: How statistics are measured.
    """

    recalibration: Tensor
    images: Tensor
    labels: Tensor
    policy: Recalibration = field(default_factory=Recalibration)


def scoring_data(
    parts: FiveParts,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    recalibration: Recalibration | None = None,
    validation_images: int | None = None,
) -> ScoringData:
    """Load the images of scoring, the same for every member of a run.

    Args:
        parts: The five parts of the data.
        seed: Of the run; chooses the subsets.
        device: Where the supernet is.
        recalibration: How statistics are measured; there is at least one image per class.
        validation_images: Most images that score, at least one per class; None takes all.
    """
    place = torch.device(device)
    policy = recalibration or Recalibration()
    measured = _limited(parts.recalibration, policy.images * policy.passes, seed, 0)
    validation = parts.validation
    if validation_images is not None:
        validation = _limited(validation, validation_images, seed, 1)
    images, labels = part_tensors(validation, place)
    return ScoringData(part_tensors(measured, place)[0], images, labels, policy)


def _limited(part: DataPart, count: int, seed: int, index: int) -> DataPart:
    # With more classes than images asked for, one image of each: a search must not end here, after
    # its supernet is trained.
    classes = len(np.unique(part.labels))
    return part.limited(max(count, classes), derive_seed(seed, "score", index))


def score(
    supernet: Supernet, architecture: Architecture, data: ScoringData, *, batch_size: int = 512
) -> InheritedScore:
    """Recalibrate a member and score it on the validation images.

    Raises:
        TrialError: If the cross-entropy is not finite, or memory runs out.
    """
    policy = data.policy
    recalibrated = uncalibrated = None

    def evaluated(statistics: Statistics) -> Evaluation:
        return evaluate(
            lambda images: supernet(images, architecture, statistics),
            data.images,
            data.labels,
            batch_size,
        )

    if policy.policy != "none":
        with reduced_precision(data.images.device), memory_faults("recalibration"):
            statistics = supernet.recalibrate(architecture, data.recalibration, policy.passes)
        recalibrated = evaluated(statistics)
    if policy.policy == "none" or policy.compare:
        statistics = supernet.running_statistics(architecture)
        uncalibrated = _beside(recalibrated, lambda: evaluated(statistics))
    return _inherited(recalibrated, uncalibrated)


def _beside(
    recalibrated: Evaluation | None, measure: Callable[[], Evaluation]
) -> Evaluation | None:
    """Return the score without recalibration; None if it is not finite beside one that is.

    Averages over other paths may make activations overflow, which says nothing of the member.
    """
    try:
        return measure()
    except TrialError as error:
        if recalibrated is None or error.kind != "nonfinite":
            raise
        return None


def _inherited(recalibrated: Evaluation | None, uncalibrated: Evaluation | None) -> InheritedScore:
    found = recalibrated or uncalibrated
    assert found is not None
    return InheritedScore(found.error, found.cross_entropy, found.count, uncalibrated, found.noise)


def score_all(
    supernet: Supernet,
    architectures: Iterable[Architecture],
    data: ScoringData,
    *,
    threads: int = 1,
    batch_size: int = 512,
    memory_bytes: int = MEMORY_BYTES,
    on_score: Callable[[int, InheritedScore], None] | None = None,
) -> list[InheritedScore]:
    """Score members with a fixed number of threads, each exactly as `score` does alone.

    What members have in common is computed once; members that need weights which no training met
    are scored one by one.

    Args:
        supernet: The trained supernet, in eval mode.
        architectures: The members.
        data: From `scoring_data`.
        threads: Of torch; scores are bit-identical for one number only.
        batch_size: Validation images per pass.
        memory_bytes: Most memory kept for members to come; less costs time, never exactness.
        on_score: Called with the member's number and its score, in no particular order.

    Raises:
        TrialError: If a cross-entropy is not finite, after the others were told; or if memory runs
            out.
    """
    members = list(architectures)
    found: dict[int, InheritedScore] = {}
    programs: dict[int, tuple[Program, tuple[SlotUse, ...]]] = {}

    def note(index: int, value: InheritedScore) -> None:
        found[index] = value
        if on_score is not None:
            on_score(index, value)

    with use_threads(threads):
        for index, architecture in enumerate(members):
            program = supernet.program(architecture)
            head = supernet.head_uses(program)
            if supernet.shareable(program):
                programs[index] = (program, head)
            else:
                note(index, score(supernet, architecture, data, batch_size=batch_size))
        shared = _Together(supernet, programs, data, batch_size, memory_bytes)
        with reduced_precision(data.images.device), memory_faults("scoring"):
            shared.run(note)
    return [found[index] for index in range(len(members))]


@final
class _Together:
    """Scores members by shared passes."""

    def __init__(
        self,
        supernet: Supernet,
        programs: dict[int, tuple[Program, tuple[SlotUse, ...]]],
        data: ScoringData,
        batch_size: int,
        memory_bytes: int,
    ) -> None:
        self.supernet = supernet
        self.data = data
        self.batch_size = batch_size
        self.memory_bytes = memory_bytes
        self.expressions = Expressions(supernet.weights, supernet.classify)
        outputs = [self.expressions.member(*program) for program in programs.values()]
        order = in_shared_order(self.expressions.table, outputs)
        indices = list(programs)
        self.order = [indices[place] for place in order]
        self.outputs = [outputs[place] for place in order]

    def run(self, note: Callable[[int, InheritedScore], None]) -> None:
        policy = self.data.policy
        recalibrated = self._scores(self._measured()) if policy.policy != "none" else None
        uncalibrated = None
        if policy.policy == "none" or policy.compare:
            uncalibrated = self._scores(self._running())
        faults: list[TrialError] = []
        for place, index in enumerate(self.order):
            try:
                own = None if recalibrated is None else recalibrated[place].result()
                beside = None if uncalibrated is None else _beside(own, uncalibrated[place].result)
            except TrialError as fault:
                faults.append(fault)
                continue
            note(index, _inherited(own, beside))
        if faults:
            raise faults[0]

    def _measured(self) -> dict[int, Statistics]:
        found = [
            record_statistics(self.expressions.table, self.outputs, batch, self.memory_bytes)
            for batch in self.data.recalibration.chunk(self.data.policy.passes)
        ]
        if len(found) == 1:
            return found[0]
        return {number: Statistics.average([each[number] for each in found]) for number in found[0]}

    def _running(self) -> dict[int, Statistics]:
        running, like = self.supernet.running, self.supernet.weights.anchor
        return {
            number: running.of(expression.norms, like)
            for number, expression in enumerate(self.expressions.table)
            if expression.norms
        }

    def _scores(self, statistics: dict[int, Statistics]) -> list[Tally]:
        norm_of: Callable[[int], Norm] = fixed_norms(statistics)
        tallies = [Tally(self.data.images.device) for _ in self.outputs]
        shared = SharedPass(self.expressions.table, self.outputs, self.memory_bytes)
        for start in range(0, len(self.data.labels), self.batch_size):
            images = self.data.images[start : start + self.batch_size]
            labels = self.data.labels[start : start + self.batch_size]

            def count(place: int, logits: Tensor, labels: Tensor = labels) -> None:
                tallies[place].add(logits, labels)

            shared.run(images, norm_of, count)
        return tallies

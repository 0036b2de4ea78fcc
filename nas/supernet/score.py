"""Inherited scores: what a member scores with the supernet's weights, after recalibration.

The images that recalibrate batch norm come from the weights' training part; the images that score
are those of the validation part. Fused norms and latency belong to the stand-alone network, see
`Supernet.extract`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from nas.seeds import derive_seed
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture
from nas.training.batches import part_tensors
from nas.training.device import reduced_precision, use_threads
from nas.training.evaluate import Evaluation, evaluate
from nas.training.parts import DataPart, FiveParts

RECALIBRATION_IMAGES = 512
"""Images of one training-mode pass; more changed no ranking in the prototype."""


@final
@dataclass(frozen=True, eq=False)
class ScoringData:
    """What a score needs, on the supernet's device.

    Args:
        recalibration: Images of the weights' part, `(count, channels, height, width)`.
        images: Validation images.
        labels: Validation labels.
    """

    recalibration: Tensor
    images: Tensor
    labels: Tensor


def scoring_data(
    parts: FiveParts,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    recalibration_images: int = RECALIBRATION_IMAGES,
    validation_images: int | None = None,
) -> ScoringData:
    """Load the images of scoring, the same for every member of a run.

    Args:
        parts: The five parts of the data.
        seed: Of the run; chooses the subsets.
        device: Where the supernet is.
        recalibration_images: Most images that measure the statistics, at least one per class.
        validation_images: Most images that score, at least one per class; None takes all.
    """
    place = torch.device(device)
    recalibration = _limited(parts.recalibration, recalibration_images, seed, 0)
    validation = parts.validation
    if validation_images is not None:
        validation = _limited(validation, validation_images, seed, 1)
    images, labels = part_tensors(validation, place)
    return ScoringData(part_tensors(recalibration, place)[0], images, labels)


def _limited(part: DataPart, count: int, seed: int, index: int) -> DataPart:
    # With more classes than images asked for, one image of each: a search must not end here, after
    # its supernet is trained.
    classes = len(np.unique(part.labels))
    return part.limited(max(count, classes), derive_seed(seed, "score", index))


def score(
    supernet: Supernet, architecture: Architecture, data: ScoringData, *, batch_size: int = 512
) -> Evaluation:
    """Recalibrate a member and score it on the validation images.

    Raises:
        TrialError: If the cross-entropy is not finite, or memory runs out.
    """
    with reduced_precision(data.images.device):
        statistics = supernet.recalibrate(architecture, data.recalibration)
    return evaluate(
        lambda images: supernet(images, architecture, statistics),
        data.images,
        data.labels,
        batch_size,
    )


def score_all(
    supernet: Supernet,
    architectures: Iterable[Architecture],
    data: ScoringData,
    *,
    threads: int = 1,
    batch_size: int = 512,
    on_score: Callable[[int, Evaluation], None] | None = None,
) -> list[Evaluation]:
    """Score members one after the other with a fixed number of threads.

    Args:
        supernet: The trained supernet.
        architectures: The members.
        data: From `scoring_data`.
        threads: Of torch; scores are bit-identical for one number only.
        batch_size: Validation images per pass.
        on_score: Called with the member's number and its score.
    """
    found = []
    with use_threads(threads):
        for index, architecture in enumerate(architectures):
            found.append(score(supernet, architecture, data, batch_size=batch_size))
            if on_score is not None:
                on_score(index, found[-1])
    return found

"""What a member scores as it ships: stand-alone, with inherited weights, in a given runtime.

The member's slices of the shared weights go into its stand-alone network with the batch-norm
statistics that were measured for it, batch norm is folded, and a runtime executes the result. The
images that calibrate int8 ranges are those that recalibrated the statistics, of the weights' part;
validation images are never calibrated on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from nas.objectives.deployment import Deployment
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.runtimes import prepare
from nas.training.device import reduced_precision, use_threads
from nas.training.evaluate import Evaluation, evaluate
from nas.training.faults import memory_faults

if TYPE_CHECKING:
    from nas.model.network import Network
    from nas.supernet.scoring.score import ScoringData
    from nas.supernet.supernet import Supernet
    from nas.topology.graph import Architecture

SCORING_BATCH: Final = 64
"""Images of one call; it changes nothing but the time."""

CALIBRATION_IMAGES: Final = 128
"""Most images that int8 ranges are measured on."""


def score_shipped(
    supernet: Supernet,
    architecture: Architecture,
    data: ScoringData,
    runtime: str,
    deployment: Deployment,
    threads: int = 1,
) -> Evaluation:
    """Score the stand-alone network of a member on the validation images.

    Args:
        supernet: The trained supernet, in eval mode.
        architecture: The member.
        data: From `scoring_data`.
        runtime: What executes it.
        deployment: Its number formats.
        threads: Of torch and of the runtime.

    Raises:
        TrialError: If the cross-entropy is not finite, or memory runs out.
        ConfigError: If the runtime does not execute the number format on the supernet's device.
        EnvironmentFault: If a package or tool is missing.
    """
    from nas.model.fuse import fuse

    place = data.images.device
    with use_threads(threads), reduced_precision(place), memory_faults("recalibration"):
        network = fuse(extract_member(supernet, architecture, data))
    calibration = data.recalibration[:CALIBRATION_IMAGES].float().cpu().contiguous().numpy()
    config = LatencyConfig(
        runtime=runtime, dtype=deployment.dtype, batch=SCORING_BATCH, threads=threads
    )
    prepared = prepare(
        network, supernet.input_shape, config, str(place), calibration, deployment.float_stages
    )

    def logits(images: Tensor) -> Tensor:
        found = prepared.logits(images.float().cpu().contiguous().numpy())
        return torch.from_numpy(found).to(place)

    return evaluate(logits, data.images, data.labels)


def extract_member(supernet: Supernet, architecture: Architecture, data: ScoringData) -> Network:
    """Return a member as a stand-alone network, its statistics measured as for its score."""
    policy = data.policy
    if policy.policy == "none":
        statistics = supernet.running_statistics(architecture)
    else:
        statistics = supernet.recalibrate(architecture, data.recalibration, policy.passes)
    return supernet.extract(architecture, statistics)

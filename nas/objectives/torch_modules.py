"""What the runtimes that execute a torch module have in common."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas.export.sessions import in_batches
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.runtimes.base import Images
from nas.training.device import use_threads

DTYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def own_copy(network: nn.Module, config: LatencyConfig, device: str) -> nn.Module:
    """Return a copy in eval mode, channels last, on the device and in the number format."""
    own = copy.deepcopy(network).eval().to(torch.device(device), DTYPES[config.dtype])
    own.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return own.requires_grad_(False)


def placed(images: Tensor, config: LatencyConfig, device: str) -> Tensor:
    """Return images as `own_copy` wants them."""
    there = images.to(torch.device(device), DTYPES[config.dtype])
    return there.contiguous(memory_format=torch.channels_last)


def logits_of(
    forward: Callable[[Tensor], Tensor], config: LatencyConfig, device: str
) -> Callable[[Images], Images]:
    """Return the function from images to logits, in passes of exactly the config's batch."""

    def run(part: Images) -> Images:
        images = placed(torch.from_numpy(part), config, device)
        return forward(images).float().cpu().numpy()

    def logits(images: Images) -> Images:
        with use_threads(config.threads), torch.inference_mode():
            return in_batches(run, images, config.batch)

    return logits

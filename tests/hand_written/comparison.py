"""How a network built from its wiring is compared with the same network written by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def stir(module: nn.Module, images: Tensor) -> None:
    """Move every number away from where it starts, and let the norms see some images.

    Without fitting statistics the images would be lost on their way through a deep network, and
    wrong wiring with them.
    """
    generator = torch.Generator().manual_seed(0)
    for name, tensor in module.named_parameters():
        if tensor.dim() > 1:
            tensor.data.normal_(std=(2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif name.endswith("bias"):
            tensor.data.uniform_(-0.2, 0.2, generator=generator)
        else:
            tensor.data.uniform_(0.5, 1.5, generator=generator)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        module.train()(images)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 0.1
    module.eval()


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """Copy tensor by tensor; a 1x1 convolution and a linear layer may stand for each other."""
    theirs, ours = source.state_dict(), target.state_dict()
    shapes = [[tensor.squeeze().shape for tensor in state.values()] for state in (theirs, ours)]
    assert shapes[0] == shapes[1]
    pairs = zip(ours.items(), theirs.values(), strict=True)
    target.load_state_dict({name: tensor.reshape(mine.shape) for (name, mine), tensor in pairs})


def relative_gap(got: Tensor, wanted: Tensor) -> float:
    """Return the largest difference in units of the largest number."""
    return float((got - wanted).abs().max() / wanted.abs().max())

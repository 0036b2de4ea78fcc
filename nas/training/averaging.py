"""Averages of the weights over a training: what is evaluated may be steadier than the last step.

Batch norms are measured again for the averaged weights: their running statistics belong to the
weights they saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, final

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.training.optimizers import to_array
from nas.training.recipe import Recipe

_WARM_STEPS = 10


@final
class WeightAverage:
    """A running average of a module's parameters.

    Args:
        module: The module that is trained.
        recipe: Which average (`ema` or `swa`), how fast and from when.
        total_steps: Steps of the whole training.
    """

    def __init__(self, module: nn.Module, recipe: Recipe, total_steps: int) -> None:
        self.module = module
        self.moving = recipe.averaging == "ema"
        self.decay = recipe.average_decay
        self.first = 0 if self.moving else int(recipe.average_from * total_steps)
        self.taken = 0
        self._average: list[Tensor] = []

    @torch.no_grad()
    def add(self, step: int) -> None:
        """Take the weights after a step into the average, if it has begun."""
        if step < self.first:
            return
        self.taken += 1
        now = [parameter.detach() for parameter in self.module.parameters()]
        if self.taken == 1:
            self._average = [value.clone() for value in now]
            return
        torch._foreach_lerp_(self._average, now, self._share())

    def _share(self) -> float:
        """Return the share of the newest weights."""
        if not self.moving:
            return 1.0 / self.taken
        # The first steps would hold a large share of a short training otherwise.
        return 1.0 - min(self.decay, self.taken / (_WARM_STEPS + self.taken))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the average so far, by place of the parameter."""
        return {str(place): to_array(value) for place, value in enumerate(self._average)}

    @torch.no_grad()
    def load(self, taken: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on with an average of `taken` weights that `arrays` told of."""
        self.taken = taken
        self._average = [
            torch.empty_like(parameter).copy_(torch.from_numpy(arrays[str(place)].copy()))
            for place, parameter in enumerate(self.module.parameters())
            if taken
        ]

    @torch.no_grad()
    def finish(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Put the average into the module, and measure its batch norms on the images."""
        if not self.taken:
            return
        for parameter, value in zip(self.module.parameters(), self._average, strict=True):
            parameter.copy_(value)
        measure_norms(self.module, batches)


@torch.no_grad()
def measure_norms(module: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Set the running statistics of all batch norms to the means over the batches."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    module.train()
    for images, _ in batches:
        module(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum

"""SGD with momentum that touches what was sampled and nothing else.

A member reads leading slices of some slots. Its step updates those slices: what it does not read
has no gradient, and here also no momentum step and no decay. (torch's own optimiser would decay the
unread rows of a slot whose first rows were read.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.supernet.footprints import Footprint, pieces
from nas.supernet.weights import SharedWeights, leading_slice


@final
class SliceSgd:
    """Stochastic gradient descent with Nesterov momentum on slices (Sutskever et al. 2013).

    Args:
        weights: The shared tensors.
        momentum: Below 1; 0 for none.
        weight_decay: On kernels, matrices and projection slices; never on norms, biases and
            scalars.
    """

    def __init__(self, weights: SharedWeights, momentum: float, weight_decay: float) -> None:
        self.weights = weights
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.buffers: dict[str, Tensor] = {}

    def zero_grad(self) -> None:
        """Drop every gradient."""
        for _, parameter in self.weights.slots():
            parameter.grad = None

    @torch.no_grad()
    def clip(self, keys: Iterable[str], limit: float | None) -> Tensor:
        """Scale the gradients of `keys` to a common norm of at most `limit`; return the norm."""
        gradients = [
            gradient for key in keys if (gradient := self.weights.slot(key).grad) is not None
        ]
        norms = torch.stack(list(torch._foreach_norm(gradients)))
        norm: Tensor = torch.linalg.vector_norm(norms)
        if limit is not None:
            torch._foreach_mul_(gradients, torch.clamp(limit / (norm + 1e-6), max=1.0))
        return norm

    @torch.no_grad()
    def step(
        self,
        active: Mapping[str, Footprint],
        learning_rate: float,
        momentum_keys: Mapping[str, str] | None = None,
    ) -> None:
        """Update the slices of `active` that have a gradient.

        Args:
            active: Slots, and what was read of each: a leading slice, or several.
            learning_rate: Step size.
            momentum_keys: Where the momentum of each slot is kept, if not under its own key.
        """
        groups: dict[bool, tuple[list[Tensor], list[Tensor], list[Tensor]]] = {}
        for key, footprint in active.items():
            parameter = self.weights.slot(key)
            if parameter.grad is None:
                continue
            decayed = parameter.dim() >= 2 and self.weight_decay > 0
            values, gradients, buffers = groups.setdefault(decayed, ([], [], []))
            values += pieces(parameter, footprint)
            gradients += pieces(parameter.grad, footprint)
            place = key if momentum_keys is None else momentum_keys[key]
            buffers += pieces(self._buffer(place, parameter), footprint)
        for decayed, (values, gradients, buffers) in groups.items():
            self._update(values, gradients, buffers, learning_rate, decayed)

    def _update(
        self,
        values: list[Tensor],
        gradients: list[Tensor],
        buffers: list[Tensor],
        learning_rate: float,
        decayed: bool,
    ) -> None:
        if decayed:
            torch._foreach_add_(gradients, values, alpha=self.weight_decay)
        torch._foreach_mul_(buffers, self.momentum)
        torch._foreach_add_(buffers, gradients)
        torch._foreach_add_(gradients, buffers, alpha=self.momentum)
        torch._foreach_add_(values, gradients, alpha=-learning_rate)

    def _buffer(self, key: str, parameter: Tensor) -> Tensor:
        buffer = self.buffers.get(key)
        if buffer is None or buffer.shape != parameter.shape:
            fresh = torch.zeros_like(parameter)
            if buffer is not None:  # the slot was widened meanwhile
                leading_slice(fresh, tuple(buffer.shape)).copy_(buffer)
            self.buffers[key] = buffer = fresh
        return buffer

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return a copy of every momentum buffer by its place, by default its slot."""
        return {key: buffer.cpu().numpy().copy() for key, buffer in self.buffers.items()}

    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the buffers of `arrays` and forget all others."""
        anchor = self.weights.anchor
        self.buffers = {
            key: torch.from_numpy(np.array(value)).to(anchor) for key, value in arrays.items()
        }


@final
class GateAdam:
    """Adam on the logits a step used (Kingma and Ba 2015, arXiv:1412.6980); others stand still.

    Each logit counts its own steps, so that one met late is corrected as one met early.

    Args:
        logits: One vector, updated in place.
        learning_rate: Step size.
        betas: Decays of the two moments.
    """

    def __init__(
        self, logits: Tensor, learning_rate: float, betas: tuple[float, float] = (0.5, 0.999)
    ) -> None:
        self.logits = logits
        self.learning_rate = learning_rate
        self.betas = betas
        self.first = torch.zeros_like(logits)
        self.second = torch.zeros_like(logits)
        self.count = torch.zeros_like(logits)

    @torch.no_grad()
    def step(self, gradient: Tensor, touched: Tensor) -> None:
        """Update the logits where `touched` is True."""
        fast, slow = self.betas
        self.count += touched
        self.first = torch.where(touched, fast * self.first + (1 - fast) * gradient, self.first)
        square = gradient.square()
        self.second = torch.where(touched, slow * self.second + (1 - slow) * square, self.second)
        mean = self.first / (1 - fast**self.count).clamp_min(1e-12)
        scale = (self.second / (1 - slow**self.count).clamp_min(1e-12)).sqrt() + 1e-8
        self.logits -= torch.where(touched, self.learning_rate * mean / scale, 0.0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return a copy of the moments and counts."""
        state = {"first": self.first, "second": self.second, "count": self.count}
        return {f"gates/{name}": value.cpu().numpy().copy() for name, value in state.items()}

    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take moments and counts from `arrays`."""
        for name in ("first", "second", "count"):
            value = torch.from_numpy(np.array(arrays[f"gates/{name}"]))
            setattr(self, name, value.to(self.logits))

"""Dirichlet sampling: gates drawn from a simplex whose concentration is learned.

A sample is a vector of gamma draws over its sum, each the inverse of the gamma distribution
function at a uniform number. So a draw is a smooth function of its concentration at fixed noise,
the gradient is that of this function, and nothing depends on a rejection sampler.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast, final

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas.registry import Paper
from nas.space import Choice, SubsetOf
from nas.space.choices import Answer
from nas.supernet.gate_samplers import GATE_SAMPLERS, AbstractGateSampler, GateInput, Kind, is_on
from nas.supernet.gate_samplers.edge_weights import relative

OFF = -800.0
"""Logit whose concentration, `elu + 1`, is exactly 0 in float64."""
_RELATIVE_STEP = 1e-3


@final
@GATE_SAMPLERS.register("dirichlet", Paper("Chen et al.", 2021, arxiv="2006.10355"))
class Dirichlet(AbstractGateSampler):
    """A Dirichlet sample with concentration `elu(logit) + 1`, as DrNAS.

    Probabilities are the mean of the law. For edges the draws are weights of a node's inputs, which
    the node normalises; their probabilities are relative to the strongest.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"options", "edges"})

    def probabilities(self, gate: GateInput) -> Tensor:
        """Return the mean, or the concentrations relative to the largest."""
        return _settled(gate, _concentration(gate))

    def values(self, gate: GateInput) -> Tensor:
        """Return one draw, differentiable at fixed noise; the mean without noise."""
        if gate.noise is None:
            return self.probabilities(gate)
        drawn = cast(Tensor, _Gamma.apply(_concentration(gate), gate.uniform()))  # type: ignore[no-untyped-call]
        return drawn if isinstance(gate.choice, SubsetOf) else _share(drawn)

    def vertex(self, choice: Choice, answer: Answer) -> Tensor:
        """Return concentrations of 1 and 0."""
        return OFF * (1 - is_on(choice, answer))


def _concentration(gate: GateInput) -> Tensor:
    # `elu + 1`, written so that small concentrations keep their digits.
    below = gate.logits.clamp_max(0).exp()
    return torch.where(gate.open, torch.where(gate.logits > 0, gate.logits + 1, below), 0.0)


def _settled(gate: GateInput, weights: Tensor) -> Tensor:
    if isinstance(gate.choice, SubsetOf):
        return relative(gate.choice, weights)
    return _share(weights)


def _share(weights: Tensor) -> Tensor:
    # Tiny concentrations may draw nothing but zeros; the sum is then 1 and all gates are 0. So it
    # is for denormal draws, whose reciprocal is infinite.
    total = weights.sum()
    return weights / torch.where(total > 1e-30, total, torch.ones_like(total))


@final
class _Gamma(torch.autograd.Function):
    """Gamma draws as a function of concentration and uniform numbers."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, uniform: Tensor) -> Tensor:
        ctx.save_for_backward(concentration, uniform)
        return _inverse(concentration, uniform, 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        concentration, uniform = ctx.saved_tensors
        near = _inverse(concentration, uniform, 1.0) - _inverse(concentration, uniform, -1.0)
        far = _inverse(concentration, uniform, 2.0) - _inverse(concentration, uniform, -2.0)
        step = 12 * _RELATIVE_STEP * torch.where(concentration > 0, concentration, 1.0)
        return gradient * (8 * near - far) / step, None


def _inverse(concentration: Tensor, uniform: Tensor, steps: float) -> Tensor:
    """Return the gamma quantiles at concentrations moved by so many relative steps; 0 at 0."""
    moved = concentration.detach().double().cpu().numpy() * (1 + steps * _RELATIVE_STEP)
    points = uniform.detach().double().cpu().numpy()
    drawn = gammaincinv(np.where(moved > 0, moved, 1.0), points)
    return torch.from_numpy(np.where(moved > 0, drawn, 0.0)).to(concentration)

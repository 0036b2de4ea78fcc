"""Merges with weights of their own, as they stand in exported files."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.export.source.pieces import part


@part
class WeightedSum(nn.Module):
    """Sum of the inputs, each times a learned number; `starts` are the first numbers."""

    def __init__(self, *starts: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(starts))

    def forward(self, *inputs: Tensor) -> Tensor:
        total = inputs[0] * self.weights[0]
        for weight, x in zip(self.weights[1:], inputs[1:], strict=True):
            total = total + weight * x
        return total


@part
class SoftmaxSum(nn.Module):
    """Sum of the inputs, weighted by the softmax of learned numbers."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(inputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        weights = self.logits.softmax(0)
        return torch.stack([weight * x for weight, x in zip(weights, inputs, strict=True)]).sum(0)


@part
class FastNormalisedSum(nn.Module):
    """Sum of the inputs, weighted by rectified numbers over their sum (arXiv:1911.09070)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(inputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        weights = F.relu(self.weights)
        weights = weights / (weights.sum() + 1e-4)
        return torch.stack([weight * x for weight, x in zip(weights, inputs, strict=True)]).sum(0)


@part
class SoftmaxMean(nn.Module):
    """Every element weighted by the softmax of `b` times itself over the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.zeros(1))

    def forward(self, *inputs: Tensor) -> Tensor:
        stacked = torch.stack(inputs)
        return ((self.b * stacked).softmax(0) * stacked).sum(0)


@part
class PowerMean(nn.Module):
    """The p-th root of the mean of the inputs' p-th powers; inputs are cut off at 1e-7."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.ones(1))

    def forward(self, *inputs: Tensor) -> Tensor:
        stacked = torch.stack(inputs).clamp(min=1e-7)
        largest = stacked.detach().amax(0)  # powers of shares of it cannot overflow
        p = self.p.clamp(min=0.01)
        return (stacked / largest).pow(p).mean(0).pow(1 / p) * largest


@part
class SelectiveKernel(nn.Module):
    """Sum of the inputs, weighted per image and channel by what all say together.

    Li et al. 2019 (arXiv:1903.06586).
    """

    def __init__(self, channels: int, hidden: int, inputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.select = nn.Linear(hidden, inputs * channels, bias=False)

    def forward(self, *inputs: Tensor) -> Tensor:
        stacked = torch.stack(inputs, 1)
        batch, count, channels = stacked.shape[:3]
        hidden = F.relu(self.squeeze(stacked.sum(1).mean((2, 3))))
        scores: Tensor = self.select(hidden)
        shares = scores.view(batch, count, channels).softmax(1)
        return (stacked * shares[..., None, None]).sum(1)


@part
class LearnedResidual(nn.Module):
    """Learned residual weights: `alpha * branch + beta * skips` (LAuReL, arXiv:2411.07501)."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1))
        self.beta = nn.Parameter(torch.ones(1))
        self.scale = scale

    def forward(self, *inputs: Tensor) -> Tensor:
        skip = torch.stack(inputs[:-1]).sum(0)
        return self.scale * (self.alpha * inputs[-1] + self.beta * skip)


@part
class LowRankResidual(nn.Module):
    """Learned residual of low rank: `alpha * branch + beta * (skip + up(down(read)))`.

    LAuReL (arXiv:2411.07501). The branch is the newest input. With `previous` the skip is the next
    one, and the older ones are read with a number each; else the skip is the sum of all others.
    """

    def __init__(
        self,
        channels: int,
        rank: int,
        previous: int = 0,
        weighted: bool = False,
        reads_skip: bool = True,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, rank, 1, bias=False)
        self.up = nn.Conv2d(rank, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.ones(previous)) if previous else None
        self.alpha = nn.Parameter(torch.ones(1)) if weighted else None
        self.beta = nn.Parameter(torch.ones(1)) if weighted else None
        self.reads_skip = reads_skip
        self.scale = scale

    def forward(self, *inputs: Tensor) -> Tensor:
        *others, branch = inputs
        if self.gamma is None:
            skip = read = torch.stack(others).sum(0)
        else:
            *older, skip = others
            read = torch.stack([g * x for g, x in zip(self.gamma, older, strict=True)]).sum(0)
            if self.reads_skip:
                read = read + skip
        more: Tensor = self.up(self.down(read))
        if self.alpha is not None and self.beta is not None:
            return self.scale * (self.alpha * branch + self.beta * (skip + more))
        return self.scale * (branch + skip + more)


@part
class ChannelWeightedSum(nn.Module):
    """Sum of the inputs, each with a learned number per channel (arXiv:2502.06785)."""

    def __init__(self, inputs: int, channels: int, scale: float = 1.0) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(inputs, channels))
        self.scale = scale

    def forward(self, *inputs: Tensor) -> Tensor:
        terms = [w[:, None, None] * x for w, x in zip(self.weights, inputs, strict=True)]
        return self.scale * torch.stack(terms).sum(0)


@part
class QueriedSum(nn.Module):
    """Sum of the inputs with a number per channel plus one per position (arXiv:2502.06785)."""

    def __init__(self, inputs: int, channels: int, scale: float = 1.0) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(inputs, channels))
        self.query = nn.Conv2d(channels, 1, 1, bias=False)
        self.scale = scale

    def forward(self, *inputs: Tensor) -> Tensor:
        terms = [
            (w[:, None, None] + F.relu(self.query(x))) * x
            for w, x in zip(self.weights, inputs, strict=True)
        ]
        return self.scale * torch.stack(terms).sum(0)


@part
class DynamicDense(nn.Module):
    """Sum of the inputs with a number per position that the newest one decides.

    Xiao et al. 2025 (arXiv:2502.12170), with a single way.
    """

    def __init__(self, inputs: int, channels: int, scale: float = 1.0) -> None:
        super().__init__()
        self.keys = nn.Conv2d(channels, inputs, 1, bias=False)
        self.values = nn.Conv2d(inputs, inputs, 1, bias=False)
        self.static = nn.Parameter(torch.tensor([0.0] * (inputs - 1) + [1.0]))
        self.scale = scale

    def forward(self, *inputs: Tensor) -> Tensor:
        newest = inputs[-1]
        norm = newest.square().mean(1, keepdim=True).add(1e-6).rsqrt()
        numbers: Tensor = self.values(F.gelu(self.keys(newest * norm)))
        numbers = numbers + self.static[:, None, None]
        return self.scale * (numbers.unsqueeze(2) * torch.stack(inputs, 1)).sum(1)

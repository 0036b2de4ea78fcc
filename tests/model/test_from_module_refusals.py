"""Modules that no architecture stands for: each is refused by name and place, with the way out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.errors import ArchitectureError, ConfigError
from nas.model.from_module import from_module

IMAGE = (3, 16, 16)


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer3 = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Module())
        self.layer3[1].attn = nn.MultiheadAttention(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3[0](x).flatten(2).permute(2, 0, 1)
        return self.layer3[1].attn(x, x, x)[0]


class Deciding(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.inner = nn.Module()
        self.inner.forward = None
        self.block = _Decides(how)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class _Decides(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "branch":
            return x if x.sum() > 0 else -x
        return x * x.max().item()


class Called(nn.Module):
    """Any function of the images."""

    def __init__(self, run: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.run = run

    def forward(self, x: Tensor) -> Any:
        return self.run(x)


def test_an_unknown_module_is_refused_by_name_and_place() -> None:
    with pytest.raises(ArchitectureError, match=r"layer3\.1\.attn: MultiheadAttention") as caught:
        from_module(Attending(), input_shape=IMAGE)
    assert "Known modules: AdaptiveAvgPool2d" in str(caught.value)


@pytest.mark.parametrize("how", ["branch", "item"])
def test_decisions_by_numbers_are_refused_with_their_place(how: str) -> None:
    with pytest.raises(ArchitectureError, match=r"dynamic control flow[\s\S]*where: block"):
        from_module(Deciding(how), input_shape=IMAGE)


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "unknown function": (Called(lambda x: torch.cumsum(x, 1)), "cumsum is unknown here"),
    "two unknown": (
        nn.Sequential(nn.Softmax(1), nn.PReLU()),
        r"0: Softmax; 1: PReLU are unknown here",
    ),
    "instance norm": (nn.Sequential(nn.InstanceNorm2d(3)), "0: InstanceNorm2d"),
    "batch statistics": (
        nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)),
        "0 normalises by the batch[\\s\\S]*track_running_stats",
    ),
    "reflecting": (nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"), "pads by 'reflect'"),
    "uneven stride": (nn.Conv2d(3, 3, 3, (1, 2), 1), r"the stride \(1, 2\)[\s\S]*treated alike"),
    "uneven window": (nn.Conv2d(3, 3, (1, 3)), "changes height and width differently"),
    "dilated pooling": (nn.MaxPool2d(2, dilation=2), "pools with dilation"),
    "own divisor": (nn.AvgPool2d(2, divisor_override=3), "divides by a number of its own"),
    "uneven adaptive": (nn.AdaptiveAvgPool2d(5), "pools 16x16 positions to 5x5"),
    "approximate": (nn.GELU(approximate="tanh"), "approximates GELU"),
    "aligned": (
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        "align_corners=False",
    ),
    "bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), "resizes by 'bicubic'"),
    "random": (Called(lambda x: F.dropout(x, 0.5)), "draws random numbers"),
    "a constant": (Called(lambda x: x + 1), "adds a constant"),
    "a quotient": (Called(lambda x: x / x), "divides by a tensor"),
    "an option": (Called(lambda x: torch.add(x, x, alpha=2)), r"options \['alpha'\]"),
    "another dimension": (Called(lambda x: torch.cat([x, x], 2)), "concatenates along dimension 2"),
    "mean of channels": (Called(lambda x: x.mean(1, keepdim=True)), "averages over 1"),
    "uneven split": (Called(lambda x: x.split([1, 2], 1)[1]), r"takes channels 1 to 2 of 3"),
    "a single image": (Called(lambda x: x[0]), "picks single images"),
    "a crop": (Called(lambda x: x[:, :, 1:, 1:]), "cuts positions out"),
    "every other channel": (Called(lambda x: x[:, ::2]), "skips channels"),
    "a border": (Called(lambda x: F.pad(x, (1, 1, 1, 1))), r"pads by \(1, 1, 1, 1\)"),
    "zeros alone": (
        nn.Sequential(Called(lambda x: F.pad(x, (0, 0, 0, 0, 0, 3))), nn.ReLU()),
        "appended channels of zeros",
    ),
    "another shape": (Called(lambda x: x.view(2, 6, 8, 16)), r"gives .* the shape \(6, 8, 16\)"),
    "positions apart": (
        nn.Sequential(nn.Flatten(), nn.Linear(768, 5)),
        "classifies 16x16 positions apart",
    ),
    "rows of numbers": (nn.Sequential(nn.Linear(16, 5)), "as rows of numbers"),
    "no bias": (
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5, bias=False)),
        "without a bias",
    ),
    "features": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), "flattened numbers"),
    "two results": (Called(lambda x: (x, x)), "returns 2 values"),
    "fine epsilon": (nn.Sequential(nn.BatchNorm2d(3, eps=1.23e-4)), "0 has a number"),
    "a changed part": (Called(lambda x: F.relu_(x[:, :1])), "changes a part of a tensor in place"),
    "a broadcast": (Called(lambda x: x + x[:, :1]), r"merges \(1, 16, 16\) with \(3, 16, 16\)"),
    "another input": (nn.Conv2d(4, 4, 1), r"cannot run on images of shape \(3, 16, 16\)"),
    "two inputs": (nn.Bilinear(2, 2, 2), "takes the arguments input1, input2"),
    "its own bug": (Called(lambda x: [*x.shape][9]), "IndexError: list index out of range"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_imported_is_refused(case: str) -> None:
    module, message = REFUSED[case]
    with pytest.raises(ArchitectureError, match=message):
        from_module(module, input_shape=IMAGE)


@pytest.mark.parametrize(
    "shape", [(3, 16), (3, 16, 0), (3, 16, 1.5), 3, ("3", 1, 1)], ids=lambda shape: str(shape)
)
def test_a_shape_that_is_none_is_refused(shape: Any) -> None:
    with pytest.raises(ConfigError, match="three whole numbers"):
        from_module(nn.Conv2d(3, 4, 1), input_shape=shape)


def test_a_class_in_place_of_a_module_is_refused() -> None:
    with pytest.raises(ConfigError, match="got type"):
        from_module(nn.Conv2d, input_shape=IMAGE)  # type: ignore[arg-type]


def test_large_images_are_refused_or_traced_without_being_made() -> None:
    """An image of 3 TB: only its shape is computed with."""
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Softmax(1))
    with pytest.raises(ArchitectureError, match="1: Softmax"):
        from_module(module, input_shape=(3, 500_000, 500_000))
    gc.collect()

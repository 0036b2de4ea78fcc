"""Small spaces, supernets and data for the tests of nas.supernet."""

from __future__ import annotations

from functools import cache

import torch

from nas.space import AbstractSpace, load_space, space_from_dict
from nas.supernet.supernet import Supernet
from nas.training.data.load import load_data
from nas.training.parts import FiveParts, limited_parts, split_five

SHAPE = (3, 8, 8)


@cache
def space(name: str) -> AbstractSpace:
    return load_space(name)


@cache
def one_stage(
    *merges: str,
    patterns: tuple[str, ...] = ("free", "residual", "chain"),
    depth: int = 3,
    operations: tuple[str, ...] = ("conv3x3", "mbconv3x3"),
) -> AbstractSpace:
    """One stage of a few nodes with an elastic width."""
    return space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "stages",
            "name": "one-stage",
            "stages": [
                {
                    "pattern": {"choices": list(patterns)},
                    "depth": depth,
                    "width": {"choices": [4, 8]},
                    "operation": {"choices": list(operations), "per": "node"},
                    "merge": {
                        "choices": list(merges or ("sum", "mean", "concat", "weighted")),
                        "per": "node",
                    },
                }
            ],
        }
    )


def shaken(supernet: Supernet, seed: int = 0) -> Supernet:
    """Move every weight off its start, so that nothing is equal by chance."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, value in supernet.weights.slots():
            value += 0.3 * torch.randn(value.shape, generator=generator).to(value)
    return supernet


def images(count: int = 4, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *SHAPE, generator=generator, dtype=torch.float64).to(dtype)


@cache
def digits(count: int = 130) -> FiveParts:
    """Digits, cut to a few images per part."""
    return limited_parts(split_five(load_data("digits"), 0), count, 0)


def digits_supernet(
    name: str = "tiny_exhaustive", seed: int = 0, sharing: str = "position"
) -> Supernet:
    return Supernet(space(name), (1, 8, 8), 10, seed=seed, sharing=sharing)

"""A space that every path sampler fits, and trainings on a few random images of it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from nas.space import AbstractSpace, space_from_dict
from nas.supernet.loop import Checkpoint
from nas.supernet.paths import PathConfig, PathTraining, train_paths
from nas.supernet.supernet import Supernet
from nas.training.parts import DataPart, FiveParts, Normalisation

SHAPE, CLASSES, BATCH = (3, 8, 8), 3, 12
OPTIONS: dict[str, dict[str, Any]] = {
    "attentive": {"bins": 3, "candidates": 2},
    "preferred": {"pool": 12, "keep": 6, "groups": 2, "score": "parameters"},
    "surrogate": {"refit_steps": 2, "candidates": 4, "window": 8},
}
"""Of samplers whose own defaults are too large for so short a training."""


def staged(name: str, *stages: dict[str, Any], **more: Any) -> AbstractSpace:
    document = {"schema": "nas.space/1", "kind": "stages", "name": name, "stages": list(stages)}
    return space_from_dict({**document, **more})


@cache
def fitting_space() -> AbstractSpace:
    """Every kind of question: pattern, depth, width, operations, edges in and between stages."""
    stage = {
        "pattern": {"choices": ["chain", "residual", "free"]},
        "depth": {"choices": [1, 2, 3]},
        "width": {"choices": [4, 6]},
        "operation": {"choices": ["conv3x3", "conv1x1", "avg_pool3x3"], "per": "node"},
    }
    last = {"pattern": "chain", "depth": 1, "width": 4, "operation": "conv1x1"}
    return staged("fitting", stage, {**stage, "stride": 2}, last, cross_stage_edges="choice")


@cache
def fixed_space() -> AbstractSpace:
    """One stage in which nothing but an operation is open."""
    operation = {"choices": ["conv3x3", "conv1x1"], "per": "node"}
    return staged("fixed", {"pattern": "chain", "depth": 2, "width": 4, "operation": operation})


@cache
def part(count: int = 48) -> DataPart:
    rng = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int64) % CLASSES
    images = rng.normal(size=(count, *SHAPE)).astype(np.float32) + labels[:, None, None, None]
    return DataPart(images, labels, None, Normalisation((0.0,) * 3, (1.0,) * 3))


def five_parts(count: int = 48) -> FiveParts:
    return FiveParts(*[part(count)] * 5)


def declaration(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, **OPTIONS.get(name, {}), **options}


def config(name: str, **settings: Any) -> PathConfig:
    plain = {"epochs": 3, "batch_size": BATCH, "warmup_epochs": 0.0, "weight_decay": 0.01}
    return PathConfig(**{"sampler": declaration(name), **plain, **settings})


def supernet(space: AbstractSpace | None = None) -> Supernet:
    return Supernet(space or fitting_space(), SHAPE, CLASSES)


def training(name: str, space: AbstractSpace | None = None, **settings: Any) -> PathTraining:
    return PathTraining(supernet(space), part(), config(name, **settings), seed=3)


def trained(
    name: str, stop_after: int | None = None, state: Checkpoint | None = None, **settings: Any
) -> Checkpoint:
    """Train until told to stop; return the checkpoint."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    _, checkpoint = train_paths(
        supernet(),
        five_parts(),
        config(name, **settings),
        seed=3,
        should_stop=should_stop,
        state=state,
    )
    return checkpoint


def same(first: Checkpoint, second: Checkpoint) -> bool:
    return set(first) == set(second) and all(
        np.array_equal(first[name], second[name]) for name in first
    )

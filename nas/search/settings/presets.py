"""Presets: budgets by name, and nothing but budgets.

A preset is a document that lies under the user's own; what the user writes wins.
"""

from __future__ import annotations

from typing import Any, Final

RECIPE: Final[dict[str, Any]] = {
    "epochs": 60,
    "batch_size": 64,
    "learning_rate": 0.05,
    "gradient_clip": 1.0,
    "augmentation": "shift",
}
"""Under every recipe of a search, so that a preset or a user may change a single key of it."""

PRESETS: Final[dict[str, dict[str, Any]]] = {
    "smoke": {
        "max_train_megapixels": 0.5,
        "supernet": {
            "recalibration": {"images": 256},
            "validation_images": 512,
            "training": {"epochs": 36},
            "relaxation": {"epochs": 4, "proposals": 4},
        },
        "search": {"trials": 128},
        "latency": {"max_seconds": 0.1, "wait_s": 2.0},
        "confirm": {
            "bins": 2,
            "shortlist": 2,
            "rivals": ["space_wirings", "published", "random_members"],
            "seeds_a": 1,
            "seeds_b": 2,
            "recipes": {"rate_factors": [1.0], "decay_factors": [1.0]},
            "test_images": 1000,
            "recipe": {"epochs": 20},
            "baselines": {"hand_made": 4, "random": 2},
        },
    },
    "small": {},  # the defaults of the config themselves
    "full": {
        "supernet": {"training": {"epochs": 300}, "relaxation": {"epochs": 60, "proposals": 16}},
        "search": {"trials": 1000},
        "confirm": {
            "bins": 4,
            "seeds_a": 3,
            "seeds_b": 15,
            "recipes": {"decay_factors": [0.2, 1.0, 5.0], "seeds": 2},
            "recipe": {"epochs": 200},
            "baselines": {"random": 10, "sweep": {"depths": 3, "widths": 3, "sizes": 5}},
        },
    },
}
"""What each preset writes under the user's keys; `small` is the defaults themselves."""


def layered(preset: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` with what it leaves open filled from the preset."""
    return merge(merge({"confirm": {"recipe": RECIPE}}, PRESETS[preset]), document)


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `under` with the keys of `over` written over it, mapping by mapping."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged

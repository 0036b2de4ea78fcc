"""Recipes by name: `recipe: modern`, or `recipe: {named: modern, epochs: 100}`.

A name stands for its settings and nothing else: the hash of a recipe is that of the settings, so a
recipe that is written out and one that is named are one recipe.
"""

from __future__ import annotations

from typing import Any, Final

from nas.errors import ConfigError
from nas.registry import suggest

NAMED_RECIPES: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "modern": {
        "schedule": "cosine",
        "warmup_epochs": 5.0,
        "label_smoothing": 0.1,
        "mixup": 0.2,
        "averaging": "ema",
        "path_dropping": "stochastic_depth(per_sample=1,rate=0.1)",
        "augmentation": "flip_crop",
        "gradient_clip": 5.0,
    },
    "fractal": {"path_dropping": "drop_path"},
    "norm_free": {"initialisation": "in_degree", "gradient_clip": 1.0},
}
"""Settings over the defaults. `modern`: label smoothing (arXiv:1512.00567), mixup
(arXiv:1710.09412), a cosine (arXiv:1608.03983), a moving average of the weights and stochastic
depth (arXiv:1603.09382), with the strengths that later training recipes settled on
(arXiv:2110.00476). `fractal`: local and global drop-path, half and half (arXiv:1605.07648)."""


def settings_of(name: str) -> dict[str, Any]:
    """Return the settings a name stands for.

    Raises:
        ConfigError: If there is no such recipe; the closest one is named.
    """
    if name not in NAMED_RECIPES:
        near = suggest(name, list(NAMED_RECIPES))
        raise ConfigError(
            f"There is no recipe '{name}'.",
            fix=(f"Did you mean '{near}'? " if near else "")
            + f"Known recipes: {', '.join(NAMED_RECIPES)}.",
        )
    return dict(NAMED_RECIPES[name])

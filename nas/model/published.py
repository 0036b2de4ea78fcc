"""Published networks fitted to a budget: the hand-made baselines of a search.

The families themselves are data in `nas.topology.published`; this file adds the one thing that
needs costs, and loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from nas.cost.count import cost
from nas.errors import ConfigError
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import (
    PUBLISHED,
    PublishedNetwork,
    Value,
    build_published,
    build_published_text,
    parse_published,
)

__all__ = [
    "PUBLISHED",
    "build_published",
    "build_published_text",
    "parse_published",
    "published_like",
    "published_options_like",
]

NEAR_ENOUGH = 1.05
"""Ratio of multiply-adds within which a more typical depth beats a nearer size."""


def published_like(name: str, input_shape: Shape, num_classes: int, macs: int) -> Architecture:
    """Build the member of a published family whose multiply-adds come nearest to `macs`.

    Args:
        name: Family, such as `densenet-cifar`.
        input_shape: `(channels, height, width)` of one image.
        num_classes: Outputs of the classifier.
        macs: Multiply-adds on one image to come near to, the head included.

    Raises:
        NotFoundError: If there is no such family.
        ConfigError: If `macs` is below 1, the family cannot read images of this size, or is not
            fitted to sizes.
    """
    options = published_options_like(name, input_shape, num_classes, macs)
    return build_published(name, **options)


def published_options_like(
    name: str, input_shape: Shape, num_classes: int, macs: int
) -> dict[str, Value]:
    """Return the options that `published_like` builds with: depth, stages and width.

    Every depth of the family is fitted by its width; of the depths that come within 5 % of the
    target the most typical one wins, else the nearest.
    """
    if macs < 1:
        raise ConfigError(
            f"A network has at least 1 multiply-add; got a target of {macs}.",
            fix="Ask for more multiply-adds.",
        )
    family = PUBLISHED.get(name)
    if family.width_option is None:
        fitted = ", ".join(key for key in PUBLISHED if PUBLISHED.get(key).width_option is not None)
        raise ConfigError(
            f"'{name}' is not fitted to sizes: it comes with its published options only.",
            fix=f"These are fitted: {fitted}.",
        )
    if min(input_shape[1:]) < family.smallest:
        raise ConfigError(
            f"'{name}' lowers the resolution and reads images of {family.smallest} pixels or more "
            f"on a side, but images have {input_shape[1:]} pixels.",
            fix="Use larger images or another family.",
        )
    tried: list[tuple[float, dict[str, Value]]] = []
    for depth in family.depths(input_shape):
        distance, options = _fit_width(family, depth, input_shape, num_classes, macs)
        if distance <= math.log(NEAR_ENOUGH):
            return options
        tried.append((distance, options))
    return min(tried, key=lambda entry: entry[0])[1]


def _fit_width(
    family: PublishedNetwork,
    depth: Mapping[str, Value],
    input_shape: Shape,
    num_classes: int,
    macs: int,
) -> tuple[float, dict[str, Value]]:
    """Return the width whose MACs come nearest, and how far off they are as a log ratio."""
    option = family.width_option
    assert option is not None

    def distance(width: int) -> float:
        options = {**depth, option: width}
        counted = cost(build_published(family.name, **options), input_shape, num_classes).macs
        return math.log(counted / macs)

    low, high = family.widths  # bisection: multiply-adds grow with the width
    while high - low > 1:
        middle = (low + high) // 2
        if distance(middle) < 0:
            low = middle
        else:
            high = middle
    near = min((low, high), key=lambda width: abs(distance(width)))
    return abs(distance(near)), {**depth, option: near}

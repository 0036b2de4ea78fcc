"""How far each number of a trial may be off, from what its record says of how it came about.

Inherited scores err because the validation images are a sample: binomially for the error, by the
spread over images for the cross-entropy, and together, because all members see the same images.
Measured times err by their own standard error, predictions by that of their predictor. Counted
numbers are exact. A number that says nothing of its error is taken as exact and has no bar.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from nas.pareto import LEVEL, Noise, normal_quantile

Entry = Mapping[str, Any]
"""`values`, and where they are known `measurements` and `inherited`, as a record has them."""

NORMAL_QUARTILES: Final = 1.349
"""Interquartile range of the standard normal distribution."""

BAR: Final = normal_quantile(LEVEL)
"""Standard errors from a value to either end of its bar."""


def standard_error(name: str, entry: Entry) -> float | None:
    """Return the standard error of one objective of an entry, in its unit; None if unknown."""
    value = entry["values"][name]
    details = (entry.get("measurements") or {}).get(name) or {}
    for told in (value.get("standard_error"), details.get("standard_error")):
        if told is not None:
            return float(told)
    if value["source"] == "computed":
        return 0.0
    if value["source"] == "inherited":
        return _of_score(name, value, _score_of(name, entry))
    if details.get("relative_error") is not None:
        return float(details["relative_error"]) * abs(float(value["value"]))
    if value.get("iqr") is None:
        return None
    return float(value["iqr"]) / NORMAL_QUARTILES / math.sqrt(float(details.get("pairs") or 1))


def _score_of(name: str, entry: Entry) -> Mapping[str, Any]:
    """Return what is known of the score behind a number: the subnet's, or a shipped network's.

    A shipped network's objective has its runtime in brackets, and its score among the details.
    """
    if "[" in name:
        return (entry.get("measurements") or {}).get(name) or {}
    return entry.get("inherited") or {}


def _of_score(name: str, value: Mapping[str, Any], inherited: Mapping[str, Any]) -> float | None:
    if _family(name) == "cross_entropy":
        error = (inherited.get("noise") or {}).get("cross_entropy_error")
        return None if error is None else float(error)
    if value["unit"] != "fraction" or not inherited.get("count"):
        return None
    return binomial_error(float(value["value"]), int(inherited["count"]))


def binomial_error(share: float, count: int) -> float:
    """Return the standard error of a share of `count` images.

    With half an image more on either side, after Jeffreys: no mistake among few images is no proof
    that there are none (Brown, Cai and DasGupta 2001, doi:10.1214/ss/1009213286).
    """
    middle = (share * count + 0.5) / (count + 1)
    return math.sqrt(middle * (1 - middle) / count)


def noise_of(name: str, entries: Sequence[Entry]) -> Noise:
    """Return the noise of one objective over some entries, correlations included."""
    errors = [standard_error(name, entry) or 0.0 for entry in entries]
    folds = [_folds(name, entry) for entry in entries]
    widths = {len(sums) for _, sums in filter(None, folds)}
    if len(widths) != 1:
        return Noise.of(errors)
    # Whoever tells nothing has one image per fold and no deviation.
    nothing = ([1.0] * (width := widths.pop()), [0.0] * width)
    images, sums = (
        np.array(each, dtype=np.float64)
        for each in zip(*(told or nothing for told in folds), strict=True)
    )
    means = sums.sum(axis=1, keepdims=True)
    return Noise.paired(errors, sums - images * means / images.sum(axis=1, keepdims=True))


def _folds(name: str, entry: Entry) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return the images of each fold and what they sum up to; None if unknown."""
    noise = _score_of(name, entry).get("noise") or {}
    sums = noise.get({"error": "wrong", "cross_entropy": "cross_entropies"}.get(_family(name), ""))
    if not sums or entry["values"][name]["source"] != "inherited":
        return None
    return noise["images"], sums


def _family(name: str) -> str:
    return name.partition("[")[0]


def bar(value: float, error: float | None) -> tuple[float | None, float | None]:
    """Return the ends of a value's 95 % interval; no objective is below 0."""
    if error is None:
        return None, None
    return max(min(value, 0.0), value - BAR * error), value + BAR * error

"""Holm's step-down correction: several questions at one level, whatever ties them together.

It needs no independence and is never weaker than Bonferroni's (Holm 1979, Scandinavian Journal of
Statistics 6, 65-70).
"""

from __future__ import annotations

from collections.abc import Sequence

from nas.errors import ConfigError


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return adjusted p-values in the order given; one below a level is rejected at that level.

    Raises:
        ConfigError: If a p-value is not between 0 and 1.
    """
    for each in p_values:
        if not 0 <= each <= 1:
            raise ConfigError(f"A p-value is {each:g}; it must be between 0 and 1.")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    ordered = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for rank, place in enumerate(ordered):
        # A question is never easier than one with a smaller p-value.
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)

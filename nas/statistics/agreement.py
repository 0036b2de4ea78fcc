"""How far several judges agree on an order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.errors import ConfigError


def kendall_w(judgements: Sequence[Sequence[float]]) -> float:
    """Return Kendall's coefficient of concordance, from 0 (no agreement) to 1 (one order).

    With m judges and n things, rank sums R and tied groups of t things,
    `W = 12 sum (R - mean R)^2 / (m^2 (n^3 - n) - m sum (t^3 - t))` (Kendall and Babington Smith
    1939, Annals of Mathematical Statistics 10, 275-287). Judges who tie everything say nothing; if
    all do, W is 1: nobody disagrees.

    Args:
        judgements: Per judge, the score of every thing, in one order of things.

    Raises:
        ConfigError: If there are fewer than 2 judges or 2 things, or rows differ in length.
    """
    if len({len(row) for row in judgements}) > 1:
        raise ConfigError("Judges have to score the same things: their rows differ in length.")
    table = np.asarray(judgements, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        raise ConfigError(
            f"Agreement needs at least 2 judges and 2 things; got {table.shape}.",
            fix="Name at least two recipes and two networks.",
        )
    from scipy.stats import rankdata

    judges, things = table.shape
    ranks = np.apply_along_axis(rankdata, 1, table)
    sums = ranks.sum(axis=0)
    ties = sum(
        float(np.sum(counts**3 - counts))
        for counts in (np.unique(row, return_counts=True)[1] for row in ranks)
    )
    scale = judges**2 * (things**3 - things) - judges * ties
    return 1.0 if scale <= 0 else float(12 * np.sum((sums - sums.mean()) ** 2) / scale)

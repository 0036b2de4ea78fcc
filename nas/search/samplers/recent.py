"""Which results a model is fitted to when there are more than it can afford."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.pareto import ranks
from nas.search.samplers.base import Observation


def bounded(history: Sequence[Observation], limit: int) -> list[Observation]:
    """Return at most `limit` results in their order: half of them the best, the rest the newest.

    Failed trials are left out once there are too many: a model learns nothing from them here.
    """
    if len(history) <= limit:
        return list(history)
    finished = [index for index, seen in enumerate(history) if seen.values is not None]
    if len(finished) <= limit:
        return [history[index] for index in finished]
    values = np.array([history[index].values for index in finished], dtype=np.float64)
    feasible = [max(history[i].violations.values(), default=0.0) <= 0 for i in finished]
    order = np.argsort(ranks(values, np.array(feasible)), kind="stable")
    kept = {finished[int(place)] for place in order[: limit // 2]}
    for index in reversed(finished):
        if len(kept) >= limit:
            break
        kept.add(index)
    return [history[index] for index in sorted(kept)]

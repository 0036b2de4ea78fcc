"""Drop-path: inputs of joins are left out, one by one or down to a single column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from nas.cost.merging_nodes import MergingNode
from nas.registry import Paper, Parameter
from nas.training.path_dropping import (
    AbstractPathDropping,
    path_dropping,
    rate_parameter,
    sample_parameter,
)
from nas.training.path_dropping.survivors import Factors, Kept, survivor_factors

LARSSON = Paper("Larsson et al.", 2016, arxiv="1605.07648")
LOCAL_RATE = rate_parameter(0.15, "probability that a join drops an input")


@final
@path_dropping("drop_path_local", LARSSON, rate=LOCAL_RATE, per_sample=sample_parameter(0.0))
class LocalDropPath(AbstractPathDropping):
    """Every merge drops each of its inputs with one probability, but never all of them.

    Where all would go, one of them stays, each as likely as the others.
    """

    def draw(
        self,
        nodes: Sequence[MergingNode],
        progress: float,
        rng: np.random.Generator,
        draws: int,
    ) -> list[Factors]:
        """Draw every merge on its own."""
        rate = self.values["rate"]
        return [
            survivor_factors(keep_some(rng, rate, len(node.inputs), draws), node.scale)
            for node in nodes
        ]


@final
@path_dropping("drop_path_global", LARSSON, per_sample=sample_parameter(0.0))
class GlobalDropPath(AbstractPathDropping):
    """One column is drawn for the whole network, and every merge keeps only that."""

    def draw(
        self,
        nodes: Sequence[MergingNode],
        progress: float,
        rng: np.random.Generator,
        draws: int,
    ) -> list[Factors]:
        """Draw a column per draw, each as likely as the others."""
        columns = max((node.columns for node in nodes), default=1)
        drawn = rng.integers(columns, size=draws)
        return [survivor_factors(keep_column(node, drawn), node.scale) for node in nodes]


@final
@path_dropping(
    "drop_path",
    LARSSON,
    rate=LOCAL_RATE,
    global_share=Parameter(0.5, 0.0, 1.0, "share of the draws that keep a single column"),
    per_sample=sample_parameter(0.0),
)
class MixedDropPath(AbstractPathDropping):
    """Local drop-path in some draws and global in the others, half and half as published."""

    def draw(
        self,
        nodes: Sequence[MergingNode],
        progress: float,
        rng: np.random.Generator,
        draws: int,
    ) -> list[Factors]:
        """Draw which of the two it is, and both."""
        is_global = rng.random(draws) < self.values["global_share"]
        whole = GlobalDropPath(self.values).draw(nodes, progress, rng, draws)
        local = LocalDropPath(self.values).draw(nodes, progress, rng, draws)
        return [np.where(is_global, one, other) for one, other in zip(whole, local, strict=True)]


def keep_some(rng: np.random.Generator, rate: float, inputs: int, draws: int) -> Kept:
    """Return which inputs are left when each goes with probability `rate`, but not all."""
    kept = rng.random((inputs, draws)) >= rate
    spared = rng.integers(inputs, size=draws)
    nothing = ~kept.any(axis=0)
    kept[spared[nothing], np.flatnonzero(nothing)] = True
    return kept


def keep_column(node: MergingNode, drawn: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Kept:
    """Return which input is left at a merge for every drawn column.

    A merge with fewer columns keeps its last one; a part of a merge through which the column does
    not run keeps its first input, which nothing hears.
    """
    column = np.minimum(drawn, node.columns - 1)
    kept = np.array([np.isin(column, entry.columns) for entry in node.inputs])
    kept[0] |= ~kept.any(axis=0)
    return kept

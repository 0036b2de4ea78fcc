"""What a study's figures allow to be said: ranks over blocks, and paired differences.

With several data sets or spaces a block is one pair of them, its figures the means over seeds.
With one pair the blocks are the seeds: they measure the noise of training on that data set and say
nothing about others, and every output says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, final

import numpy as np

from nas.statistics.holm import holm
from nas.statistics.paired import PairedDifference, paired_difference
from nas.statistics.ranks import (
    FriedmanResult,
    cliques,
    critical_difference,
    friedman,
    mean_ranks,
    signed_rank,
)
from nas.study.results import RowResult, StudyResults

LEVEL: Final = 0.05
BlockKind = Literal["seeds", "data sets and spaces"]


@final
@dataclass(frozen=True)
class Against:
    """One method beside the control.

    Args:
        label: The method.
        difference: Its figures less those of the control; below 0 it is better.
        p_holm: Student's p-value, corrected by Holm over all methods beside the control.
        signed_rank_p: Wilcoxon's, exact.
        signed_rank_holm: The same corrected by Holm.
    """

    label: str
    difference: PairedDifference
    p_holm: float
    signed_rank_p: float
    signed_rank_holm: float

    @property
    def told_apart(self) -> bool:
        """Whether the method differs from the control at the level, Student's test with Holm."""
        return self.p_holm < LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "told_apart": self.told_apart}


@final
@dataclass(frozen=True)
class Panel:
    """The rows of one data set and space.

    Args:
        data: Name of the data set.
        space: Name of the space.
        rows: Its rows.
        best: Label of the smallest mean, None while there is none.
        like_best: Labels that are not told apart from it, the best itself left out.
        control: Label of the control, None where no row can be compared to it.
        against: The others beside the control.
    """

    data: str
    space: str
    rows: tuple[RowResult, ...]
    best: str | None
    like_best: frozenset[str]
    control: str | None
    against: tuple[Against, ...]

    def apart_from_best(self, label: str) -> bool | None:
        """Return whether a method is told apart from the best; None where figures are missing."""
        whole = any(row.label == label and row.complete for row in self.rows)
        return label != self.best and label not in self.like_best if whole else None

    def beside(self, label: str) -> Against | None:
        """Return how a method compares to the control."""
        return next((each for each in self.against if each.label == label), None)


@final
@dataclass(frozen=True)
class Ranking:
    """Methods by mean rank over blocks.

    Args:
        kind: What the blocks are.
        blocks: Their names.
        labels: Methods that have a figure in every block.
        ranks: Mean rank of each.
        difference: Nemenyi's critical difference.
        groups: Cliques: labels that are not told apart, best first.
        friedman: Friedman's test, None for a single block.
        left_out: Methods without a figure in some block.
    """

    kind: BlockKind
    blocks: tuple[str, ...]
    labels: tuple[str, ...]
    ranks: tuple[float, ...]
    difference: float
    groups: tuple[tuple[str, ...], ...]
    friedman: FriedmanResult | None
    left_out: tuple[str, ...]

    def rank(self, label: str) -> float | None:
        """Return the mean rank of a method."""
        return dict(zip(self.labels, self.ranks, strict=True)).get(label)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "blocks_are": self.kind,
            "blocks": list(self.blocks),
            "mean_ranks": dict(zip(self.labels, self.ranks, strict=True)),
            "critical_difference": self.difference,
            "level": LEVEL,
            "cliques": [list(group) for group in self.groups],
            "friedman": None if self.friedman is None else self.friedman.to_dict(),
            "left_out": list(self.left_out),
        }


def panels(results: StudyResults) -> list[Panel]:
    """Return one panel per data set and space, in the order of the file."""
    return [_panel(rows, results.config.control) for rows in results.panels()]


def ranking(results: StudyResults) -> Ranking | None:
    """Return the methods by mean rank; None while fewer than two can be ranked."""
    groups = results.panels()
    labels = list(dict.fromkeys(row.label for row in results.rows))
    if len(groups) == 1:
        (rows,) = groups
        blocks = [f"seed {index}" for index in range(results.config.seeds)]
        figures = {row.label: row.errors for row in rows}
        return _ranked("seeds", blocks, labels, figures)
    means: dict[str, Sequence[float | None]] = {
        label: [_mean(rows, label) for rows in groups] for label in labels
    }
    names = [f"{rows[0].data} in {rows[0].space}" for rows in groups]
    return _ranked("data sets and spaces", names, labels, means)


def _mean(rows: Sequence[RowResult], label: str) -> float | None:
    return next((row.mean for row in rows if row.label == label and row.complete), None)


def _ranked(
    kind: BlockKind,
    blocks: Sequence[str],
    labels: Sequence[str],
    figures: dict[str, Sequence[float | None]] | dict[str, tuple[float | None, ...]],
) -> Ranking | None:
    whole = [label for label in labels if all(each is not None for each in figures[label])]
    if len(whole) < 2:
        return None
    values = np.array([figures[label] for label in whole], dtype=np.float64).T
    ranks = mean_ranks(values).tolist()
    difference = critical_difference(len(whole), len(blocks), LEVEL)
    return Ranking(
        kind=kind,
        blocks=tuple(blocks),
        labels=tuple(whole),
        ranks=tuple(ranks),
        difference=difference,
        groups=tuple(
            tuple(whole[place] for place in group) for group in cliques(ranks, difference)
        ),
        friedman=friedman(values) if len(blocks) > 1 else None,
        left_out=tuple(label for label in labels if label not in whole),
    )


def _panel(rows: list[RowResult], control: str | None) -> Panel:
    complete = [row for row in rows if row.complete]
    best = min(complete, key=lambda row: (row.mean, row.key), default=None)
    beside_best = [] if best is None else _against(best, complete)
    chosen = next((row for row in complete if row.label == _control(rows, control)), None)
    return Panel(
        data=rows[0].data,
        space=rows[0].space,
        rows=tuple(rows),
        best=None if best is None else best.label,
        like_best=frozenset(each.label for each in beside_best if not each.told_apart),
        control=None if chosen is None else chosen.label,
        against=() if chosen is None else tuple(_against(chosen, complete)),
    )


def _control(rows: Sequence[RowResult], wanted: str | None) -> str:
    if wanted is not None:
        return wanted
    return next((row.label for row in rows if row.kind == "search"), rows[0].label)


def _against(control: RowResult, rows: Sequence[RowResult]) -> list[Against]:
    """Compare every other row to one, pair by pair of trainings with one seed."""
    others = [row for row in rows if row.label != control.label]
    found = [
        paired_difference(row.known, control.known, resolution=1 / row.images) for row in others
    ]
    wilcoxon = [
        signed_rank(np.round(np.subtract(row.known, control.known), 12)).p_value for row in others
    ]
    corrected, ranked = holm([each.p_value for each in found]), holm(wilcoxon)
    return [
        Against(row.label, difference, p_holm, p_ranks, p_ranks_holm)
        for row, difference, p_holm, p_ranks, p_ranks_holm in zip(
            others, found, corrected, wilcoxon, ranked, strict=True
        )
    ]

"""What scoring many members together saves over scoring them one by one.

Members drawn at random are scored on one batch of images after recalibration on another, first one
by one and then with `score_all`, which computes once what they have in common. The scores must be
equal to the last bit. Ratios are one by one / together: above 1 is a gain.

    python benchmarks/shared_scoring.py [--small] [--threads 1] [--record]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from collections.abc import Callable

import harness
import numpy as np
import torch
from torch import Tensor

from nas.space import AbstractSpace, load_space, space_from_dict
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import InheritedScore, ScoringData, score, score_all
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture

CLASSES = 10
SHAPE = (3, 32, 32)
BATCH = 64


def small_nasbench201(channels: int = 8, cells: int = 1) -> AbstractSpace:
    """Return the NAS-Bench-201 space with fewer channels and cells."""
    stages = [{"cells": cells, "width": channels * 2**stage} for stage in range(3)]
    return space_from_dict({**load_space("nasbench201").to_dict(), "stages": stages})


def make_data() -> ScoringData:
    """Return random images: what they show costs nothing."""
    generator = torch.Generator().manual_seed(0)

    def draw() -> Tensor:
        x = torch.randn(BATCH, *SHAPE, generator=generator)
        return x.contiguous(memory_format=torch.channels_last)

    labels = torch.randint(0, CLASSES, (BATCH,), generator=generator)
    return ScoringData(draw(), draw(), labels, Recalibration(images=BATCH, compare=False))


def sides(
    space: AbstractSpace, count: int, data: ScoringData, threads: int
) -> list[Callable[[], list[InheritedScore]]]:
    """Return both ways of scoring `count` members."""
    rng = np.random.default_rng(0)
    supernet = Supernet(space, SHAPE, CLASSES).eval()
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    members: list[Architecture] = [space.build(space.sample(rng)) for _ in range(count)]

    def one_by_one() -> list[InheritedScore]:
        return [score(supernet, member, data) for member in members]

    def together() -> list[InheritedScore]:
        return score_all(supernet, members, data, threads=threads)

    if one_by_one() != together():
        raise SystemExit(f"{space.name}: scores together differ from scores one by one")
    return [one_by_one, together]


def main() -> None:
    parser = harness.arguments(__doc__)
    options = parser.parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    data = make_data()
    cases = {
        "nasbench201 C=8 N=1": (small_nasbench201(), 50 if options.small else 400),
        "wired_cnn": (load_space("wired_cnn"), 10 if options.small else 40),
        "tiny_exhaustive": (load_space("tiny_exhaustive"), 50 if options.small else 200),
    }
    rows = []
    for name, (space, count) in cases.items():
        both = sides(space, count, data, options.threads)
        alone, shared = harness.interleave(both, rounds=1, warm_up=0)
        row = harness.ratio_row(f"{name}, {count} members", alone, shared)
        rows.append(row)
        harness.print_row(row)
    harness.finish(
        "shared_scoring",
        rows,
        unit="x (one by one / together)",
        threads=options.threads,
        record=options.record,
    )


if __name__ == "__main__":
    main()

"""What it saves to give a worker several members per call, by how many.

A batch of 16 is scored in calls of 1, 2, 4, 8 and 16 members, with recalibration and with the
uncalibrated score beside it, as a search does. Batches are drawn at random, as at a search's
beginning, or are mutations of four parents, as later on. The scores must be equal to the last bit.
Ratios are CPU seconds of single calls over those of calls of several: above 1 is a gain. More
members per call leave fewer calls to share among workers, and cost more where a worker dies; the
default of `executor.members_per_call` was chosen with this.

    python benchmarks/members_per_call.py [--small] [--threads 1] [--record]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import time
from collections.abc import Iterator

import harness
import numpy as np
import torch
from torch import Tensor

from nas.space import AbstractSpace, load_space
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import InheritedScore, ScoringData, score, score_all
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture

CLASSES = 10
MEMBERS = 16
PARENTS = 4
SIZES = (1, 2, 4, 8, 16)
RECALIBRATION_IMAGES, VALIDATION_IMAGES = 512, 300


def make_data(shape: tuple[int, int, int]) -> ScoringData:
    """Return random images: what they show costs nothing."""
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> Tensor:
        x = torch.randn(count, *shape, generator=generator)
        return x.contiguous(memory_format=torch.channels_last)

    labels = torch.randint(0, CLASSES, (VALIDATION_IMAGES,), generator=generator)
    return ScoringData(draw(RECALIBRATION_IMAGES), draw(VALIDATION_IMAGES), labels, Recalibration())


def batches(space: AbstractSpace) -> Iterator[tuple[str, list[Architecture]]]:
    """Yield batches as a search proposes them, with what they are."""
    rng = np.random.default_rng(0)
    yield "random", [space.build(space.sample(rng)) for _ in range(MEMBERS)]
    parents = [space.sample(rng) for _ in range(PARENTS)]
    children = (space.mutate(parents[place % PARENTS], rng) for place in range(MEMBERS))
    yield "mutations", [space.build(each) for each in children]


def scored(
    supernet: Supernet, members: list[Architecture], data: ScoringData, size: int, threads: int
) -> tuple[float, list[InheritedScore]]:
    """Return the CPU seconds of scoring all members in calls of `size`, and the scores."""
    began = time.process_time()
    found: list[InheritedScore] = []
    for start in range(0, len(members), size):
        call = members[start : start + size]
        found += (
            [score(supernet, call[0], data)]
            if size == 1
            else score_all(supernet, call, data, threads=threads)
        )
    return time.process_time() - began, found


def rows_of(
    case: str,
    supernet: Supernet,
    members: list[Architecture],
    data: ScoringData,
    rounds: int,
    threads: int,
) -> list[harness.Row]:
    """Return a row per size, its rounds interleaved with those of single calls."""
    _, expected = scored(supernet, members, data, 1, threads)
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    for place in range(rounds):
        for size in SIZES if place % 2 == 0 else reversed(SIZES):
            taken, found = scored(supernet, members, data, size, threads)
            if found != expected:
                raise SystemExit(f"{case}: {size} per call score differently than one by one")
            seconds[size].append(taken)
    rows = []
    for size in SIZES[1:]:
        row = harness.ratio_row(f"{case}, {size} per call", seconds[1], seconds[size])
        rows.append(row)
        harness.print_row(row)
    return rows


def main() -> None:
    parser = harness.arguments(__doc__)
    options = parser.parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    cases = [("tiny_exhaustive", (1, 8, 8)), ("wired_cnn", (1, 8, 8))]
    rows: list[harness.Row] = []
    for name, shape in cases[: 1 if options.small else None]:
        space = load_space(name)
        supernet = Supernet(space, shape, CLASSES).eval()
        supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        data = make_data(shape)
        for kind, members in batches(space):
            rounds = 2 if options.small else 6
            case = f"{name}, {kind}"
            rows += rows_of(case, supernet, members, data, rounds, options.threads)
    harness.finish(
        "members_per_call",
        rows,
        unit="x (CPU seconds one by one / several per call)",
        threads=options.threads,
        record=options.record,
    )


if __name__ == "__main__":
    main()

"""What path samplers give at equal time: members' loss, their front, and the largest member.

Every sampler trains a supernet of one small space on the digits data, for as many epochs as cost
what uniform sampling costs. Then the same random members, the smallest and the largest are scored
on validation images with inherited weights. A row is the mean cross-entropy of the random members
under uniform sampling over that under the sampler, over seeds (above 1: better than uniform).
Beside it stand the hypervolume of error against multiply-adds relative to uniform's, Kendall's tau
of the members' losses with those under uniform sampling, and the error of the largest member beside
that of the same member trained alone by the same loop with as many steps.

    python benchmarks/path_samplers.py [--small] [--threads 1] [--record]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import statistics
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import harness
import numpy as np
from scipy.stats import kendalltau

from nas.pareto.hypervolume import hypervolume
from nas.space import AbstractSpace, Decisions, space_from_dict
from nas.supernet.member_sizes import MemberSizes
from nas.supernet.path_samplers import PATH_SAMPLERS, Lesson
from nas.supernet.paths import PathConfig, PathTraining
from nas.supernet.scoring.score import score_all, scoring_data
from nas.supernet.supernet import Supernet
from nas.training.data.load import load_data
from nas.training.parts import FiveParts, split_five

SHAPE, CLASSES = (1, 8, 8), 10
EPOCHS, SMALL_EPOCHS = 30, 4
MEMBERS = 48
PROBES = 32
SETTINGS: dict[str, Any] = {"batch_size": 64, "learning_rate": 0.05}


@cache
def the_space() -> AbstractSpace:
    """Return a space that every sampler fits."""
    stage = {
        "pattern": {"choices": ["chain", "residual", "dense", "free"]},
        "depth": {"choices": [1, 2, 3, 4]},
        "width": {"choices": [8, 16]},
        "operation": {"choices": ["conv3x3", "conv1x1", "avg_pool3x3"], "per": "node"},
        "merge": {"choices": ["sum", "concat"]},
    }
    document = {"schema": "nas.space/1", "kind": "stages", "name": "samplers"}
    return space_from_dict({**document, "stages": [stage, {**stage, "stride": 2}]})


@cache
def the_sizes() -> MemberSizes:
    """Return the sizes of its members."""
    return MemberSizes(the_space(), SHAPE, CLASSES)


@cache
def the_parts(seed: int) -> FiveParts:
    """Return the digits, split by a seed."""
    return split_five(load_data("digits"), seed)


def begin(sampler: str, epochs: int, seed: int, only: Decisions | None = None) -> PathTraining:
    """Return a training; of one member alone where `only` names it."""
    config = PathConfig(sampler=sampler, epochs=epochs, **SETTINGS)
    supernet = Supernet(the_space(), SHAPE, CLASSES, seed=seed)
    training = PathTraining(supernet, the_parts(seed).weights, config, seed=seed)
    training.sizes = the_sizes()  # the largest member is looked for once
    training.sampler.scene.sizes.__dict__.update(the_sizes().__dict__)
    if only is not None:
        training.sampler.lessons = lambda moment: (Lesson(only),)  # type: ignore[method-assign]
    return training


def step_seconds(sampler: str, epochs: int) -> float:
    """Return the mean processor time of steps spread over a training."""
    training = begin(sampler, epochs, 0)
    images, labels = next(training.batches.epoch(0, 0))
    total = epochs * training.batches.steps_per_epoch
    seconds = []
    for step in np.linspace(0, total - 1, PROBES).astype(int):
        training.step = int(step)
        for _ in range(2):  # the first one may make slots, a teacher or a selection
            start = time.process_time()
            training.train_step(images, labels, 0.0)
            taken = time.process_time() - start
        seconds.append(taken)
    return statistics.fmean(seconds)


@dataclass(frozen=True)
class Outcome:
    """What a trained supernet's members score: random ones first, then smallest and largest."""

    losses: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def mean_loss(self) -> float:
        """Mean cross-entropy of the random members, in nats."""
        return statistics.fmean(self.losses[:MEMBERS])


def members() -> list[Decisions]:
    """Return the members that are scored, the same for all."""
    rng = np.random.default_rng(1)
    drawn = [the_space().sample(rng) for _ in range(MEMBERS)]
    return [*drawn, the_sizes().smallest, the_sizes().largest]


def outcome(training: PathTraining, seed: int) -> Outcome:
    """Train, and score the members."""
    training.run()
    data = scoring_data(the_parts(seed), seed)
    architectures = [the_space().build(member) for member in members()]
    found = score_all(training.supernet.eval(), architectures, data)
    return Outcome(tuple(each.cross_entropy for each in found), tuple(each.error for each in found))


def front_volume(result: Outcome) -> float:
    """Return the hypervolume of error and multiply-adds, both as shares of the worst."""
    most = the_sizes().macs(the_sizes().largest)
    macs = [the_sizes().macs(member) / most for member in members()]
    return hypervolume(np.column_stack([macs, result.errors]), (1.01, 1.0))


def main() -> None:
    """Run every sampler and print its row."""
    options = harness.arguments(__doc__).parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    epochs, seeds = (SMALL_EPOCHS, [0]) if options.small else (EPOCHS, [0, 1, 2])
    base_seconds = step_seconds("uniform", epochs)
    base = {seed: outcome(begin("uniform", epochs, seed), seed) for seed in seeds}
    largest = the_sizes().largest
    alone = [outcome(begin("uniform", epochs, seed, largest), seed).errors[-1] for seed in seeds]
    print(f"largest member alone: error {statistics.fmean(alone):.4f} over seeds {seeds}")
    rows = []
    for name in PATH_SAMPLERS:
        share = 1.0 if name == "uniform" else step_seconds(name, epochs) / base_seconds
        mine = max(2, round(epochs / share))
        found = {seed: outcome(begin(name, mine, seed), seed) for seed in seeds}
        ratios = [base[seed].mean_loss / found[seed].mean_loss for seed in seeds]
        volume = [front_volume(found[seed]) / front_volume(base[seed]) for seed in seeds]
        tau = [kendalltau(found[s].losses[:MEMBERS], base[s].losses[:MEMBERS])[0] for s in seeds]
        error = statistics.fmean(found[seed].errors[-1] for seed in seeds)
        case = (
            f"{name}: {mine} epochs, front {statistics.fmean(volume):.3f}, "
            f"tau {statistics.fmean(tau):.2f}, largest {error:.3f}"
        )
        row = harness.Row(case, statistics.median(ratios), harness.interquartile_range(ratios))
        harness.print_row(row)
        rows.append(row)
    harness.finish(
        "path_samplers",
        rows,
        unit="x (loss under uniform / under the sampler)",
        threads=options.threads,
        record=options.record,
    )


if __name__ == "__main__":
    main()

"""Does a learning rate by path lengths rank networks otherwise than one rate for all?

The same members are trained alone on the digits under each `learning_rate_rule`, with two seeds,
and ranked by their cross-entropy on validation. Printed is Kendall's tau-b between the ranking
under the fixed rate and that under a scaled one, beside what two seeds of one rule agree on: the
ceiling. Means over seeds are less noisy than single trainings, so the like of the ceiling is the
tau of single trainings of different seeds; only what that falls short of the ceilings is the doing
of the rule. Intervals are 95 %, from 1,000 bootstrap samples of the members.

The rule was derived for networks without norms, so there are two spaces: `tiny_exhaustive`, and its
twin with rectifiers in the place of norms, started by in-degree. The rates have to be comparable
too: the base rate of every rule is set so that the geometric mean of its rates is the one of RATES
that trains a few other members best.

    python benchmarks/learning_rate_ranking.py [--small] [--members 24] [--epochs 6] [--record]
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import harness
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.errors import TrialError
from nas.space import AbstractSpace, Decisions, load_space, space_from_dict
from nas.supernet.trust.correlation import Draws, MemberPairs, mean_draws
from nas.supernet.trust.truth import train_alone
from nas.training.batches import part_tensors
from nas.training.data import load_data
from nas.training.parts import FiveParts, split_five
from nas.training.path_rates import RateRule, rate_factor
from nas.training.recipe import Recipe

NAME = "learning_rate_ranking"
SPACE = "tiny_exhaustive"
FIXED: RateRule = "fixed"
SCALED: tuple[RateRule, ...] = ("cell_paths", "weighted_paths")
RATES = (2.0**-7, 2.0**-5, 2.0**-3, 2.0**-1)
SEEDS = 2
TUNING_MEMBERS = 4
DIVERGED = (100.0, 0.9)
"""Cross-entropy and error of a training that diverged: last in every ranking, a guess of ten."""

WITHOUT_NORMS = {
    "conv3x3": "relu+conv3x3",
    "conv1x1": "relu+conv1x1",
    "separable3x3": "relu+dwconv3x3+conv1x1",
}

Scores = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Bench:
    """What all trainings share."""

    parts: FiveParts
    validation: tuple[Tensor, Tensor]
    recipe: Recipe


def twin_without_norms(space: AbstractSpace) -> AbstractSpace:
    """Return the space with operations that hold no norms."""
    document = space.to_dict()
    stages = [
        stage
        | {"operation": {"choices": [WITHOUT_NORMS[op] for op in stage["operation"]["choices"]]}}
        for stage in document["stages"]
    ]
    return space_from_dict(
        document
        | {
            "name": f"{space.name}_without_norms",
            "stem": "plain_conv3x3",
            "transition": WITHOUT_NORMS["conv3x3"],
            "stages": stages,
        }
    )


def draw(space: AbstractSpace, count: int) -> list[Decisions]:
    """Return distinct members, drawn uniformly."""
    rng = np.random.default_rng(0)
    found: dict[str, Decisions] = {}
    while len(found) < count:
        decisions = space.sample(rng)
        found.setdefault(space.member_id(decisions), decisions)
    return list(found.values())


def mean_factor(space: AbstractSpace, members: Sequence[Decisions], rule: RateRule) -> float:
    """Return the geometric mean of what the rule multiplies rates with."""
    return statistics.geometric_mean(rate_factor(space.build(each), rule) for each in members)


def scores(
    bench: Bench, space: AbstractSpace, members: Sequence[Decisions], recipe: Recipe, seeds: int
) -> Scores:
    """Return cross-entropy in nats and error of members trained alone, `(2, seeds, members)`."""

    def one(member: Decisions, index: int) -> tuple[float, float]:
        try:
            found = train_alone(
                space, member, bench.parts, recipe, seed=0, index=index, validation=bench.validation
            )
        except TrialError:
            return DIVERGED
        return min(found.cross_entropy, DIVERGED[0]), found.error

    table = [[one(member, index) for member in members] for index in range(seeds)]
    return np.moveaxis(np.array(table, dtype=np.float64), -1, 0)


def tuned_recipe(
    bench: Bench, space: AbstractSpace, members: Sequence[Decisions], rule: RateRule
) -> tuple[Recipe, dict[str, float]]:
    """Return the recipe with the best of RATES as its mean rate, and the mean losses at all."""
    factor = mean_factor(space, members, rule)
    recipes = [
        bench.recipe.model_copy(update={"learning_rate": rate / factor, "learning_rate_rule": rule})
        for rate in RATES
    ]
    losses = [float(scores(bench, space, members, recipe, 1)[0].mean()) for recipe in recipes]
    shown = {f"{rate:g}": round(loss, 4) for rate, loss in zip(RATES, losses, strict=True)}
    return recipes[int(np.argmin(losses))], shown


def agreement(fixed: Scores, scaled: Scores) -> dict[str, Draws]:
    """Return how alike two tables of losses, `(seeds, members)`, rank the members."""
    pairs = MemberPairs([""] * fixed.shape[1])

    def tau(first: Scores, second: Scores) -> Draws:
        return pairs.correlate("tau", first, second)

    crossed = mean_draws([tau(fixed[0], scaled[1]), tau(fixed[1], scaled[0])])
    ceilings = [tau(table[0], table[1]) for table in (fixed, scaled)]
    return {
        "fixed against scaled": tau(fixed.mean(0), scaled.mean(0)),
        "fixed against scaled, single trainings": crossed,
        "seed against seed, fixed (ceiling)": ceilings[0],
        "seed against seed, scaled (ceiling)": ceilings[1],
        "mean ceiling less single trainings": mean_draws(ceilings) - crossed,
    }


def measure(bench: Bench, space: AbstractSpace, count: int) -> dict[str, dict[str, Any]]:
    """Return losses and errors of the members by rule, with the base rates that were chosen."""
    drawn = draw(space, count + TUNING_MEMBERS)
    members, tuning = drawn[:count], drawn[count:]
    found: dict[str, dict[str, Any]] = {}
    for rule in (FIXED, *SCALED):
        recipe, losses = tuned_recipe(bench, space, tuning, rule)
        table = scores(bench, space, members, recipe, SEEDS)
        factors = [rate_factor(space.build(each), rule) for each in members]
        found[rule] = {
            "losses": table[0],
            "learning_rate": recipe.learning_rate,
            "lowest_rate": recipe.learning_rate * min(factors),
            "highest_rate": recipe.learning_rate * max(factors),
            "loss_by_mean_rate": losses,
            "mean_error": float(table[1].mean()),
            "diverged": int((table[0] == DIVERGED[0]).sum()),
        }
        shown = {key: value for key, value in found[rule].items() if key != "losses"}
        print(f"{space.name}, {rule}: {shown}", flush=True)
    return found


def rows_of(
    space: str, found: dict[str, dict[str, Any]]
) -> tuple[list[harness.Row], dict[str, dict[str, float | None]]]:
    """Return a row per agreement, and the same with intervals."""
    rows: list[harness.Row] = []
    taus: dict[str, dict[str, float | None]] = {}
    for rule in SCALED:
        for what, drawn in agreement(found[FIXED]["losses"], found[rule]["losses"]).items():
            spread = harness.interquartile_range(drawn.drawn[np.isfinite(drawn.drawn)].tolist())
            row = harness.Row(f"{space}, {rule}: {what}", drawn.value, spread)
            rows.append(row)
            taus[row.case] = drawn.estimate().to_dict()
            print(f"{row.case:<88} {drawn.estimate()}", flush=True)
    return rows, taus


def main() -> None:
    """Train all members under all rules, print how alike they are ranked."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--members", type=int, default=24, help="members that are ranked")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of every training")
    options = parser.parse_args()
    if options.small:
        options.members, options.epochs = 8, 2
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    parts = split_five(load_data("digits"), 0)
    validation = part_tensors(parts.validation, torch.device("cpu"))
    with_norms = load_space(SPACE)
    recipe = Recipe(epochs=options.epochs, batch_size=64)
    # Without norms half of the members learn nothing from torch's own initialisation.
    own_start = recipe.model_copy(update={"initialisation": "in_degree"})
    cases = [(with_norms, recipe), (twin_without_norms(with_norms), own_start)]
    rows: list[harness.Row] = []
    taus: dict[str, dict[str, float | None]] = {}
    rules: dict[str, dict[str, Any]] = {}
    for space, settings in cases:
        found = measure(Bench(parts, validation, settings), space, options.members)
        own_rows, own_taus = rows_of(space.name, found)
        rows, taus = rows + own_rows, taus | own_taus
        rules[space.name] = {
            rule: entry | {"losses": np.round(entry["losses"], 5).tolist()}
            for rule, entry in found.items()
        }
    harness.finish(
        NAME,
        rows,
        unit="Kendall's tau-b; the last row of each five is a difference of them",
        threads=options.threads,
        counted=[row for row in rows if row.case.endswith("fixed against scaled")],
        record=options.record,
        more={
            "taus": taus,
            "rules": rules,
            "members": options.members,
            "epochs": options.epochs,
            "seeds": SEEDS,
            "core_seconds": round(time.process_time()),
        },
    )


if __name__ == "__main__":
    main()

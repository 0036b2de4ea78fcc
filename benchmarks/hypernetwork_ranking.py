"""Does a hypernetwork rank graphs? Its scores beside members trained alone, and a random control.

Distinct members of `tiny_exhaustive` are trained alone on digits with two seeds. The same members
are scored with kernels of a trained hypernetwork, of an untrained one (the control), and with
shared weights trained for the same number of epochs. Printed are Kendall's tau-b and Spearman's
rho of cross-entropies, and how one seed of the truth ranks the other: the ceiling. Each gets a
95 % interval from 2,000 bootstrap samples of the members.

    python benchmarks/hypernetwork_ranking.py [--small] [--members 40] [--epochs 60] [--record]
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import harness
import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from nas.seeds import derive_seed
from nas.space import AbstractSpace, Decisions, load_space
from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import score_all, scoring_data
from nas.supernet.supernet import Supernet, WeightKind
from nas.supernet.trust.truth import train_alone
from nas.training.data.load import load_data
from nas.training.parts import FiveParts, split_five
from nas.training.recipe import Recipe

SHAPE, CLASSES = (1, 8, 8), 10
SAMPLES = 2000


def draw(space: AbstractSpace, count: int) -> list[Decisions]:
    """Return distinct members, drawn uniformly."""
    rng = np.random.default_rng(0)
    found: dict[str, Decisions] = {}
    while len(found) < count:
        decisions = space.sample(rng)
        found.setdefault(space.member_id(decisions), decisions)
    return list(found.values())


def truth(
    space: AbstractSpace, members: list[Decisions], parts: FiveParts, epochs: int
) -> NDArray[np.float64]:
    """Return cross-entropies of members trained alone, `(seeds, members)`."""
    recipe = Recipe(epochs=epochs, batch_size=64)
    return np.array(
        [
            [
                train_alone(space, member, parts, recipe, seed=0, index=index).cross_entropy
                for member in members
            ]
            for index in range(2)
        ]
    )


def inherited(
    space: AbstractSpace,
    members: list[Decisions],
    parts: FiveParts,
    weights: WeightKind,
    epochs: int,
) -> tuple[NDArray[np.float64], float]:
    """Return inherited cross-entropies, and the seconds of training; 0 epochs train nothing."""
    supernet = Supernet(space, SHAPE, CLASSES, weights=weights, seed=derive_seed(0, weights, 0))
    begun = time.perf_counter()
    if epochs:
        train_paths(supernet, parts, PathConfig(epochs=epochs, batch_size=64), seed=0)
    seconds = time.perf_counter() - begun
    data = scoring_data(parts, 0, recalibration=Recalibration(compare=False))
    scores = score_all(supernet.eval(), [space.build(member) for member in members], data)
    return np.array([each.cross_entropy for each in scores]), seconds


def correlations(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> dict[str, Any]:
    """Return tau and rho with bootstrap intervals over members."""
    rng = np.random.default_rng(0)
    rows = rng.integers(len(found), size=(SAMPLES, len(found)))
    taus = [kendalltau(found[row], wanted[row]).statistic for row in rows]
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return {
        "tau": round(float(kendalltau(found, wanted).statistic), 3),
        "low": round(float(low), 3),
        "high": round(float(high), 3),
        "rho": round(float(spearmanr(found, wanted).statistic), 3),
    }


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--members", type=int, default=40, help="members trained alone")
    parser.add_argument("--epochs", type=int, default=60, help="epochs of path training")
    parser.add_argument("--alone", type=int, default=20, help="epochs of every member alone")
    options = parser.parse_args()
    if options.small:
        options.members, options.epochs, options.alone = 30, 20, 8
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    space, parts = load_space("tiny_exhaustive"), split_five(load_data("digits"), 0)
    members = draw(space, options.members)
    alone = truth(space, members, parts, options.alone)
    rows: dict[str, dict[str, Any]] = {"another seed (ceiling)": correlations(alone[0], alone[1])}
    cases: list[tuple[str, WeightKind, int]] = [
        ("hypernetwork", "hypernetwork", options.epochs),
        ("untrained hypernetwork (control)", "hypernetwork", 0),
        ("shared weights", "shared", options.epochs),
    ]
    for name, weights, epochs in cases:
        found, seconds = inherited(space, members, parts, weights, epochs)
        rows[name] = correlations(found, alone.mean(0)) | {"seconds": round(seconds, 1)}
    for name, row in rows.items():
        print(
            f"{name:<34} tau {row['tau']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]  "
            f"rho {row['rho']:+.3f}",
            flush=True,
        )
    document = {
        "name": "hypernetwork_ranking",
        "rows": rows,
        "members": options.members,
        "epochs": options.epochs,
        "epochs_alone": options.alone,
        "machine": harness.machine(options.threads),
    }
    text = json.dumps(document, allow_nan=False)
    if options.record:
        harness.RESULTS.mkdir(exist_ok=True)
        path = harness.RESULTS / "hypernetwork_ranking.json"
        path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(text, flush=True)


if __name__ == "__main__":
    main()

"""How sharing policies rank members, each given the same time to train.

Distinct members of `tiny_exhaustive` are trained alone on digits with two seeds. Then every
registered sharing policy, some mixtures of policies and a hypernetwork train a supernet for the
same number of seconds (measuring and splitting of `auto` included), and rank the same members.
Printed are Kendall's tau-b with a 95 % bootstrap interval, Spearman's rho, the numbers held in
weights, and the ceiling: how one seed of the truth ranks the other. With `--seeds` every policy is
trained several times; the spread of tau over them stands beside.

    python benchmarks/sharing_policies.py [--small] [--members 40] [--seconds 60] [--record]
"""

from __future__ import annotations

import json
import os
import statistics
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import harness
import numpy as np
from hypernetwork_ranking import CLASSES, SHAPE, correlations, draw, truth

from nas.seeds import derive_seed
from nas.space import AbstractSpace, Decisions, load_space
from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import score_all, scoring_data
from nas.supernet.sharing import SHARING
from nas.supernet.sharing_config import SharingConfig
from nas.supernet.supernet import Supernet
from nas.training.data.load import load_data
from nas.training.parts import FiveParts, split_five


def cases() -> dict[str, dict[str, Any]]:
    """Return the arguments of every supernet that is compared."""
    found: dict[str, dict[str, Any]] = {name: {"sharing": name} for name in SHARING}
    found["position, norms by family"] = {"sharing": SharingConfig(norms="family")}
    found["position, momentum by family"] = {"sharing": SharingConfig(momentum="family")}
    found["hypernetwork"] = {"weights": "hypernetwork"}
    return found


def inherited(
    space: AbstractSpace,
    members: list[Decisions],
    parts: FiveParts,
    arguments: dict[str, Any],
    epochs: int,
    seed: int,
) -> tuple[list[float], int]:
    """Return inherited cross-entropies, and the numbers that the supernet holds."""
    supernet = Supernet(space, SHAPE, CLASSES, seed=derive_seed(seed, "supernet", 0), **arguments)
    train_paths(supernet, parts, PathConfig(epochs=epochs, batch_size=64), seed=seed)
    data = scoring_data(parts, 0, recalibration=Recalibration(compare=False))
    scores = score_all(supernet.eval(), [space.build(member) for member in members], data)
    numbers = sum(value.size for value in supernet.weights.arrays().values())
    return [each.cross_entropy for each in scores], numbers


def epochs_for(
    space: AbstractSpace, parts: FiveParts, arguments: dict[str, Any], seconds: float
) -> int:
    """Return the whole epochs that fit into a time, so that the learning rate can end at 0."""
    supernet = Supernet(space, SHAPE, CLASSES, **arguments)
    config = PathConfig(epochs=2, batch_size=64)
    result, _ = train_paths(supernet, parts, config, seed=0)
    return max(2, round(2 * seconds / result.seconds))


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--members", type=int, default=40, help="members trained alone")
    parser.add_argument("--alone", type=int, default=20, help="epochs of every member alone")
    parser.add_argument("--seconds", type=float, default=60.0, help="training of every supernet")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of every supernet")
    options = parser.parse_args()
    if options.small:
        options.members, options.alone, options.seconds, options.seeds = 30, 6, 8.0, 1
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    space, parts = load_space("tiny_exhaustive"), split_five(load_data("digits"), 0)
    members = draw(space, options.members)
    alone = truth(space, members, parts, options.alone)
    rows: dict[str, dict[str, Any]] = {"another seed (ceiling)": correlations(alone[0], alone[1])}
    for name, arguments in cases().items():
        epochs = epochs_for(space, parts, arguments, options.seconds)
        found = [
            inherited(space, members, parts, arguments, epochs, seed)
            for seed in range(options.seeds)
        ]
        taus = [correlations(np.array(scores), alone.mean(0)) for scores, _ in found]
        rows[name] = taus[0] | {
            "tau": round(statistics.fmean(each["tau"] for each in taus), 3),
            "taus": [each["tau"] for each in taus],
            "epochs": epochs,
            "numbers": found[0][1],
        }
        print(f"{name:<30} {json.dumps(rows[name])}", flush=True)
    document = {
        "name": "sharing_policies",
        "rows": rows,
        "members": options.members,
        "epochs_alone": options.alone,
        "seconds": options.seconds,
        "machine": harness.machine(options.threads),
    }
    if options.record:
        harness.RESULTS.mkdir(exist_ok=True)
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        (harness.RESULTS / "sharing_policies.json").write_text(text, encoding="utf-8")
    print(json.dumps(document, allow_nan=False), flush=True)


if __name__ == "__main__":
    main()

"""Whether a learning rate found on a shallow residual network holds on a deep one.

Norm-free residual networks (a rectifier and a 3x3 convolution per branch) are trained on the digits
at a row of learning rates, with branches as they are and with branches scaled by 1/sqrt(L). The
best rate of the shallowest network is then compared with the best rate of the deeper ones, and what
it costs to use the former on the latter. Ratios are rates: best of the deep / best of the shallow;
1 means that the rate holds, 0 that the deep network trains at none. Rates are powers of two, so a
ratio of 1/2 is one step of the grid.

    python benchmarks/learning_rate_transfer.py [--small] [--threads 1] [--record]
"""

from __future__ import annotations

import math
import statistics

import harness

from nas.errors import TrialError
from nas.model.network import Network
from nas.topology.edge_scales import scale_topology
from nas.topology.patterns import PATTERNS
from nas.topology.stages import stage_architecture
from nas.training.data import load_data
from nas.training.fit import fit
from nas.training.parts import DataPart, split_five
from nas.training.recipe import Recipe

DEPTHS = (3, 12, 48)
SCALES = ("unscaled", "inverse_root_depth")
RATES = tuple(2.0**power for power in range(-9, 1))
WIDTH = 16
EPOCHS = 4


def trained_loss(part: DataPart, depth: int, scale: str, rate: float, seed: int) -> float:
    """Return the mean loss of the last epoch in nats; infinity where the training diverged."""
    topology = scale_topology(PATTERNS.get("residual").wire(depth), scale)
    built = stage_architecture(
        topology, width=WIDTH, operation="relu+conv3x3", stem="plain_conv3x3"
    )
    network = Network(built, (1, 8, 8), 10, initialisation="default", seed=seed)
    recipe = Recipe(
        epochs=EPOCHS, batch_size=32, learning_rate=rate, weight_decay=0.0, warmup_epochs=0.0
    )
    try:
        return fit(network, part, recipe, seed=seed).losses[-1]
    except TrialError:
        return math.inf


def losses_by_rate(part: DataPart, depth: int, scale: str, seeds: int) -> dict[float, float]:
    """Return the mean loss over seeds at every rate."""
    found: dict[float, float] = {}
    for rate in RATES:
        losses = [trained_loss(part, depth, scale, rate, seed) for seed in range(seeds)]
        found[rate] = statistics.fmean(losses)
    return found


def best_rate(losses: dict[float, float]) -> float:
    """Return the rate with the lowest loss."""
    return min(losses, key=lambda rate: losses[rate])


def main() -> None:
    """Train all networks, print what transfers."""
    options = harness.arguments(__doc__).parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    part = split_five(load_data("digits"), 0).weights
    seeds = 1 if options.small else 2
    rows, counted, table = [], [], {}
    for scale in SCALES:
        found = {depth: losses_by_rate(part, depth, scale, seeds) for depth in DEPTHS}
        shallow = best_rate(found[DEPTHS[0]])
        for depth in DEPTHS:
            best = best_rate(found[depth])
            ratio = best / shallow if math.isfinite(found[depth][best]) else 0.0
            row = harness.Row(f"{scale}, {depth} blocks", ratio, 0.0)
            rows.append(row)
            if scale == "inverse_root_depth":
                counted.append(row)
            table[row.case] = {
                "best_rate": best,
                "loss_at_it": _plain(found[depth][best]),
                "loss_at_the_shallow_rate": _plain(found[depth][shallow]),
                "losses": {f"{rate:g}": _plain(loss) for rate, loss in found[depth].items()},
            }
            print(f"{row.case}: best rate {best:g}, {table[row.case]}", flush=True)
    harness.finish(
        "learning_rate_transfer",
        rows,
        unit="x (best rate of this depth / of the shallowest)",
        threads=options.threads,
        counted=counted,
        record=options.record,
        more={"losses": table},
    )


def _plain(loss: float) -> float | str:
    return round(loss, 4) if math.isfinite(loss) else "diverged"


if __name__ == "__main__":
    main()

"""How far two latency estimators scatter at equal time: paired A B B A against blocked medians.

Two small networks, one 12 to 20 % slower than the other. Ours is the paired timing that the
latency objective uses; the peer is `torch.utils.benchmark`, one block of `blocked_autorange` per
network and the ratio of their medians. They take turns, and ours gets the time that the peer just
took. A row's ratio is the scatter of the peer's estimates over that of ours (larger is better for
us), once as standard deviation, in which bursts of load count, and once as interquartile range, in
which they do not; its spread is the interquartile range of that ratio over bootstrap resamples.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import harness
import numpy as np
import torch
from torch import nn
from torch.utils.benchmark import Timer

from nas.objectives.latency_config import LatencyConfig
from nas.objectives.paired_timing import WallClock, time_pairs

BLOCK_SECONDS = 0.1
BATCHES = (1, 16)


def network(extra: int) -> nn.Module:
    """Return a small CNN with `extra` 1x1 convolutions at its end."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (16, 16, 32):
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        channels = width
    for _ in range(extra):
        layers += [nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)]
        layers += [nn.ReLU()]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    return nn.Sequential(*layers, *head).eval().to(memory_format=torch.channels_last)


def blocked_ratio(slow: Callable[[], object], fast: Callable[[], object], threads: int) -> float:
    """Estimate the ratio by one block of torch.utils.benchmark per network."""
    medians = [
        Timer("call()", globals={"call": call}, num_threads=threads)
        .blocked_autorange(min_run_time=BLOCK_SECONDS)
        .median
        for call in (slow, fast)
    ]
    return medians[0] / medians[1]


def paired_ratio(
    slow: Callable[[], object], fast: Callable[[], object], threads: int, seconds: float
) -> float:
    """Estimate the ratio by paired timing in the given time."""
    config = LatencyConfig(
        threads=threads, pairs=1_000_000, max_seconds=seconds, target_relative_error=1e-9
    )
    return time_pairs(slow, fast, config, WallClock()).ratio


def estimates(batch: int, threads: int, repeats: int) -> tuple[list[float], list[float]]:
    """Return the estimates of the peer and ours, taken in turns at equal time."""
    images = torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    fast_network, slow_network = network(2), network(3)

    def fast() -> object:
        return fast_network(images)

    def slow() -> object:
        return slow_network(images)

    peer: list[float] = []
    ours: list[float] = []
    seconds = 2 * BLOCK_SECONDS
    for repeat in range(repeats):
        for who in ("peer", "ours") if repeat % 2 == 0 else ("ours", "peer"):
            if who == "peer":
                start = time.perf_counter()
                peer.append(blocked_ratio(slow, fast, threads))
                seconds = time.perf_counter() - start
            else:
                ours.append(paired_ratio(slow, fast, threads, seconds))
    return peer, ours


def compare(batch: int, peer: list[float], ours: list[float]) -> list[harness.Row]:
    """Return the ratios of the two scatters, with their bootstrap ranges, and print both sides."""
    for label, values in (("torch.utils.benchmark", peer), ("paired", ours)):
        middle = statistics.median(values)
        print(
            f"  {label:<22} ratio {middle:.4f}, std {statistics.stdev(values) / middle:.3%}, "
            f"IQR {harness.interquartile_range(values) / middle:.3%}, "
            f"range {(max(values) - min(values)) / middle:.3%}",
            flush=True,
        )
    rng = np.random.default_rng(0)
    rows = []
    for name, scatter in (("std", statistics.stdev), ("IQR", harness.interquartile_range)):
        draws = [
            scatter(rng.choice(peer, len(peer)).tolist())
            / scatter(rng.choice(ours, len(ours)).tolist())
            for _ in range(500)
        ]
        case = f"{name} of a latency ratio, batch {batch}, {len(peer)} repeats"
        row = harness.Row(case, scatter(peer) / scatter(ours), harness.interquartile_range(draws))
        harness.print_row(row)
        rows.append(row)
    return rows


def main() -> None:
    options = harness.arguments(__doc__).parse_args()
    harness.use_threads(options.threads)
    torch.manual_seed(0)
    harness.print_versions(options.threads)
    repeats = 8 if options.small else 24
    rows: list[harness.Row] = []
    with torch.inference_mode():
        for batch in BATCHES:
            peer, ours = estimates(batch, options.threads, repeats)
            rows += compare(batch, peer, ours)
    harness.finish(
        "latency_noise",
        rows,
        unit="x (scatter of torch.utils.benchmark / scatter of paired, equal time)",
        threads=options.threads,
        record=options.record,
    )


if __name__ == "__main__":
    main()

"""How far two latency estimators scatter at equal time, and whether order survives the noise.

Two small networks, one 12 to 20 % slower than the other, at batch 1 and 16, on 1 and 2 threads,
alone and beside another process that keeps one processor busy. Ours is the paired timing that the
latency objective uses; the peer is `torch.utils.benchmark`, one block of `blocked_autorange` per
network and the ratio of their medians. They take turns in one process, and ours gets the time that
the peer just took; both profit from memory that stays with the process. A row's ratio is the
scatter of the peer's estimates over that of ours (larger is better for us), once as standard
deviation, in which bursts of load count, and once as interquartile range, in which they do not; its
spread is the interquartile range of that ratio over bootstrap resamples.

Then two networks that differ by 10 % in the long run, by choice of their widths, are measured one
after the other as a search does it, with the default budget; rows count the wrong orders.
"""

from __future__ import annotations

import os

# Before torch is imported: two threads that wait actively would fight over two processors with
# the process that loads them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import harness
import numpy as np
import torch
from torch import nn
from torch.utils.benchmark import Timer

from nas.objectives.latency import LatencyMeter
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.paired_timing import time_pairs
from nas.objectives.steady_memory import keep_freed_memory
from nas.objectives.stopwatch import machine_clock
from nas.training.device import use_threads

BLOCK_SECONDS = 0.1
SHAPE = (3, 32, 32)
WIDTHS = range(16, 68, 4)
LOOK_SECONDS = 0.4
LONG_SECONDS = 1.0
CANDIDATES = 8
APART = 1.10
LOAD = (
    "import numpy\n"
    "a = numpy.random.default_rng(0).random((300, 300), 'float32')\n"
    "while True:\n"
    "    a @ a\n"
    "    sum(range(10000))\n"
)


class Case(NamedTuple):
    """One condition."""

    batch: int
    threads: int
    loaded: bool

    def __str__(self) -> str:
        company = "beside a busy process" if self.loaded else "alone"
        return f"batch {self.batch}, {self.threads} thread{'s' * (self.threads > 1)}, {company}"


CASES = [Case(*each) for each in itertools.product((1, 16), (1, 2), (False, True))]


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


def wide_network(width: int) -> nn.Module:
    """Return a small CNN whose last convolution has `width` channels."""
    layers: list[nn.Module] = []
    channels = 3
    for each in (16, 16, width):
        layers += [nn.Conv2d(channels, each, 3, padding=1), nn.ReLU()]
        channels = each
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


@contextmanager
def company(wanted: bool) -> Iterator[None]:
    """Have another process keep one processor busy, if wanted."""
    if not wanted:
        yield
        return
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", LOAD], env=quiet)
    try:
        time.sleep(1.0)
        yield
    finally:
        process.kill()
        process.wait()


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
        threads=threads,
        pairs=1_000_000,
        max_seconds=seconds,
        target_relative_error=1e-9,
        warm_up=0,  # it would not be charged; the peer has just run both
    )
    return time_pairs(slow, fast, config, machine_clock(waits=threads == 1)).ratio


def estimates(case: Case, repeats: int) -> tuple[list[float], list[float]]:
    """Return the estimates of the peer and ours, taken in turns at equal time."""
    images = torch.randn(case.batch, *SHAPE).contiguous(memory_format=torch.channels_last)
    fast_network, slow_network = network(2), network(3)

    def fast() -> object:
        return fast_network(images)

    def slow() -> object:
        return slow_network(images)

    peer: list[float] = []
    ours: list[float] = []
    seconds, over = 2 * BLOCK_SECONDS, 0.0
    for repeat in range(repeats):
        for who in ("peer", "ours") if repeat % 2 == 0 else ("ours", "peer"):
            if who == "peer":
                start = time.perf_counter()
                peer.append(blocked_ratio(slow, fast, case.threads))
                seconds = time.perf_counter() - start
            else:
                start = time.perf_counter()
                ours.append(paired_ratio(slow, fast, case.threads, seconds - over))
                # Ours ends with a whole round; what that took too long comes off the next time.
                over = min(max(0.0, over + time.perf_counter() - start - seconds), seconds / 2)
    return peer, ours


def compare(case: Case, peer: list[float], ours: list[float]) -> list[harness.Row]:
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
            / max(1e-12, scatter(rng.choice(ours, len(ours)).tolist()))
            for _ in range(500)
        ]
        label = f"{name} of a latency ratio, {case}, {len(peer)} repeats"
        row = harness.Row(label, scatter(peer) / scatter(ours), harness.interquartile_range(draws))
        harness.print_row(row)
        rows.append(row)
    return rows


def ten_percent_apart(case: Case) -> tuple[nn.Module, nn.Module, float]:
    """Return two networks and their long-run ratio, of all pairs of widths that nearest to 1.1.

    A first look at every width leaves few pairs, each then timed against the other for long: the
    nearest of many noisy ratios is one that the noise brought near.
    """
    images = torch.randn(case.batch, *SHAPE).contiguous(memory_format=torch.channels_last)
    networks = {
        width: wide_network(width).eval().to(memory_format=torch.channels_last) for width in WIDTHS
    }

    def call(width: int) -> Callable[[], object]:
        return lambda: networks[width](images)

    def apart(fast: int, slow: int, seconds: float) -> float:
        return paired_ratio(call(slow), call(fast), case.threads, seconds)

    middle = WIDTHS[len(WIDTHS) // 2]
    ratios = {width: apart(middle, width, LOOK_SECONDS) for width in WIDTHS}
    pairs = sorted(
        itertools.permutations(WIDTHS, 2),
        key=lambda pair: abs(ratios[pair[1]] / ratios[pair[0]] - APART),
    )
    long_run = {pair: apart(*pair, LONG_SECONDS) for pair in pairs[:CANDIDATES]}
    fast, slow = min(long_run, key=lambda pair: abs(long_run[pair] - APART))
    return networks[fast], networks[slow], apart(fast, slow, 3 * LONG_SECONDS)


def wrong_orders(case: Case, trials: int, fast: nn.Module, slow: nn.Module) -> harness.Row:
    """Measure two networks one after the other, again and again; count the wrong orders."""
    wait_s = 0.0 if case.loaded else 10.0  # the company does not leave
    meter = LatencyMeter(
        LatencyConfig(batch=case.batch, threads=case.threads, wait_s=wait_s), SHAPE
    )
    wrong, flagged, found = 0, 0, []
    for _ in range(trials):
        first, second = meter.measure(fast), meter.measure(slow)
        wrong += first.latency_ms >= second.latency_ms
        flagged += "unstable" in (*first.flags, *second.flags)
        found.append(second.latency_ms / first.latency_ms)
    print(
        f"  two networks: measured ratio {statistics.median(found):.3f}, from {min(found):.3f} to "
        f"{max(found):.3f}; {flagged} of {trials} trials flagged as unstable",
        flush=True,
    )
    row = harness.Row(f"wrong orders in {trials} trials, {case}", float(wrong), 0.0)
    harness.print_row(row)
    return row


def main() -> None:
    parser = harness.arguments(__doc__, threads=2)
    parser.add_argument("--repeats", type=int, default=40, help="estimates of each side")
    parser.add_argument("--trials", type=int, default=200, help="orders of two networks, per case")
    options = parser.parse_args()
    torch.manual_seed(0)
    harness.print_versions(options.threads)
    print(f"memory stays with the process: {keep_freed_memory()}")
    repeats, trials = (6, 5) if options.small else (options.repeats, options.trials)
    scatters: list[harness.Row] = []
    orders: list[harness.Row] = []
    for case in (each for each in CASES if each.threads <= options.threads):
        with use_threads(case.threads), torch.inference_mode():
            if not case.loaded:
                fast, slow, apart = ten_percent_apart(case)
                print(f"two networks {apart:.3f} apart in the long run, {case}", flush=True)
            with company(case.loaded):
                scatters += compare(case, *estimates(case, repeats))
                orders.append(wrong_orders(case, trials, fast, slow))
    harness.finish(
        "latency_noise",
        [*scatters, *orders],
        unit="x (scatter of torch.utils.benchmark / scatter of paired, equal time)",
        threads=options.threads,
        counted=[row for row in scatters if row.case.startswith("std")],
        record=options.record,
    )


if __name__ == "__main__":
    main()

"""What every benchmark shares: interleaved timing, ratios with their spread, one last JSON line.

Only ratios of calls that alternate in one process are tight on a busy machine, so both sides of a
comparison run here in the order A B B A, round after round, and what is reported is the median of
the rounds' ratios with their interquartile range. The last line of a benchmark is one JSON object
with `name`, `rows` (`case`, `ratio`, `spread`), `ratio` (the worst row), `unit` and `machine`.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy
import torch

from nas.objectives.device_fingerprint import device_fingerprint

RESULTS = Path(__file__).resolve().parent / "results"


@final
@dataclass(frozen=True)
class Row:
    """One case of a benchmark.

    Args:
        case: What was compared.
        ratio: Median of the rounds' ratios.
        spread: Interquartile range of the rounds' ratios.
    """

    case: str
    ratio: float
    spread: float


def arguments(description: str | None, *, threads: int = 1) -> argparse.ArgumentParser:
    """Return a parser with the options all benchmarks have: --threads, --record and --small."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=threads, help="threads of torch")
    parser.add_argument("--small", action="store_true", help="a quick run with fewer repeats")
    parser.add_argument(
        "--record", action="store_true", help="also write the JSON line to benchmarks/results/"
    )
    return parser


def use_threads(threads: int) -> None:
    """Fix torch's threads for the whole benchmark."""
    torch.set_num_threads(threads)


def machine(threads: int, device: str = "cpu") -> dict[str, str | int]:
    """Describe the machine without host names and paths."""
    return device_fingerprint(device, threads).to_dict()


def print_versions(threads: int, device: str = "cpu") -> None:
    """Print what ran, and on what."""
    print(device_fingerprint(device, threads))
    print(f"torch {torch.__version__}, numpy {numpy.__version__}", flush=True)


def interleave(
    sides: Sequence[Callable[[], Any]],
    *,
    rounds: int,
    warm_up: int = 3,
    calls: int = 1,
    synchronise: Callable[[], Any] | None = None,
) -> list[list[float]]:
    """Time several sides, alternating: each round runs all in order and then in reverse order.

    Args:
        sides: What to time.
        rounds: Rounds; a side's time in a round is the mean of its two turns.
        warm_up: Untimed calls of every side before the first round.
        calls: Calls per turn, for sides too short for the clock.
        synchronise: Called before the clock is read, for devices that work behind the back.

    Returns:
        Per side, its seconds per call in every round.
    """
    settle = synchronise or (lambda: None)
    for side in sides:
        for _ in range(warm_up):
            side()
    seconds: list[list[float]] = [[] for _ in sides]
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            turns: list[list[float]] = [[] for _ in sides]
            for index in (*range(len(sides)), *reversed(range(len(sides)))):
                turns[index].append(_seconds(sides[index], calls, settle))
            for index, taken in enumerate(turns):
                seconds[index].append(statistics.fmean(taken))
    finally:
        if enabled:
            gc.enable()
    return seconds


def _seconds(side: Callable[[], Any], calls: int, settle: Callable[[], Any]) -> float:
    settle()
    start = time.perf_counter_ns()
    for _ in range(calls):
        side()
    settle()
    return (time.perf_counter_ns() - start) / 1e9 / calls


def ratio_row(case: str, numerator: Sequence[float], denominator: Sequence[float]) -> Row:
    """Return the median of the rounds' ratios and their interquartile range."""
    ratios = [over / under for over, under in zip(numerator, denominator, strict=True)]
    return Row(case, statistics.median(ratios), interquartile_range(ratios))


def interquartile_range(values: Sequence[float]) -> float:
    """Return the distance between the quartiles; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return high - low


def print_row(row: Row) -> None:
    """Print one case."""
    print(f"{row.case:<56} {row.ratio:8.3f} ± {row.spread:.3f}", flush=True)


def finish(
    name: str,
    rows: Sequence[Row],
    *,
    unit: str,
    threads: int,
    overhead: bool = False,
    counted: Sequence[Row] | None = None,
    device: str = "cpu",
    record: bool = False,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Print the last line: one JSON object.

    Args:
        name: Name of the benchmark.
        rows: Every case.
        unit: What the ratios are of, such as `x (peer / ours)`.
        threads: Threads of torch.
        overhead: False where larger is better (peer / ours, the worst row is the smallest), True
            where the ratio is ours over a reference (the worst row is the largest).
        counted: The rows among which the worst is looked for; all by default.
        device: Device the sides ran on.
        record: Also write the object to `benchmarks/results/<name>.json`.
        more: Further keys of the object.

    Returns:
        The object.
    """
    pick: Callable[..., float] = max if overhead else min
    document = {
        "name": name,
        "rows": [asdict(row) for row in rows],
        "ratio": pick(row.ratio for row in (counted or rows)),
        "unit": unit,
        "machine": machine(threads, device),
        **(more or {}),
    }
    if record:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    print(json.dumps(document, allow_nan=False), flush=True)
    return document

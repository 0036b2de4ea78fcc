"""Whether two runtimes order networks alike, and which pairs they order differently.

A network that is faster than another in eager torch may be slower in ONNX Runtime: fused kernels,
layouts and the cost of a call differ. Where latencies are repeated, their error is what repeating
showed, which includes what a single measurement cannot see: where its memory happened to lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import ConfigError
from nas.supernet.trust.correlation import METHODS, Estimate, MemberPairs

BEYOND: Final = 3.0
"""Standard errors by which both runtimes have to tell a pair apart before it counts as reversed.
Thousands of pairs are looked at; at two standard errors chance alone would reverse some."""

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Latencies:
    """Latencies of several networks in one runtime.

    Args:
        name: Of the runtime, such as `ort,int8`.
        values_ms: Per network.
        errors_ms: Standard error of each.
        repeatability: Kendall's tau of the first with the second repeat; None without repeats.
    """

    name: str
    values_ms: Floats
    errors_ms: Floats
    repeatability: float | None = None

    @classmethod
    def of_repeats(
        cls, name: str, values_ms: Sequence[Sequence[float]], errors_ms: Sequence[Sequence[float]]
    ) -> Latencies:
        """Return the means of repeats, with the larger of told and seen errors.

        Args:
            name: Of the runtime.
            values_ms: Per repeat, one latency per network.
            errors_ms: Per repeat, the standard error that each measurement told of itself.

        Raises:
            ConfigError: If there is no repeat, or they differ in length.
        """
        if not values_ms or len({len(row) for row in (*values_ms, *errors_ms)}) != 1:
            raise ConfigError("Every repeat has to measure every network once.")
        values = np.asarray(values_ms, dtype=np.float64)
        told = np.sqrt((np.asarray(errors_ms, dtype=np.float64) ** 2).sum(axis=0)) / len(values)
        middle = values.mean(axis=0)
        if len(values) < 2:
            return cls(name, middle, told)
        # Pooled over networks: two repeats of one network say nearly nothing about its spread.
        spread = float(np.sqrt((values / middle).var(axis=0, ddof=1).mean() / len(values)))
        tau = MemberPairs([""] * values.shape[1], samples=0).correlate("tau", values[0], values[1])
        return cls(name, middle, np.maximum(told, spread * middle), tau.value)


@final
@dataclass(frozen=True)
class Reversal:
    """Two networks that two runtimes order differently beyond their errors.

    Args:
        fast: The one that is faster in the first runtime.
        slow: The one that is faster in the second.
        gain_first: Share of time by which `fast` is faster in the first runtime.
        gain_second: Share of time by which `slow` is faster in the second.
    """

    fast: int
    slow: int
    gain_first: float
    gain_second: float

    @property
    def size(self) -> float:
        """The smaller of both gains: what ordering by the wrong runtime costs at least."""
        return min(self.gain_first, self.gain_second)


@final
@dataclass(frozen=True)
class Agreement:
    """How alike two runtimes order networks.

    Args:
        first: Name of a runtime.
        second: Name of another.
        tau: Kendall's tau-b with its 95 % bootstrap interval.
        spearman: Spearman's rho likewise.
        pairs: Pairs of networks.
        told_apart: Pairs that both runtimes tell apart beyond their errors.
        reversals: Those that they order differently, the largest first.
    """

    first: str
    second: str
    tau: Estimate
    spearman: Estimate
    pairs: int
    told_apart: int
    reversals: tuple[Reversal, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; of the reversals only how many there are and the largest."""
        return {
            "first": self.first,
            "second": self.second,
            "tau": self.tau.to_dict(),
            "spearman": self.spearman.to_dict(),
            "pairs": self.pairs,
            "told_apart": self.told_apart,
            "reversed": len(self.reversals),
            "largest_reversal": self.reversals[0].size if self.reversals else 0.0,
        }


def agreement(first: Latencies, second: Latencies, *, seed: int = 0) -> Agreement:
    """Compare the orders of two runtimes.

    Args:
        first: Latencies of some networks.
        second: Of the same networks.
        seed: Of the bootstrap over networks.

    Raises:
        ConfigError: If the networks are fewer than 3 or not the same number.
    """
    count = len(first.values_ms)
    if count < 3 or len(second.values_ms) != count:
        raise ConfigError(
            f"Orders of {count} and {len(second.values_ms)} networks cannot be compared.",
            fix="Measure the same networks, at least 3, in both runtimes.",
        )
    pairs = MemberPairs([""] * count, seed=seed)
    tau, rho = (
        pairs.correlate(method, first.values_ms, second.values_ms).estimate() for method in METHODS
    )
    told = [pair for pair in combinations(range(count), 2) if _apart(first, *pair)]
    told = [pair for pair in told if _apart(second, *pair)]
    found = sorted(_reversals(first, second, told), key=lambda each: -each.size)
    return Agreement(
        first.name, second.name, tau, rho, count * (count - 1) // 2, len(told), tuple(found)
    )


def _apart(column: Latencies, one: int, other: int) -> bool:
    error = np.hypot(column.errors_ms[one], column.errors_ms[other])
    return bool(abs(column.values_ms[one] - column.values_ms[other]) > BEYOND * error)


def _reversals(
    first: Latencies, second: Latencies, pairs: Sequence[tuple[int, int]]
) -> Iterator[Reversal]:
    for one, other in pairs:
        fast, slow = sorted((one, other), key=lambda place: float(first.values_ms[place]))
        if second.values_ms[slow] < second.values_ms[fast]:
            yield Reversal(
                fast,
                slow,
                1 - float(first.values_ms[fast] / first.values_ms[slow]),
                1 - float(second.values_ms[slow] / second.values_ms[fast]),
            )

"""How often the confirm protocol claims a gain: where there is none, and where there is one.

Every row is a scene of made-up searches whose truth is known (`nas/search/confirm/simulation.py`);
the unit of all errors is the standard deviation of one training over its seeds. Every search runs
the stage's own functions on a shortlist: bins, seeds A on validation, one named network and its
rivals per bin, seeds B on test, Student's interval of paired differences, Holm over the bins. (The
shortlist is taken before, by scores that share no training with these.) A search claims if any of
its bins does. Beside it stand two naive readings: the best of 5 networks beyond one
standard error, for as many trainings, and the best of 5 trainings beyond one standard error.

The rows `null ...` are searches in which no candidate is better than the best rival (target: at
most 5 % claim); the rows `gain ...` those in which candidates are 2 standard deviations better
(target: at least 80 % claim). The rows `unnamed ...` have rivals of unequal strength, a straw man
among the kinds, and no candidate that is better than the best rival: seeds A may name a rival that
is not the best, and a claim about it may be true and yet no news about the best one. `untrue` is
the share of searches that claim a gain over a *named* rival that is truly as good. `ratio` is a
share of searches, `spread` the width of its exact 95 % interval; `bound` is the end of that which
matters, the lower one of a gain.

    python benchmarks/confirm_protocol.py [--small] [--record]
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

import harness

from nas.search.confirm.simulation import Scene, SimulatedSearch, simulate
from nas.search.settings.config import ConfirmConfig
from nas.statistics import Share, share

NAME: Final = "confirm_protocol"
SEARCHES, SMALL_SEARCHES = 1000, 60
MOST_FALSE, FEWEST_FOUND = 0.05, 0.80

_DEFAULTS = ConfirmConfig()
DEFAULT: Final = Scene(
    bins=_DEFAULTS.bins,
    searched=_DEFAULTS.shortlist,
    seeds_a=_DEFAULTS.seeds_a,
    seeds_b=_DEFAULTS.seeds_b,
)
WORLDS: Final[dict[str, dict[str, Any]]] = {
    "normal noise": {},
    "heavy-tailed noise": {"noise": "heavy_tailed"},
    "skewed noise": {"noise": "skewed"},
    "unequal noise": {"unequal": 0.8},
    "skewed and unequal noise": {"noise": "skewed", "unequal": 0.8},
    "noise shared by pairs (0.5)": {"correlation": 0.5},
    "10 % of trainings fail": {"failures": 0.1},
    "rivals of unequal strength": {"spread": 2.0},
    "validation misleads": {"misleading": 1.0},
}
NULLS: Final[dict[str, dict[str, Any]]] = {
    "one kind of rival is a straw man": {"straw": 20.0},
    "straw man, skewed noise": {"straw": 20.0, "noise": "skewed"},
    "straw man, skewed and unequal": {"straw": 20.0, "noise": "skewed", "unequal": 0.8},
    "straw man, heavy tails, pairs": {"straw": 20.0, "noise": "heavy_tailed", "correlation": 0.5},
    "5 seeds B": {"seeds_b": 5, "straw": 20.0},
}
UNNAMED: Final[dict[str, dict[str, Any]]] = {
    "rivals unlike": {"straw": 20.0, "spread": 2.0},
    "rivals unlike, 5 seeds A": {"straw": 20.0, "spread": 2.0, "seeds_a": 5},
    "rivals unlike, 10 seeds A": {"straw": 20.0, "spread": 2.0, "seeds_a": 10},
    "rivals unlike, validation misleads": {"straw": 20.0, "spread": 2.0, "misleading": 1.0},
}
GAINS: Final[dict[str, dict[str, Any]]] = {
    "one network of each bin": {"gain": "one_network"},
    "one bin only": {"gain": "one_bin"},
    "5 seeds B": {"seeds_b": 5},
    "8 seeds B": {"seeds_b": 8},
    "of 1 standard deviation": {"size": 1.0},
    "of 3 standard deviations": {"size": 3.0},
}


@dataclass(frozen=True)
class Line:
    """One scene and what came of its searches.

    Args:
        case: What it is.
        protocol: Share of searches that claim a gain.
        per_bin: Share of bins that do.
        untrue: Share of searches that claim a gain over a named rival that is truly as good.
        naive_networks: Share in which the best of 5 networks looks better.
        naive_seeds: Share in which the best of 5 trainings looks better.
        trainings: Mean trainings per search.
    """

    case: str
    protocol: Share
    per_bin: float
    untrue: float
    naive_networks: float
    naive_seeds: float
    trainings: float


def run_scene(case: str, scene: Scene, searches: int, seed: int = 0) -> Line:
    """Simulate the searches of a scene."""
    found: list[SimulatedSearch] = [simulate(scene, seed, index) for index in range(searches)]
    return Line(
        case=case,
        protocol=share(sum(each.claims > 0 for each in found), searches),
        per_bin=sum(each.claims for each in found) / searches / scene.bins,
        untrue=sum(each.untrue > 0 for each in found) / searches,
        naive_networks=sum(each.naive_networks for each in found) / searches,
        naive_seeds=sum(each.naive_seeds for each in found) / searches,
        trainings=sum(each.trainings for each in found) / searches,
    )


def scenes() -> dict[str, Scene]:
    """Return all scenes by case."""
    found = {}
    for name, changes in {**WORLDS, **NULLS}.items():
        found[f"null, {name}"] = replace(DEFAULT, **changes)
    for name, changes in UNNAMED.items():
        found[f"unnamed, {name}"] = replace(DEFAULT, **changes)
    for name, changes in {**WORLDS, **GAINS}.items():
        found[f"gain, {name}"] = replace(DEFAULT, **{"gain": "all", **changes})
    return found


def main() -> None:
    """Simulate, print, and write down."""
    options = harness.arguments(__doc__).parse_args()
    harness.use_threads(options.threads)
    searches = SMALL_SEARCHES if options.small else SEARCHES
    print(f"{searches} searches per row; {DEFAULT}")
    print(f"{'case':<48} protocol (95 %)        per bin  untrue  best of 5 nets, seeds  trainings")
    lines = []
    for case, scene in scenes().items():
        line = run_scene(case, scene, searches)
        lines.append(line)
        interval = f"{line.protocol.low:.3f}-{line.protocol.high:.3f}"
        print(
            f"{case:<48} {line.protocol.value:.3f} ({interval})    {line.per_bin:.3f}    "
            f"{line.untrue:.3f}   {line.naive_networks:.3f}           {line.naive_seeds:.3f}  "
            f"{line.trainings:9.0f}",
            flush=True,
        )
    finish(lines, searches, options)


def finish(lines: list[Line], searches: int, options: Any) -> dict[str, Any]:
    """Print the last line, one JSON object, and record it if that is asked for."""
    nulls = [line for line in lines if line.case.startswith("null")]
    gains = {line.case for line in lines if line.case.startswith("gain")}
    plain = next(line for line in lines if line.case == "gain, normal noise")
    document = {
        "name": NAME,
        "searches": searches,
        "rows": [
            {
                "case": line.case,
                "ratio": line.protocol.value,
                "spread": line.protocol.high - line.protocol.low,
                "bound": line.protocol.low if line.case in gains else line.protocol.high,
                "per_bin": line.per_bin,
                "untrue": line.untrue,
                "naive_networks": line.naive_networks,
                "naive_seeds": line.naive_seeds,
                "trainings": line.trainings,
            }
            for line in lines
        ],
        "ratio": max(line.protocol.value for line in nulls),
        "unit": "share of searches that claim a gain where there is none, worst row",
        "null_upper_bound": max(line.protocol.high for line in nulls),
        "gain_lower_bound": plain.protocol.low,
        "kept": bool(
            max(line.protocol.high for line in nulls) <= MOST_FALSE
            and plain.protocol.low >= FEWEST_FOUND
        ),
        "machine": harness.machine(options.threads),
    }
    if options.record:
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        (harness.RESULTS / f"{NAME}.json").write_text(text, encoding="utf-8")
    print(json.dumps(document, allow_nan=False), flush=True)
    return document


if __name__ == "__main__":
    main()

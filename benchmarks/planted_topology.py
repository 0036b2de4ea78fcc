"""Do relaxations find a wiring that is known, and none where there is none.

    python benchmarks/planted_topology.py [--presets darts ...] [--kinds planted ...] [--record]

A teacher of eight nodes labels random images; a student that shares its frozen node operations
relaxes all 35 optional edges, and its ranking of them is compared with the teacher's 9. Everything
but the problem is what a search runs: the presets of `nas.supernet.relaxation_config`, their gate
samplers, alternations, regularisers and rules, and `RelaxedTraining`.

Frozen before the recorded run, on the development seeds 1000 to 1002:

- 8 nodes in a row behind the input; the first reads the input, the others choose among all earlier
  nodes: 35 optional edges. The teacher has 9 of them (density 0.26; with the fixed edge 10 of 36),
  drawn uniformly among the sets of 9 that give every node an input.
- A node sums its inputs and applies `conv1x1`: a random orthogonal map (16 channels, uniform law),
  batch norm, rectifier. Weights are the teacher's and frozen. A last node sums all nodes, and a
  frozen linear classifier with normal weights of variance 9/16 gives 10 logits.
- Images are normal random vectors of 16 numbers (1 x 1 pixels), 2,048 for the weights' part and
  2,048 for the gates' part; labels are drawn from the teacher's softmax.
- 6 epochs in batches of 128 (96 steps), Adam on the gates with rate 0.1, for every preset alike;
  all other lines are the preset's own.
- A preset that names gates of edges is asked for sets of inputs; one that mixes operations for
  {none, identity} on every edge.
- Edges are ranked by their probability, normalised per node as merges do. F1 is that of the 9 best
  edges, ties in random order; average precision is over all thresholds.
- Recorded seeds: 2001 to 2005, run once.

Columns: planted; shuffled (the same labels dealt to the images at random: chance is right);
learned (a student with fresh weights that learn at rate 0.1: nothing is promised, since many
wirings then fit the labels alike). Baselines: edges at random; keeping all; wirings drawn as the
teacher's was; magnitude (every edge of the network that keeps all has a number that Adam learns on
the gates' images). Then further gate samplers in place of a preset's, planted only. `pc-darts`
changes the places of channels behind each edge, which no frozen teacher does, so it is run with
channels in their places as well.

Read with it: while weights are frozen, `darts-2nd`, `rc-darts` (edges cost no MACs, so that its
budget asks for nothing) and `sd-darts` are `darts`; `dots` always keeps two inputs per node, where
seven nodes of the teacher have nine, so that at least five of its fourteen edges are wrong.

The last line's `ratio` is the fourth best mean F1 of the presets; 0.75 is promised. With --record,
what other presets and kinds gave under the same set-up is kept.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import harness

from nas.errors import NasError
from nas.supernet.planted_recovery import (
    Recovery,
    Schedule,
    chance,
    keep_all,
    magnitude,
    random_wirings,
    recover_anew,
)
from nas.supernet.planted_wiring import PlantedSetup, plant
from nas.supernet.relaxation_config import RELAXATION_PRESETS

FIRST_SEED = 2001
SETUP = PlantedSetup()
SCHEDULE = Schedule()
KINDS = ("planted", "shuffled", "learned")
RECORD = harness.RESULTS / "planted_topology.json"
IN_PLACE = {"name": "channels", "divisor": 4, "shuffled": False, "edge_normalisation": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "pc-darts in place": {"operations": "mixed", "partial": IN_PLACE},
    "sigmoid": {"gates": {"edges": "sigmoid"}},
    "sigmoid one-level": {"gates": {"edges": "sigmoid"}, "alternation": "one_level"},
    "hard_concrete": {"gates": {"edges": "hard_concrete"}},
    "softmax_edges": {"gates": {"edges": "softmax_edges"}},
    "dirichlet edges": {"gates": {"edges": "dirichlet"}},
    "gumbel_softmax": {"operations": "mixed", "gates": {"options": "gumbel_softmax"}},
}
"""Lines that no preset has."""

Values = dict[str, dict[str, list[float]]]
"""Per row and kind (`planted f1`, ...), one value per seed."""


def measure(
    name: str, lines: Mapping[str, Any], seeds: Sequence[int], values: Values, kind: str
) -> None:
    """Recover with one relaxation on all seeds, in one of the ways; print the mean."""
    start = time.process_time()
    try:
        found = [
            recover_anew(
                lines,
                SETUP,
                SCHEDULE,
                seed=seed,
                shuffled=kind == "shuffled",
                learned=kind == "learned",
            )
            for seed in seeds
        ]
    except NasError as error:
        print(f"{name:<24} {kind:<9} failed: {error.what}", flush=True)
        return
    seconds = (time.process_time() - start) / len(seeds)
    keep(name, kind, found, values, f"{seconds:.1f} s each")


def keep(name: str, kind: str, found: Sequence[Recovery], values: Values, note: str = "") -> None:
    """Note recoveries and print their mean and standard deviation."""
    f1 = [round(entry.f1, 6) for entry in found]
    precision = [round(entry.average_precision, 6) for entry in found]
    values.setdefault(name, {})[f"{kind} f1"] = f1
    values[name][f"{kind} average precision"] = precision
    print(
        f"{name:<24} {kind:<9} F1 {statistics.fmean(f1):.3f} ± {deviation(f1):.3f}   "
        f"AP {statistics.fmean(precision):.3f} ± {deviation(precision):.3f}   {note}",
        flush=True,
    )


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation over seeds; 0 for one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def baselines(seeds: Sequence[int], values: Values) -> None:
    """Print what is found without a relaxation."""
    print(f"edges at random: F1 {chance(SETUP):.3f}; keeping all: F1 {keep_all(SETUP):.3f}")
    wirings = [statistics.fmean(random_wirings(plant(SETUP, seed))) for seed in seeds]
    print(f"wirings drawn as the teacher's: F1 {statistics.fmean(wirings):.3f}", flush=True)
    values["random wirings"] = {"planted f1": wirings}
    runs: list[tuple[str, Callable[[int], Recovery]]] = [
        ("planted", lambda seed: magnitude(plant(SETUP, seed), SCHEDULE, seed=seed)),
        (
            "shuffled",
            lambda seed: magnitude(plant(SETUP, seed, shuffled=True), SCHEDULE, seed=seed),
        ),
    ]
    for kind, run in runs:
        keep("magnitude", kind, [run(seed) for seed in seeds], values)


def rows_of(values: Values) -> list[harness.Row]:
    """Return one row per relaxation and kind: the mean and the standard deviation over seeds."""
    return [
        harness.Row(f"{name} {kind}", statistics.fmean(per_seed), deviation(per_seed))
        for name, kinds in values.items()
        for kind, per_seed in kinds.items()
    ]


def recorded(frame: Mapping[str, Any]) -> Values:
    """Return what was recorded under the same set-up; nothing if it was another."""
    if not RECORD.is_file():
        return {}
    document = json.loads(RECORD.read_text(encoding="utf-8"))
    same = all(document.get(key) == value for key, value in frame.items())
    found: Values = document["values"] if same else {}
    return found


def frame_of(seeds: Sequence[int]) -> dict[str, Any]:
    """Return the set-up, in plain JSON values."""
    return {
        "setup": asdict(SETUP),
        "schedule": asdict(SCHEDULE),
        "chance": chance(SETUP),
        "keep_all": keep_all(SETUP),
        "seeds": list(seeds),
    }


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--presets", nargs="+", help="only these; no variants then")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS, help="only these")
    options = parser.parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    seeds = range(FIRST_SEED, FIRST_SEED + (2 if options.small else 5))
    frame = frame_of(seeds)
    values = recorded(frame) if options.record else {}
    if not options.presets and "planted" in options.kinds:
        baselines(seeds, values)
    for kind in options.kinds:
        for name in options.presets or sorted(RELAXATION_PRESETS):
            measure(name, RELAXATION_PRESETS[name], seeds, values, kind)
    if not options.presets and "planted" in options.kinds:
        for name, lines in VARIANTS.items():
            measure(name, lines, seeds, values, "planted")
    rows = rows_of(values)
    promised = {f"{name} planted f1" for name in RELAXATION_PRESETS}
    best = sorted((row for row in rows if row.case in promised), key=lambda row: -row.ratio)
    document = harness.finish(
        "planted_topology",
        rows,
        unit="F1 or average precision, mean over seeds; spread is the standard deviation",
        threads=options.threads,
        counted=best[:4],
        record=options.record,
    )
    if options.record:
        text = json.dumps(document | frame | {"values": values}, indent=1, allow_nan=False)
        RECORD.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

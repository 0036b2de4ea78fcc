"""How well a supernet ranks the cells of NAS-Bench-201, against the published table.

A supernet of a small skeleton (each cell once per stage, 8 channels, 16x16 images) is trained on
CIFAR-10, random cells are scored with its weights after recalibration, and their order is compared
with that of the published accuracies after 200 epochs (Dong and Yang 2020, arXiv:2001.00326),
beside multiply-adds, which order these cells as parameters do, and a supernet that was never
trained.

The recipe was chosen on other cells and with another seed: `SELECTION` holds them, and no cell of
them is among those reported. Each seed is trained and scored on its own, and goes on where it was
interrupted.

    python benchmarks/nasbench201_supernet.py train --work FOLDER --data CIFAR10 --seed 1
    python benchmarks/nasbench201_supernet.py score --work FOLDER --data CIFAR10 --table TABLE
    python benchmarks/nasbench201_supernet.py report --work FOLDER --table TABLE [--record]

Controls: `--control uniform` trains and scores on uniform draws, `score --control untrained` scores
the weights at their start. CIFAR10 is whatever `nas data check` accepts; TABLE is a CSV file with
the columns `arch_str`, `idx`, `flops_m` and `cifar10_test_acc_ep200`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch
from numpy.typing import NDArray

from nas.space import Decisions, load_space
from nas.space.cell_table import TabulatedCell, read_cell_table
from nas.supernet.loop import EpochHealth
from nas.supernet.paths import PathConfig, PathTraining
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import score_all, scoring_data
from nas.supernet.supernet import Supernet
from nas.supernet.trust.correlation import METHODS, Draws, MemberPairs, mean_draws
from nas.training.data.load import load_data
from nas.training.parts import FiveParts, limited_parts, split_five
from nas.training.splits import SplitFractions

NAME = "nasbench201_supernet"
SPACE = "nasbench201_c8n1"
TRUTH = "cifar10_test_acc_ep200"
MACS = "flops_m"
REFERENCES = ("cifar10_test_acc_ep12", "cifar10_val_acc_ep12", "zen_score_cifar10")
"""Further published columns to compare with, where the table has them."""

MEASURES = ("tau", "spearman", "tau_above_macs", "tau_at_equal_macs")

CELL_SEED = 20100326
"""Of the one order of all cells; the first are reported, `SELECTION` chose the recipe."""
SELECTION = (1500, 2100)
CELLS = 1000

IMAGE_SIZE = 16
SHARES = SplitFractions(weights=0.9, gates=0.0, validation=0.1)
RECIPE = PathConfig(
    sampler={"name": "weighted", "odds": 3.5},
    epochs=17,
    batch_size=128,
    learning_rate=0.1,
    augmentation="flip_crop",
)
TRAINED_SHARE = 0.6
"""Share of the epochs that are trained: annealed to the end, the same weights rank worse."""
DECAY = 0.998
"""Per step, of the moving average of the weights that is scored; less in the first steps."""
RECALIBRATION_IMAGES = 512
VALIDATION_IMAGES = 1500

SMALL = {"images": 1280, "epochs": 5, "cells": 40}
"""What --small takes; its figures mean nothing."""

Arrays = dict[str, NDArray[Any]]


def options() -> argparse.Namespace:
    parser = harness.arguments(__doc__)
    parser.add_argument("stage", choices=("train", "score", "report"))
    parser.add_argument("--work", type=Path, required=True, help="folder of weights and scores")
    parser.add_argument("--data", help="CIFAR-10, as `nas search --data` takes it")
    parser.add_argument("--table", type=Path, help="the published table")
    parser.add_argument("--seed", type=int, default=1, help="of split, batches, paths and weights")
    parser.add_argument("--control", choices=("untrained", "uniform"), help="other weights")
    parser.add_argument("--cells", type=int, default=CELLS, help="cells to score")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def parts_of(options: argparse.Namespace) -> FiveParts:
    data = load_data(options.data, image_size=IMAGE_SIZE)
    parts = split_five(data, options.seed, SHARES)
    return limited_parts(parts, SMALL["images"], options.seed) if options.small else parts


def recipe_of(options: argparse.Namespace) -> PathConfig:
    epochs = SMALL["epochs"] if options.small else RECIPE.epochs
    sampler = "uniform" if options.control == "uniform" else RECIPE.sampler
    changes = {"threads": options.threads, "epochs": epochs, "sampler": sampler}
    return RECIPE.model_copy(update=changes)


def named(kind: str, options: argparse.Namespace) -> Path:
    control = f"{options.control}-" if options.control else ""
    return Path(options.work / f"{kind}-{control}{options.seed}")


def new_supernet(options: argparse.Namespace) -> Supernet:
    supernet = Supernet(load_space(SPACE), (3, IMAGE_SIZE, IMAGE_SIZE), 10, seed=options.seed)
    return supernet.to(options.device)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write aside and rename: a file is there whole or not at all."""
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        np.savez(file, **arrays)
    aside.replace(path)


def read_arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def train(options: argparse.Namespace) -> None:
    """Train one seed, going on from its checkpoint; leave the averaged weights and the facts."""
    recipe = recipe_of(options)
    supernet = new_supernet(options)
    course = PathTraining(supernet, parts_of(options).weights, recipe, seed=options.seed)
    path = named("checkpoint", options).with_suffix(".npz")
    average, before = resumed(course, path)
    last = max(1, round(recipe.epochs * TRAINED_SHARE))
    seconds = before

    def keep(health: EpochHealth, _: object) -> None:
        nonlocal seconds
        seconds = before + health.seconds
        state = course.checkpoint() | {f"mean/{key}": value for key, value in average.items()}
        write_arrays(path, state | {"seconds": np.array([seconds])})
        print(f"seed {options.seed} epoch {health.epoch}/{last} loss {health.loss:.3f}", flush=True)

    def before_step() -> bool:
        follow(average, supernet, course.step)
        return course.step >= last * course.batches.steps_per_epoch

    course.run(keep, before_step)
    weights = supernet.state_arrays() | average
    write_arrays(named("weights", options).with_suffix(".npz"), weights)
    facts = {
        "seed": options.seed,
        "control": options.control,
        "epochs": last,
        "steps": course.step,
        "images": len(course.batches.part),
        "seconds": round(seconds, 1),
        "machine": harness.machine(options.threads, options.device),
    }
    write_json(named("training", options).with_suffix(".json"), facts)


def follow(average: Arrays, supernet: Supernet, step: int) -> None:
    """Move the average of the weights towards what they are after `step` steps."""
    decay = min(DECAY, step / (step + 9))
    for key, value in supernet.weights.slots():
        now = value.detach().cpu().numpy()
        if key not in average:
            average[key] = now.copy()
        average[key] += (1 - decay) * (now - average[key])


def resumed(course: PathTraining, path: Path) -> tuple[Arrays, float]:
    """Go on from a checkpoint where there is one; return its average and its seconds."""
    if not path.exists():
        return {}, 0.0
    kept = read_arrays(path)
    average = {key[5:]: kept.pop(key) for key in list(kept) if key.startswith("mean/")}
    seconds = float(kept.pop("seconds")[0])
    course.restore(kept)
    return average, seconds


def write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def table_of(options: argparse.Namespace, *columns: str) -> list[TabulatedCell]:
    """Return the cells to report, the first in an order of all."""
    cells = read_cell_table(options.table, ["idx", TRUTH, MACS, *columns])
    by_index = sorted(cells, key=lambda cell: cell.numbers["idx"])
    order = np.random.default_rng(CELL_SEED).permutation(len(by_index))
    count = SMALL["cells"] if options.small else options.cells
    return [by_index[int(index)] for index in order[:count]]


def score_cells(options: argparse.Namespace) -> None:
    """Score the reported cells with one seed's weights."""
    supernet = new_supernet(options)
    if options.control != "untrained":
        supernet.load_arrays(read_arrays(named("weights", options).with_suffix(".npz")))
    supernet.eval()
    data = scoring_data(
        parts_of(options),
        options.seed,
        device=options.device,
        recalibration=Recalibration(images=RECALIBRATION_IMAGES),
        validation_images=VALIDATION_IMAGES,
    )
    cells = table_of(options)
    members = [supernet.space.build(cell.decisions) for cell in cells]
    start = time.perf_counter()
    found = score_all(supernet, members, data, threads=options.threads)
    document = {
        "seed": options.seed,
        "seconds": round(time.perf_counter() - start, 1),
        "cells": [
            {"cell": cell.text, "cross_entropy": each.cross_entropy, "error": each.error}
            for cell, each in zip(cells, found, strict=True)
        ],
    }
    write_json(named("scores", options).with_suffix(".json"), document)


def is_connected(decisions: Decisions) -> bool:
    """Tell whether any path leads from the cell's input to its output."""
    reached = {0}
    for name in sorted(decisions, key=lambda name: name[-1]):
        source, target = (int(node) for node in name.removeprefix("cell.edge").split("-"))
        if source in reached and decisions[name] != "none":
            reached.add(target)
    return 3 in reached


def subsets(cells: Sequence[TabulatedCell]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of all cells, of the connected ones, of the best half and tenth."""
    truth = np.array([cell.numbers[TRUTH] for cell in cells])
    order = np.argsort(-truth, kind="stable")
    return {
        "all": np.arange(len(cells)),
        "connected": np.flatnonzero([is_connected(cell.decisions) for cell in cells]),
        "top half": np.sort(order[: len(cells) // 2]),
        "top tenth": np.sort(order[: len(cells) // 10]),
    }


def read_scores(
    options: argparse.Namespace, texts: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Return every ranking, larger being better: two numbers per seed, trained and not."""
    found: dict[str, NDArray[np.float64]] = {}
    for path in sorted(options.work.glob("scores-*.json")):
        by_text = {row["cell"]: row for row in json.loads(path.read_text())["cells"]}
        rows = [by_text[text] for text in texts]
        control, _, seed = path.stem.removeprefix("scores-").rpartition("-")
        name = f"{control} {seed}" if control else f"seed {seed}"
        found[name] = -np.array([row["cross_entropy"] for row in rows])
        found[f"{name} accuracy"] = -np.array([row["error"] for row in rows])
    return found


def rows_of(
    cells: Sequence[TabulatedCell], rankings: Mapping[str, NDArray[np.float64]]
) -> list[dict[str, Any]]:
    """Return tau-b and Spearman of each ranking over each subset, and tau less that of MACs."""
    truth = np.array([cell.numbers[TRUTH] for cell in cells])
    rows: list[dict[str, Any]] = []
    for subset, chosen in subsets(cells).items():
        pairs = MemberPairs(["cell"] * len(chosen))
        equal = MemberPairs([f"{value:.4f}" for value in rankings["macs"][chosen]])
        macs = pairs.correlate("tau", rankings["macs"][chosen], truth[chosen])
        found: dict[str, Sequence[Draws]] = {}
        for name, ranking in rankings.items():
            both = (ranking[chosen], truth[chosen])
            tau, rho = (pairs.correlate(method, *both) for method in METHODS)
            found[name] = (tau, rho, tau - macs, equal.correlate("tau", *both, "within"))
        if trained := [found[name] for name in found if is_seed(name)]:
            found["mean of seeds"] = [mean_draws(each) for each in zip(*trained, strict=True)]
        for name, draws in found.items():
            row: dict[str, Any] = {"subset": subset, "cells": len(chosen), "ranking": name}
            for measure, each in zip(MEASURES, draws, strict=True):
                row[measure] = rounded(each.estimate().to_dict())
            rows.append(row)
            print_row(row)
    return rows


def is_seed(ranking: str) -> bool:
    """Tell whether a ranking is that of a trained seed by cross-entropy."""
    return ranking.removeprefix("seed ").isdigit()


def rounded(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {key: None if value is None else round(value, 4) for key, value in values.items()}


def print_row(row: Mapping[str, Any]) -> None:
    shown = [f"{row['subset']:<10} {row['cells']:5d} {row['ranking']:<22}"]
    for measure in MEASURES:
        value, low, high = (row[measure][name] for name in ("value", "low", "high"))
        text = "-" if value is None else f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
        shown.append(f"{measure} {text}")
    print("  ".join(shown), flush=True)


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return per subset mean, standard deviation, least and most over the trained seeds."""
    found = []
    for subset in dict.fromkeys(row["subset"] for row in rows):
        mine = [row for row in rows if row["subset"] == subset]
        trained = [row for row in mine if is_seed(row["ranking"])]
        document: dict[str, Any] = {"subset": subset, "seeds": len(trained)}
        for measure in MEASURES if trained else ():
            values = [row[measure]["value"] for row in trained]
            document[measure] = None if None in values else spread(values)
        found.append(document)
        print(json.dumps(document), flush=True)
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    numbers = {"mean": statistics.fmean(values), "deviation": deviation}
    numbers |= {"least": min(values), "most": max(values)}
    return {name: round(number, 4) for name, number in numbers.items()}


def agreement(
    rankings: Mapping[str, NDArray[np.float64]], chosen: NDArray[np.int64]
) -> list[float]:
    """Return tau between each two trained seeds."""
    seeds = [name for name in rankings if is_seed(name)]
    pairs = MemberPairs(["cell"] * len(chosen), samples=1)
    return [
        round(pairs.correlate("tau", rankings[one][chosen], rankings[other][chosen]).value, 4)
        for place, one in enumerate(seeds)
        for other in seeds[place + 1 :]
    ]


def report(options: argparse.Namespace) -> None:
    """Compare all scores there are with the table; print it, and one line of JSON at the end."""
    cells = table_of(options, *REFERENCES)
    rankings = {"macs": np.array([cell.numbers[MACS] for cell in cells])}
    rankings |= {name: np.array([cell.numbers[name] for cell in cells]) for name in REFERENCES}
    rankings |= read_scores(options, [cell.text for cell in cells])
    rows = rows_of(cells, rankings)
    document = {
        "name": NAME,
        "goal": "tau-b of at least 0.6 on connected cells, and above that of multiply-adds",
        "summary": summary(rows),
        "between_seeds_tau_connected": agreement(rankings, subsets(cells)["connected"]),
        "rows": rows,
        "cells": f"the first {len(cells)} of the order that seed {CELL_SEED} draws of all cells",
        "truth": TRUTH,
        "selection": f"the recipe was chosen on cells {SELECTION[0]} to {SELECTION[1]} of that "
        "order, with seed 100; neither is part of this report",
        "space": SPACE,
        "image_size": IMAGE_SIZE,
        "recipe": recipe_of(options).model_dump(mode="json"),
        "trained_share": TRAINED_SHARE,
        "decay_of_the_average": DECAY,
        "recalibration_images": RECALIBRATION_IMAGES,
        "validation_images": VALIDATION_IMAGES,
        "trainings": [json.loads(p.read_text()) for p in sorted(options.work.glob("training-*"))],
        "scoring_seconds": {
            path.stem: json.loads(path.read_text())["seconds"]
            for path in sorted(options.work.glob("scores-*"))
        },
        "commands": [line.strip() for line in (__doc__ or "").splitlines() if " --work " in line],
        "numpy": np.__version__,
        "torch": torch.__version__,
    }
    if options.record:
        write_json(harness.RESULTS / f"{NAME}.json", document)
    print(json.dumps(document, allow_nan=False), flush=True)


def main() -> None:
    found = options()
    harness.use_threads(found.threads)
    found.work.mkdir(parents=True, exist_ok=True)
    {"train": train, "score": score_cells, "report": report}[found.stage](found)


if __name__ == "__main__":
    main()

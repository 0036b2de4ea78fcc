"""How well latencies are predicted on devices of published tables, each held out in turn.

Latencies of the 15,625 cells of NAS-Bench-201 on 15 devices (HELP, HW-NAS-Bench and
HW-NAS-Bench-360; `NAS_DATA` names the folder). Some cells of the device that is held out, drawn at
random, count as measured; the other devices, without those of its own family, are the prior; all
other cells are predicted. Beside it stand the same model without other devices, a Gaussian process
that knows operations by edge but no costs, and multiply-adds alone. How often two cells that run
the same graph differ by more than 10 % on a device is the floor nobody gets below.

A row's ratio is the share predicted within 10 %, its median over draws; its spread is their
interquartile range. `latency_predictor` runs this as well.
"""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import final

import harness
import numpy as np
from harness import Row, interquartile_range
from numpy.typing import NDArray
from scipy.stats import spearmanr

from nas.predict.additive_fit import Prior
from nas.predict.design import Column, Design
from nas.predict.device_prior import (
    DeviceLatencies,
    Standardised,
    cold_prior,
    fit_device,
    prior_of_weights,
    relative_weights,
)
from nas.predict.features import NetworkFeatures, network_features
from nas.predict.intervals import interval_width
from nas.seeds import derive_seed
from nas.space import load_space
from nas.space.cell_table import cell_decisions
from nas.topology.layers import Shape

Floats = NDArray[np.float64]

SHAPE: Shape = (3, 32, 32)
CLASSES = 10
GOALS = ("gold_6226", "1080ti_1", "fpga")
BUDGETS = (10, 50, 100)
PRIOR_CELLS = 300
"""Cells that are taken from each other device for the prior."""

COMPARED_CELLS = 900
"""Unseen cells, drawn at random, on which the plain process and multiply-adds are judged."""

TABLES = (
    ("nasbench201/help_latency.csv.gz", None),
    (
        "nasbench201/hw_nas_bench_cifar10.csv.gz",
        {
            "edgegpu_latency_ms": "edgegpu",
            "raspi4_latency_ms": "raspi4",
            "fpga_latency_ms": "fpga",
        },
    ),
)
MACS: tuple[Column, ...] = (("core", "constant"), ("core", "macs"))
SMALL_CELLS = 2500


@final
@dataclass
class Tables:
    """Cells, what they run, and their latencies by device (NaN where there is none)."""

    texts: list[str]
    networks: list[NetworkFeatures]
    latencies: dict[str, Floats]
    twins: list[tuple[int, int]] = field(default_factory=list)
    weights: dict[str, Floats] = field(default_factory=dict)

    @cached_property
    def design(self) -> Design:
        """The columns of every fit."""
        return Design.of(self.networks[:200])

    def prior(self, others: Sequence[str]) -> Prior:
        """Return what other devices tell of a new one; each is fitted once."""
        for other in others:
            if other not in self.weights:
                known = self.known(other)
                rng = np.random.default_rng(derive_seed(0, "latency_prior", 0))
                cells = rng.choice(known, min(PRIOR_CELLS, len(known)), replace=False)
                self.weights[other] = relative_weights(self.design, self.chosen(other, cells))
        return prior_of_weights(self.design, np.array([self.weights[each] for each in others]))

    def known(self, device: str) -> NDArray[np.int64]:
        """Return the cells that the device was measured with."""
        own = self.latencies[device]
        return np.flatnonzero(np.isfinite(own) & (own > 0))

    def chosen(self, device: str, cells: NDArray[np.int64]) -> DeviceLatencies:
        """Return some cells of a device as measurements without error bars."""
        return DeviceLatencies(
            tuple(self.networks[cell] for cell in cells),
            self.latencies[device][cells],
            np.zeros(len(cells)),
        )


def family(device: str) -> str:
    """Return what devices of one family share: the name without batch or framework."""
    return device.split("_")[0]


def read_tables(folder: Path, limit: int | None) -> Tables:
    """Read the tables and count what every cell runs.

    Args:
        folder: The one that `NAS_DATA` names.
        limit: Cells to keep, drawn at random; None keeps all.
    """
    space = load_space("nasbench201")
    texts = [row["arch_str"] for row in _rows(folder / "nasbench201/nasbench201_cifar10.csv.gz")]
    latencies: dict[str, Floats] = {}
    for name, columns in TABLES:
        for row in _rows(folder / name):
            for column in columns or [key for key in row if key != "idx"]:
                device = columns[column] if columns else column
                own = latencies.setdefault(device, np.full(len(texts), np.nan))
                own[int(row["idx"])] = float(row[column] or "nan")
    for row in _rows(folder / "hwnasbench360/pi5_cifar100_task.csv.gz"):
        own = latencies.setdefault(f"pi5_{row['framework']}", np.full(len(texts), np.nan))
        own[int(row["arch_idx"])] = float(row["lat_ms_median"])
    kept = np.arange(len(texts))
    if limit is not None:
        kept = np.sort(np.random.default_rng(0).choice(kept, limit, replace=False))
    networks = [
        network_features(space.build(cell_decisions(texts[cell])), SHAPE, CLASSES) for cell in kept
    ]
    texts = [texts[cell] for cell in kept]
    latencies = {device: own[kept] for device, own in latencies.items()}
    return Tables(texts, networks, latencies, executed_twins(texts))


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def executed_twins(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of cells that run the same graph: nodes 1 and 2 exchanged, no edge between."""
    place = {text: index for index, text in enumerate(texts)}
    pairs = []
    for text, index in place.items():
        cell = cell_decisions(text)
        if cell["cell.edge1-2"] != "none":
            continue
        first, second, third = (part.strip("|").split("|") for part in text.split("+"))
        into1, into2 = first[0][:-2], second[0][:-2]
        from0, from1, from2 = (word[:-2] for word in third)
        twin = f"|{into2}~0|+|{into1}~0|none~1|+|{from0}~0|{from2}~1|{from1}~2|"
        other = place.get(twin)
        if other is not None and other > index:
            pairs.append((index, other))
    return pairs


def noise_floor(tables: Tables, device: str) -> tuple[float, float, int]:
    """Return median ratio and share within 10 % of cells that run the same graph."""
    own = tables.latencies[device]
    pairs = np.array(tables.twins).reshape(-1, 2)
    ratios = own[pairs[:, 0]] / own[pairs[:, 1]]
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not len(ratios):
        return float("nan"), float("nan"), 0
    wide = np.exp(np.abs(np.log(ratios)))
    return float(np.median(wide)), float((wide <= 1.1).mean()), len(ratios)


@final
@dataclass(frozen=True)
class Score:
    """How well one fit predicts what it has not seen."""

    within: float
    spearman: float
    inside: float = float("nan")


def score(predicted: Floats, true: Floats, inside: Floats | None = None) -> Score:
    """Compare predictions with measurements."""
    return Score(
        float((np.abs(predicted / true - 1) <= 0.1).mean()),
        float(spearmanr(predicted, true).statistic),
        float("nan") if inside is None else float(inside.mean()),
    )


def additive_score(tables: Tables, device: str, cells: Cells, others: list[str]) -> Score:
    """Fit the additive model to the measured cells and predict the others."""
    design = tables.design
    prior = tables.prior(others) if others else cold_prior(design)
    standardised = Standardised.of(tables.networks[:2000])
    fit, speed = fit_device(design, prior, tables.chosen(device, cells.measured), standardised)
    unseen = [tables.networks[cell] for cell in cells.unseen]
    middle, variance = fit.predict(design.matrix(unseen), standardised(unseen))
    errors, deviations = fit.left_out()
    reach = interval_width(errors / deviations) * np.sqrt(variance + fit.noise**2)
    true = tables.latencies[device][cells.unseen]
    return score(np.exp(middle + speed), true, np.abs(np.log(true) - middle - speed) <= reach)


@final
@dataclass(frozen=True)
class Cells:
    """Which cells of a device count as measured and which are predicted."""

    measured: NDArray[np.int64]
    unseen: NDArray[np.int64]


def drawn_cells(tables: Tables, device: str, budget: int, seed: int) -> Cells:
    """Draw the measured cells; all others are unseen."""
    known = tables.known(device)
    rng = np.random.default_rng(derive_seed(seed, "latency_cells", budget))
    measured = rng.choice(known, budget, replace=False)
    return Cells(measured, np.setdiff1d(known, measured))


def macs_score(tables: Tables, device: str, cells: Cells) -> Score:
    """Predict from a constant and the multiply-adds alone."""
    design = Design(MACS, ())
    predicted = ablated(design, tables.chosen(device, cells.measured), cells_of(tables, cells))
    return score(predicted, tables.latencies[device][cells.unseen])


def cells_of(tables: Tables, cells: Cells) -> list[NetworkFeatures]:
    """Return what the unseen cells run."""
    return [tables.networks[cell] for cell in cells.unseen]


def ablated(design: Design, measured: DeviceLatencies, unseen: Sequence[NetworkFeatures]) -> Floats:
    """Return what a plain additive fit over a few columns predicts, in milliseconds."""
    blind = Standardised(np.zeros(6), np.full(6, np.inf))
    fit, speed = fit_device(design, cold_prior(design), measured, blind)
    middle, _ = fit.predict(design.matrix(unseen), blind(unseen))
    return np.asarray(np.exp(middle + speed))


def plain_inputs(texts: Sequence[str]) -> Floats:
    """Return what a process without costs knows of a cell: operations by edge, and their counts."""
    cells = [cell_decisions(text) for text in texts]
    names = sorted({str(answer) for cell in cells for answer in cell.values()})
    edges = sorted(cells[0])
    hot = np.array(
        [[[cell[edge] == name for name in names] for edge in edges] for cell in cells], float
    )
    raw = np.hstack([hot.reshape(len(cells), -1), hot.sum(1)])
    return np.asarray((raw - raw.mean(0)) / (raw.std(0) + 1e-9))


def plain_score(inputs: Floats, tables: Tables, device: str, cells: Cells) -> Score:
    """Fit a Gaussian process on operations by edge: exponential and linear kernel, log latency."""
    true = np.log(tables.latencies[device])
    centre, scale = true[cells.measured].mean(), true[cells.measured].std() + 1e-9
    response = (true[cells.measured] - centre) / scale
    best: tuple[float, float, Floats] | None = None
    for length in (0.7, 1.5, 3.0):
        kernel = _plain_kernel(inputs[cells.measured], inputs[cells.measured], length)
        for noise in (1e-3, 1e-2, 5e-2, 2e-1):
            lower = np.linalg.cholesky(kernel + noise * np.eye(len(response)))
            white = np.linalg.solve(lower, response)
            evidence = -0.5 * white @ white - np.log(np.diag(lower)).sum()
            if best is None or evidence > best[0]:
                best = (evidence, length, np.linalg.solve(lower.T, white))
    assert best is not None
    cross = _plain_kernel(inputs[cells.unseen], inputs[cells.measured], best[1])
    predicted = np.exp(cross @ best[2] * scale + centre)
    return score(predicted, np.exp(true[cells.unseen]))


def _plain_kernel(left: Floats, right: Floats, length: float) -> Floats:
    products = left @ right.T
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)[None] - 2 * products
    distances = np.sqrt(np.maximum(squares, 0) / left.shape[1])
    return np.asarray(np.exp(-distances / length) + 0.1 * products / left.shape[1])


def table_rows(tables: Tables, devices: Sequence[str], draws: int) -> tuple[list[Row], list[Row]]:
    """Hold each device out in turn; return all rows, and those that the goal is about."""
    rows, counted = [], []
    inputs = plain_inputs(tables.texts)
    for device in devices:
        ratio, within, pairs = noise_floor(tables, device)
        print(
            f"{device}: {len(tables.known(device))} cells; cells that run the same graph differ by "
            f"a median factor {ratio:.3f}, {within:.1%} of {pairs} pairs by less than 10 %"
        )
        others = [each for each in tables.latencies if family(each) != family(device)]
        for budget in BUDGETS:
            found: dict[str, list[Score]] = {}
            for seed in range(draws):
                cells = drawn_cells(tables, device, budget, seed)
                rng = np.random.default_rng(derive_seed(seed, "latency_compared", budget))
                number = min(COMPARED_CELLS, len(cells.unseen))
                compared = rng.choice(cells.unseen, number, replace=False)
                few = Cells(cells.measured, compared)
                found.setdefault("ours", []).append(additive_score(tables, device, cells, others))
                found.setdefault("ours, no other device", []).append(
                    additive_score(tables, device, cells, [])
                )
                found.setdefault("plain process", []).append(
                    plain_score(inputs, tables, device, few)
                )
                found.setdefault("MACs", []).append(macs_score(tables, device, few))
            for method, scores in found.items():
                row = _table_row(f"{device}, {budget} measured, {method}", scores)
                rows.append(row)
                if device in GOALS and budget == 50 and method == "ours":
                    counted.append(row)
    return rows, counted


def _table_row(case: str, scores: Sequence[Score]) -> Row:
    within = [each.within for each in scores]
    row = Row(case, float(np.median(within)), interquartile_range(within))
    inside = np.nanmean([each.inside for each in scores]) if "ours" in case else float("nan")
    print(
        f"  {case:<52} {row.ratio:6.1%} within 10 % (± {row.spread:.1%}, worst {min(within):.1%}), "
        f"Spearman {np.mean([each.spearman for each in scores]):.3f}"
        + ("" if np.isnan(inside) else f", {inside:.1%} inside 95 % intervals"),
        flush=True,
    )
    return row


def run_tables(
    devices: Sequence[str] | None, draws: int, *, small: bool
) -> tuple[list[Row], list[Row]]:
    """Hold devices out in turn, or say that there are no tables.

    Args:
        devices: Their names; None takes all, in a small run those of the goal.
        draws: Draws of the measured cells.
        small: Keep a few cells only.

    Returns:
        All rows, and those that the goal is about.
    """
    folder = os.environ.get("NAS_DATA")
    if folder is None:
        print("tables skipped: set NAS_DATA")
        return [], []
    tables = read_tables(Path(folder), SMALL_CELLS if small else None)
    others = () if small else tuple(each for each in tables.latencies if each not in GOALS)
    return table_rows(tables, devices or (*GOALS, *others), 2 if small else draws)


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--draws", type=int, default=5, help="draws of measured cells")
    parser.add_argument("--device", action="append", help="tabulated devices; may be repeated")
    given = parser.parse_args()
    harness.use_threads(given.threads)
    harness.print_versions(given.threads)
    rows, counted = run_tables(given.device, given.draws, small=given.small)
    if rows:
        harness.finish(
            "latency_tables",
            rows,
            unit="share within 10 %",
            threads=given.threads,
            counted=counted or None,
            record=given.record,
        )


if __name__ == "__main__":
    main()

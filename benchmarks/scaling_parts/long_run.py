"""Runs of thousands of trials in a moment: their logs are written, not searched for.

Trials are a few hundred members of the space over and over, each under an id of its own, with
made-up results of the size of real ones. Nothing here waits for the disk, so a run of this kind is
for measuring how it is read and gone on with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from nas.cost.count import cost
from nas.run_store import Run
from nas.run_store.layout import LOG
from nas.run_store.records import Record, encode
from nas.search.driver import environment
from nas.search.exploring.history import BatchPlan, Entry
from nas.search.material import prepare_material
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import searched_space
from nas.space import AbstractSpace
from nas.topology.identity import SCHEME, trained_id
from nas.topology.serial import dump_architecture

POOL: Final = 200
"""Members that are used over and over."""

FOLDS: Final = 64
"""Parts of the images whose sums a score keeps, as a real one does."""

GENERATION: Final = 24


def write_long_run(root: Path, name: str, config: SearchConfig, trials: int) -> Path:
    """Create a run that was killed while it explored, with this many finished trials.

    Args:
        root: Folder of runs.
        name: Of the run.
        config: Its config; it should ask for more trials than these.
        trials: A multiple of the config's batch.
    """
    goals = Goals.of(config)
    material = prepare_material(config)
    with Run.create(root, name, config.to_dict(), environment(config, material, "cpu")) as run:
        described = [
            {"name": each.name, "unit": each.unit, "source": each.source} for each in goals.searched
        ]
        run.append({"kind": "stage_started", "stage": "prepare"})
        run.append(
            {
                "kind": "stage_finished",
                "stage": "prepare",
                "objectives": described,
                "constraints": [each.to_dict() for each in goals.constraints],
            }
        )
        if goals.needs_weights:  # nobody reads them here
            weights = run.weights.put({"nothing": np.zeros(1)})
            made = {"stage": "supernet", "checkpoint": weights, "proposals": []}
            run.append({"kind": "stage_finished", **made})
        run.append({"kind": "stage_started", "stage": "explore"})
        seq, path = run.table().num_records, run.path
    with (path / LOG).open("ab") as log:
        for record in _records(config, goals, trials):
            log.write(encode(seq, record))
            seq += 1
    return path


def _records(config: SearchConfig, goals: Goals, trials: int) -> Iterator[Record]:
    space = searched_space(config)
    rng = np.random.default_rng(0)
    pool = [_member(space, rng) for _ in range(POOL)]
    for batch in range(trials // config.search.batch):
        numbers = range(batch * config.search.batch, (batch + 1) * config.search.batch)
        entries = [
            Entry(
                number,
                pool[number % POOL]["decisions"],
                proposed_by=config.search.sampler,
                state={"generation": number // GENERATION},
                member=(f"s{SCHEME}-{number:024d}", ""),
            )
            for number in numbers
        ]
        yield BatchPlan(batch, tuple(entries)).to_record()
        for number in numbers:
            head = {"kind": "trial_asked", "trial": number, "attempt": 1, "batch": batch}
            yield {**head, **pool[number % POOL]}
        for number in numbers:
            head = {"kind": "trial_finished", "trial": number, "attempt": 1}
            yield {**head, **result(goals, pool[number % POOL]["measures"], rng)}


def _member(space: AbstractSpace, rng: np.random.Generator) -> dict[str, Any]:
    decisions = space.sample(rng)
    architecture = space.build(decisions)
    counted = cost(architecture, (1, 8, 8), 10)
    names = ("parameters", "macs", "bytes", "critical_path", "depth")
    return {
        "decisions": decisions,
        "architecture": dump_architecture(architecture),
        "architecture_id": trained_id(architecture),
        "wiring": space.wiring(decisions),
        "family": space.family(decisions),
        "proposed_by": "nsga2",
        "sampler_state": {},
        "measures": {name: getattr(counted, name) for name in names},
    }


def result(goals: Goals, measures: dict[str, int], rng: np.random.Generator) -> dict[str, Any]:
    """Return made-up fields of `trial_finished`, of the size of real ones."""
    luck = float(rng.uniform(0.2, 0.6))
    score = {
        "error": luck / 4,
        "cross_entropy": luck,
        "count": 8 * FOLDS,
        "noise": {
            "cross_entropy_error": 0.02,
            "images": [8] * FOLDS,
            "wrong": rng.integers(0, 3, FOLDS).tolist(),
            "cross_entropies": (8 * luck + rng.normal(0, 0.1, FOLDS)).tolist(),
        },
    }
    values = {
        each.name: {
            "value": float(measures.get(each.name, luck)),
            "unit": each.unit,
            "iqr": None,
            "source": each.source,
        }
        for each in goals.every
    }
    return {
        "values": values,
        "inherited": score,
        "measures": measures,
        "violations": goals.violations(values),
        "measurements": {},
        "seconds": luck,
        "measuring_seconds": 0.0,
    }

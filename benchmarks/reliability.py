"""What is lost when a search is killed, fills its disk, or finds its files damaged; and elsewhere.

  python benchmarks/reliability.py [--small] [--record] [--only TEST ...]

One harness does the same to every side: this engine, Optuna on SQLite and on its journal under both
locks, and Ray Tune. `--small` takes a minute; all of it takes about ten on two quiet cores.
`--record` writes `benchmarks/results/reliability.json` and `reliability.md`. What one side does not
have (a checkpoint format, a log) it is left out of. Needs the extra `ray` for Ray Tune.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, final

import optuna
from harness import RESULTS, arguments, machine, print_versions, use_threads
from reliability_sides import checkpoints, fuzz, kills, logs, owners, report
from reliability_sides.base import TRIAL_S, TRIALS, AbstractSide
from reliability_sides.optuna_sides import STORAGES, OptunaSide
from reliability_sides.ours import Ours
from reliability_sides.ray_tune import TuneSide, head_node

NAME: Final = "reliability"
PATIENCE_S: Final = 3.0
"""Longest wait, besides three times its time, for a search that goes on: its trials take a third of
a second together."""
SLOW_S: Final = 90.0
"""The same where actors start first."""
PACKAGES: Final = ("optuna", "ray", "torch", "safetensors", "sqlalchemy")
Rows = list[dict[str, Any]]


@final
@dataclass(frozen=True)
class Counts:
    """How often each thing is done."""

    kills: int = 100
    rival_kills: int = 25
    tune_kills: int = 8
    full: int = 25
    rival_full: int = 10
    step: int = 1
    rival_step: int = 3
    flips: int = 2000
    rival_flips: int = 150
    overwritten: int = 100
    owners: int = 100
    mutants: int = 10_000


SMALL: Final = Counts(3, 3, 1, 2, 2, 61, 61, 100, 20, 5, 5, 200)


@final
class Comparison:
    """All tests, over one disk.

    Args:
        root: An empty folder.
        counts: How often each thing is done.
        tune: Whether Ray Tune takes part.
    """

    def __init__(self, root: Path, counts: Counts, *, tune: bool) -> None:
        self.root = root
        self.counts = counts
        self.tune = tune
        self.tests: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
            "kills": self.kills,
            "full": self.full,
            "torn": self.torn,
            "flipped_logs": self.flipped_logs,
            "flipped_checkpoints": self.flipped_checkpoints,
            "overwritten": self.overwritten,
            "owners": self.owners,
            "fuzz": self.fuzz,
        }

    def kills(self) -> Iterator[dict[str, Any]]:
        """Kill searches; all sides at the first of the same moments."""
        moments = kills.fractions(max(self.counts.kills, self.counts.rival_kills), seed=1)
        sides: list[tuple[AbstractSide, int, float]] = [
            (Ours(), self.counts.kills, PATIENCE_S),
            *((OptunaSide(name), self.counts.rival_kills, PATIENCE_S) for name in STORAGES),
        ]
        if self.tune:
            sides.append((TuneSide(), self.counts.tune_kills, SLOW_S))
        for side, count, patience_s in sides:
            disturbance = kills.Disturbance(side, self.root / "kills", patience_s)
            yield disturbance.kill(moments[:count]).to_dict()

    def full(self) -> Iterator[dict[str, Any]]:
        """Fill disks. Ray's own processes write elsewhere, so Tune is left out."""
        moments = kills.fractions(max(self.counts.full, self.counts.rival_full), seed=2)
        for side, count in (
            (Ours(), self.counts.full),
            (OptunaSide("Optuna SQLite"), self.counts.rival_full),
            (OptunaSide("Optuna journal (open lock)"), self.counts.rival_full),
        ):
            disturbance = kills.Disturbance(side, self.root / "full", PATIENCE_S)
            yield disturbance.fill(moments[:count]).to_dict()

    def torn(self) -> Iterator[dict[str, Any]]:
        """Tear logs: ours at every byte, a database of 100 kB at every few thousandth."""
        ours, *others = logs.KINDS
        steps = {ours.name: self.counts.step}
        for kind in others:
            steps[kind.name] = self.counts.rival_step * (1000 if kind.file.endswith(".db") else 1)
        for kind in logs.KINDS:
            step = steps[kind.name]
            yield logs.tear(kind, self.root / "torn" / kind.name, step)

    def flipped_logs(self) -> Iterator[dict[str, Any]]:
        """Flip bits of logs."""
        for kind in logs.KINDS:
            count = self.counts.flips if kind is logs.KINDS[0] else self.counts.rival_flips
            yield logs.flip(kind, self.root / "flips" / kind.name, count, seed=3)

    def flipped_checkpoints(self) -> Iterator[dict[str, Any]]:
        """Flip bits of checkpoints."""
        for kind in checkpoints.FLIPPED:
            yield checkpoints.flip(kind, self.root / "bits" / kind.name, self.counts.flips, seed=4)

    def overwritten(self) -> Iterator[dict[str, Any]]:
        """Kill who writes checkpoints."""
        for kind in checkpoints.OVERWRITTEN:
            folder = self.root / "overwritten" / kind.name
            yield checkpoints.overwrite(kind, folder, self.counts.overwritten, seed=5)

    def owners(self) -> Iterator[dict[str, Any]]:
        """Start things twice."""
        yield owners.refused(self.root / "owners" / "ours", self.counts.owners)
        yield owners.shared(self.root / "owners" / "theirs")

    def fuzz(self) -> Iterator[dict[str, Any]]:
        """Give mutated files to our readers."""
        for kind in fuzz.READERS:
            yield fuzz.parse(kind, self.counts.mutants, seed=6)


@contextmanager
def workplace(tune: bool) -> Iterator[Path]:
    """Yield an empty folder, with a head node of Ray beside it if there is to be one."""
    root = Path(tempfile.mkdtemp(prefix="rel"))
    try:
        (root / "ray").mkdir()
        with head_node(root / "ray") if tune else nullcontext():
            yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def compare(names: Sequence[str], counts: Counts) -> dict[str, Rows]:
    """Do the tests one after the other, and tell each row as it comes."""
    tune = "kills" in names and importlib.util.find_spec("ray") is not None
    rows: dict[str, Rows] = {}
    with workplace(tune) as root:
        comparison = Comparison(root, counts, tune=tune)
        for name in comparison.tests:
            rows[name] = []
            began = time.monotonic()
            for row in comparison.tests[name]() if name in names else ():
                rows[name].append(row)
                print(
                    f"{name:<20} {json.dumps(row)}  ({time.monotonic() - began:.0f} s)", flush=True
                )
            shutil.rmtree(root / name, ignore_errors=True)
    return rows


def settings() -> dict[str, Any]:
    """Return what the numbers depend on."""
    kind = "memory" if tempfile.gettempdir().startswith("/dev/shm") else "local"
    return {
        "trials": TRIALS,
        "trial_ms": round(1000 * TRIAL_S),
        "patience": PATIENCE_S,
        "disk": kind,
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(report.TITLES), metavar="TEST")
    options = parser.parse_args()
    use_threads(options.threads)
    # Sides tell of every damage they find; what counts is what they do about it.
    logging.getLogger("nas").setLevel(logging.ERROR)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print_versions(options.threads)
    names = options.only or list(report.TITLES)
    document = {
        "name": NAME,
        "tests": compare(names, SMALL if options.small else Counts()),
        "settings": settings(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "machine": machine(options.threads),
    }
    if options.record:
        RESULTS.mkdir(exist_ok=True)
        data = json.dumps(document, indent=1, allow_nan=False) + "\n"
        (RESULTS / f"{NAME}.json").write_text(data, encoding="utf-8")
        told = report.text(document, command="make bench NAME=reliability ARGS=--record")
        (RESULTS / f"{NAME}.md").write_text(told, encoding="utf-8")
    print(json.dumps(document, allow_nan=False), flush=True)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()

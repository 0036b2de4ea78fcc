"""What the driver of a search costs as trials add up, and how far one driver reaches.

Measured: runs of 96, 992 and 10,000 trials are gone on with by workers that answer at once, so that
all the time there is is the driver's: planning, writing down, views. Told are its processor time
and how often it waits for the disk (`fsync`); a simulated wait takes `--sync-ms`. Then each run is
resumed in a process of its own, from its start to the first new trial. Simulated: recorded
evaluation times of a real run on 1 to 1,024 workers, with a driver that takes what was measured.
Ratios are the driver's processor time per trial, views left out, after so many trials over that
after 96: 1 is no growth. Views take 5 % of a search at most, as `exploring/view_refresh.py` says.

    python benchmarks/scaling.py [--run RUN] [--disk FOLDER] [--sync-ms MS] [--small] [--record]
    python benchmarks/scaling.py --only-resuming [--record]

`--run` takes the evaluation times from a run folder of yours instead of the recorded ones; with
`--record` they are kept, and the tables of docs/scaling.md are written. `--disk` is where the runs
lie meanwhile: a network file system is slower.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, final

import harness
import numpy as np
from scaling_parts.long_run import result, write_long_run
from scaling_parts.simulation import Case, Driver, simulate
from scaling_parts.tables import RESULTS, write_tables
from scaling_parts.watch import Watch

from nas.cli.main import run as type_command
from nas.run_store import Run
from nas.search.driver import open_session, run_config
from nas.search.executors import EXECUTORS, AbstractExecutor, Job, Outcome, Setup
from nas.search.executors.base import Feed
from nas.search.executors.process_group import peak_memory_mib
from nas.search.exploring import explore as exploring
from nas.search.exploring import view_refresh
from nas.search.exploring.closing import TrialCloser
from nas.search.exploring.explore import _Explorer, explore
from nas.search.front_view import register_views
from nas.search.interrupts import Stopper
from nas.search.material import prepare_material
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import resolve_config

SIZES: Final = (96, 992, 10_000)
MORE: Final = 96
"""Trials that each run is gone on with."""

WORKERS: Final = tuple(2**power for power in range(11))
TRIALS: Final = 4_096
"""Trials of a simulated search."""

RECORDED: Final = harness.RESULTS / "scaling_times.json"


AT_ONCE: Final = "at_once"


@EXECUTORS.register(AT_ONCE)
@final
class AtOnce(AbstractExecutor):
    """Workers that answer at once, with numbers of no meaning."""

    def prepare(self, setup: Setup) -> None:
        """Remember which numbers are asked for."""
        self._goals = Goals.of(SearchConfig.model_validate(setup.arguments["config"]))
        self._rng = np.random.default_rng(1)

    def run(
        self,
        jobs: Iterable[Job],
        on_outcome: Callable[[Outcome], None],
        should_stop: Callable[[], bool] = lambda: False,
        grace_s: float = 20.0,
    ) -> bool:
        """Answer each job."""
        feed = Feed(jobs)
        while not feed.ended:
            job = feed.take()
            if job is not None:
                counted = {"parameters": 1000, "macs": int(job.key), "bytes": 1, "depth": 1}
                on_outcome(Outcome(job.key, result(self._goals, counted, self._rng)))
        return True

    def close(self) -> None:
        """Nothing was started."""


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch the parts of the driver inside the block."""
    watch = Watch()
    parts: list[tuple[Any, str, str]] = [
        (_Explorer, "_plan", "plan"),
        (_Explorer, "_ask", "ask"),
        (TrialCloser, "take", "close"),
        (exploring, "rebuild_views", "views"),
        (view_refresh, "rebuild_views", "views"),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in parts]
    synchronise = os.fsync
    try:
        os.fsync = watch.sync(synchronise)
        for owner, name, told in parts:
            setattr(owner, name, watch.timed(told, getattr(owner, name)))
        yield watch
    finally:
        os.fsync = synchronise
        for owner, name, call in kept:
            setattr(owner, name, call)


def config_for(trials: int, order: str = "deterministic") -> SearchConfig:
    """Return the config of a long run."""
    return resolve_config(
        "wired_cnn",
        options={
            "objectives": ["cross_entropy", "macs"],
            "search": {"trials": trials, "order": order},
            "supernet": {"relaxation": {"enabled": False}},
            "confirm": {"enabled": False},
        },
    )


def measure_driver(root: Path, trials: int, order: str) -> dict[str, Any]:
    """Return what the driver takes per trial, going on with a run of so many."""
    config = config_for(trials + MORE, order)
    path = write_long_run(root, f"{order}-{trials}", config, trials)
    register_views()
    with Run.open(path, write=True) as run:
        material = prepare_material(run_config(run))
        session = open_session(run, material, Stopper(run.stop_requested), 1, AT_ONCE)
        with watching() as watch:
            whole = watch.timed("whole", explore)
            whole(session, None, [])
        session.close()
        assert len(run.table().finished()) == trials + MORE
    views, whole = watch.per_call("views", MORE), watch.per_call("whole", MORE)
    return {
        **{part: watch.per_call(part, MORE) for part in ("plan", "ask", "close")},
        "all_but_views": {name: round(whole[name] - views[name], 3) for name in whole},
        "views_once": watch.per_call("views", watch.calls["views"]),
        "sync_ms": round(1e3 * statistics.median(watch.sync_s), 3),
    }


def measure_resume(root: Path, trials: int) -> dict[str, float]:
    """Return the seconds from the start of a process to the first new trial of a run."""
    path = root / f"deterministic-{trials}"
    began = time.perf_counter()
    child = subprocess.run(
        [sys.executable, __file__, "--resume", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, float] = json.loads(child.stdout.splitlines()[-1])
    return {
        "whole_s": round(told.pop("first_new_trial_at") - began, 2),
        **{name: round(value, 2) for name, value in told.items()},
    }


def measure_resuming(root: Path, sizes: Iterable[int]) -> dict[str, dict[str, float]]:
    """Return what resuming runs of every size takes, and print it."""
    found = {}
    for size in sizes:
        write_long_run(root, f"deterministic-{size}", config_for(size + MORE), size)
        found[str(size)] = told = measure_resume(root, size)
        print(f"after {size:>6,} trials: {json.dumps(told)}", flush=True)
    return found


def record_resuming(found: dict[str, dict[str, float]]) -> None:
    """Put new figures of resuming among the recorded results, and write the tables anew."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for size, told in found.items():
        results["driver"][size]["resume"] = told
    RESULTS.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    write_tables()


@final
class FirstTrialReached(BaseException):
    """Ends a resumed search where the measurement ends; no part of `nas` catches it."""


def resume_until_first(path: Path) -> None:
    """Type `nas resume` for a run and tell when it asks for its first new trial."""
    imported = time.process_time()

    def ask(self: Any, batch: int, entry: Any) -> Any:
        first = {"first_new_trial_at": time.perf_counter()}
        spent = time.process_time()
        # `getrusage` counts what the process held that started this one, too.
        peak = peak_memory_mib()
        told = {"imports_cpu_s": imported, "resume_cpu_s": spent - imported, "peak_mib": peak}
        print(json.dumps({**first, **told}))
        raise FirstTrialReached

    setattr(_Explorer, "_ask", ask)  # noqa: B010 - a name that is known
    try:
        type_command(["resume", str(path), "--trials", "+16", "--executor", AT_ONCE])
    except FirstTrialReached:
        return


def driver_of(batches: dict[str, Any], flow: dict[str, Any], sync_s: float) -> Driver:
    """Return the simulated driver from what was measured with and without batches."""

    def seconds(measured: dict[str, float]) -> float:
        return measured["processor_ms"] / 1e3 + measured["syncs"] * sync_s

    size = config_for(1).search.batch
    plan_many, plan_one = seconds(batches["plan"]) * size, seconds(flow["plan"])
    propose = max(0.0, (plan_many - plan_one) / (size - 1))
    return Driver(
        plan=max(0.0, plan_one - propose),
        propose=propose,
        ask=seconds(batches["ask"]),
        close=seconds(batches["close"]),
    )


def recorded_times(run: Path | None, record: bool) -> dict[str, Any]:
    """Return evaluation times of a real run: a user's, or the recorded ones."""
    if run is None:
        found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
        return found
    read = Run.open(run)
    finished = read.table().finished()
    found = {
        "space": read.environment["space"]["name"],
        "data": read.environment["data"]["name"],
        "machine": read.environment["fingerprint"],
        "seconds": [trial.extra["seconds"] for trial in finished],
        "measuring_seconds": [trial.extra["measuring_seconds"] for trial in finished],
    }
    if record:
        RECORDED.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return found


@final
@dataclass(frozen=True)
class Kind:
    """A kind of search that is simulated.

    Args:
        name: What it is.
        order: As `search.order`.
        longer: How many times as long as recorded an evaluation takes.
        batch_per_worker: Trials of a batch per worker; None leaves it at 16.
        measures: Whether the driver measures latencies.
    """

    name: str
    order: Literal["deterministic", "asynchronous"]
    longer: float
    batch_per_worker: int | None = None
    measures: bool = False


KINDS: Final = (
    Kind("batches of 16, as recorded", "deterministic", 1),
    Kind("no barrier, as recorded", "asynchronous", 1),
    Kind("batches of 16, 100 times as long", "deterministic", 100),
    Kind("4 per worker, 100 times as long", "deterministic", 100, 4),
    Kind("no barrier, 10 times as long", "asynchronous", 10),
    Kind("no barrier, 100 times as long", "asynchronous", 100),
    Kind("the same, latency measured", "asynchronous", 100, 4, measures=True),
)


def simulate_all(times: dict[str, Any], driver: Driver, trials: int) -> list[dict[str, Any]]:
    """Return the simulated searches."""
    evaluations = [each for each in times["seconds"] if each > 0]
    measured = [each for each in times["measuring_seconds"] if each > 0]
    rows = []
    for kind in KINDS:
        for workers in WORKERS:
            case = Case(
                workers=workers,
                trials=trials,
                batch=max(16, workers * (kind.batch_per_worker or 0)),
                order=kind.order,
                evaluations=[kind.longer * each for each in evaluations],
                driver=driver,
                measurements=measured if kind.measures else (),
            )
            found = {name: round(value, 4) for name, value in asdict(simulate(case)).items()}
            rows.append({"case": kind.name, "workers": workers, **found})
    return rows


def print_simulated(rows: list[dict[str, Any]]) -> None:
    """Print one line per simulated search."""
    print(f"{'':36}{'workers':>8}{'trials/s':>10}{'idle':>7}{'driver':>8}{'queue':>8}{'most':>6}")
    for row in rows:
        print(
            f"{row['case']:<36}{row['workers']:>8}{row['trials_per_s']:>10.2f}{row['idle']:>7.0%}"
            f"{row['driver_busy']:>8.0%}{row['mean_queue']:>8.1f}{row['longest_queue']:>6}"
        )


def per_trial_ms(measured: dict[str, Any]) -> float:
    """Return what the driver takes of the processor for a trial, all but the views."""
    return float(measured["all_but_views"]["processor_ms"])


def measure_sizes(root: Path, sizes: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Measure runs of every size, and print what comes of it."""
    found = {}
    for size in sizes:
        found[size] = {
            "deterministic": measure_driver(root, size, "deterministic"),
            "asynchronous": measure_driver(root, size, "asynchronous"),
            "resume": measure_resume(root, size),
        }
        for order in ("deterministic", "asynchronous"):
            told = found[size][order]
            parts = ", ".join(
                f"{part} {told[part]['processor_ms']:.2f} ms and {told[part]['syncs']:.2f} syncs"
                for part in ("plan", "ask", "close", "all_but_views", "views_once")
            )
            print(f"after {size:>6,} trials, {order}: {parts} of {told['sync_ms']} ms", flush=True)
        print(f"after {size:>6,} trials: resumed in {found[size]['resume']['whole_s']:.2f} s")
    return found


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--run", type=Path, help="run folder to take evaluation times from")
    parser.add_argument("--disk", type=Path, help="where the runs lie while they are measured")
    parser.add_argument("--sync-ms", type=float, default=0.5, help="a sync of the simulated disk")
    parser.add_argument("--only-resuming", action="store_true", help="measure how runs are resumed")
    parser.add_argument("--resume", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    harness.use_threads(options.threads)
    if options.resume is not None:
        resume_until_first(options.resume)
        return
    harness.print_versions(options.threads)
    sizes = SIZES[:2] if options.small else SIZES
    if options.only_resuming:
        with tempfile.TemporaryDirectory(dir=options.disk) as folder:
            found = measure_resuming(Path(folder), sizes)
        if options.record:
            record_resuming(found)
        return
    times = recorded_times(options.run, options.record)
    with tempfile.TemporaryDirectory(dir=options.disk) as folder:
        measured = measure_sizes(Path(folder), sizes)
    middle = measured[sizes[1]]
    driver = driver_of(middle["deterministic"], middle["asynchronous"], options.sync_ms / 1e3)
    simulated = simulate_all(times, driver, 512 if options.small else TRIALS)
    print_simulated(simulated)
    first = measured[sizes[0]]
    rows = [
        harness.Row(
            f"{size} trials, {order}", per_trial_ms(each[order]) / per_trial_ms(first[order]), 0.0
        )
        for size, each in measured.items()
        for order in ("deterministic", "asynchronous")
    ]
    for row in rows:
        harness.print_row(row)
    harness.finish(
        "scaling",
        rows,
        unit=f"x (driver's time per trial / that after {sizes[0]} trials)",
        threads=options.threads,
        overhead=True,
        record=options.record,
        more={
            "sync_ms": options.sync_ms,
            "driver": {str(size): each for size, each in measured.items()},
            "simulated_driver_s": asdict(driver),
            "evaluations": {key: times[key] for key in ("space", "data", "machine")},
            "simulated": simulated,
        },
    )
    if options.record:
        write_tables()


if __name__ == "__main__":
    main()

"""What the dashboard costs under load, beside optuna-dashboard with the same trials.

One run of 1,000 trials is made here and given to both: as a run folder, and as an Optuna study in
SQLite with the same values. Before the clock starts every value both sides tell is compared. Then
keep-alive clients ask for the list, for everything a first look at the trials needs, and for what
came since, in windows that alternate A B B A. Ratios are ours / theirs in answers per second: above
1 is a gain. `search` is the speed of a process that appends trials while viewers follow it, over
its speed alone: 1 is no cost.

optuna-dashboard is no dependency: install it anywhere and name its command with --peer; without it
only our side and the search are measured.

    python benchmarks/dashboard_load.py [--peer COMMAND] [--small] [--record]
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
import numpy as np
import optuna

from nas.run_store import Run
from nas.search.settings.resolve import resolve_config
from nas.space import load_space

TRIALS = 1_000
CLIENTS = 10
OBJECTIVES = ("error", "macs")
ENVIRONMENT = {"data": {"name": "digits", "input_shape": [1, 8, 8], "num_classes": 10}}

WRITER = """
import sys, time
import numpy as np
from nas.run_store import Run
matrix = np.ones((160, 160))
with Run.open(sys.argv[1], write=True) as run:
    number = len(run.table().trials)
    print("ready", flush=True)
    for line in sys.stdin:
        done, end = 0, time.monotonic() + float(line)
        while time.monotonic() < end:
            for _ in range(200):
                matrix = matrix @ matrix / 160
            run.append({"kind": "trial_asked", "trial": number, "attempt": 1, "decisions": {}})
            number += 1
            done += 1
        print(done, flush=True)
"""


def make_run(root: Path, name: str, trials: int) -> list[list[float]]:
    """Make a run of random members with invented values; return these."""
    space, rng = load_space("wired_cnn"), np.random.default_rng(0)
    config = resolve_config("wired_cnn", options={"objectives": list(OBJECTIVES)}).to_dict()
    goals = [{"name": name, "unit": None, "source": "computed"} for name in OBJECTIVES]
    values = []
    with Run.create(root, name, config, ENVIRONMENT) as run:
        run.append({"kind": "stage_started", "stage": "prepare"})
        run.append({"kind": "stage_finished", "stage": "prepare", "objectives": goals})
        for number in range(trials):
            decisions = space.sample(rng)
            values.append([float(rng.uniform(0.02, 0.2)), float(rng.integers(1e5, 1e7))])
            told = {
                name: {"value": value, "unit": None, "source": "computed"}
                for name, value in zip(OBJECTIVES, values[-1], strict=True)
            }
            key = {"trial": number, "attempt": 1}
            family = {"family": space.family(decisions), "wiring": space.wiring(decisions)}
            run.append({"kind": "trial_asked", **key, "decisions": decisions, **family})
            measures = {"parameters": 1000 + number, "macs": int(values[-1][1])}
            run.append({"kind": "trial_finished", **key, "values": told, "measures": measures})
        run.append({"kind": "run_finished"})
    return values


def make_study(path: Path, run: Path) -> str:
    """Write the trials of a run as an Optuna study; return its storage."""
    storage = f"sqlite:///{path}"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, directions=["minimize"] * len(OBJECTIVES))
    with Run.open(run) as opened:
        trials = opened.table().finished()
    texts = [{key: json.dumps(value) for key, value in trial.decisions.items()} for trial in trials]
    options: dict[str, list[str]] = {}
    for each in texts:
        for key, text in each.items():
            options[key] = sorted({*options.get(key, ()), text})
    for trial, each in zip(trials, texts, strict=True):
        kinds = {key: optuna.distributions.CategoricalDistribution(options[key]) for key in each}
        found = [trial.value(name) for name in OBJECTIVES]
        study.add_trial(optuna.trial.create_trial(params=each, distributions=kinds, values=found))
    return storage


@contextmanager
def served(command: Sequence[str], port: int, folder: Path) -> Iterator[int]:
    """Start a server, wait until it listens, yield its process id."""
    environment = {**os.environ, "XDG_STATE_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet)
    try:
        end = time.monotonic() + 120
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"it does not serve: {shlex.join(command)}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    """Tell whether something answers; a port is taken some time before that."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        connection.close()
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Side:
    """One server and what its clients ask.

    Args:
        port: Where it listens.
        headers: Of every request.
        pages: Paths by case; one look asks all of a case.
    """

    def __init__(self, port: int, headers: dict[str, str], pages: dict[str, list[str]]) -> None:
        self.port, self.headers, self.pages = port, headers, pages

    def ask(self, path: str, connection: http.client.HTTPConnection | None = None) -> bytes:
        """Return an answer as it came over the wire."""
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        own.request("GET", path, headers=self.headers)
        answer = own.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path} is answered with {answer.status}")
        if connection is None:
            own.close()
        return data

    def window(self, case: str, seconds: float) -> tuple[float, list[float]]:
        """Let the clients look for some time; return looks per second, and what each took."""
        taken: list[float] = []
        begun = time.perf_counter()

        def look() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            while (start := time.perf_counter()) < begun + seconds:
                for path in self.pages[case]:
                    self.ask(path, connection)
                taken.append(time.perf_counter() - start)
            connection.close()

        clients = [threading.Thread(target=look) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        return len(taken) / (time.perf_counter() - begun), taken


def check_equal(ours: Side, theirs: Side, values: list[list[float]]) -> None:
    """Compare what both sides tell of every trial.

    Raises:
        SystemExit: If a number differs.
    """
    plain = Side(ours.port, {**ours.headers, "Accept-Encoding": "identity"}, {})
    told = json.loads(plain.ask("/api/runs/load/trials"))
    own = [list(row) for row in zip(*(told["values"][name] for name in OBJECTIVES), strict=True)]
    trials = json.loads(theirs.ask("/api/studies/1?after=0"))["trials"]
    other = [trial["values"] for trial in sorted(trials, key=lambda trial: trial["number"])]
    if not own == other == values:
        raise SystemExit("the two sides tell different values")
    print(f"{len(own):,} trials: both sides tell the same values")


def compare(
    ours: Side, theirs: Side, rounds: int, seconds: float
) -> tuple[list[harness.Row], dict[str, Any]]:
    """Measure every case in alternating windows."""
    rows, details = [], {}
    for case in ours.pages:
        rates: dict[str, list[float]] = {"ours": [], "theirs": []}
        taken: dict[str, list[float]] = {"ours": [], "theirs": []}
        for number in range(2 * rounds):
            sides = {"ours": ours, "theirs": theirs}
            for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
                rate, each = sides[name].window(case, seconds)
                rates[name].append(rate)
                taken[name] += each
        rows.append(harness.ratio_row(case, rates["ours"], rates["theirs"]))
        harness.print_row(rows[-1])
        details[case] = {
            name: {
                "looks_per_second": round(statistics.median(rates[name]), 1),
                "p99_ms": round(1e3 * float(np.quantile(taken[name], 0.99)), 1),
                "bytes": sum(len(side.ask(path)) for path in side.pages[case]),
            }
            for name, side in (("ours", ours), ("theirs", theirs))
        }
    return rows, details


def searching(run: Path, port: int, headers: dict[str, str], rounds: int, seconds: float) -> Any:
    """Measure how fast trials are appended with viewers and without, in alternating windows."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert writer.stdin is not None and writer.stdout is not None
    writer.stdout.readline()
    done: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * rounds):
        for watched in (True, False) if number % 2 == 0 else (False, True):
            with viewers(port, run.name, headers if watched else None):
                writer.stdin.write(f"{seconds}\n")
                writer.stdin.flush()
                done[watched].append(float(writer.stdout.readline()))
    writer.stdin.close()
    writer.wait()
    return harness.ratio_row(f"search, {CLIENTS} viewers / none", done[True], done[False])


@contextmanager
def viewers(port: int, run: str, headers: dict[str, str] | None) -> Iterator[None]:
    """Let viewers follow a run, none without headers."""
    opened: list[socket.socket] = []
    lines = "".join(f"{name}: {text}\r\n" for name, text in (headers or {}).items())
    head = f"GET /api/runs/{run}/events?after=0 HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"
    for _ in range(CLIENTS if headers else 0):
        opened.append(socket.create_connection(("127.0.0.1", port)))
        opened[-1].sendall(head.encode())
        threading.Thread(target=_drain, args=(opened[-1],), daemon=True).start()
    yield
    for each in opened:
        each.shutdown(socket.SHUT_RDWR)
        each.close()


def _drain(viewer: socket.socket) -> None:
    try:
        while viewer.recv(1 << 20):
            pass
    except OSError:
        return


def resident_mb(pid: int) -> float | None:
    """Return the memory of a process, None where the system does not tell."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return None
    return round(int(found[1]) / 1024, 1) if found else None


def measure(options: Any, folder: Path) -> None:
    rounds, seconds = (2, 1.0) if options.small else (4, 6.0)
    values = make_run(folder / "runs", "load", 200 if options.small else TRIALS)
    make_run(folder / "runs", "live", 50)
    port, last = free_port(), 2 * len(values)
    start = [sys.executable, "-m", "nas", "dash", str(folder / "runs"), "--port", str(port)]
    with served(start, port, folder) as pid:
        token = next((folder / "nas").glob("*.token")).read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
        run = "/api/runs/load"
        # Theirs holds the parameters of every trial as well; ours tells them with the space.
        look = [run, f"{run}/front", f"{run}/trials", f"{run}/space"]
        pages = {
            "list": ["/api/runs"],
            "first look": look,
            "what is new": [f"{run}/trials?after={last}"],
        }
        ours = Side(port, headers, pages)
        rows, more = [], {}
        if options.peer:
            storage, other = make_study(folder / "study.db", folder / "runs" / "load"), free_port()
            peer = [*shlex.split(options.peer), storage, "--port", str(other), "--quiet"]
            with served(peer, other, folder):
                study = "/api/studies/1?after="
                asked = {
                    "list": ["/api/studies"],
                    "first look": [f"{study}0"],
                    "what is new": [f"{study}{len(values)}"],
                }
                theirs = Side(other, {"Accept-Encoding": "gzip"}, asked)
                check_equal(ours, theirs, values)
                rows, more = compare(ours, theirs, rounds, seconds)
        searched = searching(folder / "runs" / "live", port, headers, rounds, seconds)
        harness.print_row(searched)
        more["memory_mb"] = resident_mb(pid)
    harness.finish(
        "dashboard_load",
        [*rows, searched],
        unit="x (ours / optuna-dashboard in answers per second); search: watched / alone",
        threads=options.threads,
        counted=rows or [searched],
        record=options.record,
        more={"clients": CLIENTS, "trials": len(values), **more},
    )


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--peer", help="command that starts optuna-dashboard")
    options = parser.parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))


if __name__ == "__main__":
    main()

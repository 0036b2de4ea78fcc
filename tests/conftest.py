"""Settings every test shares: threads, temporary folder, order, hypothesis profiles, skips."""

from __future__ import annotations

import compileall
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator

# Before torch or numpy is imported: test processes share few cores, and results are only
# bit-identical at one thread count.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
from hypothesis import HealthCheck, settings
from scale import CHECKOUT, SKIPPED_WITHOUT_DATA, is_full_scale

LONG = (
    "end_to_end/test_readme_tour.py",
    "end_to_end/test_dashboard_walk.py",
    "end_to_end/test_examples_tour.py",
    "end_to_end/test_cluster_walk.py",
    "end_to_end/test_documentation.py",
    "cli/test_search_command.py",
    "end_to_end/test_wheel.py",
    "search/test_samplers.py",
    "contracts/test_runtimes.py",
    "search/executors_ray/test_searches_on_cluster.py",
    "search/test_tune_trainings.py",
    "search/test_killed_trainings.py",
    "supernet/test_health.py",
)
"""Files that take long go first: one that begins last lets the other process wait for its end."""

# A slow shared machine is no bug of the code under test: no deadline, no complaint about speed.
_SLOW_IS_FINE = [HealthCheck.too_slow]

settings.register_profile(
    "ci", deadline=None, derandomize=True, max_examples=25, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile(
    "full", deadline=None, max_examples=250, suppress_health_check=_SLOW_IS_FINE, print_blob=True
)
settings.load_profile("full" if is_full_scale() else "ci")

_own_folder: list[str] = []


# Collecting makes millions of objects and drops few: nothing is looked for until it is done.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again, at longer intervals: what was collected counts as old from here."""
    gc.collect()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def _compile_once() -> None:
    """Keep the bytecode of nas where Python is told to keep none.

    Hundreds of processes that tests start would compile all of it anew.
    """
    if sys.dont_write_bytecode:
        for package in ("nas", "dashboards"):
            compileall.compile_dir(CHECKOUT / package, quiet=2)


def pytest_configure(config: pytest.Config) -> None:
    """Give every process that tests a temporary folder of its own.

    The locks of devices lie there: otherwise a measurement in one test process would make every
    training in the other one pause. The name is short, because paths of sockets are limited. What
    `tmp_path` gives stays where it was, and so does what torch keeps of compiled kernels.
    """
    if not hasattr(config, "workerinput"):
        _compile_once()
    if config.getoption("numprocesses", None):
        return  # this one only hands out the work
    before = tempfile.gettempdir()
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", before)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", f"{before}/torchinductor_{os.getuid()}")
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="nas")
    _own_folder.append(tempfile.tempdir)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove this process's temporary folder."""
    while _own_folder:
        shutil.rmtree(_own_folder.pop(), ignore_errors=True)


@pytest.fixture(autouse=True, scope="session")
def _no_wait_for_the_test_process_beside() -> Iterator[None]:
    """Take the other test process for what it is: work that does not end before ours does.

    A measurement waits up to 10 seconds for others to end. That it does is told by the tests of
    `nas.objectives.busy`, with watches of their own; the one of this process only looks.
    """
    from nas.objectives.busy import BusyWatch, busy_watch

    wait = BusyWatch.wait

    def wait_unless_ours(watch: BusyWatch, longest_s: float, seen: float) -> bool:
        return watch is not busy_watch(watch.device) and wait(watch, longest_s, seen)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BusyWatch, "wait", wait_unless_ours)
        yield


@pytest.fixture(autouse=True, scope="module")
def _views_of_a_fresh_process() -> Iterator[None]:
    """Begin every file without views: after one that types commands, searches wrote report.html.

    That takes longer than a search of made-up objectives itself.
    """
    from nas.run_store import views

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(views, "_views", {})
        patched.setattr(views, "_own_views", {})
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests had no data to run on."""
    skipped = terminalreporter.stats.get("skipped", [])
    without_data = [report for report in skipped if SKIPPED_WITHOUT_DATA in str(report.longrepr)]
    if without_data:
        terminalreporter.write_line(f"{SKIPPED_WITHOUT_DATA} ({len(without_data)} tests)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the long files, and leave tests marked `soak` to `make soak`."""
    rank = {f"tests/{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(LONG)))
    if is_full_scale():
        return
    soaking = [item for item in items if item.get_closest_marker("soak")]
    if soaking:
        config.hook.pytest_deselected(items=soaking)
        items[:] = [item for item in items if item not in soaking]

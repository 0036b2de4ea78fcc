"""Settings every test shares: one thread per process, hypothesis profiles, the count of skips."""

from __future__ import annotations

import os

# Before torch or numpy is imported: test processes share few cores, and results are only
# bit-identical at one thread count.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
from hypothesis import HealthCheck, settings
from scale import SKIPPED_WITHOUT_DATA, is_full_scale

# A slow shared machine is no bug of the code under test: no deadline, no complaint about speed.
_SLOW_IS_FINE = [HealthCheck.too_slow]

settings.register_profile(
    "ci", deadline=None, derandomize=True, max_examples=25, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile(
    "full", deadline=None, max_examples=250, suppress_health_check=_SLOW_IS_FINE, print_blob=True
)
settings.load_profile("full" if is_full_scale() else "ci")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests had no data to run on."""
    skipped = terminalreporter.stats.get("skipped", [])
    without_data = [report for report in skipped if SKIPPED_WITHOUT_DATA in str(report.longrepr)]
    if without_data:
        terminalreporter.write_line(f"{SKIPPED_WITHOUT_DATA} ({len(without_data)} tests)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests marked `soak` to `make soak`."""
    if is_full_scale():
        return
    soaking = [item for item in items if item.get_closest_marker("soak")]
    if soaking:
        config.hook.pytest_deselected(items=soaking)
        items[:] = [item for item in items if item not in soaking]

"""Which clock times which runtime."""

from __future__ import annotations

import pytest

from nas.objectives import stopwatch
from nas.objectives.latency import LatencyMeter
from nas.objectives.latency_config import LatencyConfig


@pytest.mark.parametrize(
    ("runtime", "threads", "taken_off"),
    [("eager", 1, True), ("eager", 2, False), ("ort", 1, True), ("ort", 2, False)],
)
def test_waits_are_taken_off_only_where_one_thread_computes(
    runtime: str, threads: int, taken_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    class Watched:
        def __init__(self) -> None:
            made.append(self)

    monkeypatch.setattr(stopwatch, "RunQueue", Watched)
    LatencyMeter(LatencyConfig(runtime=runtime, threads=threads), (1, 8, 8))
    assert bool(made) == taken_off

"""An actor whose accelerator failed is replaced, and its job tried again in a new process."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ray")

from ray_clusters import Nodes

from nas.search.executors import Job, Outcome, Setup
from nas.search.executors.ray_executor import RayExecutor
from nas.search.executors.retries import run_retrying


@pytest.mark.fault("A15")
def test_an_actor_that_lost_its_device_is_replaced(nodes: Nodes, tmp_path: Path) -> None:
    found: list[Outcome] = []
    with RayExecutor(1, nodes.address) as executor:
        executor.prepare(Setup("fault_fakes:fault_task", {"folder": str(tmp_path)}))
        jobs = [Job("0", {}), Job("1", {"fault": "lose the device once"}), Job("2", {})]
        assert run_retrying(executor, jobs, found.append)
    processes = [(each.key, dict(each.result or {}).get("process")) for each in found]
    assert [key for key, _ in processes] == ["0", "1", "2"]
    before, after, again = (process for _, process in processes)
    assert None not in (before, after, again)
    assert before != after == again

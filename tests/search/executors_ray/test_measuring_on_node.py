"""Latencies of a search are taken on the node with the named resource, and on its device alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from ray_clusters import Nodes
from search_runs import fake_config

from nas.errors import EnvironmentFault, RunError
from nas.objectives.device_fingerprint import device_fingerprint
from nas.run_store import Run
from nas.search.driver import resume, search
from nas.search.measuring.measured_on import MEASURING_DEVICE, measuring_device

SETTINGS = (
    "plugins=[search_fakes, measuring_fakes]",
    "objectives=[fake_error, placed_latency]",
    "search.trials=4",
    "search.batch=2",
    "executor.kind=ray",
)


def overrides(nodes: Nodes, resource: str = "marker") -> tuple[str, ...]:
    return (*SETTINGS, f"executor.address={nodes.address}", f"executor.measure_on={resource}")


def details(run: Run) -> list[dict[str, Any]]:
    return [trial.extra["measurements"]["placed_latency"] for trial in run.table().finished()]


@pytest.mark.fault("A8")
def test_every_latency_comes_from_one_process_on_the_node_with_the_resource(
    nodes: Nodes, tmp_path: Path
) -> None:
    (marked,) = nodes.cluster.worker_nodes
    run = search(fake_config(*overrides(nodes)), runs=tmp_path, name="run")
    found = details(run)
    assert len(found) == 4
    assert {each["node"] for each in found} == {nodes.key(marked)}
    assert len({each["process"] for each in found}) == 1
    record = measuring_device(run)
    assert record is not None and record["resource"] == "marker"


def test_a_node_with_another_device_than_the_run_began_on_is_refused(
    nodes: Nodes, tmp_path: Path
) -> None:
    search(fake_config(*overrides(nodes)), runs=tmp_path, name="run", time_limit_s=1e-9)
    begun_on = {**device_fingerprint("cpu").to_dict(), "processor": "Abacus 3"}
    with Run.open(tmp_path / "run", write=True) as run:
        record = {"kind": MEASURING_DEVICE, "resource": "marker", "fingerprint": begun_on}
        run.append({**record, "digest": "0123456789ab"})
    with pytest.raises(RunError, match=r"processor was Abacus 3, here it is") as caught:
        resume(tmp_path / "run")
    assert "a node with the resource 'marker'" in str(caught.value.where)
    assert not Run.open(tmp_path / "run").table().trials


def test_a_resource_that_no_node_has_is_named(nodes: Nodes, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"No node .* needs 0.001 abacus"):
        search(fake_config(*overrides(nodes, "abacus")), runs=tmp_path, name="run")

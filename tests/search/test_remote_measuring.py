"""Measuring on a node of a cluster: one device per run, and the search knows no difference.

The worker's part runs in this process or in a local worker here; on real nodes it is tested beside
the Ray executor.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_profiles import made_profile
from measuring_fakes import LARGE, TRIED
from search_runs import canonical, fake_config, fake_search

from nas.cli.dry_run import estimate
from nas.errors import BudgetError, ClusterError, ConfigError, RunError
from nas.objectives.device_fingerprint import device_fingerprint
from nas.predict.profile import LatencyProfile
from nas.run_store import Run
from nas.search import driver
from nas.search.driver import resume
from nas.search.executors.retries import MOST_ATTEMPTS
from nas.search.measuring import task as measuring_task
from nas.search.measuring.measured_on import measured_on, measuring_device
from nas.search.measuring.remote import RemoteDevice

PLUGINS = "plugins=[search_fakes, measuring_fakes]"
PLACED = (PLUGINS, "objectives=[fake_error, placed_latency]", "search.trials=6", "search.batch=3")
ON_MARKER = "executor.measure_on=marker"


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an executor without nodes stand for one whose nodes all have every resource."""
    monkeypatch.setattr(driver, "check_measure_on", lambda config, kind: None)


def on_another(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let workers find another device."""
    found = replace(device_fingerprint("cpu"), **changes)
    monkeypatch.setattr(measuring_task, "device_fingerprint", lambda *given: found)


def values(run: Run) -> list[Any]:
    return [(trial.number, trial.values) for trial in run.table().finished()]


@pytest.mark.usefixtures("anywhere")
def test_a_worker_measures_what_the_driver_would_and_its_device_is_a_record(tmp_path: Path) -> None:
    here = fake_search(tmp_path, *PLACED, name="here")
    there = fake_search(tmp_path, *PLACED, ON_MARKER, name="there")
    assert canonical(values(there)) == canonical(values(here))
    assert measuring_device(here) is None
    record = measuring_device(there)
    assert record is not None
    assert record["resource"] == "marker"
    assert record["fingerprint"] == device_fingerprint("cpu").to_dict()
    assert record["digest"] == device_fingerprint("cpu").digest
    assert measured_on(there) == record["fingerprint"] == measured_on(here)


@pytest.mark.usefixtures("anywhere")
def test_a_run_that_was_measured_elsewhere_is_refused_on_another_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fake_search(tmp_path, *PLACED, ON_MARKER)
    before = (run.path / "trials.log").read_bytes().count(b"trial_asked")
    on_another(monkeypatch, processor="Abacus 3")
    with pytest.raises(RunError, match=r"processor was .*, here it is Abacus 3") as caught:
        resume(run.path, extra_trials=3)
    assert "a node with the resource 'marker': Abacus 3" in str(caught.value.where)
    assert "only to nodes with the device" in str(caught.value.fix)
    assert (run.path / "trials.log").read_bytes().count(b"trial_asked") == before


@pytest.mark.usefixtures("anywhere")
def test_the_driver_may_be_another_machine_than_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It measures nothing; conditions that may change times are told of the node alone."""
    from nas.objectives import device_fingerprint as home

    run = fake_search(tmp_path, *PLACED, ON_MARKER)
    real = home.device_fingerprint
    monkeypatch.setattr(
        home, "device_fingerprint", lambda *given: replace(real(*given), processor="a laptop")
    )
    on_another(monkeypatch, clock_policy="governor powersave")
    with caplog.at_level(logging.WARNING, "nas"):
        assert len(resume(run.path, extra_trials=3).table().finished()) == 9
    assert measured_on(Run.open(run.path))["processor"] != "a laptop"
    assert "clock_policy was" in caplog.text
    assert "governor powersave" in caplog.text


def test_an_executor_without_nodes_cannot_measure_on_one(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"resource 'marker'.*executor 'inline' has no nodes[\s\S]*--executor ray"
    ):
        fake_search(tmp_path, *PLACED, ON_MARKER)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="executor 'inline' has no nodes"):
        estimate(fake_config(*PLACED, ON_MARKER))


@pytest.mark.usefixtures("anywhere")
def test_a_network_that_kills_whoever_measures_it_fails_and_the_search_goes_on(
    tmp_path: Path,
) -> None:
    TRIED.clear()
    run = fake_search(
        tmp_path,
        PLUGINS,
        "objectives=[fake_error, deadly_latency]",
        "search.trials=2",
        ON_MARKER,
    )
    (failed,) = run.table().failed()
    assert len(TRIED) == MOST_ATTEMPTS["died"]
    assert failed.reason == "crash"  # final, on resume too: it was tried often enough
    assert failed.message == "Measuring failed: The device is gone."
    (finished,) = run.table().finished()
    assert finished.value("deadly_latency") <= LARGE / 1e5


@pytest.mark.usefixtures("anywhere")
@pytest.mark.fault("A8")
def test_a_lost_cluster_leaves_trials_open_and_the_run_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, calls = RemoteDevice.measure, []

    def lost(self: RemoteDevice, *given: Any) -> Any:
        calls.append(os.getpid())
        if len(calls) == 5:
            raise ClusterError("The head is gone.", fix="nas resume run")
        return measure(self, *given)

    whole = fake_search(tmp_path, *PLACED, ON_MARKER, name="whole")
    monkeypatch.setattr(RemoteDevice, "measure", lost)
    with pytest.raises(ClusterError, match="The head is gone"):
        fake_search(tmp_path, *PLACED, ON_MARKER)
    left = Run.open(tmp_path / "run")
    assert not left.table().failed()
    assert len(left.table().finished()) == 4
    assert canonical(values(resume(left.path))) == canonical(values(whole))


@pytest.mark.usefixtures("anywhere")
def test_a_budget_that_the_node_cannot_keep_is_refused_before_anything_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget, small = "constraints={{placed_latency: {{max: {}}}}}", "search.trials=2"
    told = r"placed_latency <= 0.01 ms' cannot be kept: the fastest .* takes \S+ ms \(measured\)"
    with pytest.raises(BudgetError, match=told) as caught:
        fake_search(tmp_path, *PLACED, ON_MARKER, budget.format(0.01))
    path = tmp_path / "run"
    assert str(caught.value.fix).endswith(f"this one holds no trial: nas runs rm {path}")
    left = Run.open(path)
    assert left.state() == "failed" and not left.table().trials
    with pytest.raises(BudgetError, match="cannot be kept"):
        resume(path)
    assert not Run.open(path).table().trials
    with (
        pytest.raises(ClusterError, match="The head is gone"),
        pytest.MonkeyPatch.context() as gone,
    ):
        gone.setattr(RemoteDevice, "measure", the_head_is_gone)
        fake_search(tmp_path, *PLACED, ON_MARKER, budget.format(100), small, name="later")
    measured: list[int] = []
    measure = RemoteDevice.measure

    def counted(self: RemoteDevice, *given: Any) -> Any:
        measured.append(len(self.session.run.table().trials))
        return measure(self, *given)

    monkeypatch.setattr(RemoteDevice, "measure", counted)
    assert len(resume(tmp_path / "later").table().finished()) == 2
    assert measured == [0, 2, 2]  # one look was enough


def the_head_is_gone(self: RemoteDevice, *given: Any) -> Any:
    raise ClusterError("The head is gone.", fix="Wait for it.")


@pytest.mark.usefixtures("anywhere")
def test_real_latencies_stay_ratios_to_one_reference_over_a_resume(tmp_path: Path) -> None:
    run = fake_search(
        tmp_path,
        "objectives=[macs, latency]",
        "search.trials=3",
        "latency.max_seconds=0.05",
        "latency.wait_s=0",
        "latency.retries=0",
        ON_MARKER,
    )
    again = resume(run.path, extra_trials=2)
    details = [
        trial.extra["measurements"]["latency_ms[eager,b1,fp32]"]
        for trial in again.table().finished()
    ]
    assert len(details) == 5
    assert len({each["reference_ms"] for each in details}) == 1
    record = measuring_device(again)
    assert record is not None
    assert {each["device"] for each in details} == {record["digest"]}
    timed = [each for each in again.records() if each["kind"] == "trial_nodes_timed"]
    assert timed
    assert all(each["whole_ms"] > 0 and each["nodes"] for each in timed)


@pytest.mark.usefixtures("anywhere")
def test_a_node_that_takes_the_place_of_another_must_have_the_same_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search stops, for no network is at fault; it can go on with the right node."""
    real = device_fingerprint("cpu")
    nodes = iter([real])
    other = replace(real, processor="Abacus 3")
    monkeypatch.setattr(measuring_task, "device_fingerprint", lambda *given: next(nodes, other))
    with pytest.raises(
        ClusterError, match=r"no worker to measure on any more[\s\S]*here it is Abacus 3"
    ) as caught:
        fake_search(tmp_path, *PLACED, ON_MARKER)
    way_on = f"start a new run. Go on with: nas resume {tmp_path / 'run'}"
    assert str(caught.value.fix).endswith(way_on)
    left = Run.open(tmp_path / "run")
    assert left.table().trials
    assert not left.table().failed()


STEERED = (
    "objectives=[fake_error, latency]",
    "search.trials=4",
    "latency.steer=predicted",
    "latency.max_seconds=0.05",
    "latency.wait_s=0",
    "latency.retries=0",
    ON_MARKER,
)


@pytest.mark.usefixtures("anywhere")
def test_a_profile_that_steers_must_be_of_the_node_that_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_profile(tmp_path / "profile.json")
    profile = f"latency.profile={made}"
    run = fake_search(tmp_path / "runs", *STEERED, profile, name="fits")
    record = measuring_device(run)
    assert record is not None
    measured = [each for each in run.records() if each["kind"] == "trial_measured"]
    assert measured
    for each in measured:
        (details,) = each["measurements"].values()
        assert details["device"] == record["digest"]
        assert details["reference_ms"] == LatencyProfile.load(made).reference_ms
    on_another(monkeypatch, processor="Abacus 3")
    with pytest.raises(ConfigError, match=r"of another device or version: processor is .*Abacus 3"):
        fake_search(tmp_path / "runs", *STEERED, profile, name="differs")

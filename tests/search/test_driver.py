"""A search from config to front: the same however it is run, and honest about what failed."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scale import scaled
from search_fakes import fake_error
from search_runs import (
    TRIALS,
    asked_and_closed,
    canonical,
    count_records,
    fake_config,
    fake_search,
    killed_when,
    points,
)

from nas.cost.count import cost
from nas.errors import (
    ConfigError,
    DataError,
    EnvironmentFault,
    EveryTrialFailedError,
    InterruptedRunError,
    NotFoundError,
    NothingFeasibleError,
    RunError,
)
from nas.pareto import non_dominated
from nas.run_store import Run
from nas.search.checks import device_check
from nas.search.driver import resume, search
from nas.search.executors.inline import InlineExecutor
from nas.search.front_view import front_document
from nas.search.measuring.quiet import QuietDevice
from nas.space import load_space


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search that nobody disturbed."""
    return fake_search(tmp_path_factory.mktemp("whole"))


def test_a_search_with_all_trials_finds_the_exhaustive_front(tmp_path: Path) -> None:
    run = fake_search(tmp_path, "search.trials=1000", "search.batch=64")
    space = load_space("tiny_exhaustive")
    every = {}
    for decisions in space.enumerate():
        network = space.build(decisions)
        every[space.member_id(decisions)] = (fake_error(network), cost(network, (1, 8, 8), 10).macs)
    values = np.array(list(every.values()), dtype=float)
    truth = {tuple(row) for row in values[non_dominated(values)].tolist()}
    found = {(p["objectives"]["fake_error"]["value"], float(p["macs"])) for p in points(run)}
    assert found == truth
    finished = run.table().finished()
    assert len({space.member_id(trial.decisions) for trial in finished}) == len(finished)
    assert len(finished) == space.distinct()
    assert run.table().stages["explore"].finish["exhausted"]
    assert run.state() == "finished"


@pytest.mark.fault("A1", "A4", "G-R1")
def test_killed_anywhere_and_resumed_it_is_the_same_search(whole: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    total = len(whole.records())
    for number in range(scaled(20)):
        path = tmp_path / f"k{number}"
        # Every second one is killed again while it goes on.
        moments = sorted(rng.integers(2, total - 2, size=1 + number % 2).tolist())
        for round_, moment in enumerate(moments):

            def drive(goes_on: bool = round_ > 0, path: Path = path) -> None:
                _ = resume(path) if goes_on else fake_search(tmp_path, name=path.name)

            def reached(records: int = moment, path: Path = path) -> bool:
                return count_records(path) >= records

            killed_when(reached, drive)
        run = resume(path)
        assert canonical(points(run)) == canonical(points(whole))
        asked, closed = asked_and_closed(run)
        assert asked == closed == list(range(TRIALS))
        assert run.state() == "finished"


@pytest.mark.fault("E2")
def test_failed_trials_are_told_apart_and_the_search_goes_on(tmp_path: Path) -> None:
    run = fake_search(tmp_path, "objectives=[faulty, macs]", "search.trials=48")
    table = run.table()
    assert set(table.failures_by_reason()) == {"nonfinite", "oom", "crash"}
    assert len(table.finished()) + len(table.failed()) == 48
    messages = {trial.reason: trial.message for trial in table.failed()}
    assert "must be finite" in str(messages["nonfinite"])
    assert messages["crash"] == "ZeroDivisionError: a bug in a plugin"
    failed = {trial.number for trial in table.failed()}
    assert not failed & {point["trial"] for point in points(run)}


@pytest.mark.fault("E2", "E4")
def test_when_every_trial_fails_the_first_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(EveryTrialFailedError, match=r"All 8 trials failed \(8 nonfinite\)") as e:
        fake_search(tmp_path, "objectives=[hopeless, macs]", "search.trials=8")
    assert "must be finite" in str(e.value.why)
    run = Run.open(tmp_path / "run")
    assert run.state() == "failed"
    assert front_document(run)["points"] == []


@pytest.mark.fault("E4")
def test_when_nothing_is_feasible_the_nearest_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        NothingFeasibleError, match=r"None of the 24 finished trials keeps .*macs <= 10"
    ) as e:
        fake_search(tmp_path, "constraints={macs: {max: 10}}")
    assert "The nearest has macs = 6.16e+04" in str(e.value.why)
    assert "--trials +100" in str(e.value.fix)


def test_infeasible_members_are_recorded_and_never_on_the_front(tmp_path: Path) -> None:
    run = fake_search(tmp_path, "constraints={macs: {max: 100000}}")
    finished = run.table().finished()
    assert any(trial.extra["violations"]["macs"] > 0 for trial in finished)
    assert points(run)
    assert all(point["macs"] <= 100_000 for point in points(run))


def test_a_measured_objective_is_taken_by_the_driver_and_bounds_count(tmp_path: Path) -> None:
    run = fake_search(tmp_path, "objectives=[fake_error]", "constraints={fake_latency: {max: 1.0}}")
    for trial in run.table().finished():
        assert trial.values["fake_latency"]["source"] == "measured"
        assert trial.values["fake_latency"]["iqr"] == 0.01
    (best,) = points(run)
    assert set(best["objectives"]) == {"fake_error"}
    assert best["macs"] <= 1e5


def test_more_trials_go_on_where_the_run_ended(tmp_path: Path) -> None:
    at_once = fake_search(tmp_path, "search.trials=32", name="at-once")
    fake_search(tmp_path)
    run = resume(tmp_path / "run", extra_trials=8)
    assert canonical(points(run)) == canonical(points(at_once))
    assert asked_and_closed(run)[1] == list(range(TRIALS + 8))
    before = len(run.records())
    again = resume(tmp_path / "run")
    kinds = [record["kind"] for record in again.records()[before:]]
    assert "trial_asked" not in kinds


@pytest.mark.fault("A5")
def test_a_signal_saves_the_state_and_says_how_to_go_on(whole: Run, tmp_path: Path) -> None:
    interrupted: list[bool] = []

    def listener(progress: Any) -> None:
        if progress.stage == "explore" and progress.done >= 8 and not interrupted:
            interrupted.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="interrupted by SIGINT; its state is saved") as e:
        fake_search(tmp_path, listener=listener)
    assert e.value.fix == f"Go on with: nas resume {tmp_path / 'run'}"
    assert e.value.exit_code == 130
    assert Run.open(tmp_path / "run").state() == "interrupted"
    assert canonical(points(resume(tmp_path / "run"))) == canonical(points(whole))


def test_nas_stop_is_heard(whole: Run, tmp_path: Path) -> None:
    from nas.run_store import request_stop

    asked = threading.Event()

    def listener(progress: Any) -> None:
        if progress.stage == "explore" and not asked.is_set():
            asked.set()
            request_stop(tmp_path / "run")
            time.sleep(0.6)

    with pytest.raises(InterruptedRunError, match="by nas stop"):
        fake_search(tmp_path, listener=listener)
    assert canonical(points(resume(tmp_path / "run"))) == canonical(points(whole))


def test_the_time_limit_leaves_a_run_to_be_resumed(whole: Run, tmp_path: Path) -> None:
    run = fake_search(tmp_path, time_limit_s=0.01)
    assert run.state() == "interrupted"
    assert [record["reason"] for record in run.records() if "reason" in record] == ["time"]
    assert canonical(points(resume(run.path))) == canonical(points(whole))


@pytest.mark.fault("C12", "E9", "E14")
def test_what_is_wrong_beforehand_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases: list[tuple[type[Exception], str, dict[str, Any], tuple[str, ...]]] = [
        (ConfigError, "is not a name for a run", {"name": "Not a slug"}, ()),
        (NotFoundError, "data set 'digitz'", {}, ("data=digitz",)),
        (EnvironmentFault, "The device 'cuda:99' is not there", {}, ("device='cuda:99'",)),
        (NotFoundError, "Unknown executor 'slurm'", {"executor": "slurm"}, ()),
        (DataError, "cannot hold 10 classes", {}, ("max_train_images=5",)),
    ]
    for kind, message, options, overrides in cases:
        with pytest.raises(kind, match=message):
            fake_search(tmp_path / "runs", *overrides, **options)
    assert not (tmp_path / "runs").exists()


def test_a_taken_name_and_a_run_in_use_are_refused(tmp_path: Path) -> None:
    run = fake_search(tmp_path, "search.trials=8")
    with pytest.raises(RunError, match="The name 'run' is taken"):
        fake_search(tmp_path)
    with Run.open(run.path, write=True), pytest.raises(RunError, match="in use"):
        resume(run.path)
    with pytest.raises(ConfigError, match="-3 more trials are not possible"):
        resume(run.path, extra_trials=-3)
    with pytest.raises(NotFoundError, match="no run 'nothing'"):
        resume(tmp_path / "nothing")


@pytest.mark.fault("C10")
def test_changed_data_or_space_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.search import driver

    run = fake_search(tmp_path, "search.trials=8")
    real = driver.prepare_material

    def other_images(config: Any) -> Any:
        material = real(config)
        return replace(material, data=replace(material.data, fingerprint="0" * 64))

    with monkeypatch.context() as patch:
        patch.setattr(driver, "prepare_material", other_images)
        with pytest.raises(RunError, match="data are not those of the run: fingerprint 0000"):
            resume(run.path)
    facts = driver.space_facts(fake_config())
    with monkeypatch.context() as patch:
        patch.setattr(driver, "space_facts", lambda config: {**facts, "members": "7"})
        with pytest.raises(RunError, match="'tiny_exhaustive' has changed: its members is 7"):
            resume(run.path)
    text = (run.path / "run.yaml").read_text()
    (run.path / "run.yaml").write_text(text.replace("seed: 0", "seed: 1"))
    with pytest.raises(RunError, match=r"after the run was created: seed is 1, was 0\."):
        resume(run.path)


def on_another(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Let this process run on a device with these facts."""
    from nas.objectives import device_fingerprint as home

    real = home.device_fingerprint
    monkeypatch.setattr(home, "device_fingerprint", lambda *given: replace(real(*given), **fields))


MEASURED = ("objectives=[fake_error, fake_latency]", "search.trials=8")


@pytest.mark.fault("C14")
@pytest.mark.parametrize("field", ["device", "processor", "threads", "torch"])
def test_times_of_two_devices_are_not_mixed(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fake_search(tmp_path, *MEASURED)
    before = len(run.records())
    with monkeypatch.context() as patch:
        on_another(patch, **{field: "other"})
        with pytest.raises(
            RunError, match=rf"measured on another device: {field} was .*, here it is other"
        ) as caught:
            resume(run.path, extra_trials=8)
    assert "fake_latency" in str(caught.value.why)
    assert "Resume it on that device" in str(caught.value.fix)
    assert len(Run.open(run.path).records()) == before


def test_measuring_goes_on_when_only_the_number_of_cores_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fake_search(tmp_path, *MEASURED)
    on_another(monkeypatch, cores=1000)
    assert len(resume(run.path, extra_trials=8).table().finished()) == 16


@pytest.mark.fault("C14")
def test_what_is_computed_goes_on_anywhere_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = fake_search(tmp_path, "search.trials=8")
    resume(run.path)
    assert "goes on elsewhere" not in caplog.text
    on_another(monkeypatch, processor="other")
    monkeypatch.setattr(device_check, "version", lambda package: "0.1")
    assert len(resume(run.path, extra_trials=8).table().finished()) == 16
    assert "here it is other" in caplog.text
    assert "torch was" in caplog.text
    assert "the same bits as there are not guaranteed" in caplog.text


def test_nothing_is_measured_while_a_worker_still_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    measure = QuietDevice.measure

    def note(device: QuietDevice, *arguments: Any) -> Any:
        told.append("measure")
        return measure(device, *arguments)

    monkeypatch.setattr(InlineExecutor, "settle", lambda self: told.append("settle"))
    monkeypatch.setattr(QuietDevice, "measure", note)
    fake_search(tmp_path, *MEASURED, "search.batch=4")
    # The last one: before the nodes of the front are timed, which no trial waits for.
    assert told == [*(2 * ["settle", *4 * ["measure"]]), "settle"]
    told.clear()
    fake_search(tmp_path, "search.trials=8", name="computed")
    assert told == []


def test_a_default_name_says_space_data_and_time(tmp_path: Path) -> None:
    run = search(fake_config("search.trials=8"), runs=tmp_path)
    assert run.name.startswith("tiny_exhaustive-digits-2")
    assert run.environment["data"]["input_shape"] == [1, 8, 8]
    assert run.config == fake_config("search.trials=8").to_dict()

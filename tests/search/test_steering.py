"""Searches that predicted latencies steer: what is told, what is measured, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_profiles import LATENCY, made_profile, made_up_ms
from search_runs import fake_config, fake_search

from nas.cli.dry_run import estimate
from nas.errors import BudgetError, ConfigError, NotFoundError, NothingFeasibleError, TrialError
from nas.objectives.base import EvaluationContext, Measurement
from nas.objectives.kinds.latency import Latency
from nas.objectives.names import resolve_objective
from nas.run_store import Run
from nas.search.driver import resume
from nas.search.front_view import front_document
from nas.units import Unit

OTHER = f"{LATENCY}@pi4"


def made_up_measure(taken: list[float]) -> Any:
    """Return a measurement of a made-up latency, in place of a real one; it lists what it took."""

    def measure(own: Latency, context: EvaluationContext) -> Measurement:
        # A tenth more than the profile knows of.
        taken.append(1.1 * made_up_ms(context.architecture))
        details = {"relative_error": 0.002, "unstable": False}
        return Measurement(taken[-1], Unit.MILLISECONDS, "measured", 0.001, details)

    return measure


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was measured in a test."""
    taken: list[float] = []
    monkeypatch.setattr(Latency, "measure", made_up_measure(taken))
    return taken


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[float]]:
    """A steered search without constraints, only to be read, and what it measured."""
    taken: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Latency, "measure", made_up_measure(taken))
        return steered(tmp_path_factory.mktemp("free")), taken


def steered(root: Path, *overrides: str, **profile: Any) -> Run:
    path = made_profile(root / "here.json", **profile)
    return fake_search(
        root / "runs",
        "objectives=[fake_error, latency]",
        f"latency={{profile: {path}, steer: predicted}}",
        "search.trials=16",
        "seed=3",
        *overrides,
    )


def points(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = front_document(run)["points"]
    return found


# ---------------------------------------------------------------- steering


def test_trials_are_told_predictions_and_the_front_is_measured(
    free: tuple[Run, list[float]],
) -> None:
    run, measured = free
    trials = run.table().finished()
    replaced = [trial for trial in trials if "predicted" in trial.extra]
    assert len(measured) == len(replaced) < len(trials)
    on_front = points(run)
    assert {point["trial"] for point in on_front} <= {trial.number for trial in replaced}
    for point in on_front:
        assert point["objectives"][LATENCY]["source"] == "measured" and point["flags"] == []
    others = [trial for trial in trials if "predicted" not in trial.extra]
    assert {trial.values[LATENCY]["source"] for trial in others} == {"predicted"}
    one = replaced[0]
    # What was predicted stays beside what was measured.
    assert one.extra["predicted"][LATENCY]["value"] == pytest.approx(
        one.value(LATENCY) / 1.1, rel=0.15
    )
    stage = run.table().stages["measure"]
    assert stage.state == "finished" and stage.finish["measured"] == len(measured)


def test_constraints_are_verified_on_what_was_measured(
    tmp_path: Path, free: tuple[Run, list[float]], measured: list[float]
) -> None:
    slowest = points(free[0])[0]["trial"]
    predicted = free[0].table().trials[slowest].extra["predicted"][LATENCY]["value"]
    bound = 1.05 * predicted  # kept as predicted, broken as measured
    run = steered(tmp_path, f"constraints={{latency: {{max: {bound}}}}}")
    broken = [
        trial
        for trial in run.table().finished()
        if "predicted" in trial.extra and trial.value(LATENCY) > bound
    ]
    assert broken and all(trial.extra["violations"][LATENCY] > 0 for trial in broken)
    verdicts = {point["constraints"][LATENCY]["source"] for point in points(run)}
    assert verdicts == {"measured"}
    assert all(point["objectives"][LATENCY]["value"] <= bound for point in points(run))


def test_a_killed_measuring_stage_goes_on_where_it_was(
    tmp_path: Path,
    free: tuple[Run, list[float]],
    measured: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append = Run.append

    def killed(run: Run, record: dict[str, Any]) -> int:
        if record["kind"] == "trial_measured" and len(measured) == 2:
            raise KeyboardInterrupt
        return append(run, record)

    monkeypatch.setattr(Run, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        steered(tmp_path / "killed")
    monkeypatch.setattr(Run, "append", append)
    (tmp_path / "killed" / "here.json").unlink()  # the run keeps what it needs
    run = resume(tmp_path / "killed" / "runs" / "run")
    assert points(run) == points(free[0])
    assert len(measured) == len(free[1]) + 1  # the one that was not written is measured again


def test_a_network_that_cannot_be_measured_leaves_the_front(
    tmp_path: Path,
    free: tuple[Run, list[float]],
    measured: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Latency.measure
    slowest = max(free[1])

    def fragile(own: Latency, context: EvaluationContext) -> Measurement:
        found = honest(own, context)
        if found.value == slowest:
            raise TrialError("It does not fit.", kind="oom")
        return found

    monkeypatch.setattr(Latency, "measure", fragile)
    run = steered(tmp_path)
    broken = [trial for trial in run.table().finished() if "unmeasured" in trial.extra]
    assert broken and {trial.extra["unmeasured"]["reason"] for trial in broken} == {"oom"}
    assert not {trial.number for trial in broken} & {point["trial"] for point in points(run)}


def test_a_front_of_which_nothing_can_be_measured_is_told(
    tmp_path: Path, free: tuple[Run, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(own: Latency, context: EvaluationContext) -> Measurement:
        raise TrialError("It does not fit.", kind="oom")

    monkeypatch.setattr(Latency, "measure", broken)
    with pytest.raises(NothingFeasibleError, match="could be measured") as caught:
        steered(tmp_path)
    assert caught.value.why is not None and "It does not fit" in caught.value.why


def test_nothing_left_after_measuring_is_told(
    tmp_path: Path, free: tuple[Run, list[float]], measured: list[float]
) -> None:
    bound = 0.96 * min(free[1])  # the fastest keeps it as predicted, and not as measured
    with pytest.raises(NothingFeasibleError, match="keeps the constraints"):
        steered(tmp_path, f"constraints={{latency: {{max: {bound}}}}}")


# ---------------------------------------------------------------- other devices


def test_another_device_is_a_column_of_the_search(tmp_path: Path, measured: list[float]) -> None:
    path = made_profile(tmp_path / "pi4.json", slower=20.0, facts={"processor": "other"})
    run = fake_search(
        tmp_path / "runs",
        "objectives=[fake_error, latency@pi4]",
        "constraints={latency: {max: 50}}",
        f"latency.devices={{pi4: {path}}}",
        "search.trials=8",
    )
    assert measured  # this device's own, for the constraint
    sources = {trial.values[OTHER]["source"] for trial in run.table().finished()}
    assert sources <= {"predicted", "measured"} and "predicted" in sources
    for point in points(run):
        told = point["objectives"][OTHER]
        assert 3 < told["value"] < 100 and told["low"] < told["value"] < told["high"]
        assert ("predicted" in point["flags"]) == (told["source"] == "predicted")
        assert point["constraints"][LATENCY]["source"] == "measured"
        assert point["latency_ms"] < 2  # of this device


def test_names_of_other_devices_are_read() -> None:
    found = resolve_objective("latency@pi4")
    assert found.name == OTHER and resolve_objective(OTHER) == found
    assert found.source == "predicted" and not found.needs_quiet_device
    with pytest.raises(ConfigError, match="only latencies have"):
        resolve_objective("macs@pi4")
    with pytest.raises(ConfigError, match="no name of a device"):
        resolve_objective("latency@Pi 4")
    with pytest.raises(ConfigError, match="cannot be measured here"):
        found.measure(None)  # type: ignore[arg-type]


# ---------------------------------------------------------------- profiles that do not fit


def refused(root: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        fake_search(root / "runs", *overrides)
    assert not (root / "runs").exists()
    return str(caught.value)


def test_a_profile_of_another_device_does_not_steer(tmp_path: Path) -> None:
    for facts in ({"processor": "other"}, {"torch": "1.0"}):
        with pytest.raises(ConfigError, match=f"another device or version: {next(iter(facts))} is"):
            steered(tmp_path, facts=facts)
    assert not (tmp_path / "runs").exists()


def test_a_profile_of_something_else_is_refused(tmp_path: Path) -> None:
    steer = "objectives=[fake_error, latency]"
    other = made_profile(tmp_path / "space.json", "nasbench201_c8n1")
    text = refused(tmp_path, steer, f"latency={{profile: {other}, steer: predicted}}")
    assert "does not fit the search: space" in text
    shape = made_profile(tmp_path / "shape.json", input_shape=[3, 32, 32])
    text = refused(tmp_path, steer, f"latency={{profile: {shape}, steer: predicted}}")
    assert "input: the profile has 3x32x32" in text
    own = made_profile(tmp_path / "own.json")
    text = refused(tmp_path, f"latency={{profile: {own}, steer: predicted}}")
    assert "neither minimises nor bounds" in text
    text = refused(
        tmp_path, "objectives=[fake_error, 'latency_ms[eager,b8,fp32]@pi4']",
        f"latency.devices={{pi4: {own}}}",
    )  # fmt: skip
    assert "objective: the profile has latency_ms[eager,b1,fp32]" in text


def test_a_device_without_a_profile_is_named(tmp_path: Path) -> None:
    text = refused(tmp_path, "objectives=[fake_error, latency@pi4]")
    assert "'pi4', which has no profile" in text
    with pytest.raises(NotFoundError, match=r"latency\.devices\.pi4"):
        fake_search(
            tmp_path / "runs",
            "objectives=[fake_error, latency@pi4]",
            "latency.devices={pi4: nowhere.json}",
        )


@pytest.mark.parametrize("given", ["{steer: predicted}", "{profile: a.json}"])
def test_a_profile_and_steering_belong_together(tmp_path: Path, given: str) -> None:
    assert "latency.steer is" in refused(tmp_path, f"latency={given}")


# ---------------------------------------------------------------- budgets nothing can keep


def test_a_budget_below_the_fastest_network_writes_nothing(
    tmp_path: Path, measured: list[float]
) -> None:
    with pytest.raises(BudgetError, match=r"latency_ms\S+ <= 0.01 ms' cannot be kept") as caught:
        fake_search(tmp_path / "runs", "constraints={latency: {max: 0.01}}")
    assert "Allow for example 0.4" in str(caught.value.fix)
    assert not (tmp_path / "runs").exists()
    assert 0 < len(measured) < 8


def test_a_budget_within_reach_is_let_through_with_a_warning(
    tmp_path: Path, measured: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    fake_search(tmp_path / "runs", "constraints={latency: {max: 100}}", "search.trials=4")
    assert "at the edge" not in caplog.text
    with pytest.raises(BudgetError):
        fake_search(tmp_path / "runs", "constraints={latency: {max: 0.01}}", name="no")
    fastest = min(measured)
    with pytest.raises(NothingFeasibleError):
        fake_search(
            tmp_path / "runs", f"constraints={{latency: {{max: {0.97 * fastest}}}}}", name="edge"
        )
    assert "at the edge of what the space can do" in caplog.text


def test_a_budget_on_another_device_is_predicted(tmp_path: Path) -> None:
    path = made_profile(tmp_path / "pi4.json", slower=20.0)
    with pytest.raises(BudgetError, match="@pi4 <= 1 ms' cannot be kept"):
        fake_search(
            tmp_path / "runs", "constraints=latency@pi4 <= 1 ms", f"latency.devices={{pi4: {path}}}"
        )


def test_a_dry_run_says_it_too(tmp_path: Path, measured: list[float]) -> None:
    config = fake_config("constraints={latency: {max: 0.01}}")
    with pytest.raises(BudgetError, match="cannot be kept"):
        estimate(config)

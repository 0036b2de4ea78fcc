"""Callbacks: told everything once, in the words of each tool, and never able to break a search."""

from __future__ import annotations

import builtins
import logging
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run
from noisy_runs import LATENCY, noisy_run, noisy_trial

from nas.errors import EnvironmentFault
from nas.run_store import Run
from nas.search.callbacks import AbstractCallback, MlflowCallback, WandbCallback, telling
from nas.search.callbacks.mlflow import metric_name
from nas.search.exports.scalars import Scalar, ScalarReader
from nas.search.progress import StageProgress, no_listener

STEP = StageProgress("explore", 1, 2, "trials")


class Recorder(AbstractCallback):
    """Keeps what it is told; fails at the call that it is asked to."""

    def __init__(self, fails: str = "") -> None:
        self.calls: list[str] = []
        self.scalars: list[Scalar] = []
        self._fails = fails

    def start(self, run: Run) -> None:
        self._note("start")

    def tell(self, scalars: Sequence[Scalar]) -> None:
        self._note("tell")
        self.scalars += scalars

    def end(self, run: Run) -> None:
        self._note(f"end {run.state()}")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self._fails and call.startswith(self._fails):
            raise ConnectionError("no such\nhost")


def test_a_callback_is_told_what_is_new_and_the_end(tmp_path: Path) -> None:
    path = made_run(tmp_path, trials=2)
    recorder, heard = Recorder(), []
    with telling(path, [recorder], heard.append) as listen:
        listen(STEP)
        listen(STEP)  # nothing new, so nothing is told
        with Run.open(path, write=True) as run:
            run.note("epoch", stage="supernet", epoch=1, loss=0.5)
        listen(STEP)
    assert recorder.calls == ["start", "tell", "tell", "end finished"]
    everything = ScalarReader(Run.open(path)).news()
    assert len(recorder.scalars) == len(everything)
    assert set(recorder.scalars) == set(everything)
    assert recorder.scalars[-1].tag == "supernet/loss"
    assert heard == [STEP] * 3


@pytest.mark.parametrize("fails", ["start", "tell", "end"])
def test_a_callback_that_fails_is_left_out_with_one_warning(
    tmp_path: Path, fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, broken, sound = made_run(tmp_path, trials=1), Recorder(fails), Recorder()
    with caplog.at_level(logging.WARNING, "nas"), telling(path, [broken, sound], no_listener) as go:
        go(STEP)
        go(STEP)
    assert sound.calls == ["start", "tell", "end finished"]
    assert broken.calls[-1].startswith(fails)
    (record,) = caplog.records
    assert "Recorder is left out from now on, the search goes on" in record.getMessage()
    assert "ConnectionError: no such host" in record.getMessage()


def test_a_search_that_breaks_still_ends_its_callbacks(tmp_path: Path) -> None:
    recorder = Recorder()
    with pytest.raises(KeyError), telling(made_run(tmp_path), [recorder], no_listener):
        raise KeyError("bug")
    assert recorder.calls[-1] == "end finished"


def test_without_callbacks_the_listener_is_the_same(tmp_path: Path) -> None:
    with telling(tmp_path / "not there", [], no_listener) as listen:
        assert listen is no_listener


def test_a_search_tells_its_callbacks_and_finds_the_same(tmp_path: Path) -> None:
    import nas

    options: dict[str, Any] = {
        "data": "digits",
        "preset": "smoke",
        "set": ["objectives=[macs, parameters]", "search.trials=4", "confirm.enabled=false"],
        "executor": "inline",
        "runs": tmp_path,
    }
    recorder = Recorder()
    told = nas.search("tiny_exhaustive", name="told", callbacks=[recorder], **options)
    alone = nas.search("tiny_exhaustive", name="alone", **options)
    assert told.front().equals(alone.front())
    assert recorder.calls[0] == "start" and recorder.calls[-1] == "end finished"
    assert sum(each.tag == "trials/macs" for each in recorder.scalars) == 4
    more = Recorder()
    nas.resume(told, extra_trials=1, executor="inline", callbacks=[more])
    assert sum(each.tag == "trials/macs" for each in more.scalars) == 5  # the whole log


# The recorders below have the shape of the real libraries: a wrong argument is a TypeError.


class FakeMlflowClient:
    """What `MlflowCallback` uses of `mlflow.MlflowClient`."""

    def __init__(self, tracking_uri: str | None = None) -> None:
        self.calls: list[tuple[Any, ...]] = [("client", tracking_uri)]
        self.metrics: list[tuple[Any, ...]] = []

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return f"experiment {name}"

    def create_run(self, experiment_id: str, *, run_name: str) -> Any:
        self.calls.append(("create", experiment_id, run_name))
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="7"))

    def log_batch(
        self, run_id: str, metrics: Sequence[Any] = (), params: Sequence[Any] = ()
    ) -> None:
        assert run_id == "7" and len(metrics) <= 1000 and len(params) <= 100
        self.metrics += metrics
        self.calls += [("param", *each) for each in params]

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.calls.append(("tag", key, value))

    def log_artifact(self, run_id: str, local_path: str) -> None:
        self.calls.append(("artifact", Path(local_path).name))

    def set_terminated(self, run_id: str, status: str) -> None:
        self.calls.append(("end", status))


def test_mlflow_gets_parameters_metrics_files_and_a_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = types.ModuleType("mlflow")
    entities = types.ModuleType("mlflow.entities")
    fake.MlflowClient = FakeMlflowClient  # type: ignore[attr-defined]
    entities.Metric = lambda key, value, timestamp, step: (key, value, timestamp, step)  # type: ignore[attr-defined]
    entities.Param = lambda key, value: (key, value)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    run = noisy_run(tmp_path, [noisy_trial(1.0, 1.0), noisy_trial(0.5, 2.0)])
    callback = MlflowCallback("wirings", tracking_uri="sqlite:///x.db")
    with telling(run.path, [callback], no_listener) as listen:
        listen(STEP)
    client = callback._client
    assert client.calls[0] == ("client", "sqlite:///x.db")
    assert client.calls[1] == ("create", "experiment wirings", "made")
    assert ("param", "data", "digits") in client.calls
    assert ("tag", "trials_finished", "2") in client.calls
    assert ("artifact", "run.yaml") in client.calls
    assert client.calls[-1] == ("end", "KILLED")  # this run never came to its end
    names = [key for key, *_ in client.metrics]
    assert names.count("trials/cross_entropy") == 2
    assert f"trials/{metric_name(LATENCY)}" in names
    assert all(isinstance(stamp, int) and stamp > 1.6e12 for _, _, stamp, _ in client.metrics)


def test_names_of_metrics_have_nothing_that_mlflow_refuses() -> None:
    assert metric_name("trials/latency_ms[eager,b1,fp32]") == "trials/latency_ms_eager_b1_fp32"
    assert metric_name("best/size@pi:4") == "best/size_pi_4"


class FakeWandbRun:
    """What `WandbCallback` uses of a run of wandb."""

    def __init__(self, init: dict[str, Any]) -> None:
        self.init = init
        self.steps: dict[str, str] = {}
        self.logged: list[dict[str, Any]] = []
        self.saved: list[str] = []
        self.summary: dict[str, Any] = {}
        self.exit_code: int | None = None

    def define_metric(self, name: str, *, step_metric: str) -> None:
        self.steps[name] = step_metric

    def log(self, data: dict[str, Any]) -> None:
        self.logged.append(data)

    def save(self, glob_str: str, base_path: str, policy: str) -> None:
        assert policy == "now" and glob_str.startswith(base_path)
        self.saved.append(Path(glob_str).name)

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


def test_wandb_gets_the_config_and_numbers_over_their_own_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = types.ModuleType("wandb")
    fake.init = lambda **options: FakeWandbRun(options)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    callback = WandbCallback("wirings", mode="offline", group="g")
    with telling(made_run(tmp_path, trials=3), [callback], no_listener) as listen:
        listen(STEP)
    run = callback._run
    assert run.init["project"] == "wirings" and run.init["mode"] == "offline"
    assert run.init["group"] == "g" and run.init["name"] == "made"
    assert run.init["config"]["nas"]["preset"] == "smoke"
    errors = [each for each in run.logged if "trials/error" in each]
    assert [each["trials/step"] for each in errors] == [0, 1, 2]
    assert run.steps["trials/*"] == "trials/step"
    assert run.saved == ["run.yaml"] and run.exit_code == 0
    assert run.summary["state"] == "finished"


@pytest.mark.parametrize(
    ("callback", "package", "extra"),
    [(MlflowCallback, "mlflow", "nas[mlflow]"), (WandbCallback, "wandb", "nas[wandb]")],
)
def test_a_missing_library_is_told_with_its_extra(
    callback: Any, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        EnvironmentFault, match=f"needs {package}, which is not installed"
    ) as caught:
        callback()
    assert extra in str(caught.value.fix)


@pytest.mark.filterwarnings("ignore")  # of its own libraries
def test_the_real_mlflow_takes_it(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="pip install 'nas[mlflow]'")
    callback = MlflowCallback("wirings", tracking_uri=f"sqlite:///{tmp_path / 'm.db'}", files=False)
    run = noisy_run(tmp_path, [noisy_trial(1.0, 1.0), noisy_trial(0.5, 2.0)])
    with telling(run.path, [callback], no_listener) as listen:
        listen(STEP)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'm.db'}")
    found = client.get_metric_history(callback._id, "trials/cross_entropy")
    assert [(each.step, each.value) for each in found] == [(0, 1.0), (1, 0.5)]

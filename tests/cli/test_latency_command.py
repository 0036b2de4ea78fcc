"""`nas latency`: build, show, predict and check, on a meter that times nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from latency_devices import MadeMeter
from made_runs import made_run

from nas.cli import latency
from nas.predict import building
from nas.predict.features import network_features

Nas = Callable[..., Any]
METERS: list[Any] = []


@pytest.fixture(autouse=True)
def meter(monkeypatch: pytest.MonkeyPatch) -> MadeMeter:
    made = MadeMeter()

    def opened(config: Any, shape: Any, device: str, reference_ms: float | None) -> MadeMeter:
        METERS.append((config, shape, device))
        return made

    monkeypatch.setattr(latency, "_meter", opened)
    monkeypatch.setattr(building, "build_standalone", network_features)
    return made


def build(nas: Nas, *more: object) -> Any:
    return nas("latency", "build", "tiny_exhaustive", "--samples", 12, *more)


def test_a_profile_is_built_shown_checked_and_predicts(nas: Nas, meter: MadeMeter) -> None:
    answer = build(nas, "--name", "mine", "--json")
    assert answer.code == 0, answer.err
    document = answer.document
    assert document["schema"] == "nas.latency_build/1"
    assert document["path"] == "profiles/mine.json"
    assert document["members_measured"] == 12
    assert Path("profiles/mine.json").is_file()
    shown = nas("latency", "show", "mine")
    assert shown.code == 0
    assert "latency_ms[eager,b1,fp32] of tiny_exhaustive" in shown.out
    assert "within 10 %" in shown.out
    assert nas("latency", "show", "mine", "--json").document["pieces"]
    checked = nas("latency", "check", "mine")
    assert checked.code == 0
    assert "verdict: fits" in checked.out
    meter.slower = 1.2
    drifted = nas("latency", "check", "profiles/mine.json", "--number", 6, "--json").document
    assert drifted["schema"] == "nas.latency_check/1"
    assert drifted["verdict"] == "drifted"
    assert len(drifted["networks"]) == 6


def test_networks_of_files_names_and_patterns_are_predicted(nas: Nas) -> None:
    assert build(nas, "-o", "p.json").code == 0
    assert nas("arch", "build", "dense:size=3,width=8", "-o", "arch.json").code == 0
    from_file = nas("latency", "predict", "p.json", "arch.json", "--json").document
    by_name = nas("latency", "predict", "p.json", "dense:size=3,width=8", "--json").document
    assert from_file["schema"] == "nas.latency_prediction/1"
    assert from_file["source"] == "predicted"
    assert from_file["low_ms"] < from_file["latency_ms"] < from_file["high_ms"]
    assert from_file["latency_ms"] == by_name["latency_ms"]
    text = nas("latency", "predict", "p.json", "resnet-cifar:depth=20")
    assert text.code == 0
    assert "flag: unknown_pieces" in text.out
    assert nas("latency", "predict", "p.json", "no-such-run:3").code == 3


def test_data_and_options_say_the_shape(nas: Nas) -> None:
    document = build(nas, "--data", "digits", "--json").document
    assert (document["input"], document["classes"]) == ([1, 8, 8], 10)
    more = ("--classes", 5, "--name", "b", "--wait", 0, "--json")
    document = build(nas, "--input", "3x16x16", *more).document
    assert (document["input"], document["classes"]) == ([3, 16, 16], 5)
    config, shape, device = METERS[-1]
    assert (config.runtime, config.wait_s, shape, device) == ("eager", 0, (3, 16, 16), "cpu")


def test_profiles_of_other_devices_become_a_prior(nas: Nas) -> None:
    for name in ("one", "two"):
        assert build(nas, "--name", name).code == 0
    document = build(nas, "--name", "three", "--prior", "one", "--prior", "two", "--json").document
    assert document["other_devices"] == 2
    alone = build(nas, "--name", "four", "--prior", "one")
    assert "one other device says nothing" in alone.err


def test_a_profile_of_another_shape_is_no_prior_and_predicts_no_trial_of_another(
    nas: Nas, tmp_path: Path
) -> None:
    assert build(nas, "--name", "one", "--classes", 5).code == 0
    answer = build(nas, "--name", "two", "--prior", "one")
    assert answer.code == 2
    assert "'one' is no prior for this one: classes: the profile has 5" in answer.err
    made_run(tmp_path / "runs")
    run = next(path for path in (tmp_path / "runs").iterdir() if (path / "trials.log").exists())
    refused = nas("latency", "predict", "one", f"{run}:0")
    assert refused.code == 2
    assert "Latencies were measured at 3x32x32 and 5 classes" in refused.err


def test_a_device_on_which_all_take_the_same_time_is_shown(nas: Nas) -> None:
    assert build(nas, "--name", "one").code == 0
    path = Path("profiles/one.json")
    profile = json.loads(path.read_text())
    for entry in profile["measurements"]:
        entry["ratio"] = 1.0
    path.write_text(json.dumps(profile))
    answer = nas("latency", "show", "one", "--json")
    assert answer.code == 0, answer.err
    assert answer.document["left_out"]["spearman"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("build", "tiny_exhaustive", "--samples", "3"), 2, "3 random members are too few"),
        (("build", "tiny_exhaustive", "--name", "A b"), 2, "is not a name"),
        (("build", "tiny_exhaustive", "-o", "p.yaml"), 2, "ends in .json"),
        (("build", "tiny_exhaustive", "-o", "p.json", "--name", "p"), 2, "both say where"),
        (("build", "tiny_exhaustive", "--runtime", "magic"), None, "magic"),
        (("build", "tiny_exhaustive", "--batch", "0"), 2, "'batch' is 0"),
        (("build", "tiny_exhaustive", "--input", "3x3"), 2, "no shape of an image"),
        (("build", "no-such-space"), 3, "no-such-space"),
        (("build", "tiny_exhaustive", "-o", "folder"), 2, "Write -o folder.json"),
        (("build", "tiny_exhaustive", "--samples", "5000"), 2, "a profile holds 2000"),
        (("build", "tiny_exhaustive", "--device", "abacus"), 2, "'abacus' is not there"),
        (("show", "~nobody-here/x"), 3, "There is no profile '~nobody-here/x'"),
        (("show", "x" * 300), 3, "There is no profile 'xxx"),
        (("show", "nothing"), 3, "There is no profile 'nothing'"),
        (("check", "nothing"), 3, "There is no profile 'nothing'"),
        (("predict", "nothing", "x"), 3, "There is no profile 'nothing'"),
    ],
)
def test_mistakes_are_told(
    arguments: tuple[str, ...], code: int | None, message: str, nas: Nas
) -> None:
    answer = nas("latency", *arguments)
    assert answer.code == code if code else answer.code in (2, 3)
    assert message in answer.err


def test_profiles_nearby_are_listed_and_a_broken_one_is_refused(nas: Nas) -> None:
    folder = Path("profiles")
    folder.mkdir()
    (folder / "broken.json").write_text('{"schema": "nas.latency-profile/1", "seed": NaN}')
    assert "Profiles here: broken." in nas("latency", "show", "other").err
    answer = nas("latency", "show", "broken")
    assert answer.code == 2
    assert "NaN is not a JSON number" in answer.err

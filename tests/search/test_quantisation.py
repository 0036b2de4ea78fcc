"""Searching number formats with the architecture, and scoring members in int8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.cli.main import run as type_in
from nas.errors import ConfigError, NasError
from nas.run_store import Run
from nas.search.driver import search
from nas.search.front_view import front_document
from nas.search.settings.resolve import resolve_config, searched_space

SMALL = {
    "space": "tiny_exhaustive",
    "preset": "smoke",
    "supernet": {"training": {"epochs": 2}, "relaxation": {"epochs": 1, "proposals": 2}},
    "confirm": {"enabled": False},
    "executor": {"kind": "inline"},
}
POLICY = {"objectives": ["cross_entropy[ort,policy]", "macs"], "quantisation": {"per": "stage"}}


def test_architecture_and_policy_are_searched_together(tmp_path: Path) -> None:
    config = resolve_config({**SMALL, **POLICY, "search": {"trials": 5, "batch": 5}})
    run = search(config, runs=tmp_path, name="both")
    trials = run.table().finished()
    assert len(trials) == 5
    told = {str(trial.extra["quantisation"]) for trial in trials}
    assert "fp32" in told
    assert any(text.startswith("int8") for text in told)
    for trial in trials:
        value = trial.value("cross_entropy[ort,policy]")
        exact = float(trial.extra["inherited"]["cross_entropy"])
        if trial.extra["quantisation"] == "fp32":
            assert value == pytest.approx(exact, rel=1e-4)
        else:
            assert value == pytest.approx(exact, rel=0.2)
            assert value != exact
    members = {(t.extra["architecture_id"], t.extra["quantisation"]) for t in trials}
    assert len(members) == len(trials)
    document = front_document(run)
    assert "family by itself" in document["trust"]["front"]
    assert {point["quantisation"] for point in document["points"]} <= told
    bars = [point["objectives"]["cross_entropy[ort,policy]"] for point in document["points"]]
    assert all(bar["standard_error"] > 0 for bar in bars)


def test_a_search_of_int8_error_and_latency_works_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objectives = ["error[ort,int8]", "latency_ms[ort,b1,int8]"]
    words = ["search", "tiny_exhaustive", "--data", "digits", "--preset", "smoke", "--trials", "3"]
    words += ["--runs", str(tmp_path), "--name", "int8", "--executor", "inline"]
    settings = {
        "objectives": json.dumps(objectives),
        "confirm.enabled": "false",
        "supernet.training.epochs": "2",
        "supernet.relaxation.enabled": "false",
        "latency.max_seconds": "0.03",
        "latency.wait_s": "0",
    }
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    assert type_in(words) == 0, capsys.readouterr().err
    trials = Run.open(tmp_path / "int8").table().finished()
    assert len(trials) == 3
    for trial in trials:
        assert 0 < trial.value("error[ort,int8]") <= 1
        assert trial.value("latency_ms[ort,b1,int8]") > 0
        details = trial.extra["measurements"]["latency_ms[ort,b1,int8]"]
        assert (details["runtime"], details["dtype"]) == ("ort", "int8")


def test_a_dry_run_counts_policies_and_what_it_takes_to_prepare_networks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["search", "tiny_exhaustive", "--preset", "smoke", "--dry-run", "--json", "--set"]

    def estimate(*settings: str) -> dict[str, Any]:
        assert type_in([*words, "objectives=[macs]", *settings]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    plain = estimate()
    policy = ("--set", 'objectives=["latency[ort,policy]"]', "--set", "quantisation={per: stage}")
    both = estimate(*policy)
    assert both["members"] == 4 * plain["members"]
    assert both["seconds"]["explore"] > plain["seconds"]["explore"] + both["trials"]
    assert type_in([*words, 'objectives=["latency[cudagraph]"]']) == 2
    assert "'cudagraph' does not run on the device 'cpu'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objectives": ["error[ort,policy]", "macs"]}, r"leaves the number format to the search"),
        ({"quantisation": {}}, r"no objective depends on them[\s\S]*latency_ms\[ort,b1,policy\]"),
        (
            {**POLICY, "quantisation": {"policies": ["fp32", "fp16"]}},
            r"'ort' does not execute fp16",
        ),
        (
            {**POLICY, "quantisation": {"policies": ["fp32", "int8-dynamic"], "per": "stage"}},
            r"cannot mix fp32, int8-dynamic",
        ),
        (
            {**POLICY, "quantisation": {"policies": ["int8", "int8"]}},
            r"names a number format twice",
        ),
        ({**POLICY, "quantisation": {"policies": ["int8"]}}, r"policies"),
        ({**POLICY, "quantisation": {"per": "layer"}}, r"per"),
        ({"objectives": ["latency[foo]", "macs"]}, r"'foo' is no runtime"),
    ],
)
def test_what_contradicts_itself_is_refused_before_any_work(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_config({**SMALL, **settings})


def test_a_runtime_that_cannot_be_had_ends_a_search_before_anything_is_written(
    tmp_path: Path,
) -> None:
    config = resolve_config({**SMALL, "objectives": ["latency[cudagraph]", "macs"]})
    with pytest.raises(NasError, match=r"'cudagraph' does not run on the device 'cpu'"):
        search(config, runs=tmp_path, name="none")
    assert list(tmp_path.iterdir()) == []


def test_the_searched_space_is_the_space_itself_where_no_policy_is_searched() -> None:
    plain = resolve_config(SMALL)
    assert (
        searched_space(plain).count() * 4
        == searched_space(resolve_config({**SMALL, **POLICY})).count()
    )

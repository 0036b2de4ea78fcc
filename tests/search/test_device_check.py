"""Where a run that measures may go on, and what is told when conditions changed."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from nas.errors import RunError
from nas.objectives.device_fingerprint import device_fingerprint
from nas.search.checks.device_check import check_same_device, package_versions
from nas.search.settings.config import SearchConfig


def run_of(**changes: Any) -> Any:
    """Return a run that was begun here, but for the changes in its fingerprint."""
    return SimpleNamespace(
        name="r1",
        environment={
            "device": "cpu",
            "fingerprint": device_fingerprint("cpu").to_dict() | changes,
            "versions": package_versions(),
        },
    )


def config(*objectives: str) -> SearchConfig:
    return SearchConfig(space="tiny_exhaustive", objectives=["error", *objectives])


def test_a_run_goes_on_where_it_began_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "nas"):
        check_same_device(run_of(), config("latency"))
    assert not caplog.records


@pytest.mark.parametrize(
    ("changes", "objective"),
    [
        ({"processor": "Abacus 3"}, "latency"),
        ({"threads": 7}, "latency"),
        ({"runtimes": "onnxruntime 0.1"}, "latency[ort]"),
    ],
)
def test_a_device_on_which_times_differ_is_refused_and_the_difference_named(
    changes: dict[str, Any], objective: str
) -> None:
    ((name, value),) = changes.items()
    with pytest.raises(RunError, match=rf"{name} was {value}, here it is[\s\S]*start a new run"):
        check_same_device(run_of(**changes), config(objective))


@pytest.mark.fault("C14")
@pytest.mark.parametrize(
    "changes",
    [
        {"clock_policy": "governor performance, turbo off"},
        {"runtimes": "onnxruntime 0.1"},
        {"driver": "550.1"},
    ],
)
def test_conditions_that_may_change_times_are_told(
    changes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    ((name, value),) = changes.items()
    with caplog.at_level(logging.WARNING, "nas"):
        check_same_device(run_of(**changes), config("latency"))
    assert f"{name} was {value}, here it is" in caplog.text
    assert "goes on measuring under other conditions" in caplog.text


def test_a_run_that_measures_nothing_may_go_on_under_any_clock(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "nas"):
        check_same_device(run_of(clock_policy="governor performance"), config("macs"))
    assert not caplog.records

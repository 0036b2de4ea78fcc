"""Relaxations on the command line: presets that run, and misfits refused before a trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.run_store import Run
from nas.supernet.relaxation_config import RELAXATION_PRESETS

Nas = Callable[..., Any]
PRESET = "supernet.relaxation.preset"
SEARCH = ("search", "tiny_exhaustive", "--data", "digits", "--preset", "smoke")


@pytest.mark.parametrize(
    ("assignment", "code", "messages"),
    [
        (f"{PRESET}=dartz", 2, [f"'{PRESET}'", "'dartz'", "pc-darts", *RELAXATION_PRESETS]),
        (
            f"{PRESET}=dots",
            2,
            [
                "preset 'dots' (gate sampler 'k_subsets') does not fit the space 'tiny_exhaustive'",
                f"key {PRESET}",
                "No set of edges is left open",
            ],
        ),
        (
            "supernet.relaxation.partial=channels",
            2,
            ["partial 'channels'", "is mixed", "relaxation.operations=mixed"],
        ),
        (
            "supernet.relaxation.alternation=third_order",
            3,
            ["Unknown alternation 'third_order'", "second_order", "relaxation.alternation"],
        ),
        (
            "supernet.relaxation.partial={name: channels, divisr: 2}",
            2,
            ["no option 'divisr'", "divisor, shuffled, edge_normalisation"],
        ),
        (
            "supernet.relaxation.rules=[{name: self_distillation, teachers: 0}]",
            2,
            ["'teachers'", "relaxation.rules.0"],
        ),
    ],
)
def test_a_relaxation_that_cannot_be_is_refused_and_nothing_is_written(
    nas: Nas, assignment: str, code: int, messages: list[str]
) -> None:
    answer = nas(*SEARCH, "--set", assignment)
    assert answer.code == code, answer.err
    assert answer.out == ""
    for message in messages:
        assert message in answer.err, answer.err
    assert list(Path().rglob("*")) == []


def test_a_preset_that_does_not_fit_is_no_matter_where_nothing_is_relaxed(nas: Nas) -> None:
    settings = (f"--set={PRESET}=dots", "--set=supernet.relaxation.enabled=false")
    Path("own.yaml").write_text("schema: nas.search/1\nspace: tiny_exhaustive\n")
    answer = nas("config", "show", "own.yaml", "--json", *settings)
    assert answer.code == 0, answer.err


def test_the_lines_of_a_preset_are_shown_under_what_is_written(nas: Nas) -> None:
    Path("own.yaml").write_text("schema: nas.search/1\nspace: tiny_exhaustive\n")
    answer = nas(
        *("config", "show", "own.yaml", "--json", "--set", f"{PRESET}=pc-darts"),
        *("--set", "supernet.relaxation.gate_weight_decay=0.5"),
    )
    assert answer.code == 0, answer.err
    shown = json.loads(answer.out)["supernet"]["relaxation"]
    assert shown["preset"] == "pc-darts"
    assert shown["partial"] == RELAXATION_PRESETS["pc-darts"]["partial"]
    assert (shown["operations"], shown["gate_weight_decay"]) == ("mixed", 0.5)


def test_a_search_with_partial_channels_runs(nas: Nas) -> None:
    answer = nas(
        *SEARCH,
        *("--seed=3", "--executor=inline", "--set=objectives=[error, macs]", "--trials=4"),
        *("--set=max_train_images=300", "--set=search.batch=4", "--name=partial"),
        *("--set=supernet.training.epochs=1", "--set=supernet.relaxation.epochs=1"),
        *("--set=confirm.enabled=false", "--set", f"{PRESET}=pc-darts"),
        "--set=supernet.relaxation.gate_warmup_epochs=0",
    )
    assert answer.code == 0, answer.err
    assert Run.open("runs/partial").config["supernet"]["relaxation"]["preset"] == "pc-darts"

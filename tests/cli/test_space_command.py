"""`nas space` and `nas patterns`: what there is, in words and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.space import space_names
from nas.space.counting import short_count

Nas = Callable[..., Any]

OWN = """\
schema: nas.space/1
name: own
summary: Two stages of my own.
kind: stages
stem: conv3x3
transition: conv3x3
stages:
  - {pattern: {choices: [chain, dense]}, depth: {choices: [2, 3]}, operation: conv3x3, \
merge: sum, width: 8, stride: 1}
"""


def test_every_declared_space_is_listed(nas: Nas) -> None:
    answer = nas("space", "list")
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.splitlines()[1:]] == space_names()
    document = nas("space", "list", "--json").document
    assert document["schema"] == "nas.spaces/1"
    assert [space["name"] for space in document["spaces"]] == space_names()


@pytest.mark.parametrize("name", ["wired_cnn", "nasbench201", "tiny_exhaustive"])
def test_a_space_is_described_by_its_choices(name: str, nas: Nas) -> None:
    answer = nas("space", "describe", name)
    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"{name}: ")
    assert "hand-made wirings: " in answer.out
    document = nas("space", "describe", name, "--json").document
    assert document["schema"] == "nas.space_description/1"
    assert document["declaration"]["schema"] == "nas.space/1"
    assert len(document["fingerprint"]) == 16


def test_a_small_space_is_counted_twice(nas: Nas) -> None:
    document = nas("space", "count", "tiny_exhaustive", "--json").document
    assert 200 <= document["distinct"] <= document["members"] <= 500
    assert "reason" not in document
    assert f"{document['distinct']:,}" in nas("space", "count", "tiny_exhaustive").out


def test_a_large_space_has_no_count_of_distinct_members(nas: Nas) -> None:
    answer = nas("space", "count", "wired_cnn", "--json")
    assert answer.document["distinct"] is None
    assert "more than 1,000,000 members" in answer.document["reason"]
    assert "more than 1,000,000" in nas("space", "count", "wired_cnn").out


def test_a_sample_depends_on_the_seed_alone(nas: Nas) -> None:
    drawn = [nas("space", "sample", "skip", "-n", 3, "--seed", seed).out for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    document = nas("space", "sample", "skip", "-n", 3, "--seed", 1, "--json").document
    assert document["schema"] == "nas.space_sample/1"
    assert [member["architecture"] in drawn[0] for member in document["members"]] == [True] * 3


def test_a_file_of_ones_own_is_validated(nas: Nas) -> None:
    Path("own.yaml").write_text(OWN)
    answer = nas("space", "validate", "own.yaml")
    assert answer.code == 0, answer.err
    assert answer.out == "own: valid, 4 members\n"
    assert nas("space", "validate", "own.yaml", "--json").document["valid"] is True


@pytest.mark.parametrize("verb", ["describe", "count", "sample", "validate"])
def test_an_unknown_space_is_answered_with_the_known_ones(verb: str, nas: Nas) -> None:
    answer = nas("space", verb, "wired_cn")
    assert answer.code == 3
    assert "Unknown space 'wired_cn'" in answer.err
    assert "Did you mean 'wired_cnn'?" in answer.err
    assert "tiny_exhaustive" in answer.err
    assert nas("space", verb, "missing.yaml").code == 3


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        ("chain, dense", "chain, densse", ["Unknown pattern 'densse'", "Did you mean 'dense'?"]),
        ("operation: conv3x3", "operation: conv9", ["Unknown operation 'conv9'", "conv3x3"]),
        ("merge: sum", "merge: summ", ["Unknown merge 'summ'", "Did you mean 'sum'?"]),
        ("width: 8", "wdith: 8", ["wdith", "Did you mean 'width'?"]),
        ("width: 8", "width: -8", ["-8", "width"]),
        ("width: 8", "width: wide", ["wide", "width"]),
        ("[chain, dense]", "[]", ["pattern"]),
        ("[2, 3]", "[]", ["depth"]),
        ("chain, dense]}, depth: {choices: [2, 3]", "fractal]}, depth: {choices: [2", ["fractal"]),
        ("kind: stages", "kind: stages\nkind: stages", ["twice"]),
        ("nas.space/1", "nas.space/9", ["nas.space/9", "schema: nas.space/1"]),
        ("summary: Two", "summary: \N{LATIN SMALL LETTER E WITH ACUTE}", []),
    ],
)
def test_a_bad_space_file_is_refused_with_file_and_line(
    old: str, new: str, messages: list[str], nas: Nas
) -> None:
    text = OWN.replace(old, new)
    Path("own.yaml").write_bytes(text.encode("utf-8" if messages else "latin-1"))
    answer = nas("space", "validate", "own.yaml")
    assert answer.code in (2, 3), answer.out
    assert "own.yaml" in answer.err
    for message in messages or ["not UTF-8"]:
        assert message in answer.err


@pytest.mark.parametrize("option", [["-n", "0"], ["-n", "x"], ["--seed", "-1"]])
def test_absurd_numbers_are_refused(option: list[str], nas: Nas) -> None:
    answer = nas("space", "sample", "skip", *option)
    assert answer.code == 2
    assert "Invalid value for" in answer.err


def test_counts_are_written_for_reading() -> None:
    assert short_count(1234) == "1,234"
    assert short_count(10**20) == "1.00e+20"

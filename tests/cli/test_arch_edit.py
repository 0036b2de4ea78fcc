"""`nas arch edit` and `nas arch diff`: children of networks, and how far they are from home."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.topology.edits import EDITS, Lineage
from nas.topology.serial import load_architecture

Nas = Callable[..., Any]


def test_random_edits_are_recorded_and_replayed(nas: Nas) -> None:
    nas("arch", "build", "residual:size=4", "-o", "parent.json")
    answer = nas(
        "arch", "edit", "parent.json", "--random", 3, "--seed", 1,
        "-o", "child.json", "--lineage", "lineage.json", "--json",
    )  # fmt: skip
    document = answer.document
    assert document["schema"] == "nas.arch_edit/1"
    assert len(document["lineage"]["edits"]) == 3
    lineage = Lineage.load(json.loads(Path("lineage.json").read_text()))
    assert lineage.dump() == document["lineage"]
    parent, child = (load_architecture(Path(f"{n}.json").read_text()) for n in ("parent", "child"))
    assert lineage.replay(parent) == child
    shown = nas("arch", "show", "child.json", "--json").document
    assert shown["ids"]["structural"] == document["child"]["id"]
    again = nas("arch", "edit", "residual:size=4", "--replay", "lineage.json", "--json").document
    assert again["child"] == document["child"]
    text = nas("arch", "edit", "residual:size=4", "--random", 3, "--seed", 1).out
    assert all(edit["edit"] in text for edit in document["lineage"]["edits"])


def test_equal_seeds_give_equal_children(nas: Nas) -> None:
    children = [
        nas("arch", "edit", "fractal:size=7", "--random", 5, "--seed", seed, "--json").document
        for seed in (3, 3, 4)
    ]
    assert children[0] == children[1]
    assert children[0]["child"] != children[2]["child"]


def test_only_the_kinds_that_are_asked_for_are_drawn(nas: Nas) -> None:
    document = nas(
        "arch", "edit", "chain:size=6", "--random", 4, "--kinds", "add_edge", "--json"
    ).document
    assert [edit["edit"] for edit in document["lineage"]["edits"]] == ["add_edge"] * 4
    assert document["child"]["edges"] == document["parent"]["edges"] + 4


def test_a_network_and_its_child_differ_by_the_edit(nas: Nas) -> None:
    arguments = ("--random", 1, "--kinds", "add_edge", "-o", "child.json")
    nas("arch", "edit", "residual:size=4", *arguments)
    document = nas("arch", "diff", "residual:size=4", "child.json", "--json").document
    assert document["schema"] == "nas.arch_diff/1"
    assert document["distance"] == {"lower": 1, "upper": 1, "exact": True}
    assert len(document["added_edges"]) == 1
    assert document["removed_edges"] == document["added_nodes"] == []
    text = nas("arch", "diff", "residual:size=4", "child.json").out
    assert "distance  1 step\n" in text
    assert "+ edge " in text
    same = nas("arch", "diff", "chain", "chain").out
    assert same == "distance  0 steps\n"


def test_bounds_are_told_where_the_search_stops(nas: Nas) -> None:
    document = nas(
        "arch", "diff", "dense:size=12", "harmonic:size=12", "--effort", 5, "--json"
    ).document
    found = document["distance"]
    assert not found["exact"]
    assert 1 <= found["lower"] < found["upper"]
    text = nas("arch", "diff", "dense:size=12", "harmonic:size=12", "--effort", 5).out
    assert f"distance  {found['lower']} to {found['upper']} steps" in text
    assert "(concat => " not in text


@pytest.mark.parametrize(
    ("arguments", "code", "messages"),
    [
        (["edit", "chain"], 2, ["Give one of --random N, --replay FILE and --rewrite NAME"]),
        (["edit", "chain", "--rewrite", "lagged"], 2, ["no residual chain", "'residual'"]),
        (["edit", "residual", "--rewrite", "laged"], 2, ["no rewrite 'laged'", "'lagged'?"]),
        (["edit", "residual", "--rewrite", "lagged:x"], 2, ["gives no lag", "lagged:1"]),
        (["edit", "residual", "--rewrite", "first_order:3"], 2, ["takes no number"]),
        (["edit", "chain", "--random", 1, "--replay", "x"], 2, ["nothing to do, or too much"]),
        (["edit", "chain", "--random", 0], 2, ["--random", "1"]),
        (["edit", "chain", "--random", 1, "--kinds", "fly"], 2, ["Unknown edit 'fly'", *EDITS]),
        (["edit", "chainn", "--random", 1], 3, ["Did you mean 'chain'?"]),
        (["edit", "chain", "--replay", "gone.json"], 3, ["no file 'gone.json'"]),
        (["diff", "chain", "chainn"], 3, ["Did you mean 'chain'?"]),
        (["diff", "chain", "chain", "--effort", 0], 2, ["--effort"]),
        (["diff", "chain", "gone.json"], 3, ["no file 'gone.json'"]),
    ],
)
def test_refusals_name_the_way_out(
    arguments: list[object], code: int, messages: list[str], nas: Nas
) -> None:
    answer = nas("arch", *arguments)
    assert answer.code == code, answer.err
    assert answer.out == ""
    for message in messages:
        assert message in answer.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is no JSON"),
        (b"\xff", "is no JSON"),
        (b"{}", "schema 'nas.lineage/1'"),
        (b" " * 16_000_001, "larger than 16,000,000 bytes"),
        (json.dumps({"schema": "nas.lineage/1"}).encode(), "keys schema, parent, digest and edits"),
        (b"[" * 100_000, "is no JSON"),
    ],
)
def test_a_file_that_is_no_lineage_is_refused(content: bytes, message: str, nas: Nas) -> None:
    Path("lineage.json").write_bytes(content)
    answer = nas("arch", "edit", "chain", "--replay", "lineage.json")
    assert answer.code == 2, answer.err
    assert message in answer.err


def test_a_lineage_of_another_network_is_refused(nas: Nas) -> None:
    nas("arch", "edit", "chain", "--random", 1, "--lineage", "lineage.json")
    answer = nas("arch", "edit", "dense", "--replay", "lineage.json")
    assert answer.code == 2
    assert "not the parent" in answer.err


def test_files_are_never_overwritten(nas: Nas) -> None:
    for option in ("--output", "--lineage"):
        Path("mine.json").write_text("mine")
        answer = nas("arch", "edit", "chain", "--random", 1, option, "mine.json")
        assert answer.code == 2
        assert "mine.json exists already" in answer.err
        assert Path("mine.json").read_text() == "mine"


def test_a_trial_is_edited_at_the_shapes_of_its_run(made: Path, nas: Nas) -> None:
    document = nas("arch", "edit", f"{made}:2", "--random", 2, "--json").document
    shown = nas("arch", "show", f"{made}:2", "--json").document
    assert document["parent"]["id"] == shown["ids"]["structural"]
    assert document["parent"]["macs"] == shown["cost"]["macs"]
    assert document["lineage"]["parent"] == shown["ids"]["structural"]


@pytest.mark.parametrize(
    "name", ["lagged", "lagged:2", "side_by_side", "side_by_side:3", "first_order"]
)
def test_a_rewrite_is_recorded_as_edits(name: str, nas: Nas) -> None:
    document = nas("arch", "edit", "resnet-cifar:depth=20", "--rewrite", name, "--json").document
    parent, child = document["parent"], document["child"]
    assert child["longest_path"] < parent["longest_path"]
    assert child["critical_path"] < parent["critical_path"]
    assert (child["parameters"], child["macs"]) == (parent["parameters"], parent["macs"])
    assert {edit["edit"] for edit in document["lineage"]["edits"]} == {"rewire"}

"""`nas arch`: networks by name, of a trial, from a file; every refusal names the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run

from nas.cli.arch import parse_shape
from nas.run_store import Run
from nas.topology.patterns import PATTERNS
from nas.topology.published import PUBLISHED

Nas = Callable[..., Any]


def test_resnet_has_its_published_cost(nas: Nas) -> None:
    answer = nas(
        "arch", "build", "resnet-cifar:depth=20", "--input", "3x32x32", "--classes", 10, "--json"
    )
    assert answer.code == 0
    assert answer.document["schema"] == "nas.arch_build/1"
    assert answer.document["parameters"] == 269_722
    assert answer.document["macs"] == 40_551_040
    assert answer.document["paths"] == 2**9
    assert answer.document["ids"]["structural"].startswith("s1-")


def test_a_network_of_imagenet_is_told_in_one_document(nas: Nas) -> None:
    document = nas(
        "arch", "build", "resnet:depth=50", "--input", "3x224x224", "--classes", 1000, "--json"
    ).document
    wanted = {
        "parameters": 25_557_032,
        "macs": 4_089_184_256,
        "paths": 2**16,
        "peak_live_tensors": 3,
        "effective_depth": 42.0,
    }
    assert {key: document[key] for key in wanted} == wanted
    assert document["depth"] == 49  # weighted layers but the classifier
    assert document["longest_path"] == 66
    # The first convolution's output, its norm and the image.
    assert document["peak_activation_bytes"] >= 4 * (2 * 64 * 112 * 112 + 3 * 224 * 224)


@pytest.mark.parametrize("name", [*PUBLISHED, *(f"pattern.{name}" for name in PATTERNS)])
def test_every_name_builds(name: str, nas: Nas) -> None:
    answer = nas("arch", "build", name)
    assert answer.code == 0, answer.err
    assert "parameters" in answer.out
    assert answer.err == ""


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        ("chain:size=16", {"edges": 16, "paths": 1, "length_moments": [16, 256, 4096]}),
        ("dense:size=5,width=16,operation=conv3x3,merge=concat", {"edges": 15, "paths": 16}),
        ("residual:size=3,operation=avg_pool3x3,scale=mean", {"operations": 3}),
        ("fractal:size=7", {"longest_path": 4, "shortest_path": 1}),
        ("dense:size=6,edge_scale=unscaled", {"peak_live_tensors": 7, "edges": 21}),
        ("residual:size=6", {"effective_depth": 3.0, "peak_live_tensors": 3}),
        ("csp(inner=chain):size=3,width=8", {"paths": 2}),
        ("csp:inner=chain,size=3,width=8", {"paths": 2}),
    ],
)
def test_a_pattern_alone_has_the_measures_of_its_wiring(
    name: str, measures: dict[str, object], nas: Nas
) -> None:
    document = nas("arch", "build", name, "--input", "1x8x8", "--classes", 4, "--json").document
    assert {key: document[key] for key in measures} == measures
    assert document["input"] == [1, 8, 8]
    assert document["classes"] == 4


def test_what_is_built_can_be_written_and_shown(nas: Nas) -> None:
    built = nas("arch", "build", "dense:size=3", "-o", "net.json", "--json")
    assert "next: nas arch show net.json" in built.err
    shown = nas("arch", "show", "net.json", "--json").document
    assert shown["schema"] == "nas.arch/1"
    assert shown["wiring"] == "dense"
    assert shown["ids"] == built.document["ids"]
    assert shown["cost"]["parameters"] == built.document["parameters"]
    assert len(shown["nodes"]) == 4
    assert len(shown["edges"]) == shown["measures"]["edges"] == 6
    answer = nas("arch", "show", "net.json")
    assert "conv3x3 16" in answer.out
    assert "0 1 2" in answer.out
    assert "├─├─●" in answer.out
    ascii_only = nas("arch", "show", "net.json", "--ascii").out
    assert "|-|-o" in ascii_only
    assert ascii_only.isascii()
    assert shown["layout"] == {
        "ranks": [0, 1, 2, 3],
        "lanes": [0, 0, 0, 0],
        "num_ranks": 4,
        "num_lanes": 1,
    }


def test_parts_gains_and_flags_are_shown(nas: Nas) -> None:
    text = nas("arch", "show", "csp(inner=dense):size=4,edge_scale=rezero").out
    assert "1 (part 0 of 2)" in text
    assert "0 1 (scalar gain 0)" in nas("arch", "show", "residual:edge_scale=rezero").out
    network = {
        "schema": "nas.architecture/1",
        "nodes": [
            {},
            {"cell": {"nodes": [{}, {}], "edges": [[0, 1]]}, "motif": "m", "exit": True},
            {"operation": "conv3x3", "width": 8, "stride": 2, "tie": "t", "own_norms": True},
        ],
        "edges": [[0, 1], [1, 2]],
        "head": "none",
    }
    Path("net.json").write_text(json.dumps(network))
    text = nas("arch", "show", "net.json").out
    assert "cell of 2 nodes (m) exit" in text
    assert "conv3x3 8 /2 own norms" in text
    document = nas("arch", "show", "net.json", "--json").document
    assert document["head"] == "none"
    assert document["nodes"] == network["nodes"]


@pytest.mark.fault("D7", "G-L3")
def test_a_million_nodes_and_a_file_of_20_megabytes_are_refused_at_once(nas: Nas) -> None:
    nodes = ", ".join(["{}"] * 1_000_000)
    text = f'{{"schema": "nas.architecture/1", "edges": [[0, 1]], "nodes": [{nodes}]}}'
    Path("net.json").write_text(text)
    answer = nas("arch", "show", "net.json")
    assert answer.code == 2
    assert "10,000 nodes" in answer.err
    Path("net.json").write_text(" " * 20_000_000 + "{}")
    answer = nas("arch", "show", "net.json")
    assert answer.code == 2
    assert "beyond the limit of 16,000,000" in answer.err


@pytest.mark.fault("D6")
def test_an_input_too_small_for_the_strides_is_refused(nas: Nas) -> None:
    network = {
        "schema": "nas.architecture/1",
        "nodes": [{}, {"operation": "avg_pool2x2"}, {"operation": "avg_pool2x2"}],
        "edges": [[0, 1], [1, 2]],
    }
    Path("net.json").write_text(json.dumps(network))
    answer = nas("arch", "show", "net.json", "--input", "3x1x1")
    assert answer.code == 2
    assert "Use fewer strides or a larger input" in answer.err


def test_a_file_is_never_overwritten(nas: Nas) -> None:
    Path("net.json").write_text("mine")
    answer = nas("arch", "build", "chain", "-o", "net.json")
    assert answer.code == 2
    assert "net.json exists already" in answer.err
    assert Path("net.json").read_text() == "mine"
    answer = nas("arch", "build", "chain", "-o", "nowhere/net.json")
    assert answer.code == 2
    assert "nowhere/net.json cannot be written: No such file" in answer.err


def test_a_trial_is_shown_at_the_shapes_of_its_run(made: Path, nas: Nas) -> None:
    document = nas("arch", "show", f"{made}:2", "--json").document
    assert document["input"] == [1, 8, 8]
    with Run.open(made) as run:
        trial = run.table().trials[2]
    assert document["ids"]["structural"] == trial.extra["architecture_id"]
    assert document["cost"]["macs"] == trial.value("macs")
    by_name = nas("arch", "show", "made:2", "--runs", made.parent, "--input", "1x16x16", "--json")
    assert by_name.document["cost"]["macs"] > trial.value("macs")


@pytest.mark.parametrize(
    ("arguments", "code", "messages"),
    [
        (["build", "densee"], 3, ["no pattern 'densee'", "Did you mean 'dense'?", "resnet"]),
        (["build", "fractal:size=4"], 2, ["does not exist for 4", "1, 3, 7, 15"]),
        (["build", "pattern.nothing"], 3, ["no pattern 'nothing'"]),
        (["build", "res2net(scale=2"], 2, ["Every bracket is closed"]),
        (["build", "csp(inner=dens)"], 3, ["names no pattern", "Did you mean 'dense'?"]),
        (["build", "csp(iner=dense)"], 2, ["no parameter 'iner'", "Did you mean 'inner'?"]),
        (["build", "csp(inner=dense):size"], 2, ["'size' is no option of the form key=value"]),
        (["build", "csp(inner=dense):inner=chain"], 2, ["no option 'inner'"]),
        (["build", "dense:edge_scale=rezro"], 3, ["rezro", "rezero"]),
        (["build", "a" * 600], 2, ["takes 600 characters", "at most 500"]),
        (
            ["build", "dense:size=1000000"],
            2,
            ["'size' is '1000000'", "1 to 512", "The nearest is size=512."],
        ),
        (["build", "dense:size=99999999999999999999"], 2, ["1 to 512"]),
        (
            ["build", "dense:width=0"],
            2,
            ["'width' is '0'", "The nearest is width=1. Left out, it is 16."],
        ),
        (["build", "dense:size=0"], 2, ["'size' is '0'", "1 to 512"]),
        (["build", "dense:size=-2"], 2, ["'size' is '-2'", "The nearest is size=1."]),
        (
            ["build", "dense:width=1e3"],
            2,
            ["'width' is '1e3'", "Write width=1 or more. Left out, it is 16."],
        ),
        (["build", "dense:siz=3"], 2, ["no option 'siz'", "Did you mean 'size'?"]),
        (["build", "dense:size"], 2, ["'size' is no option of the form key=value"]),
        (["build", "dense:operation=conv9"], 3, ["Unknown operation 'conv9'", "conv3x3"]),
        (["build", "dense:merge=summ"], 3, ["Unknown merge 'summ'", "Did you mean 'sum'?"]),
        (["build", "dense:scale=big"], 2, ["scale 'big'", "rsqrt"]),
        (["build", "resnet-cifar:depth=21"], 2, ["'depth' is 21", "depth=20"]),
        (["build", "chain", "--input", "3x32"], 2, ["'3x32' is no shape", "3x32x32"]),
        (["build", "chain", "--input", "0x8x8"], 2, ["'0x8x8' is no shape"]),
        (["build", "chain", "--classes", "1"], 2, ["'--classes'", "greater than or equal to 2"]),
        (["show", "nowhere"], 3, ["no published network and no pattern 'nowhere'"]),
        (["show", "nowhere.json"], 3, ["no file 'nowhere.json'"]),
        (["show", "nowhere:1"], 3, ["no run 'nowhere'", "nas runs list"]),
    ],
)
def test_refusals_name_the_way_out(
    arguments: list[str], code: int, messages: list[str], nas: Nas
) -> None:
    answer = nas("arch", *arguments)
    assert answer.code == code, answer.err
    assert answer.out == ""
    for message in messages:
        assert message in answer.err
    assert list(Path().iterdir()) == []


def test_a_trial_that_is_not_there_is_answered_with_those_that_are(
    made: Path, tmp_path: Path, nas: Nas
) -> None:
    answer = nas("arch", "show", f"{made}:77")
    assert answer.code == 3
    assert "has no trial 77: it has trials 0 to 5" in answer.err
    empty = made_run(tmp_path, "empty", trials=0)
    assert "it has no trials yet" in nas("arch", "show", f"{empty}:0").err


CYCLE = {
    "schema": "nas.architecture/1",
    "nodes": [{}, {"operation": "conv3x3"}, {}],
    "edges": [[0, 1], [2, 1], [1, 2]],
}


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (b"\xff\xfe{}", ["net.json is not UTF-8"]),
        (b"{", ["where: net.json"]),
        (b"[]", ["An architecture is a JSON object"]),
        (b'{"schema": "nas.space/1"}', ["schema"]),
        (json.dumps(CYCLE).encode(), ["cycle", "where: net.json"]),
        (json.dumps({**CYCLE, "edges": [[0, 2]]}).encode(), ["Node 1 is disconnected"]),
        (json.dumps({**CYCLE, "edges": [[0, 1], [0, 1], [1, 2]]}).encode(), ["there twice"]),
        (
            json.dumps({**CYCLE, "edges": [[0, 1]], "nodes": [{}, {"width": 0}]}).encode(),
            ["width is 0; it must lie between 1"],
        ),
        (
            json.dumps(
                {**CYCLE, "nodes": [{}, {"operation": "conv33"}, {}], "edges": [[0, 1], [1, 2]]}
            ).encode(),
            ["conv33", "conv3x3"],
        ),
    ],
)
def test_a_file_that_is_no_network_is_refused(
    content: bytes, messages: list[str], nas: Nas
) -> None:
    Path("net.json").write_bytes(content)
    answer = nas("arch", "show", "net.json")
    assert answer.code == 2, answer.err
    for message in messages:
        assert message in answer.err


def test_a_folder_is_no_file(nas: Nas) -> None:
    Path("net.json").mkdir()
    assert nas("arch", "show", "net.json").code == 3


def test_a_run_that_does_not_say_what_it_was_searched_for_is_asked_for_nothing(made: Path) -> None:
    from nas.cli.named_architectures import searched_shapes

    with Run.open(made) as run:
        run.environment = {"data": None}
        assert searched_shapes(run) == (None, None)
        run.environment = {"data": {"input_shape": [1, "8", 8], "num_classes": True}}
        assert searched_shapes(run) == (None, None)


@pytest.mark.parametrize("text", ["3x32x32", "3X32X32", " 3×32×32 "])
def test_shapes_are_read(text: str) -> None:
    assert parse_shape(text) == (3, 32, 32)

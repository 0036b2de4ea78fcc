"""`nas arch bench`: one network in several runtimes, ranked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run

from nas.objectives.latency_reading import LatencyReading
from nas.objectives.runtime_ranks import Execution, differ, ranked

Nas = Callable[..., Any]
QUICK = ("--seconds", "0.03", "--wait", "0", "--input", "1x8x8")


def reading(latency_ms: float, relative_error: float = 0.001, **more: Any) -> LatencyReading:
    values: dict[str, Any] = {
        "iqr_ms": 0.01,
        "p95_ms": 2.0,
        "ratio": 1.0,
        "throughput_images_per_s": 100.0,
        "reference_ms": 1.0,
        "reference_now_ms": 1.0,
        "pairs": 100,
        "rejected_pairs": 0,
        "invalid_pairs": 0,
        "interrupted_calls": 0,
        "clock_jumps": 0,
        "others_share": 0.0,
        "retries": 0,
        "busy": False,
        "unstable": False,
        "seconds": 1.0,
        "device": "d",
    }
    return LatencyReading(
        latency_ms=latency_ms, relative_error=relative_error, **{**values, **more}
    )


def test_every_runtime_of_this_machine_is_measured_and_ranked(nas: Nas) -> None:
    answer = nas("arch", "bench", "residual:size=2", *QUICK, "--json")
    assert answer.code == 0, answer.err
    document = answer.document
    assert document["schema"] == "nas.arch_bench/1"
    rows = document["runtimes"]
    assert {(row["runtime"], row["dtype"]) for row in rows} == {
        ("eager", "fp32"),
        ("ort", "fp32"),
        ("ort", "int8"),
    }
    latencies = [row["latency_ms"] for row in rows]
    assert latencies == sorted(latencies)
    assert rows[0]["rank"] == 1
    sizes = {row["runtime"] + row["dtype"]: row["bytes_shipped"] for row in rows}
    assert 0 < sizes["eagerfp32"] < sizes["ortfp32"]
    assert all(row["p95_ms"] > 0 and row["throughput_images_per_s"] > 0 for row in rows)
    assert all(isinstance(row["flags"], list) for row in rows)


def test_a_table_names_what_was_asked_for(nas: Nas) -> None:
    wanted = ("--runtime", "ort,int8-dynamic", "--runtime", "ort", "--batch", "2")
    answer = nas("arch", "bench", "chain:size=2", *QUICK, *wanted)
    assert answer.code == 0, answer.err
    head, *rows = answer.out.splitlines()
    assert head.split()[:2] == ["rank", "runtime"]
    assert all(re.search(r" [0-9.]+ kB", row) for row in rows[:2])
    assert {row.split()[1] for row in rows[:2]} == {"ort,fp32", "ort,int8-dynamic"}
    assert "eager" not in answer.out
    assert "pairs" in answer.err


def test_memory_traffic_and_energy_come_with_a_unit_or_a_reason(nas: Nas) -> None:
    words = ("chain:size=2", *QUICK, "--extras", "--runtime", "eager", "--runtime", "ort")
    answer = nas("arch", "bench", *words)
    assert answer.code == 0, answer.err
    assert re.search(r"eager,fp32 peak memory: [0-9.]+ [kM]?B", answer.out)
    assert re.search(r"eager,fp32 bytes moved, counted: [0-9.]+ [kM]B", answer.out)
    assert "ort,fp32 peak memory: none: ONNX Runtime allocates" in answer.out
    assert "eager,fp32 energy per image: none: no energy counter" in answer.out
    row = nas("arch", "bench", *words, "--json").document["runtimes"][0]
    assert row["extras"]["bytes_moved"] > 0


def test_a_trial_is_measured_at_the_shape_it_was_searched_for(nas: Nas, tmp_path: Path) -> None:
    made_run(tmp_path)
    run = next(path for path in tmp_path.iterdir() if (path / "trials.log").exists())
    answer = nas(
        "arch",
        "bench",
        f"{run}:0",
        "--runtime",
        "eager",
        "--seconds",
        "0.03",
        "--wait",
        "0",
        "--json",
    )
    assert answer.code == 0, answer.err
    assert [row["runtime"] for row in answer.document["runtimes"]] == ["eager"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("resnet-cifar", "--runtime", "cudagraph"), 2, r"does not run on the device 'cpu'"),
        (("resnet-cifar", "--runtime", "tensorrt"), 2, "'tensorrt' is no runtime"),
        (("resnet-cifar", "--runtime", "int8"), 2, "'int8' names no runtime and number format"),
        (("resnet-cifar", "--runtime", "ort,policy"), 2, "names no runtime and number format"),
        (("resnet-cifar", "--runtime", "eager,int8"), 2, "'eager' does not execute int8"),
        (("nothing",), 3, "no published network and no pattern 'nothing'"),
        (("nothing.json",), 3, "There is no file"),
        (("~nobody-here/x",), 3, "There is no file"),
        (("nothing:3",), 3, "no run 'nothing'"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: tuple[str, ...], code: int, message: str, nas: Nas
) -> None:
    answer = nas("arch", "bench", *words)
    assert answer.code == code
    assert message in answer.err
    assert answer.out == ""


def test_runtimes_that_cannot_be_told_apart_share_a_rank() -> None:
    first, near, far = Execution("eager"), Execution("ort"), Execution("ort", "int8")
    found = ranked({far: reading(3.0), near: reading(1.01), first: reading(1.0)})
    assert [(str(each.execution), each.rank) for each in found] == [
        ("eager,fp32", 1),
        ("ort,fp32", 1),
        ("ort,int8", 3),
    ]
    assert differ(reading(1.0), reading(1.1))
    assert not differ(reading(1.0), reading(1.1, relative_error=0.2))
    assert found[0].to_dict()["flags"] == []
    assert reading(1.0, busy=True).flags == ("busy",)

"""The fingerprint tells devices apart and names no machine."""

from __future__ import annotations

import getpass
import os
import platform
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas.objectives import device_fingerprint as module
from nas.objectives.device_fingerprint import DeviceFingerprint, device_fingerprint


def test_it_says_what_a_latency_depends_on() -> None:
    found = device_fingerprint("cpu", threads=2)
    assert found.threads == 2
    assert found.torch == torch.__version__
    assert found.device == "cpu"
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.processor
    assert platform.system() in found.system
    assert found.processor in str(found)


def test_it_names_neither_the_host_nor_the_user_nor_a_path() -> None:
    text = str(device_fingerprint().to_dict())
    assert platform.node() not in text or len(platform.node()) < 4
    assert getpass.getuser() not in text or len(getpass.getuser()) < 5
    assert str(Path.cwd()) not in text


def test_equal_devices_have_equal_digests_and_others_do_not() -> None:
    first = device_fingerprint()
    assert first.digest == device_fingerprint().digest
    for name, value in (
        ("threads", 9),
        ("torch", "1.0"),
        ("processor", "abacus"),
        ("clock_policy", "governor powersave"),
        ("runtimes", "onnxruntime 0.1"),
        ("driver", "1.2"),
    ):
        assert replace(first, **{name: value}).digest != first.digest


def test_an_accelerator_is_named_beside_the_processor() -> None:
    entry = DeviceFingerprint("cuda H", "P", 4, 1, "2", "Linux 6 x86_64", "3.11")
    assert str(entry).startswith("cuda H beside P, 4 cores")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nmodel name\t: Some   CPU @ 3 GHz\nmodel name\t: x\n", "Some CPU @ 3 GHz"),
        ("CPU part\t: 0xd0c\n", "0xd0c"),
        ("nothing here\n", ""),
    ],
)
def test_the_processor_is_read_from_the_systems_facts(
    tmp_path: Path, text: str, expected: str
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(text, encoding="utf-8")
    assert module._processor_line(facts) == expected


def test_a_system_without_facts_about_its_processor_still_has_a_name(tmp_path: Path) -> None:
    assert module._processor_line(tmp_path / "none") == ""
    assert module.processor_model()


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "unknown"),
        ({"cpu0/cpufreq/scaling_governor": "performance\n"}, "governor performance"),
        (
            {
                "cpu0/cpufreq/scaling_governor": "powersave",
                "cpu1/cpufreq/scaling_governor": "performance",
                "intel_pstate/no_turbo": "1",
            },
            "governor performance/powersave, turbo off",
        ),
        ({"cpufreq/boost": "1\n"}, "turbo on"),
        ({"intel_pstate/no_turbo": "0", "cpufreq/boost": "0"}, "turbo on"),
    ],
)
def test_the_clock_policy_is_what_the_system_says(
    tmp_path: Path, facts: dict[str, str], expected: str
) -> None:
    for name, text in facts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert module.clock_policy(tmp_path) == expected


def test_the_drivers_version_is_read_where_there_is_an_accelerator(tmp_path: Path) -> None:
    facts = tmp_path / "version"
    facts.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar 5 2024\n")
    assert module.driver_version("cuda", facts) == "550.54.15"
    assert module.driver_version("cuda", tmp_path / "none") == "unknown"
    assert module.driver_version("cpu", facts) == ""


def test_what_is_known_stands_in_the_text() -> None:
    entry = DeviceFingerprint(
        "cuda H", "P", 4, 1, "2", "Linux 6", "3.11", "governor performance", "onnxruntime 1", "550"
    )
    text = "torch 2, onnxruntime 1, driver 550, Python 3.11, Linux 6, governor performance"
    assert str(entry).endswith(text)

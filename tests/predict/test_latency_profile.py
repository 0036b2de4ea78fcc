"""Profiles as files: what is written is read back, and files of strangers are refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from latency_devices import CLASSES, SHAPE, MadeDevice, measured, members

from nas.errors import ConfigError, NotFoundError
from nas.objectives.latency_config import LatencyConfig
from nas.predict import profile as profiles
from nas.predict.profile import Device, LatencyProfile, Measurement, SpaceName
from nas.space import load_space
from nas.topology.serial import dump_architecture

DEVICE = MadeDevice()


def made_profile(device: MadeDevice = DEVICE, number: int = 12) -> LatencyProfile:
    networks = measured(device, members("wired_cnn", number), 0.01)
    return LatencyProfile(
        schema_name=profiles.SCHEMA,
        objective="latency_ms[eager,b1,fp32]",
        space=SpaceName(name="wired_cnn", fingerprint=load_space("wired_cnn").fingerprint),
        input_shape=SHAPE,
        num_classes=CLASSES,
        device=Device(digest="abc", facts={"processor": "made up", "threads": 1}),
        settings=LatencyConfig(),
        seed=0,
        built="2026-01-01T00:00:00Z",
        reference_ms=0.5,
        measurements=tuple(
            Measurement(
                kind="member",
                label=f"member {index}",
                architecture=dump_architecture(own.architecture),
                ratio=2 * own.latency_ms,
                relative_error=0.01,
            )
            for index, own in enumerate(networks)
        ),
    )


def written(folder: Path, **changes: Any) -> Path:
    """Write a profile's document with changed keys."""
    path = folder / "p.json"
    made_profile(number=5).save(path)
    document = json.loads(path.read_text())
    for key, value in changes.items():
        place: Any = document
        *outer, last = key.split("__")
        for part in outer:
            place = place[int(part) if part.isdecimal() else part]
        place[last] = value
    path.write_text(json.dumps(document))
    return path


def test_what_is_saved_is_loaded_and_predicts_the_same(tmp_path: Path) -> None:
    profile = made_profile()
    profile.save(tmp_path / "p.json")
    loaded = LatencyProfile.load(tmp_path / "p.json")
    assert loaded == profile
    network = members("wired_cnn", 1, seed=3)[0]
    assert loaded.predictor().predict(network, SHAPE, CLASSES) == profile.predictor().predict(
        network, SHAPE, CLASSES
    )
    assert json.loads((tmp_path / "p.json").read_text())["schema"] == "nas.latency-profile/1"


def test_ratios_times_the_reference_are_milliseconds() -> None:
    profile = made_profile()
    first = profile.measurements[0]
    assert profile.networks()[0].latency_ms == pytest.approx(0.5 * first.ratio)
    slower = profile.model_copy(update={"reference_ms": 1.0})
    network = members("wired_cnn", 1, seed=3)[0]
    twice = [
        each.predictor().predict(network, SHAPE, CLASSES).latency_ms for each in (profile, slower)
    ]
    assert twice[1] == pytest.approx(2 * twice[0], rel=1e-3)


def test_an_unstable_reading_counts_less() -> None:
    first = made_profile(number=4).measurements[0]
    assert first.network(1.0).relative_error == 0.01
    assert first.model_copy(update={"unstable": True}).network(1.0).relative_error == 0.05


def test_other_devices_travel_with_a_profile(tmp_path: Path) -> None:
    others = tuple(
        made_profile(MadeDevice(per_gmac=per_gmac)).as_other() for per_gmac in (10.0, 100.0)
    )
    profile = made_profile(number=5).model_copy(update={"others": others})
    profile.save(tmp_path / "p.json")
    found = LatencyProfile.load(tmp_path / "p.json").predictor()
    assert found.predict_all(members("wired_cnn", 3, seed=2))[0].latency_ms > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "nas.space/1"}, r"'schema'.*no choice"),
        ({"reference_ms": 0}, r"'reference_ms' is 0; it must be greater than 0"),
        ({"reference_ms": "fast"}, r"'reference_ms' is 'fast'; it must be a number"),
        ({"extra": 1}, r"Unknown key 'extra'"),
        ({"measurements__0__ratio": -1}, r"measurements.0.ratio' is -1; it must be greater than 0"),
        ({"measurements__0__ratio": 1e12}, r"at most"),
        ({"measurements__0__relative_error": None}, r"must be a number"),
        ({"measurements__0__kind": "twin"}, r"is 'twin', which is no choice"),
        ({"measurements__0__surprise": 1}, r"Unknown key 'measurements.0.surprise'"),
        ({"measurements__0__architecture": {}}, r"network of measurement 0 cannot be read"),
        ({"measurements__0__architecture__nodes": "all"}, r"measurement 0 cannot be read"),
        ({"input_shape": [3, 32]}, r"input_shape"),
        ({"input_shape": [3, 32, 0]}, r"at least 1"),
        ({"objective": "error"}, r"'error' is no full name of a latency"),
        ({"objective": "latency"}, r"'latency' is no full name of a latency"),
        ({"objective": "latency_ms[eager,b8,fp32]"}, r"but its settings measure"),
        ({"settings__batch": 8}, r"but its settings measure latency_ms\[eager,b8,fp32\]"),
    ],
)
def test_a_profile_that_breaks_a_rule_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        LatencyProfile.load(written(tmp_path, **changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "a mapping of keys"),
        ('{"reference_ms": NaN}', "NaN is not a JSON number"),
        ('{"reference_ms": 1e999}', "not a JSON number"),
        ("[" * 100 + "]" * 100, "nests deeper"),
        ('{"seed": 1, "seed": 2}', "stands twice"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        LatencyProfile.load(path)


def test_a_file_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "MAXIMUM_BYTES", 1_000_001)
    path = tmp_path / "p.json"
    path.write_text(" " * 1_000_002)
    with pytest.raises(ConfigError, match=r"larger than 1,000,001 bytes"):
        LatencyProfile.load(path)


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no file .*none.json"):
        LatencyProfile.load(tmp_path / "none.json")


def test_what_a_profile_does_not_fit_is_said() -> None:
    profile = made_profile(number=4)
    assert profile.misfits(space=profile.space.fingerprint, input_shape=SHAPE) == []
    assert profile.misfits(
        space="other", input_shape=(1, 8, 8), num_classes=3, objective="latency_ms[ort,b1,fp32]"
    ) == [
        f"space: the profile has {profile.space.fingerprint}, wanted is other",
        "input: the profile has 3x32x32, wanted is 1x8x8",
        "classes: the profile has 10, wanted is 3",
        "objective: the profile has latency_ms[eager,b1,fp32], wanted is latency_ms[ort,b1,fp32]",
    ]
    assert profile.device.differences({"processor": "made up", "threads": 2, "torch": "3"}) == [
        "threads: 1, here 2",
        "torch: unknown, here 3",
    ]

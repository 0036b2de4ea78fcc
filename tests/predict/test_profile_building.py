"""Building a profile: every piece is measured, and whatever kills it, nothing is measured twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from latency_devices import CLASSES, SHAPE, MadeMeter
from scale import CHECKOUT

from nas.errors import ConfigError, EnvironmentFault
from nas.objectives.latency_config import LatencyConfig
from nas.predict import building
from nas.predict.building import ProfileRequest, build_profile
from nas.predict.features import network_features
from nas.predict.measured_lines import MeasuredLines, earlier_reference
from nas.predict.probes import planned_networks
from nas.predict.profile import LatencyProfile
from nas.space import load_space
from nas.topology.identity import executed_id


@pytest.fixture(autouse=True)
def _features_for_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "build_standalone", network_features)


def request(samples: int = 8, space: str = "tiny_exhaustive", **more: Any) -> ProfileRequest:
    return ProfileRequest(load_space(space), SHAPE, CLASSES, LatencyConfig(), samples, **more)


def built(path: Path, meter: MadeMeter, wanted: ProfileRequest | None = None) -> LatencyProfile:
    def open_meter(config: Any, shape: Any, reference_ms: float | None) -> Any:
        meter.reference_ms = reference_ms or meter.reference_ms
        return meter

    return build_profile(wanted or request(), path, open_meter, lambda *told: None)


@pytest.mark.parametrize("space", ["wired_cnn", "nasbench201", "tiny_exhaustive"])
def test_every_piece_of_a_space_is_in_a_small_network(space: str) -> None:
    planned = planned_networks(load_space(space), SHAPE, CLASSES, 12, seed=0)
    assert len({executed_id(entry.architecture) for entry in planned}) == len(planned)
    runs = {
        kind: {
            (piece.kind, piece.name, piece.source, piece.target)
            for entry in planned
            if entry.kind == kind
            for piece, _ in network_features(entry.architecture, SHAPE, CLASSES).executed
        }
        for kind in ("piece", "member")
    }
    assert runs["member"] <= runs["piece"]
    again = planned_networks(load_space(space), SHAPE, CLASSES, 12, seed=0)
    assert again == planned


def test_too_few_members_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"7 random members are too few"):
        planned_networks(load_space("tiny_exhaustive"), SHAPE, CLASSES, 7, seed=0)


def test_a_built_profile_predicts_its_space(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "p.json"
    profile = built(path, MadeMeter(), request(40, "wired_cnn"))
    assert LatencyProfile.load(path) == profile
    assert [entry.name for entry in path.parent.iterdir()] == ["p.json"]
    quality = profile.predictor().quality()
    assert quality.networks == 40
    assert quality.within_10_percent > 0.95


def test_a_build_that_stops_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    with pytest.raises(KeyboardInterrupt):
        built(path, MadeMeter(readings=5, reference_ms=0.7))
    assert not path.exists()
    assert earlier_reference(path) == 0.7
    second = MadeMeter(reference_ms=0.5)
    profile = built(path, second)
    assert len(second.taken) == len(profile.measurements) - 5
    assert profile.reference_ms == 0.7, "all ratios of one profile belong to one reference time"
    assert list(tmp_path.iterdir()) == [path]


def test_a_torn_last_line_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    with pytest.raises(KeyboardInterrupt):
        built(path, MadeMeter(readings=5))
    partial = tmp_path / "p.json.partial"
    os.truncate(partial, partial.stat().st_size - 7)
    meter = MadeMeter()
    profile = built(path, meter)
    assert len(meter.taken) == len(profile.measurements) - 4


def test_a_first_line_torn_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "p.json.partial").write_text('{"schema": "nas.lat')
    meter = MadeMeter()
    assert len(built(tmp_path / "p.json", meter).measurements) == len(meter.taken)


KILLED = """
import os, signal, sys
from latency_devices import MadeMeter
from test_profile_building import built
from nas.predict import building
from nas.predict.features import network_features
building.build_standalone = network_features

class Killer(MadeMeter):
    def measure(self, network):
        if len(self.taken) == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().measure(network)

built(__import__("pathlib").Path(sys.argv[1]), Killer())
"""


def test_kill_9_loses_the_measurement_it_was_at(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    folders = os.pathsep.join(map(str, (CHECKOUT, CHECKOUT / "tests", CHECKOUT / "tests/predict")))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        env={**os.environ, "PYTHONPATH": folders},
        capture_output=True,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    meter = MadeMeter()
    profile = built(path, meter)
    assert len(meter.taken) == len(profile.measurements) - 6


def test_measurements_of_another_build_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    with pytest.raises(KeyboardInterrupt):
        built(path, MadeMeter(readings=2))
    with pytest.raises(ConfigError, match=r"of another build: its samples is 8, now it is 9"):
        built(path, MadeMeter(), request(9))
    with pytest.raises(ConfigError, match=r"of another build: its device is"):
        built(path, MadeMeter(processor="other"))


@pytest.mark.parametrize(
    "text", ["measurements\n", "[1]\n", '{"schema": 1}\n', "[" * 90_000 + "\n"]
)
def test_a_foreign_partial_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.json.partial").write_text(text)
    with pytest.raises(ConfigError, match=r"holds no measurements of a profile"):
        built(tmp_path / "p.json", MadeMeter())


def test_a_partial_file_with_a_bad_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    with pytest.raises(KeyboardInterrupt):
        built(path, MadeMeter(readings=2))
    partial = tmp_path / "p.json.partial"
    lines = partial.read_text().splitlines()
    bad = json.loads(lines[1])
    bad["measurement"]["ratio"] = -1
    partial.write_text("\n".join([lines[0], json.dumps(bad), ""]))
    with pytest.raises(ConfigError, match=r"Line 2 of .* is no measurement"):
        built(path, MadeMeter())


def test_two_builds_of_one_profile_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    begun = MeasuredLines(path, {"reference_ms": 1.0})
    with pytest.raises(ConfigError, match=r"Another process is building this profile"):
        built(path, MadeMeter())
    begun.close()
    begun.remove()
    assert built(path, MadeMeter()).measurements


def test_a_taken_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("mine")
    with pytest.raises(ConfigError, match=r"p.json exists already"):
        built(tmp_path / "p.json", MadeMeter())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"Cannot write p.json.partial"):
        built(tmp_path / "file" / "p.json", MadeMeter())


def test_a_full_disk_keeps_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = MeasuredLines(tmp_path / "p.json", {"reference_ms": 1.0})
    profile = built(tmp_path / "other.json", MadeMeter())

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    lines.add("a", profile.measurements[0])
    monkeypatch.setattr("nas.predict.measured_lines.write_all", full)
    with pytest.raises(EnvironmentFault, match=r"disk full"):
        lines.add("b", profile.measurements[1])
    lines.close()
    monkeypatch.undo()
    assert list(MeasuredLines(tmp_path / "p.json", {"reference_ms": 1.0}).found) == ["a"]

"""How well latencies are predicted: on this device, and on those of published tables.

*Device.* A profile is built here, then random members that it has not seen are measured and
compared with what it predicts. What bytes and the critical path add over multiply-adds is a paired
bootstrap over those members. Everything measured is kept under `--cache`, one line each, so that a
run can be stopped and goes on where it was. Run it on a machine that does nothing else.

*Tables.* See `latency_tables`; `NAS_DATA` names the folder.

A row's ratio is what its case says; the last line's ratio is the smallest share within 10 % among
the devices of the goal after 50 measurements and the spaces of this device.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import harness
import numpy as np
from harness import Row
from latency_tables import CLASSES, MACS, SHAPE, Floats, ablated, run_tables, score

from nas.objectives.latency import LatencyMeter
from nas.objectives.latency_config import LatencyConfig
from nas.predict.building import ProfileRequest, build_profile, read_measurement
from nas.predict.design import Column, Design
from nas.predict.device_prior import DeviceLatencies
from nas.predict.drift import check_device
from nas.predict.features import network_features
from nas.predict.latency_predictor import MeasuredNetwork
from nas.predict.measured_lines import MeasuredLines
from nas.predict.probes import planned_networks
from nas.predict.profile import LatencyProfile, Measurement
from nas.seeds import derive_seed
from nas.space import load_space
from nas.topology.identity import executed_id
from nas.topology.layers import Shape

BYTES: Column = ("core", "bytes")
CRITICAL_PATH: tuple[Column, ...] = (
    ("path", "critical_macs"),
    ("path", "critical_pieces"),
    ("path", "depth"),
)
ABLATIONS: dict[str, tuple[Column, ...]] = {
    "MACs": MACS,
    "MACs, bytes": (*MACS, BYTES),
    "MACs, critical path": (*MACS, *CRITICAL_PATH),
    "MACs, bytes, critical path": (*MACS, BYTES, *CRITICAL_PATH),
}


@final
@dataclass(frozen=True)
class DeviceTask:
    """What to build and to compare on this device."""

    space: str
    samples: int
    members: int
    cache: Path
    config: LatencyConfig

    def path(self, what: str) -> Path:
        """Return where something measured is kept."""
        return self.cache / f"{self.space}-{what}-{self.samples}.json"


def open_meter(config: LatencyConfig, shape: Shape, reference_ms: float | None) -> LatencyMeter:
    """Return a meter of this device."""
    return LatencyMeter(config, shape, "cpu", reference_ms=reference_ms)


def built_profile(task: DeviceTask) -> LatencyProfile:
    """Return the profile, built now or by an earlier run."""
    path = task.path("profile")
    if path.exists():
        return LatencyProfile.load(path)
    request = ProfileRequest(load_space(task.space), SHAPE, CLASSES, task.config, task.samples)
    return build_profile(request, path, open_meter, _say)


def true_members(task: DeviceTask, profile: LatencyProfile) -> list[Measurement]:
    """Measure members that the profile has not seen, or take over what was measured already."""
    planned = planned_networks(
        load_space(task.space), SHAPE, CLASSES, task.members + task.samples, seed=1
    )
    seen = {executed_id(each.architecture) for each in profile.networks()}
    unseen = [
        entry
        for entry in planned
        if entry.kind == "member" and executed_id(entry.architecture) not in seen
    ][: task.members]
    meter = open_meter(task.config, SHAPE, profile.reference_ms)
    check_device(profile, meter)
    header = {"truth": task.space, "device": profile.fingerprint, "built": profile.built}
    lines = MeasuredLines(task.path("truth"), header)
    try:
        for done, entry in enumerate(unseen, start=1):
            identity = executed_id(entry.architecture)
            if identity not in lines.found:
                lines.add(identity, read_measurement(meter, entry, SHAPE, CLASSES))
            _say(done, len(unseen), entry.label)
    finally:
        lines.close()
    return [lines.found[executed_id(entry.architecture)] for entry in unseen]


def _say(done: int, total: int, label: str) -> None:
    if done % 25 == 0 or done == total:
        print(f"  {done}/{total} measured, {label}", flush=True)


def device_rows(task: DeviceTask) -> list[Row]:
    """Build, measure, compare."""
    print(f"{task.space}: profile of the pieces and {task.samples} members", flush=True)
    profile = built_profile(task)
    print(f"{task.space}: {task.members} unseen members", flush=True)
    truth = true_members(task, profile)
    true = np.array([entry.ratio * profile.reference_ms for entry in truth])
    networks = [entry.network(profile.reference_ms) for entry in truth]
    found = profile.predictor().predict_all([each.architecture for each in networks])
    predicted = np.array([each.latency_ms for each in found])
    inside = np.array(
        [each.low_ms <= own <= each.high_ms for each, own in zip(found, true, strict=True)]
    )
    own = score(predicted, true, inside)
    print(
        f"{task.space}: {own.within:.1%} of {len(true)} within 10 %, Spearman {own.spearman:.4f}, "
        f"{own.inside:.1%} inside 95 % intervals; median error "
        f"{np.median(np.abs(predicted / true - 1)):.2%}; measured with a median standard error of "
        f"{np.median([entry.relative_error for entry in truth]):.2%}, "
        f"{sum(entry.unstable for entry in truth)} unstable"
    )
    rows = [
        Row(f"{task.space}, within 10 %", own.within, 0.0),
        Row(f"{task.space}, Spearman", own.spearman, 0.0),
        Row(f"{task.space}, inside 95 %", own.inside, 0.0),
    ]
    return rows + ablation_rows(task, profile, networks, predicted)


def ablation_rows(
    task: DeviceTask,
    profile: LatencyProfile,
    networks: Sequence[MeasuredNetwork],
    predicted: Floats,
) -> list[Row]:
    """Say what bytes and the critical path add over multiply-adds, from equal measurements."""
    measured = [each for each in profile.networks() if each.is_member]
    own = DeviceLatencies(
        tuple(network_features(each.architecture, SHAPE, CLASSES) for each in measured),
        np.array([each.latency_ms for each in measured]),
        np.array([each.relative_error for each in measured]),
    )
    unseen = [network_features(each.architecture, SHAPE, CLASSES) for each in networks]
    true = np.array([each.latency_ms for each in networks])
    errors = {
        name: np.abs(np.log(ablated(Design(columns, ()), own, unseen) / true))
        for name, columns in ABLATIONS.items()
    }
    errors["the whole predictor"] = np.abs(np.log(predicted / true))
    rows = []
    print(f"{task.space}: mean error, and what it has less than MACs alone (paired bootstrap)")
    for name, off in errors.items():
        low, high = bootstrap_gain(errors["MACs"], off)
        gain = float((errors["MACs"] - off).mean())
        print(
            f"  {name:<28} {off.mean():6.2%}; gain {gain:+.2%}, 95 % interval {low:+.2%} to "
            f"{high:+.2%}; {(off <= np.log(1.1)).mean():.1%} within 10 %"
        )
        rows.append(Row(f"{task.space}, mean error, {name}", float(off.mean()), high - low))
    return rows


def bootstrap_gain(before: Floats, after: Floats, resamples: int = 2000) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `before - after`, resampling members in pairs."""
    rng = np.random.default_rng(derive_seed(0, "latency_bootstrap", 0))
    gains = before - after
    means = gains[rng.integers(len(gains), size=(resamples, len(gains)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = harness.arguments(__doc__)
    options.add_argument("--part", choices=("tables", "device", "both"), default="both")
    options.add_argument("--space", action="append", help="spaces to profile; may be repeated")
    options.add_argument("--samples", type=int, default=200, help="members in a profile")
    options.add_argument("--members", type=int, default=200, help="unseen members to predict")
    options.add_argument("--draws", type=int, default=5, help="draws of measured cells")
    options.add_argument("--device", action="append", help="tabulated devices; may be repeated")
    options.add_argument(
        "--cache", type=Path, default=Path("runs/latency_predictor"), help="measurements are kept"
    )
    return options


def main() -> None:
    given = parser().parse_args()
    harness.use_threads(given.threads)
    harness.print_versions(given.threads)
    rows: list[Row] = []
    counted: list[Row] = []
    if given.part in ("tables", "both"):
        rows, counted = run_tables(given.device, given.draws, small=given.small)
    if given.part in ("device", "both"):
        for space in given.space or ("wired_cnn", "nasbench201"):
            task = DeviceTask(
                space,
                40 if given.small else given.samples,
                30 if given.small else given.members,
                given.cache,
                LatencyConfig(threads=given.threads),
            )
            found = device_rows(task)
            rows += found
            counted += found[:1]
    harness.finish(
        "latency_predictor",
        rows,
        unit="share within 10 %",
        threads=given.threads,
        counted=counted or None,
        record=given.record,
    )


if __name__ == "__main__":
    main()

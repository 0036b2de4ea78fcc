"""What the tests hold on a processor, held on a GPU: slices of at most ten minutes each.

    python benchmarks/gpu_check.py [SLICE ...] [--device cuda] [--small] [--record] [--data NPZ]

Every slice prints what it measured and whether its promise held; a slice that fails or runs over
its time does not stop the next. With `--record` the figures go to
`benchmarks/results/gpu_check.json` beside the device's name; slices run later are added to those
of the same device. Without a GPU the script says so and checks nothing; `--device cpu --small`
tries the script itself.

The slice `nasbench201` trains the full-size skeleton (C=16, N=5) and needs CIFAR-10 as `--data`,
in the form that `nas data convert` writes; it is skipped without.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import harness
import numpy as np
import torch
import torch.nn.functional as F

from nas.errors import NasError
from nas.space import AbstractSpace, load_space
from nas.supernet.binding import Binder
from nas.supernet.loop import Checkpoint
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits
from nas.supernet.path_samplers import PATH_SAMPLERS
from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.relaxation_config import RELAXATION_PRESETS
from nas.supernet.relaxation_parts import check_fit
from nas.supernet.relaxed_training import RelaxationConfig, make_relaxation, train_relaxation
from nas.supernet.scoring.score import score, scoring_data
from nas.supernet.supernet import Supernet
from nas.training.data.load import load_data
from nas.training.device import memory_format, resolve_device
from nas.training.parts import FiveParts, limited_parts, split_five

LIMIT_S = 600.0
"""Longest time of a slice, in seconds."""
TOLERANCE = 1e-4
"""Of outputs in float32, relative to the largest."""


class Broken(Exception):
    """A promise that did not hold on this device."""


@final
@dataclass(frozen=True)
class Setting:
    """What every slice is given."""

    device: torch.device
    small: bool
    data: str | None

    def scaled(self, full: int, small: int) -> int:
        """Return a size of this run."""
        return small if self.small else full

    def digits(self) -> FiveParts:
        """Return the embedded images."""
        parts = split_five(load_data("digits"), 0)
        return limited_parts(parts, 130, 0) if self.small else parts

    def supernet(self, space: AbstractSpace, shape: tuple[int, int, int] = (1, 8, 8)) -> Supernet:
        """Return a fresh supernet on the device."""
        place = memory_format(self.device)
        found: Supernet = Supernet(space, shape, 10).to(self.device, memory_format=place)  # type: ignore[call-overload]
        return found


Slice = Callable[[Setting], dict[str, Any]]


def require(held: bool, promise: str) -> None:
    """Raise unless a promise held."""
    if not held:
        raise Broken(promise)


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the largest difference over the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-12))


@torch.no_grad()
def members(setting: Setting) -> dict[str, Any]:
    """A member in the supernet and cut out of it give the same logits."""
    space = load_space("wired_cnn")
    supernet = setting.supernet(space, (3, 32, 32)).eval()
    images = torch.randn(16, 3, 32, 32, device=setting.device)
    rng, worst = np.random.default_rng(0), 0.0
    count = setting.scaled(200, 4)
    for _ in range(count):
        architecture = space.build(space.sample(rng))
        statistics = supernet.recalibrate(architecture, images)
        network = supernet.extract(architecture, statistics).to(setting.device).eval()
        ours = supernet(images, architecture, statistics)
        worst = max(worst, difference(ours, network(images)))
    require(worst < TOLERANCE, f"logits differ by {worst:.2g} of the largest")
    return {"members": count, "largest_difference": worst}


@torch.no_grad()
def vertices(setting: Setting) -> dict[str, Any]:
    """A relaxed member with gates of 0 and 1 is the discrete network."""
    space = load_space("wired_cnn")
    supernet = setting.supernet(space, (3, 16, 16)).train()
    binder, images = Binder(space), torch.randn(16, 3, 16, 16, device=setting.device)
    rng, worst = np.random.default_rng(0), 0.0
    relaxation = make_relaxation(supernet, RelaxationConfig())
    count = setting.scaled(200, 4)
    for _ in range(count):
        decisions = space.sample(rng)
        context, values = relaxation.context(decisions)
        ours = relaxed_logits(supernet, mix(supernet, binder, context), values, images)
        worst = max(worst, difference(ours, supernet(images, space.build(decisions))))
    require(worst < TOLERANCE, f"logits differ by {worst:.2g} of the largest")
    return {"vertices": count, "largest_difference": worst}


def path_training(setting: Setting) -> dict[str, Any]:
    """Every path sampler trains, and one stopped in mid-epoch goes on with the same bits."""
    space, parts = load_space("tiny_exhaustive"), setting.digits()
    figures: dict[str, Any] = {}
    for sampler in PATH_SAMPLERS:
        config = PathConfig(epochs=setting.scaled(6, 1), batch_size=64, sampler=sampler)
        try:
            started = time.perf_counter()
            whole = _paths(setting, space, parts, config)
            seconds = time.perf_counter() - started
        except NasError as error:
            figures[sampler] = {"refused": error.what}
            continue
        halfway = _paths(setting, space, parts, config, stop_after=3)
        resumed = _paths(setting, space, parts, config, state=halfway)
        same = all(np.array_equal(whole[name], resumed[name]) for name in whole)
        require(same, f"'{sampler}': a resumed training has other weights")
        figures[sampler] = {"steps_per_s": int(whole["progress"][0]) / seconds}
    return figures


def _paths(
    setting: Setting,
    space: AbstractSpace,
    parts: FiveParts,
    config: PathConfig,
    stop_after: int | None = None,
    state: Checkpoint | None = None,
) -> Checkpoint:
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    _, checkpoint = train_paths(
        setting.supernet(space), parts, config, seed=0, should_stop=should_stop, state=state
    )
    return checkpoint


def relaxation_presets(setting: Setting) -> dict[str, Any]:
    """Every preset of the relaxation trains, moves its gates and prefers members."""
    parts, figures = setting.digits(), {}
    for preset in RELAXATION_PRESETS:
        space = _fitting_space(preset)
        supernet = setting.supernet(space)
        config = RelaxationConfig(
            preset=preset, epochs=setting.scaled(4, 1), batch_size=64, gate_warmup_epochs=0.0
        )
        relaxation = make_relaxation(supernet, config)
        started = time.perf_counter()
        result, training = train_relaxation(supernet, relaxation, parts, config, seed=0)
        seconds = time.perf_counter() - started
        require(bool(relaxation.logits.detach().abs().max() > 0), f"'{preset}': no gate moved")
        found = training.preferred(2, np.random.default_rng(0))
        figures[preset] = {
            "space": space.name,
            "steps_per_s": result.steps / seconds,
            "losses": list(result.losses),
            "preferred": len(found),
        }
    return figures


def _fitting_space(preset: str) -> AbstractSpace:
    for name in ("tiny_exhaustive", "nasbench201", "wired_cnn"):
        space = load_space(name)
        try:
            check_fit(RelaxationConfig(preset=preset), space, (1, 8, 8))
        except NasError:
            continue
        return space
    raise Broken(f"the preset '{preset}' fits none of the spaces")


def step_time(setting: Setting) -> dict[str, Any]:
    """Time of a sampled-path step over the same member trained alone, at CIFAR-10's size."""
    space = load_space("wired_cnn")
    supernet = setting.supernet(space, (3, 32, 32)).train()
    batch = setting.scaled(256, 16)
    images = torch.randn(batch, 3, 32, 32, device=setting.device)
    images = images.to(memory_format=memory_format(setting.device))
    labels = torch.randint(0, 10, (batch,), device=setting.device)
    architecture = space.build(space.reference())
    network = supernet.extract(architecture).train()

    def shared() -> None:
        F.cross_entropy(supernet(images, architecture), labels).backward()

    def alone() -> None:
        F.cross_entropy(network(images), labels).backward()

    def settle() -> None:
        if setting.device.type == "cuda":
            torch.cuda.synchronize(setting.device)

    rounds = setting.scaled(20, 2)
    ours, theirs = harness.interleave([shared, alone], rounds=rounds, synchronise=settle)
    row = harness.ratio_row("sampled path over stand-alone", ours, theirs)
    return {"ratio": row.ratio, "spread": row.spread, "batch": batch}


def nasbench201(setting: Setting) -> dict[str, Any]:
    """Train the full-size supernet of NAS-Bench-201 for eight minutes and score members."""
    if setting.data is None:
        return {"skipped": "no --data"}
    space = load_space("nasbench201")
    parts = split_five(load_data(setting.data), 0)
    supernet = setting.supernet(space, (3, 32, 32))
    seconds = 480.0 if not setting.small else 20.0
    config = PathConfig(
        epochs=100, batch_size=256, learning_rate=0.05, augmentation="flip_crop", seconds=seconds
    )
    result, _ = train_paths(supernet, parts, config, seed=0)
    supernet.eval()
    data = scoring_data(parts, 0, device=setting.device, validation_images=1024)
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    count = setting.scaled(50, 2)
    errors = [score(supernet, space.build(space.sample(rng)), data).error for _ in range(count)]
    return {
        "steps": result.steps,
        "steps_per_s": result.steps / result.seconds,
        "scores_per_s": count / (time.perf_counter() - started),
        "mean_error": float(np.mean(errors)),
    }


SLICES: dict[str, Slice] = {
    "members": members,
    "vertices": vertices,
    "path_training": path_training,
    "relaxation_presets": relaxation_presets,
    "step_time": step_time,
    "nasbench201": nasbench201,
}


def run_slice(name: str, setting: Setting) -> dict[str, Any]:
    """Run one slice; its promise, time and peak memory go with its figures."""
    slice_ = SLICES[name]
    print(f"{name}: {(slice_.__doc__ or '').splitlines()[0]}", flush=True)
    started = time.perf_counter()
    try:
        figures, held = slice_(setting), True
    except (Broken, NasError, RuntimeError) as error:
        figures, held = {"error": str(error)}, False
    seconds = time.perf_counter() - started
    if seconds > LIMIT_S:
        figures, held = {**figures, "error": f"took {seconds:.0f} s of {LIMIT_S:.0f} s"}, False
    if setting.device.type == "cuda":
        figures["peak_memory_mib"] = torch.cuda.max_memory_allocated(setting.device) / 2**20
        torch.cuda.reset_peak_memory_stats(setting.device)
    print(f"  {'held' if held else 'BROKEN'} in {seconds:.1f} s: {json.dumps(figures)}", flush=True)
    return {"held": held, "seconds": seconds, "figures": figures}


def record(document: dict[str, Any]) -> None:
    """Write the document, keeping slices of the same device that were not run now."""
    path = harness.RESULTS / "gpu_check.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["device"] == document["device"]:
            document = {**document, "slices": {**before["slices"], **document["slices"]}}
    harness.RESULTS.mkdir(exist_ok=True)
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8")


def main() -> int:
    """Run the slices that were asked for; 1 if a promise broke, 2 without the device."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slices", nargs="*", metavar="SLICE", help=", ".join(SLICES))
    parser.add_argument("--device", default="cuda", help="where to check")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try the script")
    parser.add_argument("--record", action="store_true", help="also write the JSON")
    parser.add_argument("--data", help="CIFAR-10 as .npz, for the slice nasbench201")
    given = parser.parse_args()
    unknown = [name for name in given.slices if name not in SLICES]
    if unknown:
        print(f"error: no slice '{unknown[0]}'; fix: one of {', '.join(SLICES)}", file=sys.stderr)
        return 2
    try:
        device = resolve_device(given.device)
    except NasError as error:
        print(f"error: {error.what}\nnothing was checked", file=sys.stderr)
        return 2
    setting = Setting(device, given.small, given.data)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"device: {name}; torch {torch.__version__}", flush=True)
    found = {entry: run_slice(entry, setting) for entry in given.slices or SLICES}
    document = {
        "name": "gpu_check",
        "device": name,
        "small": given.small,
        "machine": harness.machine(1, str(device)),
        "slices": found,
    }
    if given.record:
        record(document)
    print(json.dumps(document, allow_nan=False), flush=True)
    return 0 if all(entry["held"] for entry in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What a search would take: members, time, memory and disk, from a few timed steps; no writing.

A few random members are built and timed on the device with the thread counts of the config; the
stages are multiples of that. Good to a factor of two, which is what planning an evening needs.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import asdict, dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any, final

from nas.cli.output import print_json, print_table, print_text
from nas.cli.progress import format_duration
from nas.search.confirm.rival_settings import EQUAL_COST

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from nas.objectives.base import AbstractObjective
    from nas.search.material import Material
    from nas.search.settings.config import SearchConfig
    from nas.search.settings.goals import Goals
    from nas.space import AbstractSpace

_TIMED_MEMBERS = 4
_TIMED_STEPS = 2
_SCORED_IMAGES = 256
# Measured beside stand-alone networks: a path through the supernet, and the mixture of all edges.
_PATH_OVERHEAD = 1.2
_MIXTURE_OVERHEAD = 2.0
_WORKER_START_S = 4.0
_RIVAL_KINDS = 2
_PUBLISHED = 3
_FRONT_POINTS = 20
_BYTES_PER_TRIAL = 20_000
_FLOAT_BYTES = 4


@final
@dataclass(frozen=True)
class Estimate:
    """What a search is expected to take.

    Args:
        space: Name of the space.
        members: Ways to answer all its questions.
        trials: Members that would be evaluated.
        trainings: Networks that would be trained from scratch.
        seconds: Time per stage.
        memory_bytes: Of all processes together.
        disk_bytes: Of the run's folder at its end.
    """

    space: str
    members: int
    trials: int
    trainings: int
    seconds: dict[str, float]
    memory_bytes: int
    disk_bytes: int

    @property
    def total_seconds(self) -> float:
        """Time of all stages."""
        return sum(self.seconds.values())


@final
@dataclass(frozen=True)
class Timing:
    """Seconds of one training step, and of scoring one image."""

    step: float
    image: float


def print_estimate(config: SearchConfig, name: str | None, as_json: bool) -> None:
    """Print what the search would take, and write nothing."""
    from nas.run_store.layout import check_slug
    from nas.space.counting import json_count, short_count

    if name is not None:
        check_slug(name)
    found = estimate(config)
    if as_json:
        more = {"members": json_count(found.members), "total_seconds": found.total_seconds}
        print_json({"schema": "nas.estimate/1", **asdict(found), **more})
        return
    print_text(f"space     {found.space}, {short_count(found.members)} members")
    print_text(f"trials    {found.trials:,}, then {found.trainings:,} trainings from scratch")
    print_text(f"time      about {format_duration(found.total_seconds)}")
    print_text(f"memory    about {found.memory_bytes / 2**30:.1f} GiB")
    print_text(f"disk      about {found.disk_bytes / 2**20:.1f} MiB")
    rows = [(stage, format_duration(seconds)) for stage, seconds in found.seconds.items()]
    print_table(("stage", "time"), rows)


def estimate(config: SearchConfig) -> Estimate:
    """Time a few steps and multiply.

    Raises:
        DataError: If the data are unfit; EnvironmentFault if the device is not there.
        ConfigError: If a latency profile does not fit, or nothing keeps a latency budget.
    """
    from nas.search.checks.budget_check import check_latencies
    from nas.search.checks.memory_check import check_memory
    from nas.search.driver import space_facts
    from nas.search.material import prepare_material
    from nas.search.measuring.remote import check_measure_on
    from nas.search.quantisation import check_objectives_here
    from nas.search.session import default_workers
    from nas.search.settings.goals import Goals
    from nas.search.settings.resolve import resolve_space, searched_space
    from nas.training.device import resolve_device

    check_measure_on(config, config.executor.kind)
    device = resolve_device(config.device)
    space, goals = resolve_space(config), Goals.of(config)
    material = prepare_material(config)
    check_memory(config, material, str(device))
    check_latencies(config, material, str(device))
    timing = _time_members(config, space, material, device)
    workers = config.executor.workers or default_workers()
    check_objectives_here(config, str(device))
    members = searched_space(config).count()
    trials = min(config.search.trials, members)
    trainings = _trainings(config, space)
    seconds = {
        **_learning_seconds(config, goals, material, timing),
        "explore": _explore_seconds(config, goals, material, timing, trials, workers),
    }
    rivals = _equal_cost_seconds(config, sum(seconds.values()), workers)
    if rivals:
        seconds["random search at equal cost"] = rivals
    seconds["confirm"] = _confirm_seconds(config, material, timing, trainings, workers)
    numbers = _supernet_numbers(config, space, material) if goals.needs_weights else 0
    return Estimate(
        space=str(space_facts(config)["name"]),
        members=members,
        trials=trials,
        trainings=trainings,
        seconds={stage: round(value, 1) for stage, value in seconds.items()},
        memory_bytes=_memory_bytes(workers, numbers),
        # Weights, and a checkpoint with its momentum until the training is over.
        disk_bytes=3 * _FLOAT_BYTES * numbers + _BYTES_PER_TRIAL * trials,
    )


def _time_members(
    config: SearchConfig, space: AbstractSpace, material: Material, device: torch.device
) -> Timing:
    import numpy as np

    from nas.seeds import derive_seed
    from nas.training.device import use_threads

    times = []
    with use_threads(config.supernet.threads):
        for index in range(_TIMED_MEMBERS):
            rng = np.random.default_rng(derive_seed(config.seed, "dry run", index))
            network = space.build(space.sample(rng))
            batch = config.supernet.training.batch_size
            times.append(time_network(network, material, batch, device))
    return Timing(
        statistics.fmean(each.step for each in times),
        statistics.fmean(each.image for each in times),
    )


def time_network(architecture: Any, material: Material, batch: int, device: torch.device) -> Timing:
    """Return the time of a training step and of scoring one image."""
    import torch

    from nas.model.network import Network
    from nas.training.device import memory_format

    data = material.data
    network = Network(architecture, data.input_shape, data.num_classes)
    network.to(device, memory_format=memory_format(device))  # type: ignore[call-overload]
    images = torch.randn(batch, *data.input_shape, device=device)
    images = images.contiguous(memory_format=memory_format(device))
    scored = torch.randn(_SCORED_IMAGES, *data.input_shape, device=device)

    def step() -> None:
        network(images).sum().backward()

    def score() -> None:
        with torch.no_grad():
            network(scored)

    return Timing(_seconds_of(step, device), _seconds_of(score, device) / _SCORED_IMAGES)


def _seconds_of(work: Any, device: torch.device) -> float:
    """Return the seconds of one call, the first one left out."""
    import torch

    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    for _ in range(_TIMED_STEPS):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / _TIMED_STEPS


def _learning_seconds(
    config: SearchConfig, goals: Goals, material: Material, timing: Timing
) -> dict[str, float]:
    """Return the time of the relaxation and of the supernet's training."""
    if not goals.needs_weights:
        return {}
    images = len(material.parts.weights)
    path, relaxation = config.supernet.training, config.supernet.relaxation
    found = {}
    if relaxation.enabled and relaxation.proposals:
        levels = 1 if relaxation.alternation == "one_level" else 2
        steps = relaxation.epochs * max(1, images // relaxation.batch_size)
        # The time of a step grows with its images.
        size = relaxation.batch_size / path.batch_size
        found["relax"] = levels * steps * timing.step * size * _MIXTURE_OVERHEAD
    steps = path.epochs * max(1, images // path.batch_size)
    found["supernet"] = steps * timing.step * _PATH_OVERHEAD
    return found


def _explore_seconds(
    config: SearchConfig,
    goals: Goals,
    material: Material,
    timing: Timing,
    trials: int,
    workers: int,
) -> float:
    validation = len(material.parts.validation)
    limit = config.supernet.validation_images
    policy = config.supernet.recalibration
    measured = 0 if policy.policy == "none" else policy.images * policy.passes
    scorings = 2 if policy.compare and measured else 1
    images = measured + scorings * min(limit or validation, validation)
    scoring = trials * images * timing.image * _PATH_OVERHEAD if goals.needs_weights else 0.0
    # Where a profile steers, only the front is measured.
    measured_trials = trials if config.latency.steer == "measured" else min(trials, _FRONT_POINTS)
    each = config.latency.max_seconds * len(goals.measured)
    # The driver prepares what it measures one by one, workers what they score side by side.
    scoring += trials * _preparation_seconds(goals.evaluated)
    measuring = measured_trials * (each + _preparation_seconds(goals.measured))
    return scoring / workers + measuring + _WORKER_START_S


def _preparation_seconds(objectives: Sequence[AbstractObjective]) -> float:
    """Return what it takes to make a network ready in the runtimes that some objectives name."""
    from nas.objectives.runtimes import RUNTIMES

    names = {getattr(each, "runtime", None) for each in objectives}
    return sum(RUNTIMES.get(name).typical_preparation_s for name in names if name)


def _trainings(config: SearchConfig, space: AbstractSpace) -> int:
    confirm = config.confirm
    if not confirm.enabled:
        return 0
    # A guess from above: every bin names another network, and every rival can be had.
    searched = min(confirm.bins * confirm.shortlist, config.search.trials)
    named = confirm.bins * (1 + _RIVAL_KINDS)
    known = min(confirm.baselines.hand_made, len(space.known()))
    sweep = confirm.baselines.sweep
    brought = {
        "space_wirings": known,
        "published": _PUBLISHED,
        "random_members": confirm.baselines.random,
        "swept_wirings": known * (1 + sweep.depths * sweep.widths),
        "swept_published": _PUBLISHED * sweep.sizes,
        **dict.fromkeys(EQUAL_COST, confirm.baselines.equal_cost.finalists),
    }
    rivals = sum(brought.get(name, confirm.bins) for name in confirm.rivals)
    varied = len(confirm.varied_recipes()) - 1
    return (
        (searched + rivals) * confirm.seeds_a
        + named * confirm.seeds_b
        + named * varied * confirm.recipes.seeds
    )


def _equal_cost_seconds(config: SearchConfig, search_s: float, workers: int) -> float:
    """Return the time of the rivals that may spend what the search spends, on all workers."""
    if not config.confirm.enabled:
        return 0.0
    return search_s * sum(name in EQUAL_COST for name in config.confirm.rivals) / workers


def _confirm_seconds(
    config: SearchConfig, material: Material, timing: Timing, trainings: int, workers: int
) -> float:
    if not trainings:
        return 0.0
    recipe = config.confirm.recipe
    steps = recipe.epochs * ceil(len(material.parts.training) / recipe.batch_size)
    size = recipe.batch_size / config.supernet.training.batch_size
    return trainings * steps * timing.step * size / workers + _WORKER_START_S


def _supernet_numbers(config: SearchConfig, space: AbstractSpace, material: Material) -> int:
    """Return the numbers in all shared weights."""
    from nas.supernet.supernet import Supernet

    data = material.data
    supernet = Supernet(
        space,
        data.input_shape,
        data.num_classes,
        sharing=config.supernet.sharing,
        weights=config.supernet.weights,
    )
    return sum(prod(array.shape) for array in supernet.weights.arrays().values())


def _memory_bytes(workers: int, numbers: int) -> int:
    """Return the memory of the driver and its workers, each as large as this process was."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    # The driver also holds gradients and momentum of the shared weights.
    return (1 + workers) * peak + 2 * _FLOAT_BYTES * numbers

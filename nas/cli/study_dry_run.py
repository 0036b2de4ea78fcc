"""What a study would take: its cells, and the time from a few timed steps; no writing.

Networks that need no training to be chosen are built and timed, one training step of each; a search
counts as in its own dry run, and its network as the mean of the others. Good to a factor of two.
"""

from __future__ import annotations

import statistics
from math import ceil
from typing import TYPE_CHECKING, Any

from nas.cli.output import print_json, print_table, print_text
from nas.cli.progress import format_duration

if TYPE_CHECKING:
    from nas.search.material import Material
    from nas.study.config import StudyConfig
    from nas.study.session import Materials, Row

_LATENCY_ATTEMPTS = 2


def print_estimate(config: StudyConfig, workers: int | None, as_json: bool) -> None:
    """Print rows, trainings and time of a study."""
    found = estimate(config, workers)
    if as_json:
        print_json({"schema": "nas.study-estimate/1", **found})
        return
    columns = ("data", "space", "method", "networks", "trainings", "MACs", "s per training")
    print_table(columns, [tuple(row.values()) for row in found["rows"]])
    print_text("")
    print_text(f"trainings {found['trainings']} at {found['workers']} at a time")
    for step, seconds in found["seconds"].items():
        print_text(f"{step:9} about {format_duration(seconds)}")
    print_text(f"together  about {format_duration(found['total_seconds'])}")


def estimate(config: StudyConfig, workers: int | None) -> dict[str, Any]:
    """Choose what needs no training, time a step of each network, and multiply.

    Raises:
        DataError: If the data are unfit; EnvironmentFault if the device is not there.
    """
    from nas.search.session import default_workers
    from nas.study.resolve import make_methods
    from nas.study.session import Materials, rows_of

    materials = Materials(config)
    rows = rows_of(config, make_methods(config))
    described = [_row(config, materials, row) for row in rows]
    known = [each["seconds"] for each in described if each["seconds"] is not None]
    typical = statistics.fmean(known) if known else 0.0
    for each in described:
        each["seconds"] = round(typical if each["seconds"] is None else each["seconds"], 1)
    many = workers or default_workers()
    seconds = {
        "search": sum(_search_seconds(config, materials, row, typical, many) for row in rows),
        "training": sum(each["seconds"] * each["trainings"] for each in described) / many,
        "latency": _latency_seconds(config, described),
    }
    return {
        "name": config.name,
        "rows": described,
        "trainings": sum(each["trainings"] for each in described),
        "workers": many,
        "seconds": {step: round(value, 1) for step, value in seconds.items()},
        "total_seconds": round(sum(seconds.values()), 1),
    }


def _row(config: StudyConfig, materials: Materials, row: Row) -> dict[str, Any]:
    from nas.cost.count import cost
    from nas.study.session import context_of

    context = context_of(config, materials, row)
    choice = row.method.preview(context)
    macs, seconds, networks, trainings = None, None, 1, config.seeds
    if choice is not None:
        shape, classes = context.input_shape, context.num_classes
        macs = round(statistics.fmean(cost(each, shape, classes).macs for each in choice.networks))
        material = materials.of(row.data)
        seconds = statistics.fmean(
            _training_seconds(config, material, each) for each in choice.networks
        )
        networks = len(choice.networks)
        trainings = sum(len(places) for places in choice.by_seed)
    return {
        "data": materials.of(row.data).data.name,
        "space": row.space.name,
        "method": row.method.label,
        "networks": networks,
        "trainings": trainings,
        "macs": macs,
        "seconds": seconds,
    }


def _training_seconds(config: StudyConfig, material: Material, architecture: Any) -> float:
    from nas.cli.dry_run import time_network
    from nas.training.device import resolve_device, use_threads

    recipe = config.recipe
    with use_threads(config.threads):
        timing = time_network(
            architecture, material, recipe.batch_size, resolve_device(config.device)
        )
    images = len(material.parts.training)
    steps = recipe.epochs * ceil(images / recipe.batch_size)
    tested = len(material.test_part(config.test_images))
    return steps * timing.step + tested * timing.image


def _search_seconds(
    config: StudyConfig, materials: Materials, row: Row, typical: float, workers: int
) -> float:
    """Return the time of a row's search and of its shortlist."""
    from nas.cli.dry_run import estimate as search_estimate
    from nas.study.session import context_of

    search = row.method.search_config(context_of(config, materials, row))
    if search is None:
        return 0.0
    options = row.method.options
    trained = options.shortlist * options.shortlist_seeds if options.shortlist > 1 else 0
    return search_estimate(search).total_seconds + trained * typical / workers


def _latency_seconds(config: StudyConfig, described: list[dict[str, Any]]) -> float:
    if config.latency is None:
        return 0.0
    networks = sum(int(each["networks"]) for each in described)
    return networks * _LATENCY_ATTEMPTS * config.latency.max_seconds

"""Measure one network in every runtime of this machine, and rank the runtimes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.output import print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption
from nas.units import Quantity, Unit

if TYPE_CHECKING:
    from nas.objectives.latency_config import LatencyConfig
    from nas.objectives.latency_reading import Extras, LatencyReading
    from nas.objectives.runtime_ranks import Execution, Ranked


def bench(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN:TRIAL|FILE|NAME",
            help="Trial of a run, a JSON file, or a name as in `nas arch build`.",
        ),
    ],
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            "--runtime",
            metavar="RUNTIME[,DTYPE]",
            help="eager, ort, ort,int8, compile (slow), cudagraph, ...; may be given again.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=65_536, help="Images in one call.")] = 1,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of one call.")] = 1,
    seconds: Annotated[
        float, typer.Option(min=0.02, max=3600, help="Time per measurement, in seconds.")
    ] = 1.0,
    wait: Annotated[
        float, typer.Option(min=0, max=86_400, help="Longest wait for a busy device, in seconds.")
    ] = 10.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 or mps.")] = "cpu",
    extras: Annotated[
        bool, typer.Option("--extras", help="Also peak memory, bytes moved and energy.")
    ] = False,
    input_shape: Annotated[
        str | None, typer.Option("--input", metavar="CxHxW", help="Shape of an image.")
    ] = None,
    classes: Annotated[int | None, typer.Option("--classes", min=2, max=1_000_000)] = None,
    runs: RunsOption = RUNS,
    as_json: Json = False,
) -> None:
    """Measure the latency of one network per runtime, and rank the runtimes."""
    from nas.cli.arch import DEFAULT_CLASSES, DEFAULT_INPUT, parse_shape
    from nas.cli.named_architectures import find_network
    from nas.cost.count import cost
    from nas.objectives.latency_config import LatencyConfig
    from nas.objectives.runtime_ranks import compare_runtimes
    from nas.objectives.standalone import build_standalone
    from nas.training.device import resolve_device

    config = LatencyConfig(batch=batch, threads=threads, max_seconds=seconds, wait_s=wait)
    place = str(resolve_device(device))
    wanted = _executions(runtime or [], config, place)
    found = find_network(source, runs)
    shape = parse_shape(input_shape) if input_shape else None
    shape = shape or found.input_shape or parse_shape(DEFAULT_INPUT)
    num_classes = classes or found.num_classes or DEFAULT_CLASSES
    network = build_standalone(found.architecture, shape, num_classes)
    moved = cost(found.architecture, shape, num_classes).bytes if extras else None
    ranked = compare_runtimes(network, shape, wanted, config, place, _tell, moved)
    if as_json:
        print_json(
            {
                "schema": "nas.arch_bench/1",
                "source": source,
                "input": list(shape),
                "classes": num_classes,
                "batch": batch,
                "threads": threads,
                "device": _device(place, threads),
                "runtimes": [each.to_dict() for each in ranked],
            }
        )
        return
    _print(ranked, shape)


def _executions(given: list[str], config: LatencyConfig, device: str) -> list[Execution]:
    """Return what was asked for, or all that can be had without long preparation."""
    from nas.objectives.runtime_ranks import Execution, executions_here
    from nas.objectives.runtimes import RUNTIMES

    wanted = list(dict.fromkeys(Execution.parse(text) for text in given))
    for each in wanted:
        RUNTIMES.get(each.runtime).check(each.settings(config), device)
    if wanted:
        return wanted
    return executions_here(
        config, device, lambda name, error: talk(f"without {name}: {error.what} {error.fix or ''}")
    )


def _tell(execution: Execution, reading: LatencyReading) -> None:
    talk(f"{execution}: {reading.latency_ms:.4g} ms in {reading.pairs} pairs")


def _device(device: str, threads: int) -> dict[str, str | int]:
    from nas.objectives.device_fingerprint import device_fingerprint

    return device_fingerprint(device, threads).to_dict()


def _print(ranked: list[Ranked], shape: tuple[int, int, int]) -> None:
    columns = ("rank", "runtime", "latency ms", "IQR ms", "p95 ms", "images/s", "size", "remarks")
    rows = [
        (
            each.rank,
            str(each.execution),
            each.reading.latency_ms,
            each.reading.iqr_ms,
            each.reading.p95_ms,
            each.reading.throughput_images_per_s,
            _size(each.reading.bytes_shipped),
            ", ".join(each.reading.flags) or None,
        )
        for each in ranked
    ]
    print_table(columns, rows)
    if len({each.rank for each in ranked}) < len(ranked):
        print_text("runtimes of one rank cannot be told apart")
    for each in ranked:
        if each.reading.extras is not None:
            _print_extras(str(each.execution), each.reading.extras)


def _size(count: int | None) -> str | None:
    """Return the size of what a device would load."""
    return None if count is None else Quantity(count, Unit.BYTES).readable()


def _print_extras(execution: str, extras: Extras) -> None:
    """Print a line per number, with its unit or the reason why there is none."""
    told = {
        "peak memory": (extras.peak_memory_bytes, Unit.BYTES, "peak_memory_bytes"),
        "bytes moved, counted": (extras.bytes_moved, Unit.BYTES, "bytes_moved"),
        "energy per image": (extras.energy_j_per_image, Unit.JOULES, "energy_j_per_image"),
    }
    for label, (value, unit, name) in told.items():
        text = f"none: {extras.missing.get(name)}"
        if value is not None:
            text = Quantity(value, unit).readable()
        print_text(f"{execution} {label}: {text}")

"""Profile the latency of a space on this device, check a profile, and predict from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.commands import command_group
from nas.cli.output import print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption

if TYPE_CHECKING:
    from nas.objectives.latency import LatencyMeter
    from nas.objectives.latency_config import LatencyConfig
    from nas.predict.building import ProfileRequest
    from nas.predict.drift import Drift, Remeasured
    from nas.predict.profile import LatencyProfile, OtherDevice
    from nas.topology.layers import Shape

app = command_group(__doc__)

PROFILES = Path("profiles")
"""Folder of profiles that are given by name."""

_DEFAULT_SAMPLES = 150
_SHOWN_PIECES = 20

ProfileArgument = Annotated[
    str, typer.Argument(metavar="PROFILE", help="Path of a profile, or its name in profiles/.")
]
DeviceOption = Annotated[str, typer.Option(help="Torch device to measure on.")]


@app.command()
def build(
    space: Annotated[str, typer.Argument(help="Name of a space, or path of a .yaml file.")],
    data: Annotated[
        str | None, typer.Option(help="Data set that gives the shape of images and the classes.")
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option("--input", metavar="CxHxW", help="Shape of an image; by default 3x32x32."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option("--classes", min=2, max=1_000_000, help="Classes; else 10.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="eager, compile, ort or cudagraph.")] = "eager",
    batch: Annotated[int, typer.Option(help="Images in one call.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of one forward pass.")] = 1,
    dtype: Annotated[str, typer.Option(help="Number format of weights and images.")] = "fp32",
    device: DeviceOption = "cpu",
    wait: Annotated[
        float | None, typer.Option(metavar="S", help="Longest wait for a busy device, seconds.")
    ] = None,
    samples: Annotated[
        int, typer.Option(metavar="N", help="Random members to measure.")
    ] = _DEFAULT_SAMPLES,
    seed: Annotated[int, typer.Option(min=0, help="Of the random members.")] = 0,
    prior: Annotated[
        list[str] | None,
        typer.Option(metavar="PROFILE", help="Of another device; from two on they help."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write, ending in .json.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="SLUG", help="Write profiles/SLUG.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the pieces of a space and random members here; killed, it goes on where it was."""
    from nas.cli.progress import show_progress
    from nas.predict.building import ProfileRequest, build_profile
    from nas.space import load_space
    from nas.training.device import resolve_device

    settings = _settings(runtime, batch, threads, dtype, wait)
    shape, num_classes = _shapes(data, input_shape, classes)
    loaded = load_space(space)
    request = ProfileRequest(
        loaded,
        shape,
        num_classes,
        settings,
        samples,
        seed,
        _others(prior or [], shape, num_classes),
    )
    path, place = _target(output, name, request), str(resolve_device(device))
    with show_progress("measuring", unit="networks") as progress:
        profile = build_profile(
            request,
            path,
            lambda config, of, reference: _meter(config, of, place, reference),
            progress.update,
        )
    talk(f"wrote {path}; next: nas latency show {path}")
    document = _summary(profile)
    if as_json:
        print_json({"schema": "nas.latency_build/1", "path": str(path), **document})
    else:
        _print_summary(document)


@app.command()
def check(
    profile: ProfileArgument,
    number: Annotated[
        int, typer.Option("--number", "-n", min=3, max=10_000, help="Members to measure again.")
    ] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice among them.")] = 0,
    device: DeviceOption = "cpu",
    as_json: Json = False,
) -> None:
    """Measure a handful of members again and say whether the profile still fits."""
    from nas.cli.progress import show_progress
    from nas.predict.drift import measure_drift
    from nas.training.device import resolve_device

    loaded = _load(profile)
    place = str(resolve_device(device))
    meter = _meter(loaded.settings, loaded.input_shape, place, None)
    with show_progress("measuring again", unit="networks") as progress:
        drift = measure_drift(loaded, meter, number, seed, progress.update)
    if as_json:
        print_json({"schema": "nas.latency_check/1", "profile": profile, **_drift_record(drift)})
        return
    rows = [
        (own.label, own.before, own.now, own.now / own.before - 1, _remarks(own) or None)
        for own in drift.networks
    ]
    print_table(("network", "ratio then", "ratio now", "change", "remarks"), rows)
    print_text(
        f"drift {drift.drift:+.1%}, 95 % interval {drift.low:+.1%} to {drift.high:+.1%}; "
        f"single networks ± {drift.spread:.1%}; the reference itself {drift.reference_drift:+.1%}"
    )
    print_text(f"verdict: {drift.verdict}: {_VERDICTS[drift.verdict]}")


def _remarks(network: Remeasured) -> str:
    told = {"unstable": network.unstable, "busy": network.busy}
    return ", ".join(word for word, holds in told.items() if holds)


_VERDICTS = {
    "fits": "the profile still describes this device.",
    "drifted": "build it again: nas latency build, with another name.",
    "unsure": "too noisy to tell; measure more with --number, on a quieter machine.",
}


@app.command()
def show(profile: ProfileArgument, as_json: Json = False) -> None:
    """Show what a profile holds, how well it predicts, and what each piece takes."""
    loaded = _load(profile)
    document = _summary(loaded)
    pieces = sorted(loaded.predictor().piece_latencies(), key=lambda entry: entry[1], reverse=True)
    if as_json:
        rows = [
            {
                "kind": piece.kind,
                "name": piece.name,
                "source": list(piece.source),
                "target": list(piece.target),
                "stride": piece.stride,
                "latency_ms": latency_ms,
            }
            for piece, latency_ms in pieces
        ]
        print_json({"schema": "nas.latency_show/1", "profile": profile, **document, "pieces": rows})
        return
    _print_summary(document)
    print_text(f"slowest {min(len(pieces), _SHOWN_PIECES)} of {len(pieces)} pieces:")
    print_table(
        ("piece", "from", "to", "stride", "ms"),
        [
            (f"{piece.kind} {piece.name}", _x(piece.source), _x(piece.target), piece.stride, taken)
            for piece, taken in pieces[:_SHOWN_PIECES]
        ],
    )


@app.command()
def predict(
    profile: ProfileArgument,
    source: Annotated[
        str,
        typer.Argument(metavar="FILE|NAME|RUN:TRIAL", help="A network: file, name or trial."),
    ],
    runs: RunsOption = RUNS,
    as_json: Json = False,
) -> None:
    """Predict the latency of one network on a profile's device, with its 95 % interval."""
    from nas.cli.named_architectures import find_network

    loaded = _load(profile)
    found = find_network(source, runs)
    # A trial has shapes of its own, and is refused if they are not the profile's.
    shape, classes = found.input_shape or loaded.input_shape, found.num_classes
    prediction = loaded.predictor().predict(
        found.architecture, shape, classes or loaded.num_classes
    )
    record = {
        "latency_ms": prediction.latency_ms,
        "low_ms": prediction.low_ms,
        "high_ms": prediction.high_ms,
        "measured_ms": prediction.measured_ms,
        "predicted_ms": prediction.predicted_ms,
        "source": prediction.source,
        "flags": list(prediction.flags),
    }
    if as_json:
        print_json(
            {
                "schema": "nas.latency_prediction/1",
                "profile": profile,
                "network": source,
                "objective": loaded.objective,
                "device": loaded.fingerprint,
                **record,
            }
        )
        return
    print_text(
        f"{loaded.objective}  {prediction.latency_ms:.4g} ms, {prediction.source}, "
        f"95 % interval {prediction.low_ms:.4g} to {prediction.high_ms:.4g} ms"
    )
    for flag in prediction.flags:
        print_text(f"flag: {flag}: {_FLAGS[flag]}")


_FLAGS = {
    "unknown_pieces": "it runs operations or shapes of which the profile measured nothing.",
    "outside": "it is far faster or slower than every network of the profile.",
}


def _settings(
    runtime: str, batch: int, threads: int, dtype: str, wait: float | None
) -> LatencyConfig:
    from nas.config_files.documents import Document
    from nas.config_files.validation import validate_document
    from nas.objectives.latency_config import LatencyConfig

    given: dict[str, Any] = {
        "runtime": runtime,
        "batch": batch,
        "threads": threads,
        "dtype": dtype,
    }
    if wait is not None:
        given["wait_s"] = wait
    return validate_document(Document(given, "the command line"), LatencyConfig)


def _shapes(data: str | None, text: str | None, classes: int | None) -> tuple[Shape, int]:
    from nas.cli.arch import parse_shape

    shape: Shape = (3, 32, 32)
    num_classes = 10
    if data is not None:
        from nas.training.data import load_data

        loaded = load_data(data)
        shape, num_classes = loaded.input_shape, loaded.num_classes
    return (parse_shape(text) if text else shape), classes or num_classes


def _meter(
    config: LatencyConfig, input_shape: Shape, device: str, reference_ms: float | None
) -> LatencyMeter:
    from nas.objectives.latency import LatencyMeter

    return LatencyMeter(config, input_shape, device, reference_ms=reference_ms)


def _others(priors: list[str], shape: Shape, num_classes: int) -> tuple[OtherDevice, ...]:
    from nas.errors import ConfigError

    if len(priors) == 1:
        talk("one other device says nothing about how devices differ; it is kept, not used")
    loaded = [_load(text) for text in priors]
    for text, other in zip(priors, loaded, strict=True):
        if misfits := other.misfits(input_shape=shape, num_classes=num_classes):
            raise ConfigError(
                f"The profile '{text}' is no prior for this one: {'; '.join(misfits)}.",
                why="Its latencies are of other images, and nothing says what these would take.",
                fix="Leave it out, or build for its shape with --input and --classes.",
            )
    return tuple(each.as_other() for each in loaded)


def _target(output: Path | None, name: str | None, request: ProfileRequest) -> Path:
    from nas.errors import ConfigError
    from nas.run_store.layout import check_slug

    if output is not None and name is not None:
        raise ConfigError("--output and --name both say where to write.", fix="Give one of them.")
    if output is not None:
        if output.suffix != ".json":
            raise ConfigError(
                f"A profile's name ends in .json, which '{output}' does not.",
                fix=f"Write -o {output.with_name((output.name or 'profile') + '.json')}.",
            )
        return output
    settings = request.settings
    default = f"{request.space.name}-{settings.runtime}-b{settings.batch}-{settings.dtype}"
    return PROFILES / f"{check_slug(name or default.lower())}.json"


def _load(text: str) -> LatencyProfile:
    from nas.cli.given_files import given_file
    from nas.errors import NotFoundError
    from nas.predict.profile import LatencyProfile

    named = None if "/" in text else given_file(str(PROFILES / f"{text}.json"))
    path = given_file(text) or named
    if path is None:
        known = sorted(found.stem for found in PROFILES.glob("*.json"))
        raise NotFoundError(
            f"There is no profile '{text}'.",
            fix=f"Profiles here: {', '.join(known)}."
            if known
            else "Make one: nas latency build SPACE.",
        )
    return LatencyProfile.load(path)


def _summary(profile: LatencyProfile) -> dict[str, Any]:
    quality = profile.predictor().quality()
    members = sum(entry.kind == "member" for entry in profile.measurements)
    return {
        "objective": profile.objective,
        "space": profile.space.model_dump(),
        "input": list(profile.input_shape),
        "classes": profile.num_classes,
        "device": profile.device.model_dump(),
        "built": profile.built,
        "reference_ms": profile.reference_ms,
        "pieces_measured": len(profile.measurements) - members,
        "members_measured": members,
        "unstable": sum(entry.unstable for entry in profile.measurements),
        "busy": sum(entry.busy for entry in profile.measurements),
        "other_devices": len(profile.others),
        "left_out": {
            "networks": quality.networks,
            "within_10_percent": quality.within_10_percent,
            "median_error": quality.median_error,
            "spearman": quality.spearman,
            "inside_95": quality.inside,
            "noise": quality.noise,
        },
    }


def _print_summary(document: dict[str, Any]) -> None:
    facts, left_out = document["device"]["facts"], document["left_out"]
    print_text(f"{document['objective']} of {document['space']['name']}")
    print_text(f"input       {_x(document['input'])}, {document['classes']} classes")
    known = [f"{name} {value}" for name, value in facts.items() if value not in (None, "")]
    print_text(f"device      {', '.join(known)}")
    print_text(f"built       {document['built']}, reference {document['reference_ms']:.4g} ms")
    print_text(
        f"measured    {document['pieces_measured']} pieces and "
        f"{document['members_measured']} members; "
        f"{document['unstable']} readings unstable, {document['busy']} on a busy device"
    )
    if document["other_devices"]:
        print_text(f"prior       {document['other_devices']} other devices")
    print_text(
        f"left out    {left_out['within_10_percent']:.0%} within 10 %, median error "
        f"{left_out['median_error']:.1%}, Spearman {left_out['spearman']:.3f}, "
        f"{left_out['inside_95']:.0%} inside their 95 % intervals"
    )


def _drift_record(drift: Drift) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(drift)


def _x(shape: Any) -> str:
    return "x".join(map(str, shape))

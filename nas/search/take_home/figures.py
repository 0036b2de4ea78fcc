"""What a run knows of one trial, as the figures and words of a model card."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from nas.config_files import dump_yaml
from nas.export.parcel import Facts, Figure
from nas.run_store import Run, Trial
from nas.search.confirm.view import confirmed_errors
from nas.search.measuring.measured_on import measured_on
from nas.search.take_home.origins import Source

_COUNTED = {"parameters": "parameters", "macs": "multiply-adds per image", "depth": "depth"}


def facts_of(run: Run, trial: Trial, source: Source, command: str) -> Facts:
    """Return what a model card tells of a trial.

    Args:
        run: The run.
        trial: The trial.
        source: Weights that are taken.
        command: What exports it.
    """
    data = run.environment.get("data", {})
    classes = data.get("num_classes", "?")
    size = " x ".join(str(side) for side in data.get("input_shape", ()))
    latencies = any(name.startswith("latency") for name in trial.values)
    return Facts(
        task=f"tell {classes} classes of images apart ({size} pixels)",
        data=(
            f"{data.get('name', '?')}, {data.get('train_images', '?')} images for training and "
            f"{data.get('test_images', '?')} for testing, "
            f"fingerprint {str(data.get('fingerprint', '?'))[:12]}"
        ),
        figures=tuple(_figures(run, trial, source)),
        device=_device(measured_on(run)) if latencies else "",
        commands=tuple(_commands(run, trial, source, command)),
        remarks=tuple(_remarks(run, trial, source)),
        recipe=recipe_text(source.record) if source.kind == "trained" else "",
    )


def _figures(run: Run, trial: Trial, source: Source) -> Iterator[Figure]:
    yield from _of_these_weights(trial, source)
    yield from _of_the_wiring(run, trial)
    for name, entry in trial.values.items():
        yield Figure(name, _with_spread(entry), _source_words(entry, trial))
    for key, words in _COUNTED.items():
        count = trial.extra.get("measures", {}).get(key)
        if count is not None and key not in trial.values:
            yield Figure(words, f"{int(count):,}", "counted")


def _of_these_weights(trial: Trial, source: Source) -> Iterator[Figure]:
    """Say what the weights that are taken scored; other trainings of the wiring are not they."""
    record, inherited = source.record, trial.extra.get("inherited") or {}
    if "test_error" in record:
        error, count, images = float(record["test_error"]), record["test_images"], "test"
    elif source.kind == "inherited" and "error" in inherited:
        error, count, images = float(inherited["error"]), inherited["count"], "validation"
    else:
        return
    yield Figure(
        f"{images} error of these weights", _percent(error, None), f"{count} {images} images, once"
    )


def _of_the_wiring(run: Run, trial: Trial) -> Iterator[Figure]:
    found = confirmed_errors(run).get(f"trial-{trial.number}", {})
    for key, images in (("confirmed", "test"), ("validation", "validation")):
        mean, count = found.get(f"error_{key}_mean"), found.get(f"{key}_seeds")
        if mean is None:
            continue
        times = "1 training" if count == 1 else f"mean and deviation of {count} trainings"
        yield Figure(
            f"{images} error of this wiring trained alone",
            _percent(mean, found[f"error_{key}_std"]),
            f"confirmation, {times}",
        )


def _percent(mean: float, deviation: float | None) -> str:
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return f"{100 * mean:.2f}{spread} %"


def _with_spread(entry: Mapping[str, Any]) -> str:
    unit = "" if entry.get("unit") in (None, "count") else f" {entry['unit']}"
    spread = f" (interquartile range {entry['iqr']:.2g})" if entry.get("iqr") else ""
    return f"{float(entry['value']):.4g}{unit}{spread}"


def _source_words(entry: Mapping[str, Any], trial: Trial) -> str:
    source = str(entry.get("source", "unknown"))
    count = (trial.extra.get("inherited") or {}).get("count")
    if source == "inherited" and count:
        return f"inherited weights on {count} validation images"
    return source


def _device(found: Mapping[str, Any]) -> str:
    named = ("device", "processor", "system", "torch", "runtimes")
    words = {"torch": "torch "}
    parts = [f"{words.get(key, '')}{found[key]}" for key in named if found.get(key)]
    threads = [f"{found['threads']} thread"] if found.get("threads") == 1 else []
    return ", ".join([*parts, *threads])


def _commands(run: Run, trial: Trial, source: Source, command: str) -> Iterator[str]:
    name = run.path.name
    if source.kind == "trained":
        yield train_command(f"{name}:{trial.number}", source.record)
    else:
        again = shlex.quote(f"{name}-again")
        yield f"nas search {shlex.quote(f'runs/{name}/run.yaml')} --name {again}"
    yield command


def train_command(name: str, facts: Mapping[str, Any], data: str = "") -> str:
    """Return what trains a network again, with the recipe of its card.

    Args:
        name: What was typed for the network.
        facts: What a record tells of the training.
        data: What was typed for the data of a network without a run.
    """
    given = f" --data {shlex.quote(data)} -o FOLDER" if data else ""
    seed = shlex.quote(str(facts["seed"]))
    return f"nas arch train {shlex.quote(name)}{given} --recipe recipe.yaml --seed {seed}"


def recipe_text(facts: Mapping[str, Any]) -> str:
    """Return the recipe of a training as YAML; empty where there was none."""
    return dump_yaml(dict(facts["recipe"])) if "recipe" in facts else ""


def _remarks(run: Run, trial: Trial, source: Source) -> Iterator[str]:
    if run.config.get("preset") == "smoke":
        yield "Found by a smoke run: it shows that everything works and is no evidence."
    if source.kind == "inherited":
        yield (
            "Its weights were shared with other networks: trained alone it usually does better, "
            f"see `nas arch train {shlex.quote(f'{run.path.name}:{trial.number}')}`."
        )
    quantisation = trial.extra.get("quantisation")
    if quantisation:
        yield f"The search scored it in the number formats {quantisation}; this is float32."

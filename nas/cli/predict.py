"""Run a network on pictures: which class each shows, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, final

import typer

from nas.cli.output import one_line, print_json, print_table, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption

if TYPE_CHECKING:
    from nas.errors import DataError
    from nas.export.reading import Predictor
    from nas.training.data.pictures import Picture, Pictures

_BLOCK = 64
"""Pictures of one pass."""

_MOST_TOLD = 10
"""Failures that are told one by one; `--json` has all."""


@final
@dataclass(frozen=True)
class Answer:
    """What a network says of one picture.

    Args:
        file: Path below what was asked for.
        label: Number of the class.
        probabilities: Of every class, in their order.
        changed: What was done to the picture to fit.
        expected: Number of the class whose name its folder has, None where it has none.
    """

    file: str
    label: int
    probabilities: Sequence[float]
    changed: str
    expected: int | None


def predict(
    network: Annotated[
        str,
        typer.Argument(
            metavar="RUN:TRIAL|FOLDER|FILE.onnx",
            help="Trial of a run (a number, best, knee or under-2ms), an exported folder (onnx or "
            "json), or an exported ONNX file.",
        ),
    ],
    pictures: Annotated[
        Path, typer.Argument(metavar="FOLDER|PICTURE", help="A picture, or a folder of them.")
    ],
    weights: Annotated[
        str,
        typer.Option(
            metavar="WHICH", help="Of a trial: trained, confirmed, inherited; auto takes the first."
        ),
    ] = "auto",
    runs: RunsOption = RUNS,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line per picture on stdout.")] = False,
    as_json: Json = False,
) -> None:
    """Prepare every picture as the training images were, run the network, print its answers."""
    from nas.errors import ConfigError, DataError
    from nas.training.data.pictures import check_takes_pictures, find_pictures

    if as_csv and as_json:
        raise ConfigError("--csv and --json exclude each other.", fix="Leave one out.")
    found = find_pictures(pictures.expanduser())
    predictor = _predictor(network, runs, weights)
    check_takes_pictures(predictor.preprocessing)
    talk(one_line(f"{predictor.title}; weights: {predictor.weights}"))
    answers, failures = _answers(predictor, found)
    if not answers:
        raise DataError(
            f"None of the {len(failures)} pictures could be read; the first: {failures[0].what}",
            where=failures[0].where,
            fix=failures[0].fix,
        )
    classes = predictor.preprocessing.classes
    if as_json:
        print_json(_document(predictor, answers, failures))
    elif as_csv:
        print_text(_csv(answers, classes))
    else:
        _print(answers, classes)
    _tell(answers, failures, found)


def _predictor(network: str, runs: Path, weights: str) -> Predictor:
    """Return what answers: a trial of a run, or what was exported."""
    from nas.cli.named_trials import find_trial, names_trial
    from nas.errors import ConfigError
    from nas.export.reading import read_predictor

    path = Path(network).expanduser()
    if path.exists() or not names_trial(network):
        if weights != "auto":
            raise ConfigError(
                "--weights does not go with an exported network: it has one set of them.",
                where="--weights",
                fix="Leave it out.",
            )
        return read_predictor(path)
    folder, number = find_trial(network, runs)
    return _of_trial(folder, number, weights)


def _of_trial(folder: Path, number: int, weights: str) -> Predictor:
    from nas.export.reading import Predictor
    from nas.export.shipping import torch_logits
    from nas.run_store import Run
    from nas.search.take_home.networks import (
        architecture_of,
        load_network,
        preprocessing_of,
        told,
        trial_of,
    )
    from nas.search.take_home.origins import choose_source

    with Run.open(folder) as run:
        trial = trial_of(run, number)
        source = choose_source(run, number, weights)
        loaded = load_network(run, architecture_of(run, trial), source)
        return Predictor(
            f"trial {number} of run {folder.name}",
            told(source, run),
            preprocessing_of(run),
            lambda images: torch_logits(loaded, images),
        )


def _answers(predictor: Predictor, found: Pictures) -> tuple[list[Answer], list[DataError]]:
    """Run the network block by block; a picture that cannot be read is left out and named."""
    from nas.errors import DataError
    from nas.training.data.pictures import read_pictures

    answers: list[Answer] = []
    failures: list[DataError] = []
    for start in range(0, len(found.files), _BLOCK):
        block = found.files[start : start + _BLOCK]
        read = list(read_pictures(block, predictor.preprocessing))
        failures += [each for each in read if isinstance(each, DataError)]
        pictures = [each for each in read if not isinstance(each, DataError)]
        if pictures:
            answers += _classified(predictor, pictures, found)
    return answers, failures


def _classified(
    predictor: Predictor, pictures: Sequence[Picture], found: Pictures
) -> Iterator[Answer]:
    import numpy as np

    from nas.errors import DataError

    pixels = np.stack([each.pixels for each in pictures])
    logits = predictor.run(predictor.preprocessing.normalised(pixels)).astype(np.float64)
    if not np.isfinite(logits).all():
        raise DataError(
            "The network answers with numbers that are not finite.",
            where=predictor.title,
            fix="Its weights or its mean and deviation are damaged: export it again.",
        )
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    numbers = {name: number for number, name in enumerate(predictor.preprocessing.classes)}
    for picture, row in zip(pictures, shares, strict=True):
        yield Answer(
            str(picture.file.relative_to(found.root)),
            int(row.argmax()),
            [float(share) for share in row],
            picture.changed,
            numbers.get(picture.file.parent.name),
        )


def _document(
    predictor: Predictor, answers: Sequence[Answer], failures: Sequence[DataError]
) -> dict[str, Any]:
    classes = predictor.preprocessing.classes
    return {
        "schema": "nas.predict/1",
        "network": predictor.title,
        "weights": predictor.weights,
        "classes": list(classes),
        "pictures": [
            {
                "file": each.file,
                "class": classes[each.label],
                "label": each.label,
                "probability": each.probabilities[each.label],
                "probabilities": list(each.probabilities),
                "changed": each.changed or None,
                "folder_says": None if each.expected is None else classes[each.expected],
            }
            for each in answers
        ],
        "failed": [{"file": each.where, "reason": each.what} for each in failures],
        "accuracy": _accuracy(answers),
    }


def _accuracy(answers: Sequence[Answer]) -> float | None:
    """Return the share of right answers where every folder has the name of a class."""
    if any(each.expected is None for each in answers):
        return None
    return sum(each.label == each.expected for each in answers) / len(answers)


def _csv(answers: Sequence[Answer], classes: Sequence[str]) -> str:
    from nas.config_files import csv_text

    heads = ["file", "class", "probability", "changed", *(f"p({name})" for name in classes)]
    rows = []
    for each in answers:
        shares = [float(f"{share:.6g}") for share in each.probabilities]
        rows.append([each.file, classes[each.label], shares[each.label], each.changed, *shares])
    return csv_text(heads, rows).rstrip("\n")


def _print(answers: Sequence[Answer], classes: Sequence[str]) -> None:
    rows = []
    for each in answers:
        order = sorted(range(len(classes)), key=lambda label: -each.probabilities[label])
        second = order[1]
        rows.append(
            (
                one_line(each.file),
                one_line(classes[each.label]),
                f"{each.probabilities[each.label]:.3f}",
                f"{one_line(classes[second])} {each.probabilities[second]:.3f}",
                each.changed or "-",
            )
        )
    print_table(("picture", "class", "probability", "next", "changed"), rows)


def _tell(answers: Sequence[Answer], failures: Sequence[DataError], found: Pictures) -> None:
    changed = sum(bool(each.changed) for each in answers)
    if changed:
        talk(f"fitted to the size and colours of the training images: {changed} of {len(answers)}")
    accuracy = _accuracy(answers)
    if accuracy is not None:
        right = sum(each.label == each.expected for each in answers)
        talk(f"{right} of {len(answers)} as their folders say ({100 * accuracy:.1f} %)")
    for each in failures[:_MOST_TOLD]:
        talk(one_line(f"left out: {each.where}: {each.what}"))
    if len(failures) > _MOST_TOLD:
        talk(f"and {len(failures) - _MOST_TOLD} more; --json names all")
    if found.overlooked:
        talk(f"{found.overlooked} other files are no pictures")

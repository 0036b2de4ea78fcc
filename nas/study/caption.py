"""What stands below every table of a study: how it was made, and how far it can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nas.study.comparison import LEVEL, Ranking, ranking
from nas.study.measuring import latency_name
from nas.study.results import StudyResults


def caption(results: StudyResults) -> list[str]:
    """Return the sentences of the caption."""
    return list(_sentences(results))


def stamp(results: StudyResults) -> str:
    """Return one line of what the figures depend on, and the command that made them."""
    config, environment = results.config, results.environment
    parts = [
        *(
            f"data {each['name']} {str(each['fingerprint'])[:12]}"
            for each in environment["data"].values()
        ),
        f"recipe {config.recipe.recipe_hash}",
        f"{config.seeds} seeds from {config.seed}",
        f"distillation {distillation(results)}",
        f"device {device(results)}",
        f"command: {environment['command']}",
    ]
    return "; ".join(parts) + "."


def distillation(results: StudyResults) -> str:
    """Say where soft labels were used."""
    shares = [
        float(row.details["distillation"]) for row in results.rows if "distillation" in row.details
    ]
    if any(shares):
        return f"off in all trainings, {max(shares):g} of the loss in the search's supernet"
    return "off"


def device(results: StudyResults) -> str:
    """Return the digests of the devices on which latency was measured, else the study's own."""
    digests = {
        str(network.latency["device"])
        for row in results.rows
        for network in row.networks
        if network.latency is not None
    }
    own = str(results.environment.get("device_digest", "unknown"))
    return ", ".join(sorted(digests)) or own


def _sentences(results: StudyResults) -> Iterator[str]:
    config = results.config
    if not results.complete:
        yield "Not complete yet: some trainings are missing."
    facts = list(results.environment["data"].values())
    images = {row.images for row in results.rows if row.images}
    yield (
        f"Test error, mean ± standard deviation over {config.seeds} paired seeds (same images in "
        "the same order for all), each network trained from scratch with one recipe "
        f"({config.recipe.epochs} epochs) on {_each(facts, 'train_images')} images "
        f"{_shapes(facts)} and tested once per seed on {' or '.join(map(str, sorted(images)))} "
        "images."
    )
    yield (
        f"Bold: smallest mean; ≈: not told apart from it (paired t-test, Holm, {LEVEL:g}); which "
        "one is best was seen in the same figures."
    )
    yield from _sizes(results)
    yield from _notes(results)
    ranks = ranking(results)
    if ranks is not None:
        yield from _ranks(ranks)
    if config.latency is not None:
        name = latency_name(config.latency)
        yield f"Latency: {name}, median, measured alone after the trainings."
    if any(row.unstable for row in results.rows):
        yield "~: a latency that is unstable, or was measured beside other work."


def _sizes(results: StudyResults) -> Iterator[str]:
    match = results.config.match
    if match is None:
        return
    outside = [row.label for row in results.rows if not row.within]
    yield (
        f"All networks have {match.macs / 1e6:g} million multiply-adds within "
        f"{100 * match.tolerance:g} %"
        + (f"; † marks those that have none: {', '.join(outside)}." if outside else ".")
    )


def _notes(results: StudyResults) -> Iterator[str]:
    notes = dict.fromkeys(
        f"{row.label}: {row.note}" for row in results.rows if row.kind != "wiring" and row.note
    )
    if notes:
        yield f"{'; '.join(notes)}."
    if any(row.kind == "search" for row in results.rows):
        yield "Found in: wall-clock time of search and shortlist, beside whatever else ran then."
    same: dict[tuple[str, str, str], list[str]] = {}
    for row in results.rows:
        for network in row.networks:
            place = (row.data, row.space, network.architecture_id)
            same.setdefault(place, []).append(row.label)
    for labels in same.values():
        if len(set(labels)) > 1:
            yield f"One and the same network: {', '.join(dict.fromkeys(labels))}."
    failed = [f"{row.label}: {each}" for row in results.rows for each in row.failures]
    if failed:
        yield f"Failed trainings: {'; '.join(failed)}."


def _ranks(ranks: Ranking) -> Iterator[str]:
    if ranks.kind == "seeds":
        yield (
            f"Ranks are over the {len(ranks.blocks)} seeds of one data set: they measure the noise "
            "of training there and say nothing about other data sets."
        )
    else:
        yield f"Ranks are over {len(ranks.blocks)} pairs of data set and space, means over seeds."
    if ranks.friedman is not None:
        found = ranks.friedman
        ratio = found.to_dict()["f_statistic"]
        shown = "infinite" if ratio is None else f"{ratio:.2f}"
        yield (
            f"Friedman: chi-square {found.chi_square:.2f} (p = {found.p_value:.2g}), "
            f"Iman-Davenport F {shown} (p = {found.f_p_value:.2g}); "
            f"Nemenyi's critical difference is {ranks.difference:.2f} ranks."
        )
    smallest = 2.0 ** (1 - len(ranks.blocks))
    if ranks.kind == "seeds" and smallest >= LEVEL:
        yield (
            f"With {len(ranks.blocks)} seeds Wilcoxon's signed-rank test cannot go below "
            f"{smallest:g}."
        )
    if ranks.left_out:
        yield f"Not ranked, for missing figures: {', '.join(ranks.left_out)}."


def _each(facts: Iterable[dict[str, Any]], key: str) -> str:
    return " or ".join(dict.fromkeys(str(each[key]) for each in facts))


def _shapes(facts: Iterable[dict[str, Any]]) -> str:
    shapes = dict.fromkeys(
        "x".join(str(side) for side in each["input_shape"][1:]) for each in facts
    )
    return f"of {' or '.join(shapes)} pixels"

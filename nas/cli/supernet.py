"""Ask how far the ranking of a run's supernet can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.commands import command_group
from nas.cli.output import print_json, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunArgument, RunsOption, find_run

if TYPE_CHECKING:
    from nas.run_store import Run
    from nas.search.config import SearchConfig
    from nas.supernet.rank import RankConfig, RankedMember
    from nas.supernet.supernet import Supernet

app = command_group(__doc__)

MEMBER_KIND = "rank_member"
VERDICT_KIND = "verdict"
VIEW = "rank.json"


@app.command()
def rank(
    run: RunArgument,
    architectures: Annotated[
        str, typer.Option(metavar="N|all", help="Members to train alone, drawn at random.")
    ] = "100",
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings per member.")] = 2,
    epochs: Annotated[int, typer.Option(metavar="N", help="Epochs of each training.")] = 10,
    runs: RunsOption = RUNS,
    as_json: Json = False,
) -> None:
    """Train members alone and print how the supernet ranks them; goes on where it was left."""
    from nas.run_store import Run

    config = _rank_config(architectures, seeds, epochs)
    path = find_run(run, runs)
    with Run.open(path) as opened:
        _trained_weights(opened)  # refuse before the lock is taken
    with Run.open(path, write=True) as opened:
        document, table = _rank(opened, config)
    if as_json:
        print_json(document)
    else:
        print_text(table)
    talk(f"written: {path / VIEW}")


def _rank_config(architectures: str, seeds: int, epochs: int) -> RankConfig:
    from nas.errors import ConfigError
    from nas.supernet.rank import RankConfig
    from nas.training.recipe import Recipe

    members = None if architectures == "all" else _whole(architectures)
    limits = {"--architectures": (members, 3, 10_000), "--seeds": (seeds, 2, 100)}
    limits["--epochs"] = (epochs, 1, 100_000)
    for option, (value, low, high) in limits.items():
        if value is not None and not low <= value <= high:
            given = architectures if option == "--architectures" else value
            raise ConfigError(
                f"'{given}' is not possible: a whole number, {low} to {high:,}"
                + (", or all." if option == "--architectures" else "."),
                where=option,
                fix="Leave it out for the default.",
            )
    return RankConfig(members=members, seeds=seeds, recipe=Recipe(epochs=epochs, batch_size=64))


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _trained_weights(run: Run) -> str:
    """Return the SHA-256 of the run's supernet.

    Raises:
        RunError: If it has none.
    """
    from nas.errors import RunError

    stage = run.table().stages.get("supernet")
    if stage is None or stage.state != "finished" or stage.checkpoint is None:
        raise RunError(
            f"Run '{run.path.name}' has no trained supernet.",
            where=str(run.path),
            why="Its objectives need none, or it was stopped before the training was over.",
            fix=f"Go on with `nas resume {run.path.name}`, or search for error or cross_entropy.",
        )
    return stage.checkpoint


def _rank(run: Run, config: RankConfig) -> tuple[dict[str, Any], str]:
    """Rank, write down each member as it is trained and the verdict; return document and table."""
    from nas.cli.progress import show_progress
    from nas.errors import InterruptedRunError, SpaceError
    from nas.search.driver import check_unchanged, run_config
    from nas.search.interrupts import Stopper
    from nas.search.material import prepare_material
    from nas.supernet.rank import rank_members

    settings = run_config(run)
    material = prepare_material(settings)
    check_unchanged(run, settings, material)
    weights = _trained_weights(run)
    supernet = _load_supernet(run, settings, weights)
    # What is judged are the scores that the search went by.
    as_searched = settings.supernet.model_dump(
        include={"recalibration_images", "validation_images"}
    )
    config = config.model_copy(update=as_searched)
    known = {"supernet": weights, "recipe": config.recipe.recipe_hash, "seeds": config.seeds}
    stopper = Stopper(run.stop_requested)
    with show_progress("training members alone", unit="members") as progress, stopper.listening():

        def note(member: RankedMember, done: int, total: int) -> None:
            run.append({"kind": MEMBER_KIND, **known, "member": member.to_dict()})
            progress.update(done, total)

        try:
            report = rank_members(
                supernet,
                material.parts,
                config,
                seed=settings.seed,
                finished=_finished(run, known),
                on_member=note,
                should_stop=stopper,
            )
        except SpaceError:
            if stopper.reason is None:
                raise
    if stopper.reason is not None:
        raise InterruptedRunError(
            "The ranking was interrupted; the members trained so far are kept.",
            where=str(run.path),
            fix="Type the same command again to go on.",
        )
    document = report.to_dict()
    verdict = {"kind": VERDICT_KIND, "about": "ranking", "verdict": document["verdict"]}
    if run.table().verdicts[-1:] != [verdict]:
        run.append(verdict)
    _write(run, document)
    return document, report.table()


def _load_supernet(run: Run, settings: SearchConfig, weights: str) -> Supernet:
    from nas.search.resolve import resolve_space
    from nas.seeds import derive_seed
    from nas.supernet.supernet import Supernet
    from nas.training.device import memory_format, resolve_device

    data = run.environment["data"]
    channels, height, width = data["input_shape"]
    supernet = Supernet(
        resolve_space(settings),
        (channels, height, width),
        data["num_classes"],
        sharing=settings.supernet.sharing,
        seed=derive_seed(settings.seed, "supernet", 0),  # of slots that no training met
    )
    supernet.load_arrays(run.weights.get(weights))
    device = resolve_device(settings.device)
    supernet.to(device, memory_format=memory_format(device))  # type: ignore[call-overload]
    return supernet


def _finished(run: Run, known: dict[str, Any]) -> dict[str, RankedMember]:
    """Return the members that were trained before with the same supernet, recipe and seeds."""
    from nas.supernet.rank import RankedMember

    found = [
        RankedMember.from_dict(record["member"])
        for record in run.records()
        if record["kind"] == MEMBER_KIND
        and all(record.get(key) == value for key, value in known.items())
    ]
    return {member.member: member for member in found}


def _write(run: Run, document: dict[str, Any]) -> None:
    import json

    from nas.cli.report import render_report
    from nas.cli.search_end import REPORT

    run.write_view(VIEW, json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")
    run.write_view(REPORT, render_report(run))  # it names the verdict

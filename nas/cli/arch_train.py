"""Train one network alone, with any recipe, and keep it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.output import print_json, print_text, talk
from nas.cli.run_folders import RUNS, Json, RunsOption, shown_run

if TYPE_CHECKING:
    from nas.search.interrupts import Stopper
    from nas.search.material import Material
    from nas.search.take_home.training import TrainedNetwork, TrainingOrder
    from nas.topology.graph import Architecture
    from nas.training.fit import EpochReport
    from nas.training.recipe import Recipe

_LARGEST_SEED = 2**63 - 1


def train(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN:TRIAL|FILE|NAME",
            help="Trial of a run (a number, best, knee or under-2ms), a JSON file, or a name.",
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="plain, modern, fractal, norm_free, or a YAML file; by default that of the run's "
            "confirmation.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="In place of the recipe's.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=_LARGEST_SEED, help="Equal seeds give equal networks.")
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to make; by default it stays in the run."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Data of a FILE or NAME.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, max=1024, help="CPU threads of torch.")] = 1,
    anew: Annotated[
        bool, typer.Option("--anew", help="Do not go on where this training was interrupted.")
    ] = False,
    runs: RunsOption = RUNS,
    as_json: Json = False,
) -> None:
    """Train a network on all training images, test it once, and keep its weights.

    Interrupted or killed, it goes on where it was when the same command is typed again.
    """
    from nas.export.export import check_output
    from nas.export.formats import FormatOptions
    from nas.search.take_home.training import TrainingOrder
    from nas.training.device import resolve_device

    if output is not None:
        output = output.expanduser()
        check_output(output, "json", FormatOptions())
    place = str(resolve_device(device))
    own = read_recipe(recipe, epochs)

    def order(usual: Recipe) -> TrainingOrder:
        chosen = own or _with_epochs(usual, epochs)
        return TrainingOrder(chosen, seed, place, threads, anew)

    with _saying_how_to_go_on(context):
        document = _trained(source, data, order, output, runs)
    if as_json:
        print_json({"schema": "nas.arch_train/1", **document})
    else:
        _tell(document)


@contextmanager
def _saying_how_to_go_on(context: typer.Context) -> Iterator[None]:
    """Name the command that was typed where its training was interrupted; it goes on."""
    from nas.errors import InterruptedRunError

    try:
        yield
    except InterruptedRunError as error:
        words = context.command_path.split()
        for parameter in context.command.params:
            name = str(parameter.name)
            given, value = context.get_parameter_source(name), context.params[name]
            if given is None or given.name != "COMMANDLINE" or name == "anew":
                continue
            words += [parameter.opts[0]] if parameter.param_type_name == "option" else []
            words += [] if value is True else [str(value)]
        error.fix = f"Go on from there with: {shlex.join(words)}"
        raise


def _trained(
    source: str, data: str | None, order: Any, output: Path | None, runs: Path
) -> dict[str, Any]:
    """Train what was named and keep it; return what is told of it."""
    from nas.cli.named_trials import find_trial, names_trial
    from nas.errors import ConfigError

    if names_trial(source):
        if data is not None:
            raise ConfigError(
                "--data does not go with a trial of a run.", where="--data", fix="Leave it out."
            )
        path, number = find_trial(source, runs)
        return _train_trial(path, number, order, output)
    if data is None or output is None:
        option = "--data" if data is None else "--output"
        raise ConfigError(
            f"A network without a run needs {option}.",
            where=option,
            fix=f"Write for example: nas arch train {source} --data digits -o FOLDER",
        )
    return _train_named(source, data, order, output, runs)


def read_recipe(text: str | None, epochs: int | None) -> Recipe | None:
    """Return a recipe by its name or from its file; None where none is given.

    Raises:
        ConfigError: If there is no such recipe, or the file holds something else.
    """
    if text is None:
        return None
    from nas.cli.given_files import given_file
    from nas.config_files import load_document, validate_document
    from nas.training.named_recipes import settings_of
    from nas.training.recipe import RECIPE_SCHEMA, Recipe

    path = given_file(text)
    if path is None:
        return _with_epochs(Recipe.model_validate(settings_of(text)), epochs)
    document = load_document(path)
    values = document.data
    if isinstance(values, dict) and values.get("schema") == RECIPE_SCHEMA:
        values = {key: value for key, value in values.items() if key != "schema"}
        document = replace(document, data=values)
    return _with_epochs(validate_document(document, Recipe), epochs)


def _with_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    return recipe if epochs is None else recipe.model_copy(update={"epochs": epochs})


def _train_trial(path: Path, number: int, order: Any, output: Path | None) -> dict[str, Any]:
    """Train a trial and keep it: in its run under the run's lock, or in a folder."""
    from nas.cli.report import render_report
    from nas.cli.search_end import REPORT
    from nas.run_store import Run
    from nas.search.driver import run_config
    from nas.search.interrupts import Stopper
    from nas.search.take_home.networks import architecture_of, material_of, trial_of
    from nas.search.take_home.training import (
        keep_trained,
        state_beside,
        state_in,
        times_tested,
        trained_before,
    )
    from nas.search.training.kept_trainings import forget_state

    with Run.open(path, write=output is None) as run:
        trial = trial_of(run, number)
        config = run_config(run)
        wanted: TrainingOrder = order(config.confirm.recipe)
        material = material_of(run)
        title = f"trial {number} of run {path.name}"
        name = f"{shown_run(path)}:{number}"
        fingerprint = material.data.fingerprint
        architecture = architecture_of(run, trial)
        state = (
            state_beside(output, architecture, wanted, fingerprint)
            if output
            else state_in(run, number, wanted, fingerprint)
        )
        known = trained_before(run, number, wanted, fingerprint)
        if known is not None and output is None:
            forget_state(state)
            talk("trained already with this recipe and seed: nothing to do")
            return _document(title, name, known, str(known["weights"]), times_tested(run, number))
        stopper = Stopper(run.stop_requested)
        test_images = config.confirm.test_images
        trained = _train(architecture, material, wanted, state, stopper, test_images)
        if output is not None:
            _write_folder(title, output, trained, material, name)
            forget_state(state)
            return _document(title, str(output), trained.facts, None, None)
        identity = trial.extra.get("architecture_id")
        sha = keep_trained(run, number, identity, trained)
        forget_state(state)
        run.write_view(REPORT, render_report(run))
        return _document(title, name, trained.facts, sha, times_tested(run, number))


def _train_named(source: str, data: str, order: Any, output: Path, runs: Path) -> dict[str, Any]:
    from nas.cli.named_architectures import find_network
    from nas.cli.parcels import material_of_spec
    from nas.search.interrupts import Stopper
    from nas.search.settings.presets import RECIPE
    from nas.search.take_home.training import state_beside
    from nas.search.training.kept_trainings import forget_state
    from nas.training.recipe import Recipe

    architecture = find_network(source, runs).architecture
    material = material_of_spec(data)
    wanted: TrainingOrder = order(Recipe.model_validate(RECIPE))
    state = state_beside(output, architecture, wanted, material.data.fingerprint)
    trained = _train(architecture, material, wanted, state, Stopper(), None)
    _write_folder(source, output, trained, material, source, data)
    forget_state(state)
    return _document(source, str(output), trained.facts, None, None)


def _train(
    architecture: Architecture,
    material: Material,
    order: TrainingOrder,
    state: Path,
    stopper: Stopper,
    test_images: int | None,
) -> TrainedNetwork:
    from nas.search.take_home.training import train_network

    recipe = order.recipe
    talk(
        f"recipe {recipe.recipe_hash}: {recipe.epochs} epochs of {len(material.parts.training):,} "
        f"images, on {order.device}"
    )
    with _progress(recipe.epochs) as tell, stopper.listening():
        return train_network(
            architecture,
            material,
            order,
            state=state,
            test_images=test_images,
            on_epoch=tell,
            should_stop=stopper,
        )


@contextmanager
def _progress(epochs: int) -> Iterator[Any]:
    from nas.cli.progress import show_progress

    with show_progress("training", epochs, "epochs") as progress:

        def tell(report: EpochReport) -> None:
            progress.update(report.epoch, report.epochs, f"loss {report.loss:.4f}")

        yield tell


def _write_folder(
    title: str, output: Path, trained: TrainedNetwork, material: Material, name: str, spec: str = ""
) -> None:
    """Write a trained network as a folder that every command reads."""
    from nas.export.export import export_parcel
    from nas.export.formats import FormatOptions
    from nas.search.take_home.networks import images_of, trained_parcel

    parcel = trained_parcel(title, trained, material, name, spec)
    export_parcel(parcel, output, "json", FormatOptions(), images_of(material))


def _document(
    title: str, name: str, facts: Mapping[str, Any], sha: str | None, times: int | None
) -> dict[str, Any]:
    own = {key: value for key, value in facts.items() if key not in ("kind", "weights")}
    return {"title": title, "network": name, **own, "weights": sha, "times_tested": times}


def _tell(document: Mapping[str, Any]) -> None:
    print_text(
        f"{document['title']}: test error {100 * document['test_error']:.2f} % of "
        f"{document['test_images']:,} images, cross-entropy {document['test_cross_entropy']:.4f} "
        f"nats"
    )
    print_text(
        f"recipe {document['recipe_hash']}, seed {document['seed']}, {document['steps']:,} steps, "
        f"{document['seconds']:.1f} s on {document['device']}"
    )
    if (document["times_tested"] or 0) > 1:
        talk(
            f"it was tested {document['times_tested']} times by now: keeping the best of them "
            "would choose on test images"
        )
    kept = f"kept as {document['weights'][:12]}" if document["weights"] else "written"
    talk(f"{kept}; next: nas arch export {document['network']} --format onnx -o FOLDER")

"""From a trial to its network with weights, and to real images to check an export on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nas.errors import NotFoundError
from nas.export.parcel import Facts, Figure, Parcel, RealImages, Weights
from nas.run_store import Run, Trial
from nas.run_store.layout import typed
from nas.search.driver import check_unchanged, run_config
from nas.search.material import Material, prepare_material
from nas.search.settings.resolve import resolve_space
from nas.search.take_home.figures import facts_of, recipe_text, train_command
from nas.search.take_home.origins import Source
from nas.topology.graph import Architecture
from nas.topology.serial import load_architecture
from nas.training.data.preprocessing import Preprocessing

if TYPE_CHECKING:
    from nas.model.network import Network
    from nas.search.take_home.training import TrainedNetwork

MOST_CHECKED: Final = 1000
"""Most test images that an export is checked on."""


def trial_of(run: Run, number: int) -> Trial:
    """Return a trial of a run.

    Raises:
        NotFoundError: If there is none of that number.
    """
    trials = run.table().trials
    if number in trials:
        return trials[number]
    there = f"it has trials {min(trials)} to {max(trials)}" if trials else "it has no trials yet"
    raise NotFoundError(
        f"Run '{run.path.name}' has no trial {number}: {there}.",
        where=str(run.path),
        fix=f"List the front with `nas front {typed(run.path)}`.",
    )


def architecture_of(run: Run, trial: Trial) -> Architecture:
    """Return the architecture of a trial.

    Raises:
        RunError: If its record holds none.
    """
    return load_architecture(run.architecture_of(trial))


def material_of(run: Run) -> Material:
    """Return the data of a run, checked to be those it was made with.

    Raises:
        NotFoundError: If they are not where they were; DataError if they cannot be read.
        RunError: If they, or the space, are not what they were.
    """
    config = run_config(run)
    material = prepare_material(config)
    check_unchanged(run, config, material)
    return material


def preprocessing_of(run: Run) -> Preprocessing:
    """Return what the networks of a run expect of a picture, without its data where it says so."""
    data = run.environment.get("data")
    recorded = data.get("preprocessing") if isinstance(data, dict) else None
    if recorded is None:  # made by an earlier version
        return material_of(run).preprocessing()
    return Preprocessing.from_dict(recorded, str(run.path))


def load_network(run: Run, architecture: Architecture, source: Source) -> Network:
    """Return a network with its weights, in eval mode on the CPU.

    Raises:
        RunError: If the weights are missing or damaged.
        DataError: If they are those of another network.
        NotFoundError: If the data are needed for inherited statistics and are not there.
    """
    from nas.export.arrays import fill_network
    from nas.model.network import Network

    if source.kind == "inherited":
        return _inherited(run, architecture, source)
    expected = preprocessing_of(run)
    network = Network(architecture, expected.input_shape, len(expected.classes))
    arrays = run.weights.get(source.sha256)
    fill_network(network, arrays, str(run.weights.path(source.sha256)))
    return network.eval()


def _inherited(run: Run, architecture: Architecture, source: Source) -> Network:
    """Cut a member out of the supernet, its statistics measured as they were for its score."""
    from nas.search.tasks import Subnets

    config = run_config(run)
    data = run.environment["data"]
    subnets = Subnets(
        config,
        resolve_space(config),
        {
            "run": str(run.path),
            "weights": source.sha256,
            "fingerprint": data["fingerprint"],
            "input_shape": data["input_shape"],
            "num_classes": data["num_classes"],
            "device": "cpu",
        },
    )
    return subnets.extract(architecture).float().eval()


def parcel_of(run: Run, trial: Trial, source: Source, command: str) -> Parcel:
    """Return a trial's network with what travels with it.

    Args:
        run: The run.
        trial: The trial.
        source: Weights to take.
        command: What to type to get this parcel again.
    """
    architecture = architecture_of(run, trial)
    expected = preprocessing_of(run)
    return Parcel(
        title=f"trial {trial.number} of run {run.path.name}",
        network=load_network(run, architecture, source),
        num_classes=len(expected.classes),
        preprocessing=expected,
        weights=Weights(source.kind, told(source, run), source.sha256),
        facts=facts_of(run, trial, source, command),
        identity=identity_of(architecture),
    )


def trained_parcel(
    title: str, trained: TrainedNetwork, material: Material, name: str, spec: str = ""
) -> Parcel:
    """Return a network that was just trained, for a folder outside of any run.

    Args:
        title: What it is called.
        trained: The network.
        material: What it was trained on.
        name: What was typed for it.
        spec: What was typed for its data; empty where a run has them.
    """
    facts, data = trained.facts, material.data
    told_error = f"{100 * float(facts['test_error']):.2f} %"
    size = " x ".join(map(str, data.input_shape))
    recipe = f"recipe {facts['recipe_hash']}, seed {facts['seed']}"
    return Parcel(
        title=title,
        network=trained.network,
        num_classes=data.num_classes,
        preprocessing=material.preprocessing(),
        weights=Weights(
            "trained", f"trained alone on all training images by nas arch train with {recipe}"
        ),
        facts=Facts(
            task=f"tell {data.num_classes} classes of images apart ({size} pixels)",
            data=f"{data.name}, {len(data.y_train)} images for training and {len(data.y_test)} for "
            f"testing, fingerprint {data.fingerprint[:12]}",
            figures=(
                Figure(
                    "test error of these weights",
                    told_error,
                    f"{facts['test_images']} test images, once",
                ),
            ),
            commands=(train_command(name, facts, spec),),
            recipe=recipe_text(facts),
        ),
        identity=identity_of(trained.network.architecture),
    )


def identity_of(architecture: Architecture) -> str | None:
    """Return the structural id of a network, None where it is too long for one."""
    from nas.errors import ArchitectureError
    from nas.topology.identity import structural_id

    try:
        return structural_id(architecture)
    except ArchitectureError:
        return None


def told(source: Source, run: Run) -> str:
    """Return in words where weights come from."""
    record = source.record
    if source.kind == "inherited":
        return (
            f"inherited from the supernet of run {run.path.name} ({source.sha256[:12]}), "
            "batch-norm statistics measured for this network; it was not trained alone"
        )
    by = "nas arch train" if source.kind == "trained" else "the confirmation of the search"
    which = "" if source.kind == "trained" else ", the first of its fresh seeds"
    return (
        f"trained alone on all training images by {by} with recipe {record['recipe_hash']}, "
        f"seed {record['seed']}{which} ({source.sha256[:12]})"
    )


def real_images(run: Run) -> RealImages:
    """Return test images of a run's data, normalised, with their labels.

    Raises:
        NotFoundError: If the data are not where they were.
    """
    material = material_of(run)
    return images_of(material)


def images_of(material: Material) -> RealImages:
    """Return test images of some data, at most `MOST_CHECKED`, each class with its share."""
    part = material.test_part(MOST_CHECKED)
    pixels = np.ascontiguousarray(part.pixels())
    found = material.preprocessing().normalised(pixels)
    return RealImages(found, part.labels, f"test images of {material.data.name}")

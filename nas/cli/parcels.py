"""From a text on the command line to a network with weights, and real images to check it on."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from nas.export.parcel import Parcel, RealImages
    from nas.run_store import Run
    from nas.search.material import Material

UNTRAINED_SEED = 0


@final
@dataclass(frozen=True)
class ParcelWishes:
    """What a user says beside the network's name.

    Args:
        weights: Which weights of a trial.
        data: Data of a network that belongs to no run.
        input_shape: Shape of an image of such a network, as typed.
        classes: Classes of such a network.
    """

    weights: str = "auto"
    data: str | None = None
    input_shape: str | None = None
    classes: int | None = None


@final
@dataclass(frozen=True, eq=False)
class FoundParcel:
    """A network with what travels with it, and images to check it on."""

    parcel: Parcel
    real: RealImages


def find_parcel(source: str, runs: Path, wishes: ParcelWishes, command: str) -> FoundParcel:
    """Return the network that a text names.

    Args:
        source: `RUN:TRIAL`, an exported folder, a JSON file, or a name to build.
        runs: Folder of runs.
        wishes: What else was said.
        command: What exports it, `{}` in the place of its name.

    Raises:
        NasError: If there is no such network, it has no such weights, or an option does not fit.
    """
    from nas.cli.named_trials import find_trial, names_trial
    from nas.export.about import ABOUT
    from nas.run_store import Run

    if names_trial(source):
        _refuse(wishes, "a trial of a run", ("data", "input_shape", "classes"))
        path, number = find_trial(source, runs)
        with Run.open(path) as run:
            return _of_trial(run, number, wishes, command)
    if (Path(source).expanduser() / ABOUT).is_file():
        _refuse(wishes, "an exported network", ("input_shape", "classes", "weights"))
        return _of_folder(Path(source).expanduser(), wishes)
    _refuse(wishes, "a network without a run", ("weights",))
    return _of_name(source, runs, wishes, command)


def _refuse(wishes: ParcelWishes, what: str, names: tuple[str, ...]) -> None:
    """Refuse options that say what the network says itself."""
    from nas.errors import ConfigError

    usual = ParcelWishes()
    for name in names:
        if getattr(wishes, name) != getattr(usual, name):
            option = {"input_shape": "--input"}.get(name, f"--{name}")
            raise ConfigError(
                f"{option} does not go with {what}.", where=option, fix="Leave it out."
            )


def _of_trial(run: Run, number: int, wishes: ParcelWishes, command: str) -> FoundParcel:
    from nas.search.take_home.networks import parcel_of, real_images, trial_of
    from nas.search.take_home.origins import choose_source

    trial = trial_of(run, number)
    source = choose_source(run, number, wishes.weights)
    parcel = parcel_of(run, trial, source, command.format(shlex.quote(f"{run.path.name}:{number}")))
    return FoundParcel(parcel, real_images(run))


def _of_folder(folder: Path, wishes: ParcelWishes) -> FoundParcel:
    from nas.export.reading import read_parcel
    from nas.export.sample_images import sample_images

    parcel = read_parcel(folder)
    if wishes.data is not None:
        return FoundParcel(parcel, _labelled(parcel, wishes.data))
    return FoundParcel(parcel, sample_images(parcel.network.input_shape))


def _labelled(parcel: Parcel, spec: str) -> RealImages:
    """Return images of some data, prepared as the network expects them."""
    from nas.errors import DataError
    from nas.export.parcel import RealImages
    from nas.search.take_home.networks import images_of

    material = material_of_spec(spec)
    expected, given = parcel.preprocessing, material.preprocessing()
    fits = given.input_shape == parcel.network.input_shape
    if not fits or given.classes != (expected.classes if expected else given.classes):
        raise DataError(
            f"The data '{spec}' have images of shape {given.input_shape} and "
            f"{len(given.classes)} classes; the network was made for "
            f"{parcel.network.input_shape} and {parcel.num_classes}, or names them otherwise.",
            where="--data",
            fix="Leave --data out, or give the data the network was trained on.",
        )
    own = images_of(material)
    if expected is None:
        return own
    pixels = material.test_part(len(own.images)).pixels()
    return RealImages(expected.normalised(pixels), own.labels, own.told)


def material_of_spec(spec: str) -> Material:
    """Return any data as a search would prepare them."""
    from nas.search.material import prepare_material
    from nas.search.settings.config import SearchConfig

    return prepare_material(SearchConfig.model_validate({"space": "wired_cnn", "data": spec}))


def _of_name(source: str, runs: Path, wishes: ParcelWishes, command: str) -> FoundParcel:
    from nas.cli.arch import DEFAULT_CLASSES, DEFAULT_INPUT, parse_shape
    from nas.cli.named_architectures import find_network
    from nas.export.parcel import Facts, Parcel, Weights
    from nas.export.sample_images import sample_images
    from nas.model.network import Network
    from nas.search.take_home.networks import identity_of, images_of

    found = find_network(source, runs)
    shape = parse_shape(wishes.input_shape) if wishes.input_shape else found.input_shape
    shape = shape or parse_shape(DEFAULT_INPUT)
    num_classes = wishes.classes or found.num_classes or DEFAULT_CLASSES
    material = material_of_spec(wishes.data) if wishes.data is not None else None
    if material is not None:
        shape, num_classes = material.data.input_shape, material.data.num_classes
    network = Network(
        found.architecture, shape, num_classes, initialisation="default", seed=UNTRAINED_SEED
    )
    parcel = Parcel(
        title=source if len(source) <= 200 else f"{source[:200]}...",
        network=network.eval(),
        num_classes=num_classes,
        preprocessing=material.preprocessing() if material else None,
        weights=Weights("untrained", f"untrained, drawn with seed {UNTRAINED_SEED}"),
        facts=Facts(
            task=f"images to {num_classes} logits, once it is trained",
            data=material.data.name if material else "none",
            commands=(command.format(shlex.quote(source)),),
            remarks=("Its weights are random: what it answers means nothing yet.",),
        ),
        identity=identity_of(found.architecture),
    )
    return FoundParcel(parcel, images_of(material) if material else sample_images(shape))

"""Train one network for good: any recipe, all training images, tested once at the end.

It is the training of a confirmation, so that one recipe and one seed give the same bits there and
here. Test images are read after the last step; who trains again and again and keeps what tests best
has chosen on them, and the record says how often a network was tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from nas.errors import InterruptedRunError
from nas.run_store import Run
from nas.search.material import Material
from nas.search.take_home.origins import TRAINED_RECORD
from nas.search.training.kept_networks import keep_network
from nas.search.training.kept_trainings import digest, forget_state, state_folder
from nas.seeds import derive_seed
from nas.topology.graph import Architecture
from nas.topology.serial import dump_architecture
from nas.training.recipe import Recipe

if TYPE_CHECKING:
    from nas.model.network import Network
    from nas.training.fit import EpochReport

UNLIMITED: Final = 2**62
"""A network that somebody asked to train is kept whatever its size."""

_IDENTITY: Final = ("trial", "recipe_hash", "seed", "data", "device", "threads")
"""What decides the bits of a result, beside the architecture, which a trial never changes."""


@final
@dataclass(frozen=True)
class TrainingOrder:
    """How a network is trained.

    Args:
        recipe: The recipe.
        seed: Decides initial weights, batches and augmentation.
        device: Where, as `resolve_device` named it.
        threads: CPU threads of torch; results are bit-identical for one number only.
        anew: Whether it does not go on where an equal training was interrupted.
    """

    recipe: Recipe
    seed: int
    device: str
    threads: int
    anew: bool = False


@final
@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network that was trained.

    Args:
        network: In eval mode on the CPU.
        facts: What a record tells of the training.
    """

    network: Network
    facts: Mapping[str, Any]


def train_network(
    architecture: Architecture,
    material: Material,
    order: TrainingOrder,
    *,
    state: Path,
    test_images: int | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainedNetwork:
    """Train a network on all training images, from where that was left, and test it once.

    Args:
        architecture: The network.
        material: The data.
        order: How.
        state: Folder where the training keeps how far it is; for the caller to forget once what
            comes of it is kept.
        test_images: Most images that it is tested on; None takes all.
        on_epoch: Called after each epoch.
        should_stop: Asked before each step.

    Raises:
        InterruptedRunError: If `should_stop` ended it; how far it is is kept then.
        TrialError: If the loss is not finite, or memory runs out.
    """
    from nas.model.network import Network
    from nas.search.executors.attempt import JobLeft
    from nas.search.training.kept_state import KeptState, go_on
    from nas.training.batches import part_tensors
    from nas.training.device import resolve_device, use_threads
    from nas.training.evaluate import evaluate
    from nas.training.fit import Training

    device = resolve_device(order.device)
    network = Network(
        architecture,
        material.data.input_shape,
        material.data.num_classes,
        initialisation=order.recipe.initialisation,
        seed=derive_seed(order.seed, "weights", 0),
    )
    with use_threads(order.threads):
        images, recipe, seed = material.parts.training, order.recipe, order.seed
        training = Training(network, images, recipe, seed=seed, device=device)
        if order.anew:
            forget_state(state)
        kept = KeptState(state, {"data": material.data.fingerprint})
        try:
            done = go_on(training, kept, on_epoch, should_stop)
        except JobLeft:
            raise InterruptedRunError(
                f"The training was interrupted after {training.epochs_done} of {recipe.epochs} "
                f"epochs; its state {'could not be' if kept.fails else 'is'} saved.",
                where=str(state),
                fix="Type the same command again to go on from there.",
            ) from None
        scored = evaluate(network, *part_tensors(material.test_part(test_images), device))
    facts = {
        **_identity(order, material.data.fingerprint),
        "recipe": order.recipe.as_dict(),
        "test_error": scored.error,
        "test_cross_entropy": scored.cross_entropy,
        "test_images": scored.count,
        "losses": [float(f"{loss:.5g}") for loss in done.losses],
        "steps": done.steps,
        "seconds": round(done.seconds, 3),
    }
    return TrainedNetwork(network.to("cpu").eval(), facts)


def _identity(order: TrainingOrder, fingerprint: str) -> dict[str, Any]:
    return {
        "recipe_hash": order.recipe.recipe_hash,
        "seed": order.seed,
        "data": fingerprint,
        "device": order.device,
        "threads": order.threads,
    }


def trained_before(
    run: Run, trial: int, order: TrainingOrder, fingerprint: str
) -> Mapping[str, Any] | None:
    """Return the record of an equal training whose weights are still there, None if there is none.

    The same training gives the same bits, so it need not be done again.
    """
    wanted = {"trial": trial, **_identity(order, fingerprint)}
    for record in reversed(run.records()):
        if record["kind"] == TRAINED_RECORD and all(
            record.get(key) == wanted[key] for key in _IDENTITY
        ):
            sha = str(record["weights"])
            return record if run.weights.path(sha).is_file() else None
    return None


def state_in(run: Run, trial: int, order: TrainingOrder, fingerprint: str) -> Path:
    """Return the folder in a run where a training of a trial keeps how far it is."""
    identity = {"trial": trial, **_identity(order, fingerprint)}
    return state_folder(run.path, {"task": "nas arch train"}, identity)


def state_beside(
    output: Path, architecture: Architecture, order: TrainingOrder, fingerprint: str
) -> Path:
    """Return the folder where a training keeps how far it is whose network goes to `output`.

    Another training for the same output has another one: a seed mistyped costs no hours.
    """
    identity = {"network": dump_architecture(architecture), **_identity(order, fingerprint)}
    return output.absolute().with_name(f"{output.name}.training-{digest(identity)[:8]}")


def keep_trained(run: Run, trial: int, identity: str | None, trained: TrainedNetwork) -> str:
    """Store a trained network in an owned run and write down how it came about; return its hash."""
    kept = keep_network(trained.network, run.path, UNLIMITED)
    run.append(
        {
            "kind": TRAINED_RECORD,
            "trial": trial,
            "architecture_id": identity,
            **trained.facts,
            **kept,
        }
    )
    return str(kept["weights"])


def times_tested(run: Run, trial: int) -> int:
    """Return how many trainings of a trial by `nas arch train` were tested."""
    records = run.records()
    return sum(each["kind"] == TRAINED_RECORD and each.get("trial") == trial for each in records)

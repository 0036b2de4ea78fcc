"""What workers of a confirmation do: train a network from scratch and score it once.

Made once per worker from plain arguments. A result depends on the network, the data, the recipe,
the seed and the number of threads, and on nothing that the worker did before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from nas.search.executors.base import Task
from nas.search.material import check_same_data, prepare_material
from nas.search.tasks import read_config
from nas.search.training.kept_networks import keep_network
from nas.seeds import derive_seed
from nas.topology.serial import load_architecture
from nas.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from nas.search.training.training_job import TrainingJob
    from nas.training.evaluate import Evaluation
    from nas.training.fit import FitResult

RETRAIN = "nas.search.training.retrain_task:retrain_task"


def retrain_task(arguments: dict[str, Any]) -> Task:
    """Return the task that trains networks from scratch and scores each once.

    Args:
        arguments: `config`, `fingerprint` of the data, `device`.
    """
    return _Retrain(arguments)


@final
class _Retrain:
    def __init__(self, arguments: Mapping[str, Any]) -> None:
        from nas.training.device import resolve_device

        self.config = read_config(arguments)
        self.material = prepare_material(self.config)
        check_same_data(self.material, arguments["fingerprint"])
        self.device = resolve_device(str(arguments["device"]))
        self._tensors: dict[str, tuple[Any, Any]] = {}

    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Train the network of `architecture`.

        Args:
            payload: `architecture`, `seed`, `recipe` (its settings), and `part`: `validation`
                (trained without it) or `test` (trained on all training images). With `keep`, the
                folder of a run, the trained weights are stored there and named in the answer. With
                `state`, a folder, it goes on from what an equal training kept there.
        """
        from nas.search.training.kept_state import kept_state

        every_s = self.config.confirm.checkpoint_every_s
        kept = kept_state(payload, self.material.data.fingerprint, every_s)
        return self.begin(payload).answer(kept)

    def begin(self, payload: dict[str, Any]) -> TrainingJob:
        """Return the training of a payload before its first step."""
        from nas.search.training.training_job import TrainingJob
        from nas.training.evaluate import evaluate
        from nas.training.fit import Training

        part, parts = str(payload["part"]), self.material.parts
        recipe, seed = Recipe.model_validate(payload["recipe"]), int(payload["seed"])
        network = self._network(payload["architecture"], seed, recipe)
        images = parts.training if part == "test" else parts.learning

        def judge(module: nn.Module) -> Evaluation:
            return evaluate(module, *self._scoring(part))

        def tell(done: FitResult, scored: Evaluation) -> dict[str, Any]:
            kept = keep_network(network, Path(payload["keep"])) if "keep" in payload else {}
            return {**kept, **_told(part, done, scored)}

        training = Training(network, images, recipe, seed=seed, device=self.device)
        return TrainingJob(training, self.config.search.threads_per_evaluation, judge, tell)

    def _network(self, architecture: dict[str, Any], seed: int, recipe: Recipe) -> Any:
        from nas.model.network import Network

        data = self.material.data
        return Network(
            load_architecture(architecture),
            data.input_shape,
            data.num_classes,
            initialisation=recipe.initialisation,
            seed=derive_seed(seed, "weights", 0),
        )

    def _scoring(self, name: str) -> tuple[Any, Any]:
        """Return images and labels of a part; the test part is read by trainings for it alone."""
        from nas.training.batches import part_tensors

        if name not in self._tensors:
            tested = name == "test"
            limit = self.config.confirm.test_images
            part = self.material.test_part(limit) if tested else self.material.parts.validation
            self._tensors[name] = part_tensors(part, self.device)
        return self._tensors[name]


def _told(part: str, done: FitResult, scored: Evaluation) -> dict[str, Any]:
    return {
        f"{part}_error": scored.error,
        f"{part}_cross_entropy": scored.cross_entropy,
        f"{part}_images": scored.count,
        "train_loss": float(np.float64(done.losses[-1])),
        "losses": [float(f"{loss:.5g}") for loss in done.losses],
        "steps": done.steps,
        "recipe_hash": done.recipe_hash,
    }

"""What workers of a study do: train one network from scratch and look at it once.

Made once per worker from plain arguments. A figure depends on the network, the data, the recipe,
the seed and the number of threads, never on the worker or on what it trained before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, final

from nas.errors import ConfigError
from nas.search.executors.base import Task
from nas.search.material import check_same_data, prepare_material
from nas.search.tasks import read_config
from nas.seeds import derive_seed
from nas.topology.serial import load_architecture
from nas.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas.search.training.training_job import TrainingJob
    from nas.training.parts import DataPart

TRAIN = "nas.study.tasks:train_task"

Judge = Literal["test", "validation"]
"""Which part judges a network. `test`: trained on all training images, what a table shows.
`validation`: trained on the weights' part alone, what a method may choose by."""


def train_task(arguments: dict[str, Any]) -> Task:
    """Return the task that trains networks.

    Args:
        arguments: `config` (of a search: names the data, their limits and their split),
            `fingerprint` of the data, `device`, `recipe`, `threads`, `judge` and `test_images`.
    """
    return _Train(arguments)


@final
class _Train:
    def __init__(self, arguments: Mapping[str, Any]) -> None:
        from nas.training.batches import part_tensors
        from nas.training.device import resolve_device

        material = prepare_material(read_config(arguments))
        check_same_data(material, arguments["fingerprint"])
        self.data = material.data
        self.device = resolve_device(str(arguments["device"]))
        self.recipe = Recipe.model_validate(arguments["recipe"])
        self.threads = int(arguments["threads"])
        self.judge: Judge = arguments["judge"]
        if self.judge == "test":
            self.training: DataPart = material.parts.training
            judging = material.test_part(arguments["test_images"])
        else:
            self.training, judging = material.parts.weights, material.parts.validation
        judged: tuple[Tensor, Tensor] = part_tensors(judging, self.device)
        self.images, self.labels = judged

    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Train the network of `architecture` with `seed`; weights of the result are not kept.

        With `state`, a folder, it goes on from what an equal training kept there.
        """
        from nas.search.training.kept_state import kept_state

        return self.begin(payload).answer(kept_state(payload, self.data.fingerprint))

    def begin(self, payload: dict[str, Any]) -> TrainingJob:
        """Return the training of a payload before its first step."""
        from nas.model.network import Network
        from nas.search.training.training_job import TrainingJob
        from nas.training.evaluate import Evaluation, evaluate
        from nas.training.fit import FitResult, Training

        if self.recipe.recipe_hash != payload["recipe"]:
            raise ConfigError(
                f"The recipe is {self.recipe.recipe_hash}, the study says {payload['recipe']}.",
                why="Networks are compared only when trained with one recipe.",
                fix="Resume the study with the file it was started with.",
            )
        seed = int(payload["seed"])
        network = Network(
            load_architecture(payload["architecture"]),
            self.data.input_shape,
            self.data.num_classes,
            initialisation=self.recipe.initialisation,
            seed=derive_seed(seed, "weights", 0),
        )

        def judge(module: nn.Module) -> Evaluation:
            return evaluate(module, self.images, self.labels)

        def tell(done: FitResult, found: Evaluation) -> dict[str, Any]:
            return {
                "judge": self.judge,
                "error": found.error,
                "cross_entropy": found.cross_entropy,
                "images": found.count,
                "train_loss": float(done.losses[-1]),
                "steps": done.steps,
                "recipe_hash": done.recipe_hash,
            }

        training = Training(network, self.training, self.recipe, seed=seed, device=self.device)
        return TrainingJob(training, self.threads, judge, tell)

"""What workers do for a ranking: train a member alone, and score one without training it.

Made once per worker from plain arguments, like the tasks of a search. A truth depends on data,
recipe and seed alone, so no supernet is loaded before a score is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from nas.errors import TrialError
from nas.model.network import Network
from nas.search.executors.base import Task
from nas.search.material import check_same_data, prepare_material
from nas.search.settings.resolve import resolve_space
from nas.search.tasks import Subnets, read_config
from nas.search.training.kept_state import kept_state
from nas.search.training.training_job import TrainingJob
from nas.seeds import derive_seed
from nas.supernet.trust.truth import begin_alone
from nas.training.batches import part_tensors
from nas.training.device import resolve_device, use_threads
from nas.training.evaluate import Evaluation, evaluate
from nas.training.fit import FitResult
from nas.training.recipe import Recipe
from nas.zero_cost.base import ZERO_COST

if TYPE_CHECKING:
    from torch import Tensor, nn

RANK = "nas.search.ranking.tasks:rank_task"
ZERO_COST_IMAGES = 64
"""Images of the one batch that zero-cost scores see."""


def rank_task(arguments: dict[str, Any]) -> Task:
    """Return the task of a ranking.

    Args:
        arguments: As those of `nas.search.tasks.score_task`, with `recipe`, the settings of the
            trainings.
    """
    return _Rank(arguments)


@final
class _Rank:
    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.arguments = dict(arguments)
        self.config = read_config(arguments)
        self.space = resolve_space(self.config)
        self.material = prepare_material(self.config)
        check_same_data(self.material, arguments["fingerprint"])
        self.recipe = Recipe.model_validate(arguments["recipe"])
        self.device = resolve_device(str(arguments["device"]))
        self.threads = self.config.search.threads_per_evaluation
        self.validation = part_tensors(self.material.parts.validation, self.device)

    @cached_property
    def trained(self) -> Subnets:
        """The supernet that is judged."""
        return Subnets(self.config, self.space, self.arguments)

    @cached_property
    def untrained(self) -> Subnets:
        """The control: the same supernet before its training."""
        return Subnets(self.config, self.space, {**self.arguments, "weights": None})

    @cached_property
    def batch(self) -> tuple[Tensor, Tensor]:
        """Images and labels for zero-cost scores, of the weights' part."""
        weights = self.material.parts.weights
        count = max(ZERO_COST_IMAGES, self.material.data.num_classes)
        part = weights.limited(
            min(count, len(weights)), derive_seed(self.config.seed, "zero-cost", 0)
        )
        return part_tensors(part, self.device)

    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Do what the payload says of the member `decisions`.

        Args:
            payload: `what`: `truth` (with `index`, which of its trainings), `scores` (inherited and
                control) or `zero_cost`.
        """
        if payload["what"] == "truth":
            every_s = self.config.confirm.checkpoint_every_s
            kept = kept_state(payload, self.material.data.fingerprint, every_s)
            return self.begin(payload).answer(kept)
        with use_threads(self.threads):
            if payload["what"] == "zero_cost":
                return {"scores": self._zero_cost(payload["decisions"])}
            architecture = self.space.build(payload["decisions"])
            return {
                "inherited": self.trained.score(architecture),
                "untrained": self.untrained.score(architecture),
            }

    def begin(self, payload: Mapping[str, Any]) -> TrainingJob:
        """Return the training of a `truth` before its first step."""
        training = begin_alone(
            self.space,
            payload["decisions"],
            self.material.parts,
            self.recipe,
            seed=self.config.seed,
            index=int(payload["index"]),
            device=self.device,
        )
        return TrainingJob(training, self.threads, self._judge, _told)

    def _judge(self, module: nn.Module) -> Evaluation:
        return evaluate(module, *self.validation)

    def _zero_cost(self, decisions: Mapping[str, Any]) -> dict[str, float | None]:
        """Return every registered score of the member as its first training would start."""
        data = self.material.data
        network = Network(
            self.space.build(decisions),
            data.input_shape,
            data.num_classes,
            initialisation=self.recipe.initialisation,
            seed=derive_seed(self.config.seed, "alone", 0),
        ).to(self.device)
        images, labels = self.batch
        scores: dict[str, float | None] = {}
        for name in ZERO_COST:
            try:
                scores[name] = ZERO_COST.get(name).score(
                    network, images, labels, seed=self.config.seed
                )
            except TrialError:
                scores[name] = None  # the report leaves out a score that some member lacks
        return scores


def _told(_: FitResult, scored: Evaluation) -> dict[str, Any]:
    return {"cross_entropy": scored.cross_entropy, "error": scored.error}

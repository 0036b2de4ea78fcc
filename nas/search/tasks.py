"""What workers of a search do: score members with inherited weights.

The task is made once per worker from plain arguments, loads what it needs (weights by hash, never a
pickle), and answer with plain values. Scores depend on nothing but the weights, the data and the
number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from nas.errors import NasError
from nas.objectives.base import EvaluationContext
from nas.objectives.deployment import Deployment
from nas.run_store.weights import WeightStore
from nas.search.executors.base import Task, perform
from nas.search.quantisation import deployment_of
from nas.search.settings.config import SearchConfig
from nas.search.settings.goals import Goals
from nas.search.settings.resolve import resolve_space, searched_space
from nas.search.time_spent import TimeSpent
from nas.seeds import derive_seed
from nas.space import AbstractSpace
from nas.space.declared import import_plugins
from nas.topology.graph import Architecture

if TYPE_CHECKING:
    from nas.model.network import Network
    from nas.training.evaluate import Evaluation

SCORE = "nas.search.tasks:score_task"


def read_config(arguments: Mapping[str, Any]) -> SearchConfig:
    """Return the resolved config among a task's arguments, its plugins imported."""
    config = SearchConfig.model_validate(arguments["config"])
    import_plugins(config.plugins)
    return config


@final
class _Inherited:
    """Inherited scores as the objectives read them."""

    def __init__(self, error: float, cross_entropy: float) -> None:
        self.error = error
        self.cross_entropy = cross_entropy


def score_task(arguments: dict[str, Any]) -> Task:
    """Return the task that evaluates members.

    Args:
        arguments: `config`, `run` (folder), `weights` (SHA-256 or None), `fingerprint` of the data,
            `input_shape`, `num_classes`, `device`.
    """
    return _Score(arguments)


@final
class _Score:
    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.config = read_config(arguments)
        self.space = searched_space(self.config)
        self.goals = Goals.of(self.config)
        channels, height, width = arguments["input_shape"]
        self.input_shape = (int(channels), int(height), int(width))
        self.num_classes = int(arguments["num_classes"])
        self.device = str(arguments["device"])
        self._subnets = None
        if arguments["weights"] is not None:
            self._subnets = Subnets(self.config, resolve_space(self.config), arguments)

    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Score one member: `decisions`, and `inherited` if its score is known already."""
        architecture = self.space.build(payload["decisions"])
        inherited: dict[str, Any] | None = payload.get("inherited")
        if inherited is None and self._subnets is not None:
            inherited = self._subnets.score(architecture)
        context = EvaluationContext(
            architecture,
            self.input_shape,
            self.num_classes,
            score=_reader(inherited),
            device=self.device,
            threads=self.config.search.threads_per_evaluation,
            latency=self.config.latency,
            deployment=deployment_of(self.space, payload["decisions"]),
            score_shipped=self._shipped(architecture),
        )
        found = {each.name: each.evaluate(context) for each in self.goals.evaluated}
        counted = context.cost
        return {
            "values": {name: each.to_dict() for name, each in found.items()},
            "measurements": {name: dict(own.details) for name, own in found.items() if own.details},
            "inherited": inherited,
            "measures": {
                "parameters": counted.parameters,
                "macs": counted.macs,
                "bytes": counted.bytes,
                "critical_path": counted.critical_path,
                "depth": counted.depth,
            },
        }

    def together(self, payloads: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what `perform` returns for each payload, equal to the last bit, for less work.

        A member that gets no score in company is scored alone, and says itself what is wrong.
        """
        spent = TimeSpent()
        scores = self._scores(payloads)
        share_s = spent.busy_s / max(1, len(scores))
        answers = []
        for place, payload in enumerate(payloads):
            answer = perform(self, {**payload, **scores.get(place, {})})
            answers.append({**answer, "seconds": answer["seconds"] + share_s * (place in scores)})
        return answers

    def _scores(self, payloads: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """Return the inherited scores that are new, by place, as their payloads would give them."""
        if self._subnets is None:
            return {}
        members: dict[int, Architecture] = {}
        for place, payload in enumerate(payloads):
            if payload.get("inherited") is None:
                with suppress(NasError):  # told when it is evaluated
                    members[place] = self.space.build(payload["decisions"])
        found = self._subnets.score_together(list(members.values()))
        places = list(members)
        return {places[index]: {"inherited": each} for index, each in found.items()}

    def _shipped(self, architecture: Architecture) -> Any:
        """Return what scores the member as it ships; None where there is no supernet."""
        if self._subnets is None:
            return None
        return partial(self._subnets.score_shipped, architecture)


def _reader(inherited: Mapping[str, Any] | None) -> Any:
    if inherited is None:
        return None
    return lambda: _Inherited(float(inherited["error"]), float(inherited["cross_entropy"]))


@final
class Subnets:
    """A supernet and the images that score its members.

    Args:
        config: Of the run.
        space: Its space.
        arguments: As those of `score_task`; with `weights` None the supernet is untrained.
    """

    def __init__(
        self, config: SearchConfig, space: AbstractSpace, arguments: Mapping[str, Any]
    ) -> None:
        # They load torch, which takes longer than many a search without weights.
        from nas.search.material import check_same_data, prepare_material
        from nas.supernet.scoring.score import scoring_data
        from nas.supernet.supernet import Supernet
        from nas.training.device import memory_format, resolve_device

        material = prepare_material(config)
        check_same_data(material, arguments["fingerprint"])
        device = resolve_device(str(arguments["device"]))
        channels, height, width = arguments["input_shape"]
        self.supernet = Supernet(
            space,
            (int(channels), int(height), int(width)),
            int(arguments["num_classes"]),
            sharing=config.supernet.sharing,
            weights=config.supernet.weights,
            seed=derive_seed(config.seed, "supernet", 0),
        )
        if arguments["weights"] is not None:
            store = WeightStore(Path(arguments["run"]) / "weights", writable=False)
            self.supernet.load_arrays(store.get(arguments["weights"]))
        self.supernet.to(device, memory_format=memory_format(device))  # type: ignore[call-overload]
        self.supernet.eval()
        self.threads = config.search.threads_per_evaluation
        self.data = scoring_data(
            material.parts,
            config.seed,
            device=device,
            recalibration=config.supernet.recalibration,
            validation_images=config.supernet.validation_images,
        )

    def score(self, architecture: Architecture) -> dict[str, Any]:
        """Return error, cross-entropy and count of images of a member."""
        from nas.supernet.scoring.score import score
        from nas.training.device import use_threads
        from nas.training.device_lock import working_on

        with use_threads(self.threads), working_on(self.data.images.device):
            found = score(self.supernet, architecture, self.data)
        return found.to_dict()

    def score_together(self, architectures: Sequence[Architecture]) -> dict[int, dict[str, Any]]:
        """Return by number what `score` returns; without those that cannot be scored in company."""
        from nas.supernet.scoring.score import score_all
        from nas.training.device_lock import working_on

        found: dict[int, dict[str, Any]] = {}
        with working_on(self.data.images.device), suppress(NasError, RuntimeError, MemoryError):
            score_all(
                self.supernet,
                architectures,
                self.data,
                threads=self.threads,
                on_score=lambda index, score: found.update({index: score.to_dict()}),
            )
        return found

    def score_shipped(
        self, architecture: Architecture, runtime: str, deployment: Deployment
    ) -> Evaluation:
        """Return the score of a member as a runtime executes its stand-alone network."""
        from nas.objectives.shipped_score import score_shipped

        return score_shipped(
            self.supernet, architecture, self.data, runtime, deployment, self.threads
        )

    def extract(self, architecture: Architecture) -> Network:
        """Return a member as a stand-alone network with the weights that it is scored with."""
        from nas.objectives.shipped_score import extract_member
        from nas.training.device import use_threads

        with use_threads(self.threads):
            return extract_member(self.supernet, architecture, self.data)

"""The stages that train shared weights: the relaxation, then the supernet on sampled paths.

They are separate: weights trained on mixtures do not rank members, so the supernet that scores
starts afresh. Both keep a checkpoint every so often and go on from it with the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypedDict, final

import numpy as np

from nas.errors import RunError, TrialError
from nas.search.ledger import RANDOM_SUPERNET, RELAX, SUPERNET
from nas.search.session import Session, Stopped
from nas.search.settings.config import PathTrainingConfig
from nas.search.time_spent import TimeSpent
from nas.search.training.gate_history import GateHistory
from nas.search.training.kept_networks import kept_networks
from nas.seeds import derive_seed
from nas.space import AbstractSpace, Decisions
from nas.supernet.budgets.pruning import plain
from nas.supernet.gate_space import GateSpace
from nas.supernet.loop import Checkpoint, EpochHealth, OnEpoch, TrainingResult
from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.relaxed_training import RelaxationConfig, make_relaxation, train_relaxation
from nas.supernet.sharing_rule import SharingRule
from nas.supernet.supernet import Supernet, WeightKind
from nas.training.device import memory_format
from nas.training.faults import memory_faults

UNIFORM: Final = "uniform"


def relax(session: Session) -> list[Decisions]:
    """Train the gates, unless the config leaves them out; return the members they prefer."""
    wanted = session.config.supernet.relaxation
    if not (wanted.enabled and wanted.proposals and session.goals.needs_weights):
        return []
    finish = session.stage(RELAX, lambda: _relax(session))
    return [dict(decisions) for decisions in finish["preferred"]]


def _relax(session: Session) -> Mapping[str, Any]:
    settings = session.config.supernet
    config = RelaxationConfig(
        **settings.relaxation.model_dump(exclude={"enabled", "proposals"}),
        threads=settings.threads,
    )
    rule = SharingRule.of(settings.sharing)
    space = GateSpace(session.space, rule) if rule.config.gates else None
    supernet = _new_supernet(session, "relaxed supernet", space=space)
    relaxation = make_relaxation(supernet, config)
    keeper = _Keeper(session, RELAX, gates=GateHistory(session.run, relaxation))
    with keeper.diagnosing():
        result, training = train_relaxation(
            supernet,
            relaxation,
            session.material.parts,
            config,
            seed=derive_seed(session.config.seed, "relaxation", 0),
            **keeper.hooks(),
        )
    keeper.check_finished(result, training.checkpoint)
    rng = np.random.default_rng(derive_seed(session.config.seed, "preferred", 0))
    preferred = training.preferred(settings.relaxation.proposals, rng)
    found = [plain(member) for member in training.found]
    series = [member.decisions for member in training.front]
    preferred += [decisions for decisions in series if decisions not in preferred]
    if space is not None:
        preferred = [space.original(decisions) for decisions in preferred]
        found = [row | {"decisions": space.original(row["decisions"])} for row in found]
    sha = session.run.weights.put({"logits": relaxation.logits.detach().cpu().numpy()})
    return {"checkpoint": sha, "preferred": preferred, "found": found, **keeper.summary(result)}


def proposed_by_paths(session: Session) -> list[Decisions]:
    """Return the members that path training wants tried first, once it is over."""
    stage = session.run.table().stages.get(SUPERNET)
    return [dict(each) for each in stage.finish.get("proposals", ())] if stage else []


def train_supernet(session: Session) -> str | None:
    """Train the weights that score members; return their SHA-256, None if none are needed."""
    if not session.goals.needs_weights:
        return None
    finish = session.stage(
        SUPERNET, lambda: _train(session, SUPERNET, session.config.supernet.training)
    )
    sha = str(finish["checkpoint"])
    # Older checkpoints are of no use once the stage is closed.
    stages = session.run.table().stages.values()
    kept = {each.checkpoint for each in stages if each.checkpoint}
    if not kept.issuperset(session.run.weights.names()):  # else a long log is spared a look
        session.run.weights.collect_garbage(kept | kept_networks(session.run.records()))
    return sha


def is_uniform(session: Session) -> bool:
    """Tell whether the supernet that scored the trials was trained on uniform draws."""
    sampler = session.config.supernet.training.sampler
    name = sampler if isinstance(sampler, str) else sampler.get("name")
    return name == UNIFORM


def train_random_supernet(session: Session) -> str:
    """Train weights on uniform draws, as the search's but for the sampler; return their SHA-256."""
    training = session.config.supernet.training.model_copy(update={"sampler": UNIFORM})
    finish = session.stage(RANDOM_SUPERNET, lambda: _train(session, RANDOM_SUPERNET, training))
    return str(finish["checkpoint"])


def _train(session: Session, stage: str, training: PathTrainingConfig) -> Mapping[str, Any]:
    settings = session.config.supernet
    config = PathConfig(
        **training.model_dump(exclude={"checkpoint_every_s"}), threads=settings.threads
    )
    supernet = _new_supernet(session, "supernet", settings.weights)
    keeper = _Keeper(session, stage)
    with keeper.diagnosing():
        result, checkpoint = train_paths(
            supernet,
            session.material.parts,
            config,
            seed=derive_seed(session.config.seed, "paths", 0),
            **keeper.hooks(),
        )
    keeper.check_finished(result, lambda: checkpoint)
    sha = session.run.weights.put(supernet.state_arrays())
    split = {"sharing": supernet.rule.to_dict()} if supernet.rule.measured else {}
    proposals = [dict(each) for each in result.proposals]
    return {"checkpoint": sha, "proposals": proposals, **split, **keeper.summary(result)}


def _new_supernet(
    session: Session,
    purpose: str,
    weights: WeightKind = "shared",
    space: AbstractSpace | None = None,
) -> Supernet:
    data = session.material.data
    with memory_faults("the shared weights"):
        supernet = Supernet(
            space or session.space,
            data.input_shape,
            data.num_classes,
            sharing=session.config.supernet.sharing,
            weights=weights,
            seed=derive_seed(session.config.seed, purpose, 0),
        )
        place = memory_format(session.device)
        return supernet.to(session.device, memory_format=place)  # type: ignore[call-overload,no-any-return]


class _Hooks(TypedDict):
    """Arguments of every supernet training that concern the run it belongs to."""

    on_epoch: OnEpoch
    should_stop: Callable[[], bool]
    state: Checkpoint | None


@final
class _Keeper:
    """Keeps checkpoints of a training and tells how it goes.

    Args:
        session: The session.
        stage: Name of the stage.
        clock: Seconds from any start.
        gates: Where the gates of a relaxation are noted after every epoch.
    """

    def __init__(
        self,
        session: Session,
        stage: str,
        clock: Callable[[], float] = time.monotonic,
        gates: GateHistory | None = None,
    ) -> None:
        self.session = session
        self.stage = stage
        self._gates = gates
        self._clock = clock
        self._kept_at = clock()
        self._spent = TimeSpent()
        self._last: EpochHealth | None = None

    def hooks(self) -> _Hooks:
        """Return what ties a training to the run; begins or goes on with the stage."""
        return {
            "on_epoch": self.on_epoch,
            "should_stop": self.session.stopper,
            "state": self.state(),
        }

    def check_finished(self, result: TrainingResult, checkpoint: Callable[[], Checkpoint]) -> None:
        """Keep the checkpoint of a training that was stopped.

        Raises:
            Stopped: Then.
        """
        if not result.finished:
            self.keep(checkpoint(), result.steps)
            raise Stopped

    def state(self) -> Checkpoint | None:
        """Return the checkpoint to go on from, if there is one that can be read."""
        found = self._stored()
        if found is None:
            self.session.tell(self.stage, 0, None, "epochs")
        return found

    def _stored(self) -> Checkpoint | None:
        stage = self.session.run.table().stages.get(self.stage)
        if stage is None or stage.checkpoint is None or stage.state == "finished":
            return None
        try:
            return self.session.run.weights.get(stage.checkpoint)
        except RunError as error:
            # The same training gives the same bits, so a lost checkpoint costs time only.
            self.session.run.note("checkpoint_lost", stage=self.stage, reason=error.what)
            return None

    def on_epoch(self, health: EpochHealth, checkpoint: Callable[[], Checkpoint]) -> None:
        """Tell, and keep a checkpoint if the last one is old enough."""
        self._last = health
        note = f"loss {health.loss:.3f}"
        self.session.tell(self.stage, health.epoch, health.epochs, "epochs", note)
        self.session.run.note(
            "epoch",
            stage=self.stage,
            epoch=health.epoch,
            loss=health.loss,
            recoveries=health.recoveries,
            **health.numbers,
        )
        if self._gates is not None:
            self._gates.note(self.stage, health.epoch, health.epochs)
        for alarm in health.alarms:
            self.session.run.note("alarm", stage=self.stage, epoch=health.epoch, **alarm.to_dict())
        every = self.session.config.supernet.training.checkpoint_every_s
        if health.epoch < health.epochs and self._clock() - self._kept_at >= every:
            self.keep(checkpoint(), health.step)

    def keep(self, checkpoint: Checkpoint, step: int) -> None:
        """Store a checkpoint and say so in the log."""
        sha = self.session.run.weights.put(checkpoint)
        self._kept_at = self._clock()
        self.session.run.append(
            {
                "kind": "checkpoint_saved",
                "stage": self.stage,
                "checkpoint": sha,
                "step": step,
                # Since this owner began: all that is known of its time if it is killed.
                "seconds": round(self._spent.busy_s, 3),
            }
        )

    @contextmanager
    def diagnosing(self) -> Iterator[None]:
        """Note why a training failed: what it leaves ranks nothing."""
        try:
            yield
        except TrialError as error:
            self.session.run.note(
                "training_failed", stage=self.stage, diagnosis=str(error), trustworthy=False
            )
            raise

    def summary(self, result: TrainingResult) -> dict[str, Any]:
        """Return what the closing record tells of the training.

        `trustworthy` is False after a divergence: what the weights rank is then to be shown as
        untrusted, and `diagnoses` says why.
        """
        told: dict[str, Any] = {
            "steps": result.steps,
            **result.declared,
            "trustworthy": result.trustworthy,
            "diagnoses": [fault.describe() for fault in result.faults],
        }
        if self._last is not None:
            told |= {"loss": self._last.loss, "numbers": dict(self._last.numbers)}
        return told

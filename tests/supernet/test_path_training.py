"""Path training: what a step touches, how often members are drawn, resuming, recovering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scale import scaled
from scipy.stats import chisquare
from supernet_cases import SHAPE, digits, digits_supernet, one_stage, space

from nas.errors import ConfigError, DataError, RunError, TrialError
from nas.model import layers as model_layers
from nas.space import space_from_dict
from nas.supernet import loop
from nas.supernet.loop import Checkpoint
from nas.supernet.optimizer import SliceSgd
from nas.supernet.paths import PathConfig, PathTraining, train_paths
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import score, scoring_data
from nas.supernet.slots import SlotUse
from nas.supernet.supernet import Supernet
from nas.supernet.weights import SharedWeights
from nas.topology.layers import AbstractLayer, BatchNorm, Conv
from nas.topology.operations import OPERATIONS, Operation
from nas.training.parts import FiveParts

CONFIG = PathConfig(epochs=2, batch_size=32, warmup_epochs=0.0)


def test_a_step_changes_what_was_sampled_and_nothing_else() -> None:
    stage = one_stage()
    supernet = Supernet(stage, SHAPE, 5)
    optimizer = SliceSgd(supernet.weights, 0.9, 0.1)
    rng = np.random.default_rng(0)
    x, labels = torch.randn(8, *SHAPE), torch.randint(0, 5, (8,))
    for _ in range(6):  # later steps meet momentum buffers of earlier ones
        architecture = stage.build(stage.sample(rng))
        before = supernet.weights.arrays()
        active = supernet.active(architecture)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(supernet(x, architecture), labels).backward()
        for key, value in supernet.weights.slots():
            assert (value.grad is None) == (key not in active)
        optimizer.step(active, 0.1)
        for key, value in supernet.weights.arrays().items():
            changed = value != before[key]
            inside = np.zeros_like(changed)
            if key in active:
                inside[tuple(slice(size) for size in active[key])] = True
            assert not (changed & ~inside).any(), key
            assert key not in active or value.ndim == 1 or changed.any(), key


def test_members_are_drawn_uniformly_by_pattern_and_operation() -> None:
    part = digits().weights
    training = PathTraining(digits_supernet(), part, CONFIG, seed=4)
    nothing = torch.empty(0)
    paths = [training.lessons(step, nothing, nothing)[0].decisions for step in range(scaled(3000))]
    for question in ("stage1.pattern", "stage2.pattern", "stage2.operation"):
        counts = Counter(path[question] for path in paths)
        assert chisquare(list(counts.values())).pvalue > 0.01, (question, counts)


def run(stop_after: int | None = None, state: Checkpoint | None = None) -> Checkpoint:
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    supernet = digits_supernet()
    _, checkpoint = train_paths(
        supernet, digits(), CONFIG, seed=0, should_stop=should_stop, state=state
    )
    return checkpoint


def same(first: Checkpoint, second: Checkpoint) -> bool:
    return set(first) == set(second) and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit() -> None:
    whole = run()
    for steps in (1, 3, 5):  # inside the first epoch, and inside the second
        assert same(run(state=run(stop_after=steps)), whole)
    assert same(run(), whole)


def test_the_loss_falls_and_health_is_reported_per_epoch() -> None:
    seen: list[loop.EpochHealth] = []
    config = PathConfig(epochs=6, batch_size=32)
    result, _ = train_paths(
        digits_supernet(), digits(), config, seed=0, on_epoch=lambda health, _: seen.append(health)
    )
    assert [health.epoch for health in seen] == [1, 2, 3, 4, 5, 6]
    assert result.losses[-1] < result.losses[0]
    assert result.finished and result.steps == seen[-1].step
    assert {"gradient_norm", "loss/chain"} <= set(seen[0].numbers)


def test_a_number_of_an_epoch_that_is_not_finite_is_not_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nas.supernet.paths.path_agreement", lambda _: {"odd": float("nan")})
    told: list[dict[str, float]] = []
    config = CONFIG.model_copy(update={"epochs": 1})
    train_paths(
        digits_supernet(),
        digits(),
        config,
        seed=0,
        on_epoch=lambda health, _: told.append(dict(health.numbers)),
    )
    assert "odd" not in told[0]
    assert "gradient_norm" in told[0]


def test_a_time_budget_ends_the_training_early() -> None:
    config = PathConfig(epochs=1000, batch_size=32, seconds=0.2)
    result, _ = train_paths(digits_supernet(), digits(), config, seed=0)
    assert not result.finished and result.seconds < 5


def poison(monkeypatch: pytest.MonkeyPatch, bad_steps: Callable[[int, int], bool]) -> None:
    original = PathTraining.train_step

    def train_step(self: PathTraining, *args: object) -> torch.Tensor:
        loss = original(self, *args)  # type: ignore[arg-type]
        if bad_steps(self.step, self.recoveries):
            with torch.no_grad():
                for _, value in self.supernet.weights.slots():
                    value.fill_(float("nan"))
            return loss * float("nan")
        return loss

    monkeypatch.setattr(PathTraining, "train_step", train_step)


@pytest.mark.fault("D11", "E3")
def test_a_divergence_goes_back_to_the_last_good_epoch_and_lowers_the_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison(monkeypatch, lambda step, recoveries: step == 5 and recoveries == 0)
    supernet = digits_supernet()
    result, checkpoint = train_paths(supernet, digits(), CONFIG, seed=0)
    assert result.recoveries == 1 and result.finished
    assert float(checkpoint["rate_factor"][0]) == pytest.approx(0.1)
    assert all(np.isfinite(value).all() for value in supernet.state_arrays().values())


@pytest.mark.fault("E3")
def test_a_second_divergence_fails_with_a_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, lambda step, recoveries: step == 5)
    with pytest.raises(TrialError, match=r"diverged again at step 6: the loss is nan") as caught:
        train_paths(digits_supernet(), digits(), CONFIG, seed=0)
    assert caught.value.kind == "nonfinite"
    assert "Lower supernet.training.learning_rate" in str(caught.value)


def test_no_images_for_the_weights_is_an_error() -> None:
    parts = digits()
    empty = replace(parts.weights, rows=np.array([], dtype=np.int64))
    nothing = FiveParts(empty, parts.gates, parts.validation, parts.test, parts.training)
    with pytest.raises(DataError, match="0 images to train the supernet"):
        train_paths(digits_supernet(), nothing, CONFIG, seed=0)


@pytest.mark.fault("B9")
def test_a_foreign_checkpoint_is_refused() -> None:
    with pytest.raises(RunError, match="holds no stamp"):
        train_paths(digits_supernet(), digits(), CONFIG, seed=0, state={})


def test_a_widened_slot_keeps_its_values_and_its_momentum() -> None:
    supernet = digits_supernet()
    use = next(
        use
        for use in supernet.program(
            space("tiny_exhaustive").build(space("tiny_exhaustive").reference())
        ).uses
        if use.filling == "kernel"
    )
    optimizer = SliceSgd(supernet.weights, 0.9, 0.0)
    value = supernet.weights.slot(use.key)
    value.grad = torch.ones_like(value)
    optimizer.step({use.key: use.shape}, 0.1)
    before = supernet.weights.slot(use.key).detach().clone()
    wider = replace(use, shape=(use.shape[0] + 2, *use.shape[1:]))
    supernet.weights.hold([wider])
    after = supernet.weights.slot(use.key)
    assert after.shape == wider.shape
    assert torch.equal(after.detach()[: use.shape[0]], before)
    after.grad = torch.ones_like(after)
    optimizer.step({use.key: wider.shape}, 0.1)
    assert optimizer.buffers[use.key][0, 0, 0, 0] == pytest.approx(1.9)
    assert optimizer.buffers[use.key][-1, 0, 0, 0] == pytest.approx(1.0)


@pytest.mark.fault("E3")
def test_a_finite_loss_far_above_guessing_counts_as_diverged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = PathTraining.train_step

    def train_step(self: PathTraining, *args: object) -> torch.Tensor:
        loss = original(self, *args)  # type: ignore[arg-type]
        return loss + 1e6 if self.step == 2 and self.recoveries == 0 else loss

    monkeypatch.setattr(PathTraining, "train_step", train_step)
    result, _ = train_paths(digits_supernet(), digits(), CONFIG, seed=0)
    assert result.recoveries == 1 and result.finished


@pytest.mark.fault("A14")
def test_running_out_of_memory_is_a_failed_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def train_step(self: PathTraining, *args: object) -> torch.Tensor:
        raise MemoryError("out of memory")

    monkeypatch.setattr(PathTraining, "train_step", train_step)
    with pytest.raises(TrialError, match="Out of memory") as caught:
        train_paths(digits_supernet(), digits(), CONFIG, seed=0)
    assert caught.value.kind == "oom"


def test_a_node_name_with_a_backslash_is_refused() -> None:
    weights = SharedWeights(0)
    with pytest.raises(ConfigError, match="holds a backslash"):
        weights.hold([SlotUse("a\\b|weight", (2,), "ones", "")])


@dataclass(frozen=True)
class Dropout(AbstractLayer):
    """A plugin's layer: random while training, nothing afterwards."""

    def parameters(self, channels: int, width: int) -> int:
        return 0


def test_noise_of_a_plugin_is_seeded_by_step_and_off_in_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(model_layers._BUILDERS, Dropout, lambda *_: torch.nn.Dropout(0.5))
    operation = Operation("dropped_conv", (Conv(strided=True), BatchNorm(), Dropout()))
    monkeypatch.setitem(OPERATIONS._entries, operation.name, operation)
    stage = {"pattern": "residual", "depth": 2, "width": 4, "operation": operation.name}
    declaration = {"schema": "nas.space/1", "kind": "stages", "name": "dropped", "stages": [stage]}
    dropped = space_from_dict(declaration)
    config = PathConfig(epochs=2, batch_size=32)

    def trained(disturb: int, stop_after: int | None = None) -> Supernet:
        torch.manual_seed(disturb)
        supernet = Supernet(dropped, (1, 8, 8), 10, seed=0)
        asked: list[int] = []

        def stop() -> bool:
            asked.append(0)
            return stop_after is not None and len(asked) > stop_after

        _, state = train_paths(supernet, digits(), config, seed=0, should_stop=stop)
        if stop_after is not None:
            supernet = Supernet(dropped, (1, 8, 8), 10, seed=0)
            train_paths(supernet, digits(), config, seed=0, state=state)
        return supernet.eval()

    supernet = trained(1)
    for other in (trained(2), trained(3, stop_after=3)):
        for key, value in supernet.state_arrays().items():
            assert np.array_equal(other.state_arrays()[key], value)
    data = scoring_data(digits(), 0, recalibration=Recalibration(images=64))
    architecture = dropped.build(dropped.sample(np.random.default_rng(0)))
    assert score(supernet, architecture, data) == score(supernet, architecture, data)

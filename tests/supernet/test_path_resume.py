"""Going on from a checkpoint: cut anywhere, refused where it belongs to another training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from path_cases import (
    config,
    fitting_space,
    five_parts,
    fixed_space,
    part,
    same,
    staged,
    supernet,
    trained,
)
from path_cases import (
    training as begin,
)
from scale import scaled
from supernet_cases import digits, digits_supernet, space

from nas.errors import RunError
from nas.supernet import checkpoints, loop
from nas.supernet.checkpoints import Checkpoint, Fault, pack, unpack
from nas.supernet.paths import PathTraining, train_paths
from nas.supernet.relaxation import Relaxation
from nas.supernet.relaxed_training import RelaxationConfig, train_relaxation
from nas.supernet.slots import SlotUse


def cuts(steps: int) -> list[int]:
    rng = np.random.default_rng(11)
    return [int(cut) for cut in rng.choice(np.arange(1, steps), scaled(20), replace=True)]


@pytest.mark.fault("G-D2")
@pytest.mark.fault("G-D2")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sampler": {"name": "sandwich", "members": 1}, "distillation": 0.5},
        {"sampler": {"name": "surrogate", "refit_steps": 3, "warmup_share": 0.1}},
    ],
    ids=["uniform", "distilled sandwich", "surrogate"],
)
def test_path_training_cut_at_random_steps_gives_the_same_bits(settings: dict[str, object]) -> None:
    whole = trained("uniform", epochs=5, **settings)
    for cut in cuts(20):
        first = trained("uniform", stop_after=cut, epochs=5, **settings)
        assert first["progress"][0] == cut
        assert same(trained("uniform", state=first, epochs=5, **settings), whole), cut


def relaxed(stop_after: int | None = None, state: Checkpoint | None = None) -> Checkpoint:
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    _, training = train_relaxation(
        digits_supernet(),
        Relaxation(space("tiny_exhaustive")),
        digits(),
        RelaxationConfig(epochs=3, batch_size=32, warmup_epochs=0.0, gate_warmup_epochs=0.25),
        seed=0,
        should_stop=should_stop,
        state=state,
    )
    return training.checkpoint()


@pytest.mark.fault("G-D2")
@pytest.mark.fault("G-D2")
def test_relaxed_training_cut_at_random_steps_gives_the_same_bits() -> None:
    whole = relaxed()
    for cut in cuts(int(whole["progress"][0])):
        assert same(relaxed(state=relaxed(stop_after=cut)), whole), cut


def test_a_cut_training_that_is_cut_again_gives_the_same_bits() -> None:
    whole, state = trained("fair"), None
    for cut in (2, 3, 4):
        state = trained("fair", stop_after=cut, state=state)
    assert state is not None and state["progress"][0] == 9
    assert same(trained("fair", state=state), whole)


def refused(state: Checkpoint, message: str, **settings: object) -> None:
    with pytest.raises(RunError, match=message):
        begin("uniform", **settings).restore(state)  # type: ignore[arg-type]


@pytest.mark.fault("B9")
@pytest.mark.fault("B9")
def test_a_checkpoint_of_another_training_is_refused_and_the_difference_named() -> None:
    state = trained("uniform", stop_after=2)
    begin("uniform").restore(dict(state))
    other = staged("other", {"pattern": "chain", "depth": 2, "width": 4})
    refused(state, r"its space is 'fitting .*', here it is 'other .*'", space=other)
    wider = staged("fitting", {"pattern": "chain", "depth": 2, "width": 8})
    refused(state, r"its space is 'fitting \w+', here it is 'fitting \w+'", space=wider)
    refused(state, "its sampler is 'uniform', here it is 'fair'", sampler="fair")
    refused(state, "its distillation is 0.0, here it is 0.5", distillation=0.5)
    with pytest.raises(RunError, match="its seed is 3, here it is 4"):
        PathTraining(supernet(), part(), config("uniform"), seed=4).restore(state)
    refused({}, "holds no stamp")
    refused({**state, "stamp": np.frombuffer(b"not JSON", dtype=np.uint8)}, "cannot be read")


def test_a_checkpoint_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state = trained("uniform", stop_after=2)
    monkeypatch.setattr(loop, "VERSION", checkpoints.VERSION + 1)
    refused(state, "its version is 1, here it is 2")


@pytest.mark.fault("B9")
def test_weights_of_another_space_are_refused() -> None:
    for mine, other in ((fitting_space(), fixed_space()), (fixed_space(), fitting_space())):
        stored = supernet(other).state_arrays()
        with pytest.raises(RunError, match=r"stored supernet is of another training: its space"):
            supernet(mine).load_arrays(stored)
    del stored["|space"]
    with pytest.raises(RunError, match=r"its version is None, here it is 1"):
        supernet(fitting_space()).load_arrays(stored)
    with pytest.raises(RunError, match=r"has no weights for .*'"):
        supernet(space("tiny_exhaustive")).weights.load_arrays({})


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 123.5])
def test_a_fault_survives_a_checkpoint_and_says_what_happened(loss: float) -> None:
    fault = Fault(7, loss, 4, 0.01)
    again = Fault.of(unpack(pack([fault.to_list()]))[0])
    assert again == fault or (np.isnan(again.loss) and np.isnan(loss))
    kind = "far above guessing" if np.isfinite(loss) else "not finite"
    assert f"at step 7 the loss became {loss:.4g}, which is {kind}" in again.describe()
    assert "back to step 4 and on with a learning rate of 0.01" in again.describe()


@pytest.mark.fault("E3")
@pytest.mark.fault("E3")
def test_after_a_divergence_the_result_is_untrusted_and_the_diagnosis_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = PathTraining.train_step

    def train_step(self: PathTraining, *args: object) -> torch.Tensor:
        loss = original(self, *args)  # type: ignore[arg-type]
        return loss * float("nan") if self.step == 5 and not self.faults else loss

    monkeypatch.setattr(PathTraining, "train_step", train_step)
    seen: list[loop.EpochHealth] = []
    result, checkpoint = train_paths(
        supernet(),
        five_parts(),
        config("fair"),
        seed=3,
        on_epoch=lambda health, _: seen.append(health),
    )
    assert [health.recoveries for health in seen] == [0, 1, 1]
    assert result.finished and not result.trustworthy and result.recoveries == 1
    (fault,) = result.faults
    assert (fault.step, fault.back_to) == (6, 4) and np.isnan(fault.loss)
    monkeypatch.undo()
    again = begin("fair").restore(checkpoint)
    assert not again.run().trustworthy
    clean, _ = train_paths(supernet(), five_parts(), config("fair"), seed=3)
    assert clean.trustworthy and clean.faults == ()


def test_a_divergence_behind_a_division_goes_back_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = PathTraining.train_step
    divisions: list[tuple[int, int | None]] = []

    def train_step(self: PathTraining, *args: object) -> torch.Tensor:
        loss = original(self, *args)  # type: ignore[arg-type]
        divisions.append((self.step, self.supernet.rule.division))
        return loss * float("nan") if self.step == 6 and not self.faults else loss

    monkeypatch.setattr(PathTraining, "train_step", train_step)
    net = supernet()
    parted = {"name": "partition", "warmup_share": 0.45}
    result, _ = train_paths(net, five_parts(), config("partition", sampler=parted), seed=3)
    assert result.finished and result.recoveries == 1
    assert divisions[4:10] == [(4, None), (5, None), (6, 0), (4, None), (5, None), (6, 0)]
    assert all(np.isfinite(value.detach().numpy()).all() for _, value in net.weights.slots())


def test_slots_that_parts_meet_late_start_again_as_copies_of_the_common_ones() -> None:
    net = supernet()
    net.divide(0)
    stored = net.state_arrays()
    common = next(key for key, value in net.weights.slots() if value.dim() == 4)
    use = SlotUse(f"late>{common}", tuple(net.weights.slot(common).shape), "kernel", "")
    net.weights.hold([use])
    with torch.no_grad():
        net.weights.slot(use.key).fill_(7.0)
    net.load_arrays(stored)
    assert torch.equal(net.weights.slot(use.key), net.weights.slot(common))

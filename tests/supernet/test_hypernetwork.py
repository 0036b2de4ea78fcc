"""Kernels from a hypernetwork: one forward path with shared weights, constant magnitude."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scale import scaled
from supernet_cases import SHAPE, digits, digits_supernet, images, shaken, space

from nas.errors import ConfigError, RunError
from nas.supernet.binding import Binder
from nas.supernet.graph_encoding import encode
from nas.supernet.health.agreement import gradient_agreement
from nas.supernet.hypernetwork import Hypernetwork, constant_length, is_generated
from nas.supernet.mixtures.mixing import mix
from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.relaxation import Relaxation
from nas.supernet.scoring.recalibration import Recalibration
from nas.supernet.scoring.score import score, score_all, scoring_data
from nas.supernet.supernet import Supernet
from nas.supernet.weights import SharedWeights
from nas.topology.graph import Architecture


def hyper(name: str, shape: tuple[int, int, int] = SHAPE, **arguments: Any) -> Supernet:
    return Supernet(space(name), shape, 10, weights="hypernetwork", **arguments)


def drawn(supernet: Supernet, count: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [supernet.space.build(supernet.space.sample(rng)) for _ in range(count)]


@pytest.mark.parametrize("name", ["tiny_exhaustive", "wired_cnn", "nasbench201"])
def test_a_generated_member_is_its_stand_alone_network(name: str) -> None:
    supernet = shaken(hyper(name).double()).eval()
    for architecture in drawn(supernet, scaled(30)):
        statistics = supernet.recalibrate(architecture, images(8, seed=1))
        ours = supernet(images(), architecture, statistics)
        theirs = supernet.extract(architecture, statistics)(images())
        assert (ours - theirs).abs().max() < 1e-10 * theirs.abs().max()


def test_every_kernel_is_generated_and_only_what_is_read_gets_a_gradient() -> None:
    supernet = hyper("wired_cnn")
    for architecture in drawn(supernet, 3):
        program = supernet.program(architecture)
        kernels = {use.key for use in program.uses if is_generated(use)}
        assert set(supernet.source(program).kernels) == kernels  # type: ignore[attr-defined]
        for _, value in supernet.weights.slots():
            value.grad = None
        supernet(images(dtype=torch.float32), architecture).square().sum().backward()
        active = supernet.active(architecture)
        assert not kernels & set(active)
        for key, value in supernet.weights.slots():
            assert (value.grad is not None) == (key in active), key


def test_the_same_operation_gets_other_weights_in_another_wiring() -> None:
    supernet = shaken(hyper("tiny_exhaustive"))
    key = "stage1.op1|conv3x3|0|weight"
    found = []
    for pattern in ("chain", "dense"):
        member = supernet.space.known()[pattern]
        assert member["stage1.operation"] == "conv3x3"
        program = supernet.program(supernet.space.build(member))
        (use,) = (use for use in program.uses if use.key == key)
        found.append(supernet.source(program).read(use).detach())
    assert found[0].shape == found[1].shape == (8, 8, 3, 3)
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize(("invariant", "low", "high"), [(True, 0.5, 2.0), (False, 9.0, 11.0)])
def test_scaling_the_encoding_by_ten_scales_the_output_only_without_invariance(
    invariant: bool, low: float, high: float
) -> None:
    supernet = digits_supernet()
    programs = [supernet.program(member) for member in drawn(supernet, 20)]
    network = Hypernetwork(programs, magnitude_invariant=invariant)
    weights = SharedWeights(0)
    weights.hold(use for program in programs for use in network.uses(program))
    rows = [
        (*features, 0.1, 0.1) for program in programs for _, features in network.encodings(program)
    ]
    table = torch.tensor(rows)
    with torch.no_grad():
        plain, tenfold = (network.tiles(scale * table, weights).std() for scale in (1, 10))
    assert low < float(tenfold / plain) < high


def test_features_of_constant_length_hold_each_member_at_one_norm() -> None:
    supernet = digits_supernet()
    operations = ("conv1x1", "conv3x3", "separable3x3")
    rows = [
        features
        for member in drawn(supernet, 10)
        for _, features in encode(supernet.program(member), operations)
    ]
    table = torch.tensor(rows)
    assert float(table.min()) >= 0 and float(table.max()) <= 1
    assert len(set(rows)) > len(rows) // 4
    norms = constant_length(table).norm(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, table.shape[1] ** 0.5))


def test_a_hypernetwork_trains_and_scores_by_the_same_path_as_shared_weights() -> None:
    supernet = hyper("tiny_exhaustive", (1, 8, 8))
    config = PathConfig(epochs=6, batch_size=32)
    result, checkpoint = train_paths(supernet, digits(), config, seed=0)
    assert result.losses[-1] < result.losses[0]
    again = hyper("tiny_exhaustive", (1, 8, 8))
    again.load_arrays(supernet.state_arrays())
    data = scoring_data(digits(), 0, recalibration=Recalibration(images=64))
    members = drawn(supernet, 3)
    ours = score_all(supernet.eval(), members, data)
    assert ours == [score(again.eval(), member, data) for member in members]
    assert not any("conv3x3" in key and "stage" in key and "|0|" in key for key in checkpoint)


def test_a_resumed_hypernetwork_training_equals_an_uninterrupted_one() -> None:
    config = PathConfig(epochs=2, batch_size=32)
    _, whole = train_paths(hyper("tiny_exhaustive", (1, 8, 8)), digits(), config, seed=0)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(0)
        return len(asked) > 2

    supernet = hyper("tiny_exhaustive", (1, 8, 8))
    _, half = train_paths(supernet, digits(), config, seed=0, should_stop=stop)
    supernet = hyper("tiny_exhaustive", (1, 8, 8))
    _, again = train_paths(supernet, digits(), config, seed=0, state=half)
    assert set(again) == set(whole)
    assert all(np.array_equal(again[name], whole[name]) for name in whole)


def test_what_a_hypernetwork_cannot_do_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'auto' splits kernels[\s\S]*weights: shared"):
        hyper("tiny_exhaustive", sharing="auto")
    supernet = hyper("tiny_exhaustive")
    context, _ = Relaxation(supernet.space).context(supernet.space.reference(SHAPE))
    with pytest.raises(ConfigError, match=r"mixture has no kernels[\s\S]*shared weights"):
        mix(supernet, Binder(supernet.space), context)


def test_shared_weights_and_a_hypernetwork_refuse_each_others_arrays() -> None:
    shared, generated = digits_supernet(), hyper("tiny_exhaustive", (1, 8, 8))
    with pytest.raises(RunError, match="stored supernet has no weights for 'hypernetwork"):
        generated.load_arrays(shared.state_arrays())
    with pytest.raises(RunError, match="stored supernet has no weights for"):
        shared.load_arrays(generated.state_arrays())


def test_gradients_of_a_hypernetwork_compare_between_members() -> None:
    supernet = hyper("tiny_exhaustive").train()
    first, *others = drawn(supernet, 6)
    batch = images(4, dtype=torch.float32), torch.tensor([0, 1, 2, 3])
    found = gradient_agreement(supernet, {"first": [first], "others": others}, *batch)
    assert all(-1.001 <= value <= 1.001 for value in found.numbers().values())

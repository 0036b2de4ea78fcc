"""Law 1: a member inside the supernet is the stand-alone network with the same weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scale import is_full_scale
from supernet_cases import SHAPE, digits_supernet, images, one_stage, shaken, space

from nas.errors import ArchitectureError, ConfigError, NotFoundError, RunError, SpaceError
from nas.space import AbstractSpace, space_from_dict
from nas.supernet.execution import Statistics
from nas.supernet.sharing import SHARING
from nas.supernet.supernet import Supernet


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())


@pytest.mark.parametrize(
    ("dtype", "tolerance", "count"), [(torch.float64, 1e-10, 1000), (torch.float32, 1e-4, 200)]
)
def test_a_member_equals_its_extracted_network(
    dtype: torch.dtype, tolerance: float, count: int
) -> None:
    wired = space("wired_cnn")
    supernet = shaken(Supernet(wired, SHAPE, 5, seed=1).to(dtype))
    x, rng = images(dtype=dtype), np.random.default_rng(0)
    for _ in range(count if is_full_scale() else count // 25):
        architecture = wired.build(wired.sample(rng))
        supernet.eval()
        statistics = supernet.recalibrate(architecture, images(8, seed=1, dtype=dtype))
        network = supernet.extract(architecture, statistics)
        assert not network.training
        assert difference(supernet(x, architecture, statistics), network(x)) < tolerance
        training = difference(supernet.train()(x, architecture), network.train()(x))
        assert training < tolerance


@pytest.mark.parametrize("name", ["nasbench201", "tiny_exhaustive"])
def test_nested_cells_and_every_policy_extract_exactly(name: str) -> None:
    declared = space(name)
    for sharing in ("position", "family"):
        supernet = shaken(Supernet(declared, SHAPE, 5, sharing=sharing).double())
        rng = np.random.default_rng(2)
        for _ in range(3):
            architecture = declared.build(declared.sample(rng))
            network = supernet.extract(architecture).train()
            assert difference(supernet(images(), architecture), network(images())) < 1e-10


def test_recalibrated_statistics_are_those_of_a_fresh_training_pass() -> None:
    wired = space("wired_cnn")
    supernet = shaken(Supernet(wired, SHAPE, 5).double())
    architecture = wired.build(wired.sample(np.random.default_rng(3)))
    batch = images(16, seed=5)
    statistics = supernet.recalibrate(architecture, batch)
    network = supernet.extract(architecture).train()
    norms = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    }
    for norm in norms.values():
        norm.momentum = 1.0
    network(batch)
    assert set(statistics.values) == set(norms)
    for name, norm in norms.items():
        mean, variance = statistics.values[name]
        assert not mean.requires_grad
        torch.testing.assert_close(mean, norm.running_mean, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(variance, norm.running_var, rtol=1e-9, atol=1e-12)


def test_a_narrow_member_reads_leading_slices_of_the_widest() -> None:
    stage = one_stage()
    supernet = Supernet(stage, SHAPE, 5)
    member = stage.reference(SHAPE)
    narrow = {**member, "stage1.width": 4}
    wide, thin = (supernet.active(stage.build(decisions)) for decisions in (member, narrow))
    assert set(thin) == set(wide)
    stem = next(key for key in wide if key.startswith("stem") and wide[key] == (8, 3, 3, 3))
    assert thin[stem] == (4, 3, 3, 3)


def test_initial_weights_do_not_depend_on_the_order_of_members() -> None:
    stage = one_stage()
    rng = np.random.default_rng(0)
    members = [stage.build(stage.sample(rng)) for _ in range(6)]
    first, second = Supernet(stage, SHAPE, 5, seed=3), Supernet(stage, SHAPE, 5, seed=3)
    for architecture in members:
        first.program(architecture)
    for architecture in reversed(members):
        second.program(architecture)
    ours, theirs = first.state_arrays(), second.state_arrays()
    assert set(ours) == set(theirs)
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)
    other = Supernet(stage, SHAPE, 5, seed=4).state_arrays()
    assert any(not np.array_equal(ours[key], other[key]) for key in other)


def test_aligned_initialisation_passes_the_image_through() -> None:
    chain = one_stage("sum", patterns=("chain",))
    supernet = Supernet(chain, SHAPE, 5)
    kernels = [value for key, value in supernet.weights.slots() if "|conv3x3|0|weight" in key]
    for kernel in kernels:
        centre = kernel.detach()[:, :, 1, 1]
        size = min(centre.shape)
        assert torch.allclose(centre[:size, :size].diagonal(), torch.ones(size), atol=0.3)


def test_arrays_bring_back_the_same_logits() -> None:
    first, second = shaken(digits_supernet()), digits_supernet(seed=9)
    second.load_arrays(first.state_arrays())
    tiny = space("tiny_exhaustive")
    architecture = tiny.build(tiny.sample(np.random.default_rng(0)))
    x = torch.randn(4, 1, 8, 8)
    assert torch.equal(first(x, architecture), second(x, architecture))


def test_arrays_of_another_space_are_refused() -> None:
    arrays = digits_supernet().state_arrays()
    with pytest.raises(RunError, match=r"stored supernet is of another training: its space is"):
        Supernet(space("wired_cnn"), SHAPE, 5).load_arrays(arrays)


def test_eval_without_statistics_is_refused() -> None:
    tiny = space("tiny_exhaustive")
    architecture = tiny.build(tiny.sample(np.random.default_rng(0)))
    with pytest.raises(ConfigError, match=r"needs batch-norm statistics.*[\s\S]*recalibrate"):
        digits_supernet().eval()(torch.randn(2, 1, 8, 8), architecture)


def test_statistics_of_another_member_are_refused() -> None:
    tiny = space("tiny_exhaustive")
    architecture = tiny.build(tiny.sample(np.random.default_rng(0)))
    with pytest.raises(ConfigError, match="hold nothing for the norm"):
        digits_supernet()(torch.randn(2, 1, 8, 8), architecture, Statistics({}))


def test_images_of_another_shape_are_refused() -> None:
    tiny = space("tiny_exhaustive")
    architecture = tiny.build(tiny.sample(np.random.default_rng(0)))
    with pytest.raises(ArchitectureError, match=r"shape \(2, 3, 8, 8\)"):
        digits_supernet()(torch.randn(2, 3, 8, 8), architecture)


def slots_of(name: str, sharing: str) -> dict[str, set[str]]:
    """Return the slots of the member of each pattern of the first stage."""
    declared = space(name)
    supernet = digits_supernet(sharing=sharing)
    found: dict[str, set[str]] = {}
    for decisions in declared.enumerate():
        found.setdefault(
            str(decisions["stage1.pattern"]), set(supernet.active(declared.build(decisions)))
        )
    return found


def test_position_shares_storage_across_patterns_and_family_does_not() -> None:
    shared, apart = slots_of("tiny_exhaustive", "position"), slots_of("tiny_exhaustive", "family")
    operations = {"stage1.op1|conv3x3|0|weight", "stage1.op2|conv3x3|0|weight"}
    assert operations <= shared["chain"] & shared["dense"] & shared["fractal"]
    assert not {key for key in apart["chain"] & apart["dense"] if "stage1.op" in key}
    assert "chain:stage1.op1|conv3x3|0|weight" in apart["chain"]
    assert {key for key in apart["chain"] & apart["dense"] if key.startswith(("stem", "head"))}


def test_none_keeps_every_member_apart() -> None:
    tiny = space("tiny_exhaustive")
    supernet = digits_supernet(sharing="none")
    rng = np.random.default_rng(1)
    first, second = tiny.sample(rng), tiny.sample(rng)
    assert tiny.member_id(first) != tiny.member_id(second)
    ours, theirs = (set(supernet.active(tiny.build(member))) for member in (first, second))
    assert not ours & theirs


def test_none_refuses_a_large_space_and_names_the_limit() -> None:
    with pytest.raises(SpaceError, match=r"nasbench201.*15,625.*limit is 1,000"):
        Supernet(space("nasbench201"), SHAPE, 5, sharing="none")


def test_an_unknown_policy_lists_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match=r"Unknown sharing policy 'families'") as caught:
        Supernet(space("tiny_exhaustive"), SHAPE, 5, sharing="families")
    assert ", ".join(SHARING.names()) in str(caught.value)
    assert SHARING.names() == ["auto", "family", "none", "position", "role"]


def test_a_slot_met_late_goes_back_to_its_start_when_older_weights_are_loaded() -> None:
    stage = one_stage()
    supernet = Supernet(stage, SHAPE, 5)
    arrays = supernet.state_arrays()
    use = replace(next(iter(supernet.program(stage.build(stage.reference())).uses)), key="late")
    supernet.weights.hold([use])
    start = supernet.weights.slot("late").detach().clone()
    with torch.no_grad():
        supernet.weights.slot("late").add_(1)
    supernet.load_arrays(arrays)
    assert torch.equal(supernet.weights.slot("late"), start)


def overlapping_widths() -> AbstractSpace:
    """Stages that may be equally wide: no covering member projects between unequal ones."""
    stage = {
        "pattern": {"choices": ["chain", "residual"]},
        "depth": 2,
        "width": {"choices": [4, 6, 8]},
        "operation": "conv3x3",
        "merge": "sum",
    }
    return space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "stages",
            "name": "overlapping",
            "cross_stage_edges": "choice",
            "stages": [stage, {**stage, "stride": 2}, {**stage, "stride": 2}],
        }
    )


def test_scores_do_not_depend_on_which_members_were_scored_before() -> None:
    widths, x = overlapping_widths(), images(8, dtype=torch.float32)
    rng = np.random.default_rng(1)
    members = [widths.build(widths.sample(rng)) for _ in range(12)]
    supernets = [Supernet(widths, SHAPE, 5, seed=3).eval() for _ in range(2)]
    announced = {key: value.shape for key, value in supernets[0].state_arrays().items()}

    def logits(supernet: Supernet, number: int) -> torch.Tensor:
        statistics = supernet.recalibrate(members[number], x)
        return supernet(x, members[number], statistics)

    ours = [logits(supernets[0], number) for number in range(12)]
    theirs = {number: logits(supernets[1], number) for number in reversed(range(12))}
    assert any(
        announced.get(key) != value.shape for key, value in supernets[0].state_arrays().items()
    ), "no member needs a slot that the covering members lack"
    for number, expected in enumerate(ours):
        assert torch.equal(theirs[number], expected)
        assert torch.equal(logits(supernets[0], number), expected)


def test_slots_that_a_training_meets_are_kept() -> None:
    widths, x = overlapping_widths(), images(8, dtype=torch.float32)
    rng = np.random.default_rng(1)
    members = [widths.build(widths.sample(rng)) for _ in range(12)]
    supernet = Supernet(widths, SHAPE, 5, seed=3).eval()
    supernet.recalibrate(members[0], x)
    supernet.train()
    for member in members:
        supernet(x, member)
    shaken(supernet)
    before = supernet.state_arrays()
    supernet.eval()
    for member in members:
        supernet.recalibrate(member, x)
    after = supernet.state_arrays()
    assert all(np.array_equal(after[key], value) for key, value in before.items())


def test_a_slot_widened_late_goes_back_to_its_stored_shape() -> None:
    widths = overlapping_widths()
    rng = np.random.default_rng(1)
    members = [widths.build(widths.sample(rng)) for _ in range(30)]
    supernet = Supernet(widths, SHAPE, 5, seed=3)
    for member in members:
        before = supernet.weights.arrays()
        supernet.program(member)
        after = supernet.weights.arrays()
        if any(after[key].shape != value.shape for key, value in before.items()):
            break
    else:
        pytest.fail("no slot was widened")
    supernet.load_arrays({**supernet.state_arrays(), **before})
    assert all(supernet.weights.slot(key).shape == value.shape for key, value in before.items())
    supernet.program(member)

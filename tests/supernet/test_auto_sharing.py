"""Gradient agreement, and the splits that `auto` makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pytest
import torch
from supernet_cases import digits, one_stage, shaken, space

from nas.errors import RunError
from nas.model import layers as model_layers
from nas.space import AbstractSpace, Decisions
from nas.space.choices import Answer, Choice, OneOf, Option
from nas.supernet.auto_sharing import AutoSharing, choose_splits
from nas.supernet.checkpoints import Checkpoint
from nas.supernet.health.agreement import Agreement, UnitAgreement, gradient_agreement
from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.sharing_config import AutoSharingConfig, SharingConfig
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import AbstractLayer, Conv
from nas.topology.operations import OPERATIONS, Operation

SHAPE = (1, 8, 8)
AUTO = SharingConfig(weights="auto", auto=AutoSharingConfig(after=0.5, members=12, images=40))
PLACE = "stage1.op1|bare"


@final
@dataclass(frozen=True)
class Negated(AbstractLayer):
    """Minus its input."""

    def parameters(self, channels: int, width: int) -> int:
        return 0


class Negation(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -x


@pytest.fixture(autouse=True)
def _operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model_layers._BUILDERS, Negated, lambda *_: Negation())
    for name, layers in (("bare", (Conv(strided=True),)), ("negated", (Negated(),))):
        OPERATIONS.load()
        monkeypatch.setitem(OPERATIONS._entries, name, Operation(name, layers))


@final
class TwoFamilies(AbstractSpace):
    """One convolution that both families share; behind it one may turn the sign."""

    name, summary = "two-families", ""

    def __init__(self, *, opposed: bool) -> None:
        self.opposed = opposed

    @property
    def choices(self) -> tuple[Choice, ...]:
        return (OneOf("stage1.pattern", (Option("straight"), Option("turned"))),)

    def build(self, decisions: Mapping[str, Answer]) -> Architecture:
        family = str(decisions["stage1.pattern"])
        sign = "negated" if self.opposed and family == "turned" else "identity"
        nodes = (Node(), Node("bare", width=4, name="stage1.op1"), Node(sign, name="stage1.sign"))
        return Architecture(nodes, (Edge(0, 1), Edge(1, 2)), wiring=(family,))

    def stage_patterns(self, decisions: Mapping[str, Answer]) -> tuple[str, ...]:
        return (str(decisions["stage1.pattern"]),)

    def known(self) -> dict[str, Decisions]:
        return {}

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "opposed": self.opposed}


def small_head(supernet: Supernet) -> Supernet:
    """Let the logits vanish: then both families see the same residual of the softmax."""
    with torch.no_grad():
        supernet.weights.slot("head|weight").mul_(1e-4)
    return supernet


def members(space: AbstractSpace) -> dict[str, list[Architecture]]:
    found: dict[str, list[Architecture]] = {}
    for decisions in space.enumerate():
        found.setdefault(space.family(decisions), []).append(space.build(decisions))
    return found


@pytest.mark.parametrize(("opposed", "cosine"), [(True, -1.0), (False, 1.0)])
def test_agreement_of_opposed_families_is_minus_one_and_of_equal_ones_one(
    opposed: bool, cosine: float
) -> None:
    space = TwoFamilies(opposed=opposed)
    supernet = small_head(Supernet(space, SHAPE, 10).double())
    x, labels = torch.randn(30, *SHAPE, dtype=torch.float64), torch.arange(30) % 10
    before = supernet.state_arrays()
    found = gradient_agreement(supernet, members(space), x, labels)
    measured = found.units[PLACE]
    assert measured.families == ("straight", "turned")
    assert measured.cosines["straight", "turned"] == pytest.approx(cosine, abs=1e-2)
    assert math.isnan(found.within) and set(found.numbers()) == {"agreement/between"}
    after = supernet.state_arrays()
    assert all(np.array_equal(after[key], value) for key, value in before.items())
    assert all(value.grad is None for _, value in supernet.weights.slots())


def test_agreement_equals_cosines_of_gradients_taken_by_hand() -> None:
    space = one_stage("sum", patterns=("chain", "residual"), depth=2)
    supernet = shaken(Supernet(space, (3, 8, 8), 5).double())
    by_family = {name: several[:3] for name, several in members(space).items()}
    x = torch.randn(6, 3, 8, 8, dtype=torch.float64)
    labels = torch.arange(6) % 5
    found = gradient_agreement(supernet, by_family, x, labels)
    gradients = []
    for architecture in (each for several in by_family.values() for each in several):
        for _, value in supernet.weights.slots():
            value.grad = None
        torch.nn.functional.cross_entropy(supernet(x, architecture), labels).backward()
        gradients.append(
            {key: value.grad for key, value in supernet.weights.slots() if value.grad is not None}
        )
    stem = [torch.cat([g[k].flatten() for k in g if k.startswith("stem|")]) for g in gradients]
    cosines = [
        float(torch.nn.functional.cosine_similarity(stem[i], stem[j], dim=0))
        for i in range(3)
        for j in range(3, 6)
    ]
    means = [torch.stack(stem[:3]).mean(0), torch.stack(stem[3:]).mean(0)]
    expected = float(torch.nn.functional.cosine_similarity(*means, dim=0))
    unit = next(name for name in found.units if name.startswith("stem"))
    assert found.units[unit].cosines["chain", "residual"] == pytest.approx(expected)
    assert min(cosines) - 1e-9 <= found.between <= 1 and -1 <= found.within <= 1


def train(
    space: AbstractSpace, stop_after: int | None = None, state: Checkpoint | None = None
) -> tuple[Supernet, Checkpoint]:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(0)
        return stop_after is not None and len(asked) > stop_after

    supernet = small_head(Supernet(space, SHAPE, 10, sharing=AUTO))
    config = PathConfig(epochs=2, batch_size=32, learning_rate=1e-3)
    _, checkpoint = train_paths(supernet, digits(), config, seed=0, should_stop=stop, state=state)
    return supernet, checkpoint


def test_auto_splits_families_that_disagree_and_no_others() -> None:
    supernet, _ = train(TwoFamilies(opposed=True))
    assert supernet.rule.splits[PLACE] == {"turned": "turned"}
    straight, turned = (members(supernet.space)[name][0] for name in ("straight", "turned"))
    kernel = f"{PLACE}|0|weight"
    assert kernel in supernet.active(straight)
    assert f"turned>{kernel}" in supernet.active(turned)
    assert not torch.equal(supernet.weights.slot(kernel), supernet.weights.slot(f"turned>{kernel}"))
    agreeing, _ = train(TwoFamilies(opposed=False))
    assert agreeing.rule.splits == {}


def test_a_split_starts_from_the_common_weights_and_statistics() -> None:
    space = one_stage(patterns=("chain", "residual"))
    supernet = shaken(Supernet(space, (3, 8, 8), 5, sharing="auto"))
    chain, residual = (several[0] for several in members(space).values())
    x = torch.randn(4, 3, 8, 8)
    supernet(x, residual)
    supernet.eval()
    statistics = supernet.running_statistics(residual)
    before = supernet(x, residual, statistics)
    units = {key.rpartition("|")[0].rpartition("|")[0] for key in supernet.active(residual)}
    supernet.split({unit: {"residual": "residual"} for unit in units if unit.startswith("stage1")})
    assert torch.equal(supernet(x, residual, supernet.running_statistics(residual)), before)
    alone = supernet.extract(residual, supernet.running_statistics(residual))(x)
    assert torch.allclose(alone, before, rtol=1e-4, atol=1e-5)
    ours, theirs = set(supernet.active(chain)), set(supernet.active(residual))
    assert {key for key in ours & theirs if key.startswith("stem")}
    assert not {key for key in ours & theirs if "stage1.op" in key and "conv3x3" in key}
    supernet.split({})
    assert not any(">" in key for key, _ in supernet.weights.slots())


def test_a_training_that_splits_resumes_bit_for_bit_and_carries_its_splits() -> None:
    space = TwoFamilies(opposed=True)
    supernet, whole = train(space)
    for steps in (1, 2, 3):  # before, at and after the split
        _, half = train(space, stop_after=steps)
        _, again = train(space, state=half)
        assert set(again) == set(whole)
        assert all(np.array_equal(again[name], whole[name]) for name in whole)
    other = Supernet(space, SHAPE, 10, sharing=AUTO)
    other.load_arrays(supernet.state_arrays())
    assert other.rule.splits == supernet.rule.splits
    other.load_arrays(Supernet(space, SHAPE, 10, sharing=AUTO).state_arrays())
    assert other.rule.splits == {} and not any(">" in key for key, _ in other.weights.slots())


def test_weights_without_a_readable_policy_are_refused() -> None:
    supernet = Supernet(TwoFamilies(opposed=False), SHAPE, 10)
    arrays = supernet.state_arrays()
    for broken in (None, np.frombuffer(b"{", dtype=np.uint8)):
        kept = {key: value for key, value in arrays.items() if key != "|sharing"}
        if broken is not None:
            kept["|sharing"] = broken
        with pytest.raises(RunError, match="does not tell its sharing policy"):
            supernet.load_arrays(kept)


def test_families_are_grouped_by_mean_agreement_and_the_largest_group_stays() -> None:
    cosines = {("a", "b"): 0.9, ("a", "c"): -0.5, ("b", "c"): -0.1, ("a", "d"): 0.3}
    cosines |= {("b", "d"): 0.5, ("c", "d"): -0.9}
    counts = {"a": 5, "b": 5, "c": 5, "d": 5}
    measured = UnitAgreement(("a", "b", "c", "d"), cosines, counts)
    splits = choose_splits(Agreement(0.5, 0.1, {"u": measured}), 0.0)
    assert splits == {"u": {"c": "c"}}
    strict = choose_splits(Agreement(0.5, 0.1, {"u": measured}), 0.95)
    assert strict == {"u": {name: name for name in "bcd"}}
    few = UnitAgreement(("a", "b", "c", "d"), cosines, {**counts, "c": 1})
    assert choose_splits(Agreement(0.5, 0.1, {"u": few}), 0.0) == {}


def test_nothing_is_measured_under_other_policies() -> None:
    supernet = Supernet(TwoFamilies(opposed=True), SHAPE, 10, sharing="position")
    part = digits().weights
    auto = AutoSharing(supernet, part, seed=0, epochs=2, steps_per_epoch=2)
    auto.before_step(auto.due)
    assert supernet.rule.splits == {}


@pytest.mark.parametrize("sharing", ["position", "role", "family"])
def test_gradients_compare_where_members_merge_an_edge_in_different_forms(sharing: str) -> None:
    wired = space("wired_cnn")
    supernet = Supernet(wired, SHAPE, 5, sharing=sharing).train()
    families: dict[str, list[Architecture]] = {"first": [], "second": []}
    rng = np.random.default_rng(0)
    for number in range(12):
        members = families["first" if number % 2 else "second"]
        members.append(wired.build(wired.sample(rng)))
    drawn = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    found = gradient_agreement(supernet, families, drawn, torch.tensor([0, 1, 2, 3]))
    assert all(-1.001 <= value <= 1.001 for value in found.numbers().values())
    assert len(found.numbers()) == 2

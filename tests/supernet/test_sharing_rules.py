"""What sharing policies share, and policies that differ between kinds of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from supernet_cases import SHAPE, digits, images, one_stage, space

from nas.errors import ConfigError, NotFoundError
from nas.search.settings.config import SupernetConfig
from nas.space import AbstractSpace, Decisions
from nas.supernet.optimizer import SliceSgd
from nas.supernet.paths import PathConfig, train_paths
from nas.supernet.sharing import SHARING, family_at
from nas.supernet.sharing_config import SharingConfig
from nas.supernet.sharing_rule import SharingRule, node_of, unit_of
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.patterns import PATTERNS


def wired(pattern: str, depth: int) -> Architecture:
    topology = PATTERNS.get(pattern).wire(depth)
    nodes = [Node(name="stage1.in")]
    for node in range(1, topology.num_nodes):
        operation = "identity" if node in topology.joins else "conv3x3"
        nodes.append(Node(operation, name=f"stage1.n{node}"))
    edges = tuple(Edge(*pair) for pair in sorted(topology.edges))
    return Architecture(tuple(nodes), edges, wiring=(pattern,))


def roles(architecture: Architecture) -> list[str]:
    role = SHARING.get("role").slot
    found = [role(node.name, architecture) for node in architecture.nodes[1:]]
    return [each.removeprefix("stage1.") for each in found]


def test_roles_of_a_chain_count_from_the_nearer_end() -> None:
    assert roles(wired("chain", 1)) == ["op.first1"]
    assert roles(wired("chain", 3)) == ["op.first1", "op.first2", "op.last0"]
    five = ["op.first1", "op.first2", "op.first3", "op.last1", "op.last0"]
    assert roles(wired("chain", 5)) == five


def test_dense_wiring_has_the_roles_of_its_longest_path() -> None:
    assert roles(wired("dense", 4)) == roles(wired("chain", 4))


def test_columns_of_a_fractal_have_roles_of_their_own() -> None:
    fractal = wired("fractal", 3)
    found = [each for each in roles(fractal) if each.startswith("op")]
    assert sorted(found) == ["op.first1", "op.first1.column1", "op.last0"]
    assert not {each for each in found if "column" in each} & set(roles(wired("chain", 3)))


def test_nodes_of_one_role_are_told_apart_by_their_order() -> None:
    nodes = (Node(), Node("conv3x3"), Node("conv3x3"), Node())
    edges = (Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(2, 3))
    parallel = Architecture(nodes, edges)
    role = SHARING.get("role").slot
    found = [role(f"node{index}", parallel) for index in range(4)]
    assert found == ["join.first0", "op.first1", "op.first1.again2", "join.last0"]


@settings(deadline=None, max_examples=60)
@given(pattern=st.sampled_from(list(PATTERNS)), depth=st.integers(1, 9))
def test_roles_are_distinct_within_every_pattern(pattern: str, depth: int) -> None:
    if PATTERNS.get(pattern).exists(depth):
        found = roles(wired(pattern, depth))
        assert len(set(found)) == len(found)


def members(declared: AbstractSpace) -> dict[str, Decisions]:
    """Return one member per family; all questions but the pattern have one answer."""
    return {declared.family(decisions): decisions for decisions in declared.enumerate()}


def slots(sharing: str | SharingConfig, family: str) -> set[str]:
    stage = one_stage("sum", patterns=("chain", "residual"), depth=3)
    supernet = Supernet(stage, SHAPE, 5, sharing=sharing)
    return set(supernet.active(stage.build(members(stage)[family])))


def test_last_operations_of_chains_share_by_role_and_not_by_position() -> None:
    wired_cnn = space("wired_cnn")
    rng = np.random.default_rng(0)
    chosen: dict[int, Decisions] = {}
    while set(chosen) != {3, 5}:
        decisions = wired_cnn.sample(rng)
        if decisions["stage1.pattern"] == "chain" and decisions["stage1.depth"] in (3, 5):
            depth = int(str(decisions["stage1.depth"]))
            same = {f"stage1.op{number}.operation": "conv3x3" for number in range(1, depth + 1)}
            chosen[depth] = {**decisions, **same}
    last = {depth: f"stage1.op{depth}|conv3x3|0|weight" for depth in chosen}
    for sharing, shared in (("role", True), ("position", False)):
        supernet = Supernet(wired_cnn, SHAPE, 5, sharing=sharing)
        found = []
        for depth, decisions in chosen.items():
            program = supernet.program(wired_cnn.build(decisions))
            operations = [use for use in program.uses if "nodes" in use.parameter]
            node = depth + 1  # behind the input and the stem
            found.append(
                next(
                    use.key
                    for use in operations
                    if use.parameter == f"nodes.{node}.operation.0.weight"
                )
            )
        assert (found[0] == found[1]) == shared, (found, last)


def test_norms_and_weights_may_follow_different_policies() -> None:
    mixed = SharingConfig(weights="position", norms="family")
    chain, residual = slots(mixed, "chain"), slots(mixed, "residual")
    inside = {key for key in chain & residual if "stage1.op" in key}
    assert inside and all("|0|" in key or "|3|" in key or "|6|" in key for key in inside)
    norms = {key for key in chain - residual if key.startswith("chain:stage1.op")}
    assert norms and all(key.endswith(("|weight", "|bias")) for key in norms)
    same = slots("position", "chain")
    assert len(same) == len(chain)


def test_momentum_may_be_kept_by_family_where_weights_are_shared() -> None:
    stage = one_stage("sum", patterns=("chain", "residual"), depth=2)
    supernet = Supernet(stage, SHAPE, 5, sharing=SharingConfig(momentum="family"))
    optimizer = SliceSgd(supernet.weights, 0.9, 0.0)
    kept: dict[str, torch.Tensor] = {}
    for family in ("chain", "residual", "chain"):
        architecture = stage.build(members(stage)[family])
        active = supernet.active(architecture)
        keys = supernet.rule.momentum_keys(active, architecture)
        assert keys is not None and set(keys) == set(active)
        before = {key: value.clone() for key, value in optimizer.buffers.items()}
        optimizer.zero_grad()
        supernet(images(dtype=torch.float32), architecture).square().mean().backward()
        optimizer.step(active, 0.1, keys)
        touched = set(keys.values())
        for key, value in before.items():
            assert key in touched or torch.equal(optimizer.buffers[key], value)
        kept |= optimizer.buffers
    owners = {key.partition("@")[2] for key in kept if key.startswith("stage1.op1|")}
    assert owners == {"chain:stage1.op1", "residual:stage1.op1"}
    assert SharingRule.of("position").momentum_keys({}, architecture) is None


def test_a_training_with_momentum_by_family_resumes_with_the_same_bits() -> None:
    tiny = space("tiny_exhaustive")
    config = PathConfig(epochs=2, batch_size=32)

    def run(stop_after: int | None = None, state: Any = None) -> dict[str, Any]:
        asked: list[int] = []

        def stop() -> bool:
            asked.append(0)
            return stop_after is not None and len(asked) > stop_after

        sharing = SharingConfig(weights="role", norms="family", momentum="family")
        supernet = Supernet(tiny, (1, 8, 8), 10, sharing=sharing)
        return train_paths(supernet, digits(), config, seed=0, should_stop=stop, state=state)[1]

    whole, again = run(), run(state=run(stop_after=3))
    assert set(whole) == set(again)
    assert all(np.array_equal(again[key], value) for key, value in whole.items())
    assert any(key.startswith("momentum/") and "@chain:" in key for key in whole)


def test_gates_have_a_slot_per_policy() -> None:
    chain = wired("chain", 3)
    name = "stage1.n2.operation"
    assert SharingRule.of("family").gate_slot(name, chain) == name
    by_family = SharingRule.of(SharingConfig(gates="family"))
    assert by_family.gate_slot(name, chain) == "chain:stage1.n2.operation"
    by_role = SharingRule.of(SharingConfig(gates="role"))
    assert by_role.gate_slot(name, chain) == "stage1.op.first2.operation"
    assert by_family.gate_slot("pattern", chain) == "pattern"


def test_keys_tell_their_unit_and_node() -> None:
    edge = "stage1.op2<stage1.op1|projection"
    assert unit_of(edge) == edge and node_of(edge) == "stage1.op2"
    assert unit_of("stage1.op2<stage1.op1|scalar") != unit_of(edge)  # they differ in shape
    nested = "stage1.cell1/node3<node0|conv3x3|1|weight"
    assert unit_of(nested) == "stage1.cell1/node3<node0|conv3x3"
    assert node_of(nested) == "stage1.cell1"
    assert unit_of("head|bias") == "head"
    both = Architecture((Node(), Node()), (Edge(0, 1),), wiring=("chain", "dense"))
    assert [family_at(name, both) for name in ("stage2.op1", "stem")] == ["dense", "mixed"]


@pytest.mark.parametrize(
    "values", [{"norms": "auto"}, {"weights": "auto", "gates": "auto"}, {"momentum": "auto"}]
)
def test_auto_is_a_policy_of_weights(values: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="'auto' splits weights"):
        SharingRule.of(SharingConfig(**values))  # type: ignore[arg-type]


def test_a_config_names_one_policy_or_several() -> None:
    assert SupernetConfig(sharing="role").sharing == "role"
    several = SupernetConfig.model_validate({"sharing": {"weights": "position", "norms": "family"}})
    assert isinstance(several.sharing, SharingConfig)
    assert several.sharing.names == ("position", "family")
    with pytest.raises(NotFoundError, match="Unknown sharing policy 'famly'"):
        SharingRule.of(SharingConfig(norms="famly"))

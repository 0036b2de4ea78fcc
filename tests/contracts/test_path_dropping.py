"""One suite for every rule of path dropping, on every pattern; and the published probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scale import scaled

from nas.cost.merging_nodes import MergingNode, merging_nodes
from nas.errors import ConfigError, NotFoundError
from nas.model.network import Network
from nas.model.path_masks import PathMasks
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.patterns import PATTERNS
from nas.topology.stages import stage_architecture
from nas.training.path_dropper import PathDropper, nested_masks, path_dropper
from nas.training.path_dropping import NO_DROPPING, PATH_DROPPING, read_path_dropping
from nas.training.path_dropping.drop_path import keep_column, keep_some
from nas.training.path_dropping.survivors import Factors, survivor_factors

RULES = list(PATH_DROPPING)
CPU = torch.device("cpu")
DRAWS = scaled(100_000)


def network(pattern: str, size: int, merge: str = "default") -> Network:
    architecture = stage_architecture(
        PATTERNS.get(pattern).wire(size), width=4, operation="conv1x1", merge=merge, stem="conv1x1"
    )
    return Network(architecture, (3, 4, 4), 3, initialisation="default")


def patterns() -> list[tuple[str, int]]:
    return [
        (name, next(size for size in range(4, 64) if PATTERNS.get(name).exists(size)))
        for name in PATTERNS
    ]


def draw(text: str, nodes: tuple[MergingNode, ...], progress: float, draws: int) -> list[Factors]:
    rule = read_path_dropping(text)
    assert rule is not None
    return rule.draw(nodes, progress, np.random.default_rng(0), draws)


def within_three_sigma(kept: int, draws: int, rate: float) -> bool:
    return abs(kept - draws * rate) <= 3 * math.sqrt(draws * rate * (1 - rate))


# Every rule on every pattern.


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("pattern", "size"), patterns())
def test_a_rule_gives_every_merge_finite_factors(rule: str, pattern: str, size: int) -> None:
    nodes = merging_nodes(network(pattern, size).plan)
    for node, factors in zip(nodes, draw(rule, nodes, 0.5, 7), strict=True):
        assert factors.shape == (len(node.inputs), 7)
        assert factors.dtype == np.float32
        assert np.isfinite(factors).all()
        assert (factors >= 0).all()


@pytest.mark.parametrize("rule", RULES)
def test_one_seed_gives_the_same_masks_and_steps_differ(rule: str) -> None:
    net = network("fractal", 7) if "drop_path" in rule else network("residual", 6)

    def masks(seed: int, step: int) -> str:
        dropper = path_dropper(rule, net, seed)
        assert dropper is not None
        return str([dropper.masks(step + each, 0.9, 4, CPU) for each in range(8)])

    assert masks(3, 0) == masks(3, 0)
    assert masks(3, 0) != masks(4, 0)
    assert masks(3, 0) != masks(3, 8)


@pytest.mark.parametrize("rule", RULES)
def test_a_network_without_merges_is_never_dropped_from(rule: str) -> None:
    dropper = path_dropper(rule, network("chain", 4), 0)
    assert dropper is not None
    assert dropper.masks(0, 1.0, 4, CPU) == PathMasks()


@pytest.mark.parametrize("rule", RULES)
def test_a_pass_without_masks_does_not_know_of_the_rule(rule: str) -> None:
    net = network("fractal", 7).eval()
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    before = net(x)
    dropper = path_dropper(rule, net, 0)
    assert dropper is not None
    net(x, dropper.masks(0, 1.0, 2, CPU))
    assert torch.equal(net(x), before)
    assert torch.equal(net(x, PathMasks()), before)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_says_what_it_is(rule: str) -> None:
    entry = PATH_DROPPING.get(rule)
    assert PATH_DROPPING.paper(rule) is not None
    assert (entry.__doc__ or "").strip()
    inside = ",".join(f"{key}={value.high!r}" for key, value in entry.parameters.items())
    assert read_path_dropping(f"{rule}({inside})") is not None


@pytest.mark.parametrize("rule", RULES)
def test_per_sample_draws_give_every_image_its_own_path(rule: str) -> None:
    pattern, size = ("residual", 6) if rule == "stochastic_depth" else ("fractal", 7)
    dropper = path_dropper(f"{rule}(per_sample=1)", network(pattern, size), 0)
    assert dropper is not None
    masks = dropper.masks(0, 0.9, 64, CPU)
    factors = [factor for each in masks.inputs.values() for factor in each]
    tensors = [factor for factor in factors if isinstance(factor, torch.Tensor)]
    assert tensors
    assert all(factor.shape == (64, 1, 1, 1) for factor in tensors)


# Local and global drop-path.


@pytest.mark.parametrize("inputs", [2, 3, 4])
def test_local_never_drops_all_and_keeps_as_often_as_published(inputs: int) -> None:
    rate = 0.5
    kept = keep_some(np.random.default_rng(0), rate, inputs, DRAWS)
    assert kept.any(axis=0).all()
    expected = (1 - rate) + rate**inputs / inputs
    assert all(within_three_sigma(int(row.sum()), DRAWS, expected) for row in kept)


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5])
def test_global_leaves_one_column_which_is_a_simple_chain(columns: int) -> None:
    net = network("fractal", 2**columns - 1)
    nodes = merging_nodes(net.plan)
    assert max((node.columns for node in nodes), default=1) == columns
    for column in range(columns):
        kept = [keep_column(node, np.array([column])) for node in nodes]
        assert all(each.sum() == 1 for each in kept)
        chain = _only_path(
            net, {node.path[0]: each for node, each in zip(nodes, kept, strict=True)}
        )
        convolutions = [node for node in chain if len(net.plan.steps[node].inputs) == 1]
        assert len(convolutions) == 2 ** (columns - column - 1) + 1  # and the stem


def _only_path(net: Network, kept: dict[int, np.ndarray]) -> list[int]:
    """Return the nodes behind the output, when every merge reads what is left to it."""
    path, node = [], len(net.plan.steps) - 1
    while node:
        path.append(node)
        sources = [entry.edge.source for entry in net.plan.steps[node].inputs]
        if len(sources) > 1:
            sources = [sources[int(np.flatnonzero(kept[node][:, 0])[0])]]
        node = sources[0]
    return path


def test_global_draws_every_column_alike() -> None:
    nodes = merging_nodes(network("fractal", 7).plan)
    factors = draw("drop_path_global", nodes, 0.0, DRAWS)
    last = factors[-1] > 0
    assert (last.sum(axis=0) == 1).all()
    assert all(within_three_sigma(int(row.sum()), DRAWS, 1 / 3) for row in last)


def test_nested_joins_of_two_have_the_columns_of_one_join_over_all() -> None:
    nodes = tuple(Node("conv1x1", width=4) for _ in range(4))
    joins = (Node(merge="mean"), Node(merge="mean"))
    edges = (Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(3, 4), Edge(2, 5), Edge(4, 5))
    edges += (Edge(1, 6), Edge(5, 6))  # 6 = mean(1, 5), 5 = mean(2, 4)
    architecture = Architecture((Node(), *nodes, *joins), edges)
    found = merging_nodes(Network(architecture, (4, 4, 4), 3).plan)
    assert [node.columns for node in found] == [3, 3]
    assert sorted(found[1].inputs[1].columns + found[1].inputs[0].columns) == [0, 1, 2]
    assert set(found[0].inputs[0].columns + found[0].inputs[1].columns) < {0, 1, 2}


def test_what_is_left_of_a_mean_is_the_mean_of_what_is_left() -> None:
    kept = np.array([[True], [False], [True]])
    assert survivor_factors(kept, "mean")[:, 0].tolist() == [1.5, 0.0, 1.5]
    assert survivor_factors(kept, "none")[:, 0].tolist() == [1.0, 0.0, 1.0]
    assert survivor_factors(kept, "rsqrt")[0, 0] == pytest.approx(math.sqrt(1.5))
    # ((a + b) / 2 + c) / 2 without b is (a + c) / 2.
    assert survivor_factors(kept, "pairwise")[:, 0].tolist() == [2.0, 0.0, 1.0]


@settings(deadline=None, max_examples=scaled(100))
@given(st.integers(0, 2**31), st.sampled_from(["mean", "rsqrt", "none"]))
def test_dropped_inputs_are_as_if_they_were_not_there(seed: int, scale: str) -> None:
    """A join with masks equals the same join of the inputs that are left."""
    rng = np.random.default_rng(seed)
    left = sorted(rng.choice(4, size=int(rng.integers(1, 5)), replace=False).tolist())
    x = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def joined(sources: list[int]) -> Network:
        nodes = [Node(), *(Node("conv1x1", width=4, tie=f"t{i}") for i in range(4))]
        edges = [Edge(0, 1 + i) for i in range(4)]
        edges += [Edge(1 + i, 5) for i in sources]
        join = Node("identity", "sum", scale)
        architecture = Architecture((*nodes, join), tuple(edges), zero_allowed=True)
        return Network(architecture, (4, 3, 3), 3, initialisation="default").double().eval()

    whole, part = joined([0, 1, 2, 3]), joined(left)
    part.load_state_dict(whole.state_dict())
    kept = np.array([[each in left] for each in range(4)])
    masks = nested_masks({(5,): survivor_factors(kept, scale).astype(np.float64)})
    torch.testing.assert_close(whole(x, masks), part(x), rtol=1e-6, atol=1e-7)


# Scheduled drop-path and stochastic depth.


def test_scheduled_drop_path_rises_linearly_from_nothing() -> None:
    nodes = merging_nodes(network("fractal", 7).plan)
    for progress in (0.0, 0.25, 0.5, 1.0):
        factors = draw("scheduled_drop_path(rate=0.4)", nodes, progress, DRAWS)
        rate = 0.4 * progress
        every = np.concatenate(factors)
        kept = every > 0
        assert within_three_sigma(int(kept.sum()), kept.size, 1 - rate)
        assert np.allclose(every[kept], 1 / (1 - rate))


@pytest.mark.parametrize("pattern", ["residual", "residual(order=post)", "ladder"])
def test_scheduled_drop_path_keeps_skips_and_what_no_operation_computes(pattern: str) -> None:
    """The first skip comes from the stem, and those of post-activation from a rectifier."""
    nodes = merging_nodes(network(pattern, 4).plan)
    assert len(nodes) == 4
    for each in draw("scheduled_drop_path(rate=0.9)", nodes, 1.0, 1000):
        assert (each[0] == 1).all()
        assert not (each[1] == 1).any()


def test_stochastic_depth_drops_whole_branches_more_often_the_deeper() -> None:
    nodes = merging_nodes(network("residual", 5).plan)
    assert [(node.residual, node.residuals) for node in nodes] == [(n, 5) for n in range(1, 6)]
    factors = draw("stochastic_depth(rate=0.5)", nodes, 0.0, DRAWS)
    for number, each in enumerate(factors, start=1):
        rate = 0.5 * number / 5
        assert (each[0] == 1).all()  # the skip
        assert within_three_sigma(int((each[1] > 0).sum()), DRAWS, 1 - rate)
        assert np.allclose(each[1][each[1] > 0], 1 / (1 - rate))


def test_residual_nodes_inside_of_cells_are_counted_and_dropped() -> None:
    cell = Architecture(
        (Node(), Node("conv1x1", width=4), Node()), (Edge(0, 1), Edge(0, 2), Edge(1, 2))
    )
    outer = Architecture((Node(), Node(cell=cell), Node(cell=cell)), (Edge(0, 1), Edge(1, 2)))
    net = Network(outer, (4, 3, 3), 2, initialisation="default").eval()
    nodes = merging_nodes(net.plan)
    assert [(node.path, node.residual) for node in nodes] == [((1, 2), 1), ((2, 2), 2)]
    dropped = np.array([[1.0], [0.0]], dtype=np.float32)
    masks = nested_masks({(1, 2): dropped, (2, 2): dropped})
    x = torch.randn(2, 4, 3, 3)
    assert net.head is not None
    torch.testing.assert_close(net(x, masks), net.head(x.mean((2, 3))))


# Refusals.


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("stochastic_deth", NotFoundError, r"'stochastic_deth'[\s\S]*'stochastic_depth'"),
        ("drop_path(rate=1)", ConfigError, r"'rate' is 1; it must be 0 to 0.99"),
        ("drop_path(share=1)", ConfigError, r"no parameter 'share'"),
    ],
)
def test_a_mistyped_rule_is_refused(text: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        read_path_dropping(text)


def test_a_module_without_known_paths_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a Linear has no known paths[\s\S]*Network"):
        path_dropper("drop_path", torch.nn.Linear(2, 2), 0)
    assert path_dropper(NO_DROPPING, torch.nn.Linear(2, 2), 0) is None


def test_the_masks_of_a_step_depend_on_nothing_before_it() -> None:
    rule = read_path_dropping("drop_path")
    assert rule is not None
    net = network("fractal", 7)
    first, second = PathDropper(rule, net, 1), PathDropper(rule, net, 1)
    first.masks(0, 0.0, 4, CPU)
    assert str(first.masks(9, 0.5, 4, CPU)) == str(second.masks(9, 0.5, 4, CPU))

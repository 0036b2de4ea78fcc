"""One suite for every registered merge as data: the plan, the costs and the ids of a join."""

from __future__ import annotations

import random
from itertools import combinations
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import renumbered

from nas.cost.count import cost
from nas.cost.pieces import pieces
from nas.cost.shapes import NodeStep, plan
from nas.errors import ArchitectureError, ConfigError, NotFoundError
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.identity import executed_id, sharing_id, structural_id
from nas.topology.merges import MERGES, SCALE_POWER, Merge, MergeParameter
from nas.topology.serial import architecture_text, load_architecture

NAMES = list(MERGES)
WRITTEN = [*NAMES, "laurel_lr(rank=2)", "laurel_rw_lr_pa(rank=3)"]
SHAPE = (5, 6, 6)


def join(merge: str, degree: int, scale: str = "auto") -> Architecture:
    """The input and `degree - 1` rectified copies of it, merged."""
    nodes = (Node(), *[Node("relu")] * (degree - 1), Node(merge=merge, scale=scale))
    edges = [Edge(0, n) for n in range(1, degree)] + [Edge(n, degree) for n in range(degree)]
    return Architecture(nodes, tuple(edges))


def fan(merge: str, degree: int, order: tuple[int, ...] | None = None) -> Architecture:
    """`degree` convolutions of different kernels on one input, merged in the given order."""
    kernels = ["conv1x1", "conv3x3", "conv5x5", "relu"][:degree]
    kernels = [kernels[place] for place in order or range(degree)]
    nodes = (Node(), *(Node(name) for name in kernels), Node(merge=merge))
    edges = [Edge(0, n) for n in range(1, degree + 1)]
    edges += [Edge(n, degree + 1) for n in range(1, degree + 1)]
    return Architecture(nodes, tuple(edges))


def joined(merge: str, degree: int, scale: str = "auto") -> NodeStep:
    return plan(join(merge, degree, scale), SHAPE).steps[-1]


@pytest.mark.parametrize("name", NAMES)
def test_a_merge_of_one_input_is_the_identity(name: str) -> None:
    step = joined(name, 1)
    assert step.factor == 1.0
    assert step.merge_parameters() == step.merge_macs() == 0
    assert step.merged == SHAPE
    assert len({structural_id(join(other, 1)) for other in NAMES}) == 1
    masked = Architecture((Node(), Node("relu", merge=name)), (Edge(0, 1, port="mask"),))
    plain = Architecture((Node(), Node("relu")), (Edge(0, 1),))
    assert structural_id(masked) == structural_id(plain)


@pytest.mark.parametrize("name", NAMES)
@given(degree=st.integers(2, 6), scale=st.sampled_from(["none", "rsqrt", "mean"]))
def test_the_scale_is_a_power_of_the_in_degree(name: str, degree: int, scale: str) -> None:
    rule = MERGES.get(name)
    used = rule.default_scale if rule.fixed_scale else scale
    assert rule.resolve_scale(scale) == used
    assert rule.resolve_scale("auto") == rule.default_scale
    assert joined(name, degree, scale).factor == pytest.approx(degree ** SCALE_POWER[used])


@pytest.mark.parametrize("name", WRITTEN)
@given(degree=st.integers(2, 6))
def test_channels_and_counts_follow_what_is_declared(name: str, degree: int) -> None:
    step, rule = joined(name, degree), MERGES.get(name).at(degree)
    assert step.merge == rule
    assert step.merged == ((5 * degree if rule.weight == "stacked" else 5), 6, 6)
    numbers = [entry.tensors(degree) * prod(entry.sizes(5, degree)) for entry in rule.parameters]
    assert step.merge_parameters() == sum(numbers)
    times = {"never": 0, "image": 1, "position": 36, "every": 36 * degree}
    wanted = sum(
        each * times[entry.applied] for each, entry in zip(numbers, rule.parameters, strict=True)
    )
    assert step.merge_macs() == wanted
    whole = cost(join(name, degree), SHAPE, 2)
    assert (whole.nodes[-2].parameters, whole.nodes[-2].macs) == (sum(numbers), wanted)
    found = list(pieces(plan(join(name, degree), SHAPE), 2))
    for total in ("parameters", "macs", "bytes"):
        assert sum(getattr(piece, total) for piece in found) == getattr(whole, total)


@pytest.mark.parametrize("name", NAMES)
def test_a_merge_names_known_scales_and_roles_and_its_paper(name: str) -> None:
    rule = MERGES.get(name)
    assert rule.name == rule.family == name
    assert rule.default_scale in SCALE_POWER
    assert rule.linear == (rule.weight in ("identity", "scalar", "projection"))
    paper = MERGES.paper(name)
    assert paper is not None and paper.arxiv
    assert rule.formula
    for degree in range(2, 6):
        assert len(rule.input_roles(["default"] * degree)) == degree


def test_different_merges_are_different_networks() -> None:
    """Names of one rule, such as `grn_v1` and `weighted`, are one network, and no others are."""
    known: dict[tuple[str, str], set[str]] = {}
    for name in WRITTEN:
        rule = MERGES.get(name)
        known.setdefault((rule.text, rule.default_scale), set()).add(
            structural_id(join(name, 3)) + executed_id(join(name, 3))
        )
    assert all(len(ids) == 1 for ids in known.values())
    assert len(set().union(*known.values())) == len(known)
    assert structural_id(join("grn_v1", 3)) == structural_id(join("weighted", 3))


@pytest.mark.parametrize("name", WRITTEN)
def test_ids_see_the_order_of_inputs_exactly_where_the_merge_does(name: str) -> None:
    roles = MERGES.get(name).input_roles(["default"] * 3)
    stacked = MERGES.get(name).weight == "stacked"
    for one, other in combinations([(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)], 2):
        first = {(kernel, roles[place]) for place, kernel in enumerate(one)}
        second = {(kernel, roles[place]) for place, kernel in enumerate(other)}
        alike = first == second and not stacked
        if MERGES.get(name).weight == "pairwise":  # the oldest two are alike
            alike = one[2] == other[2]
        graphs = [fan(name, 3, order) for order in (one, other)]
        assert (structural_id(graphs[0]) == structural_id(graphs[1])) == alike


@pytest.mark.parametrize("name", WRITTEN)
@given(seed=st.integers(0, 2**16))
def test_renaming_never_changes_an_id_of_a_symmetric_merge(name: str, seed: int) -> None:
    if MERGES.get(name).roles != "alike" or MERGES.get(name).weight == "stacked":
        return
    graph = fan(name, 4)
    other = renumbered(graph, random.Random(seed))
    assert structural_id(other) == structural_id(graph)
    assert executed_id(other) == executed_id(graph)
    assert sharing_id(other) == sharing_id(graph)


def test_nested_pairwise_means_are_the_tree_of_joins_and_not_the_mean_of_all() -> None:
    tree = Architecture(
        (Node(), Node("relu"), Node("conv3x3"), Node(merge="mean"), Node(merge="mean")),
        (Edge(0, 1), Edge(0, 2), Edge(0, 3), Edge(1, 3), Edge(2, 4), Edge(3, 4)),
    )
    flat = Architecture(
        (Node(), Node("relu"), Node("conv3x3"), Node(merge="pairwise_mean")),
        (Edge(0, 1), Edge(0, 2), Edge(0, 3), Edge(1, 3), Edge(2, 3)),
    )
    assert structural_id(tree) == structural_id(flat)
    assert structural_id(join("pairwise_mean", 2)) == structural_id(join("mean", 2))
    assert structural_id(join("pairwise_mean", 3)) != structural_id(join("mean", 3))


def test_a_residual_sum_without_previous_activations_is_the_sum() -> None:
    assert structural_id(join("laurel_pa", 2)) == structural_id(join("sum", 2))
    assert joined("laurel_pa", 2).merge_parameters() == 0


@pytest.mark.parametrize("name", WRITTEN)
def test_a_merge_survives_its_file(name: str) -> None:
    graph = join(name, 3)
    again = load_architecture(architecture_text(graph))
    assert again == graph
    assert plan(again, SHAPE) == plan(graph, SHAPE)


def test_ports_say_what_masks_and_order_says_it_where_no_port_does() -> None:
    def masked(*ports: str) -> Architecture:
        nodes = (Node(), Node("conv3x3"), Node("conv1x1"), Node(merge="one_plus_mask"))
        edges = (Edge(0, 1), Edge(0, 2), Edge(1, 3, port=ports[0]), Edge(2, 3, port=ports[1]))
        return Architecture(nodes, edges)

    by_order = masked("default", "default")
    for ids in (structural_id, executed_id):
        assert ids(masked("mask", "default")) == ids(masked("mask", "main")) == ids(by_order)
        assert ids(masked("default", "mask")) == ids(masked("main", "default")) != ids(by_order)
    with pytest.raises(ArchitectureError, match=r"Node 3 merges[\s\S]*nothing to mask[\s\S]*port"):
        plan(masked("mask", "mask"), SHAPE)


def test_an_unknown_merge_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match=r"'summ'[\s\S]*'sum'[\s\S]*concat, dwa"):
        MERGES.get("summ")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("laurel_lr(rank=0)", r"'rank' is 0; it must be 1 to 4096[\s\S]*rank=1"),
        ("laurel_lr(rank=2.5)", r"'rank' is 2\.5; it must be a whole number[\s\S]*rank=2"),
        ("laurel_lr(rnk=8)", r"no parameter 'rnk'[\s\S]*'rank'"),
        ("laurel_lr(rank=8", r"bracket that is not closed"),
        ("sum(rank=8)", r"no parameter 'rank'[\s\S]*none"),
        ("laurel_lr(rank=16)", r"not how this merge is written[\s\S]*Write 'laurel_lr'"),
        ("laurel_lr( rank = 8.0 )", r"not how this[\s\S]*Write 'laurel_lr\(rank=8\)'"),
        ("sum()", r"not how this merge is written[\s\S]*Write 'sum'"),
    ],
)
def test_impossible_numbers_in_brackets_are_refused_with_the_nearest(
    written: str, message: str
) -> None:
    assert written not in MERGES
    with pytest.raises(ConfigError, match=message):
        MERGES.get(written)
    with pytest.raises(ArchitectureError, match=message):
        plan(join(written, 3), SHAPE)


def test_numbers_in_brackets_belong_to_the_name() -> None:
    assert MERGES.get("laurel_lr(rank=8)").name == "laurel_lr(rank=8)"
    assert MERGES.get("laurel_lr(rank=8)").family == "laurel_lr"
    assert list(MERGES.parameters("laurel_lr(rank=8)")) == ["rank"]
    assert MERGES.parameters("sum") == {}
    assert MERGES.paper("laurel_lr(rank=8)") == MERGES.paper("laurel_lr")


def test_a_linear_merge_declares_no_parameters_of_its_own() -> None:
    with pytest.raises(ConfigError, match=r"'mine' declares parameters, but its weight is 'ident"):
        Merge("mine", parameters=(MergeParameter("weights"),))

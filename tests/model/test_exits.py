"""Exits and columns: what is cut out computes the same, and being sure costs less."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scale import is_full_scale
from torch import Tensor

from nas.cost.count import cost, exit_nodes
from nas.cost.exit_costs import exit_macs, exit_order
from nas.cost.merging_nodes import merging_nodes
from nas.errors import ArchitectureError, ConfigError
from nas.model.exits import answer_early, cut_at_exit, cut_column, sureness, threshold_curve
from nas.model.network import Network
from nas.model.path_masks import PathMasks
from nas.topology.graph import Architecture, Edge, Gain, Node
from nas.topology.patterns import PATTERNS
from nas.topology.stages import stage_architecture
from nas.training.batches import part_tensors
from nas.training.data import load_data
from nas.training.evaluate import evaluate
from nas.training.fit import fit
from nas.training.parts import split_five
from nas.training.path_dropper import nested_masks
from nas.training.path_dropping.drop_path import keep_column
from nas.training.path_dropping.survivors import survivor_factors
from nas.training.recipe import Recipe

SHAPE, CLASSES = (3, 8, 8), 5


def built(architecture: Architecture, seed: int = 0) -> Network:
    net = Network(architecture, SHAPE, CLASSES, initialisation="default", seed=seed).double()
    generator = torch.Generator().manual_seed(seed)
    for _ in range(3):  # running statistics that are not those of a fresh network
        net.train()(torch.randn(8, *SHAPE, generator=generator).double())
    return net.eval()


def images(count: int = 6) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(9)).double()


def with_exits(pattern: str = "residual", size: int = 4, every: int = 3) -> Architecture:
    topology = PATTERNS.get(pattern).wire(size)
    architecture = stage_architecture(topology, width=6, stem="conv3x3")
    nodes = [
        replace(node, exit=0 < number < len(architecture.nodes) - 1 and number % every == 0)
        for number, node in enumerate(architecture.nodes)
    ]
    return replace(architecture, nodes=tuple(nodes))


EXITING = [("chain", 5), ("residual", 4), ("dense", 4), ("hierarchical", 5), ("fractal", 7)]


@pytest.mark.parametrize(("pattern", "size"), EXITING)
def test_a_network_cut_at_an_exit_answers_as_the_exit_does(pattern: str, size: int) -> None:
    net, x = built(with_exits(pattern, size)), images()
    with torch.no_grad():
        answers = net.exit_logits(x)
        for number in range(len(net.exits)):
            cut = cut_at_exit(net, number)
            torch.testing.assert_close(cut(x), answers[number], rtol=1e-6, atol=1e-9)
            for each, earlier in zip(cut.exit_logits(x), answers, strict=False):
                torch.testing.assert_close(each, earlier, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("columns", [2, 3, 4])
@pytest.mark.parametrize("merge", ["default", "sum"])
def test_a_column_cut_out_computes_what_the_whole_computes_under_its_mask(
    columns: int, merge: str
) -> None:
    topology = PATTERNS.get("fractal").wire(2**columns - 1)
    net = built(stage_architecture(topology, width=6, merge=merge, stem="conv3x3"))
    x = images()
    for column in range(columns):
        cut = cut_column(net, column)
        assert sum(node.operation == "conv3x3" for node in cut.architecture.nodes) == (
            1 + 2 ** (columns - column - 1)
        )
        with torch.no_grad():
            torch.testing.assert_close(cut(x), net(x, mask(net, column)), rtol=1e-6, atol=1e-9)


def mask(net: Network, column: int) -> PathMasks:
    kept = {node: keep_column(node, np.array([column])) for node in merging_nodes(net.plan)}
    return nested_masks({node.path: survivor_factors(k, node.scale) for node, k in kept.items()})


def test_gains_and_adapters_move_with_the_column() -> None:
    nodes = (
        Node(),
        Node("conv3x3", width=4, stride=2),
        Node("conv3x3", width=6),
        Node("conv3x3", width=6),
        Node("identity", "mean"),
    )
    edges = (Edge(0, 1), Edge(1, 2), Edge(1, 3), Edge(2, 4, gain=Gain("scalar", 0.3)), Edge(3, 4))
    net = built(Architecture(nodes, edges))
    for column in (0, 1):
        with torch.no_grad():
            expected = net(images(), mask(net, column))
            torch.testing.assert_close(cut_column(net, column)(images()), expected)


# Costs.


@pytest.mark.parametrize(("pattern", "size"), EXITING)
def test_the_cost_of_an_answer_grows_strictly_from_exit_to_exit(pattern: str, size: int) -> None:
    architecture = with_exits(pattern, size)
    macs = exit_macs(architecture, SHAPE, CLASSES)
    assert len(macs) == len(exit_nodes(architecture)) + 1
    assert all(one < two for one, two in pairwise(macs))
    heads = 6 * CLASSES * len(exit_nodes(architecture))
    assert macs[-1] == cost(architecture, SHAPE, CLASSES).macs + heads


@pytest.mark.parametrize(("pattern", "size"), EXITING)
def test_every_node_runs_once_and_only_when_it_is_needed(pattern: str, size: int) -> None:
    architecture = with_exits(pattern, size)
    order = [node for group in exit_order(architecture) for node in group]
    assert sorted(order) == list(range(1, len(architecture.nodes)))
    net = built(architecture)
    for number, group in enumerate(exit_order(architecture)[:-1]):
        assert len(cut_at_exit(net, number).architecture.nodes) >= len(group)


# Inference that stops where it is sure.


@pytest.mark.parametrize(("pattern", "size"), EXITING)
@pytest.mark.parametrize("by", ["confidence", "entropy"])
def test_every_image_is_answered_by_the_first_exit_that_is_sure(
    pattern: str, size: int, by: str
) -> None:
    net, x = built(with_exits(pattern, size)), images(16)
    with torch.no_grad():
        answers = torch.stack(net.exit_logits(x))
    sure = torch.stack([sureness(each, by) for each in answers])  # type: ignore[arg-type]
    threshold = float(sure[:-1].median())
    found = answer_early(net, x, threshold, by)  # type: ignore[arg-type]
    for row in range(16):
        first = next(
            (number for number, each in enumerate(sure[:, row]) if each >= threshold),
            len(answers) - 1,
        )
        assert int(found.exits[row]) == first
        torch.testing.assert_close(found.logits[row], answers[first, row])
    costs = torch.tensor(exit_macs(net.architecture, SHAPE, CLASSES), dtype=torch.float64)
    assert found.macs == pytest.approx(float(costs[found.exits].mean()))


def test_thresholds_beyond_both_ends_leave_at_once_or_never() -> None:
    net, x = built(with_exits()), images()
    assert answer_early(net, x, 0.0).exits.eq(0).all()
    late = answer_early(net, x, 1.1)
    assert late.exits.eq(len(net.exits)).all()
    torch.testing.assert_close(late.logits, net(x))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0, 1.2), min_size=2, max_size=12), st.integers(0, 100))
def test_the_cost_never_falls_when_the_threshold_rises(thresholds: list[float], seed: int) -> None:
    net = built(with_exits("chain", 4), seed % 3)
    labels = torch.arange(6) % CLASSES
    for by in ("confidence", "entropy"):
        points = threshold_curve(net, images(), labels, sorted(thresholds), by)  # type: ignore[arg-type]
        macs = [point.macs for point in points]
        assert macs == sorted(macs)
        first = answer_early(net, images(), points[0].threshold, by)  # type: ignore[arg-type]
        assert points[0].macs == pytest.approx(first.macs)
        wrong = first.logits.argmax(1) != labels
        assert points[0].error == pytest.approx(float(wrong.double().mean()))


def test_sureness_is_between_nothing_and_all() -> None:
    even, certain = torch.zeros(1, 4), torch.tensor([[1000.0, 0.0, 0.0, 0.0]])
    assert sureness(even).item() == pytest.approx(0.25)
    assert sureness(even, "entropy").item() == pytest.approx(0.0, abs=1e-6)
    assert sureness(certain).item() == sureness(certain, "entropy").item() == 1.0


@pytest.mark.skipif(not is_full_scale(), reason="skipped: trains for a minute; make soak")
@pytest.mark.parametrize("seed", range(3))
def test_columns_trained_by_drop_path_beat_columns_cut_from_a_network_without_it(seed: int) -> None:
    parts = split_five(load_data("digits"), 0)
    held, labels = part_tensors(parts.validation, torch.device("cpu"))
    topology = PATTERNS.get("fractal").wire(7)
    architecture = stage_architecture(topology, width=8, stem="conv3x3")

    def mean_accuracy(dropping: str) -> float:
        net = Network(architecture, (1, 8, 8), 10, initialisation="default", seed=seed)
        recipe = Recipe(epochs=8, batch_size=32, path_dropping=dropping)
        fit(net, parts.learning, recipe, seed=seed)
        columns = [evaluate(cut_column(net, column), held, labels) for column in range(3)]
        return sum(column.accuracy for column in columns) / 3

    assert mean_accuracy("drop_path") > mean_accuracy("none")


# Refusals.


def test_what_cannot_be_cut_or_asked_is_refused_with_the_way_out() -> None:
    net = built(with_exits())
    with pytest.raises(ConfigError, match=r"no exit 9: the network has"):
        cut_at_exit(net, 9)
    with pytest.raises(ConfigError, match=r"no column 5[\s\S]*0 \(the deepest\) to 1"):
        cut_column(net, 5)
    with pytest.raises(ConfigError, match=r"threshold is not a number"):
        answer_early(net, images(), float("nan"))
    with pytest.raises(ConfigError, match=r"training mode[\s\S]*eval\(\)"):
        answer_early(net.train(), images(), 0.5)
    headless = replace(with_exits(), head="none")
    with pytest.raises(ArchitectureError, match=r"no head at its end"):
        exit_macs(headless, SHAPE, CLASSES)


def test_columns_that_are_no_networks_of_their_own_are_refused() -> None:
    weighted = stage_architecture(
        PATTERNS.get("residual").wire(2), width=6, merge="weighted", stem="conv3x3"
    )
    with pytest.raises(ArchitectureError, match=r"merges by 'weighted'[\s\S]*sums and means"):
        cut_column(built(weighted), 0)
    cell = Architecture(
        (Node(), Node("conv1x1", width=3), Node()), (Edge(0, 1), Edge(0, 2), Edge(1, 2))
    )
    nested = Architecture((Node(), Node(cell=cell)), (Edge(0, 1),))
    with pytest.raises(ArchitectureError, match=r"holds a cell with merges"):
        cut_column(built(nested), 0)
    nodes = (Node(), Node("conv3x3", width=4), Node("conv3x3", width=6, stride=2), Node())
    adapted = Architecture(nodes, (Edge(0, 1), Edge(1, 2), Edge(1, 3), Edge(2, 3)))
    with pytest.raises(ArchitectureError, match=r"takes its shape from an input that is cut off"):
        cut_column(built(adapted), 1)

"""Members of staged and cell spaces are built as their decisions say."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
from scale import require_nas_data, scaled

from nas.cost.count import cost
from nas.space import load_space
from nas.space.cells import CellSpace
from nas.topology.graph import Architecture


def edge_names(architecture: Architecture) -> set[tuple[str, str]]:
    names = [node.name for node in architecture.nodes]
    return {(names[edge.source], names[edge.target]) for edge in architecture.edges}


def test_a_residual_stage_is_wired_through_its_joins() -> None:
    space = load_space("tiny_exhaustive")
    member = space.known()["residual"]
    wired = edge_names(space.build(member))
    assert {
        ("stem", "stage1.op1"),
        ("stem", "stage1.join1"),
        ("stage1.op1", "stage1.join1"),
        ("stage1.join1", "stage1.op2"),
        ("stage1.out", "stage2.in"),
    } <= wired


def test_tiny_exhaustive_holds_a_few_hundred_distinct_members_of_five_patterns() -> None:
    space = load_space("tiny_exhaustive")
    assert 200 <= space.count() <= 500
    assert space.distinct() == space.count()
    families = {space.family(member) for member in space.enumerate()}
    assert families >= {"chain", "residual", "dense", "fractal", "hierarchical"}


def test_the_reference_of_a_small_space_is_its_most_expensive_member() -> None:
    space = load_space("tiny_exhaustive")
    macs = [cost(space.build(member), (3, 32, 32), 10).macs for member in space.enumerate()]
    assert cost(space.build(space.reference()), (3, 32, 32), 10).macs == max(macs)


def test_free_edges_follow_the_answers_and_dead_operations_are_left_out() -> None:
    space = load_space("wired_cnn")
    rng = np.random.default_rng(3)
    seen_dead = False
    for _ in range(scaled(2000)):
        decisions = space.sample(rng)
        if decisions["stage1.pattern"] != "free" or decisions["stage1.depth"] < 3:
            continue
        architecture = space.build(decisions)
        wired = edge_names(architecture)
        alive = {node.name for node in architecture.nodes}
        for operation in range(2, int(decisions["stage1.depth"]) + 1):
            name = f"stage1.op{operation}"
            seen_dead |= name not in alive
            for item in ("in", *(f"op{earlier}" for earlier in range(1, operation))):
                source = "stem" if item == "in" else f"stage1.{item}"
                chosen = item in decisions[f"{name}.inputs"]
                assert ((source, name) in wired) == (chosen and {source, name} <= alive)
    assert seen_dead


def test_cross_stage_edges_enter_the_later_stage() -> None:
    space = load_space("wired_cnn")
    member = {**space.known()["chain"], "cross.stage3.inputs": ["stem", "stage1"]}
    wired = edge_names(space.build(member))
    assert ("stem", "stage3.in") in wired
    assert ("stage1.op4", "stage3.in") in wired


def test_the_cells_of_nas_bench_201_are_counted() -> None:
    space = load_space("nasbench201")
    assert space.count() == 15_625
    assert space.distinct() == 5_260


def test_multiply_adds_of_the_cells_equal_the_published_table() -> None:
    path = require_nas_data("nasbench201", "nasbench201_cifar10.csv.gz")
    space = load_space("nasbench201")
    assert isinstance(space, CellSpace)
    published = {
        "none": "none",
        "skip_connect": "identity",
        "nor_conv_1x1": "relu_conv1x1_bn",
        "nor_conv_3x3": "relu_conv3x3_bn",
        "avg_pool_3x3": "avg_pool3x3",
    }
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(0)
    for index in rng.choice(len(rows), size=scaled(300), replace=False):
        row = rows[index]
        decisions = {
            f"cell.edge{pair.replace('to', '-')}": published[row[f"op_{pair}"]]
            for pair in ("0to1", "0to2", "1to2", "0to3", "1to3", "2to3")
        }
        macs = cost(space.build(decisions), (3, 32, 32), 10).macs
        assert macs / 1e6 == pytest.approx(float(row["flops_m"]), abs=2e-5)

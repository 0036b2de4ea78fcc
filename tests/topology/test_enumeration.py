"""Enumerated cells: the published counts, brute force on small sizes, cells of others found."""

from __future__ import annotations

import csv
import gzip
import itertools

import numpy as np
import pytest
from scale import is_full_scale, require_nas_data

from nas.errors import TopologyError
from nas.topology import enumeration
from nas.topology.canonical import LabelledGraph, canonical_form
from nas.topology.canonical_batch import canonical_forms
from nas.topology.enumeration import Cells, enumerate_cells, enumerate_wirings
from nas.topology.graph_batch import GraphBatch

OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")


def brute_force(size: int, max_edges: int, operations: int) -> int:
    """Count cells as the smallest drawings among all renamings of their inner vertices."""
    pairs = list(itertools.combinations(range(size), 2))
    inner, found = range(1, size - 1), set()
    for chosen in itertools.product((0, 1), repeat=len(pairs)):
        edges = [pair for pair, there in zip(pairs, chosen, strict=True) if there]
        fed, feeding = {t for _, t in edges}, {s for s, _ in edges}
        if len(edges) > max_edges or len(fed) < size - 1 or len(feeding) < size - 1:
            continue
        for labels in itertools.product(range(operations), repeat=size - 2):
            drawings = []
            for permuted in itertools.permutations(inner):
                place = (0, *permuted, size - 1)
                moved = sorted((place[source], place[target]) for source, target in edges)
                named = sorted(zip(permuted, labels, strict=True))
                drawings.append((moved, named))
            found.add(str(min(drawings)))
    return len(found)


@pytest.mark.parametrize(
    ("size", "max_edges", "operations"),
    [(2, 9, 3), (3, 9, 3), (4, 9, 3), (4, 4, 2), (5, 9, 1), (5, 6, 2)],
)
def test_small_cells_are_as_many_as_brute_force_finds(
    size: int, max_edges: int, operations: int
) -> None:
    cells = list(enumerate_cells(size, max_edges, [f"op{n}" for n in range(operations)]))[-1]
    assert cells.size == size
    assert len(cells) == brute_force(size, max_edges, operations)


@pytest.mark.parametrize(("inner", "classes"), [(2, 38), (3, 744), (4, 30_146)])
def test_cells_with_two_operations_are_the_valid_classes_of_all_labelled_graphs(
    inner: int, classes: int
) -> None:
    assert len(list(enumerate_cells(inner + 2, 99, ("a", "b")))[-1]) == classes


def test_the_tabulated_space_has_423624_cells() -> None:
    counts = [len(cells) for cells in enumerate_cells(7, 9, OPERATIONS)]
    assert counts == [1, 6, 84, 2_441, 62_010, 359_082]
    assert sum(counts) == 423_624


def test_no_two_cells_are_the_same_up_to_renaming() -> None:
    for cells in enumerate_cells(7 if is_full_scale() else 6, 9, OPERATIONS):
        assert len(set(canonical_forms(cells.batch()))) == len(cells)


def test_cells_are_connected_drawings_along_their_order() -> None:
    for cells in enumerate_cells(5, 7, OPERATIONS):
        assert (np.triu(cells.wirings, 1) == cells.wirings).all()
        for index in range(0, len(cells), 50):
            topology = cells.topology(index)  # refuses nodes off the paths
            graph = cells.graph(index)
            assert len(topology.edges) == len(graph.edges) <= 7
            assert graph.labels[0] == "input"
            assert graph.labels[-1] == "output"
            assert {f"operation {name}" for name in OPERATIONS} >= set(graph.labels[1:-1])


def test_one_part_of_the_cells_is_the_same_as_in_all_of_them() -> None:
    cells = list(enumerate_cells(5, 9, OPERATIONS))[-1]
    part = cells.batch(100, 110)
    assert [part.graph(i) for i in range(10)] == [cells.graph(i) for i in range(100, 110)]


def test_tabulated_cells_of_the_published_sample_are_distinct_and_all_enumerated() -> None:
    path = require_nas_data("nasbench101_sample", "nasbench101_sample.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        graphs = [_listed_cell(row) for row in csv.DictReader(file)]
    assert len(graphs) == 30_001
    forms = set(canonical_forms(graphs))
    assert len(forms) == 30_001
    sizes = range(2, 8 if is_full_scale() else 7)
    members = {form for size in sizes for form in _forms(size)}
    small = {canonical_form(graph) for graph in graphs if len(graph.labels) in sizes}
    assert len(small) > 4_000
    assert small <= members


def _forms(size: int) -> list[bytes]:
    cells: Cells = list(enumerate_cells(size, 9, OPERATIONS))[-1]
    return canonical_forms(cells.batch())


def _listed_cell(row: dict[str, str]) -> LabelledGraph:
    size = int(row["n_vertices"])
    pairs = itertools.combinations(range(size), 2)
    there = row["adj_upper"].removeprefix("b")
    inner = row["ops"].split("|") if size > 2 else []
    edges = tuple((*pair, "") for pair, mark in zip(pairs, there, strict=True) if mark == "1")
    assert len(edges) == int(row["n_edges"])
    return LabelledGraph(("input", *(f"operation {name}" for name in inner), "output"), edges)


def test_every_wiring_is_kept_once_and_none_is_missed() -> None:
    """Against all drawings of six vertices, class by class."""
    size = 5
    pairs = np.array(list(itertools.combinations(range(size), 2)))
    masks = np.arange(1 << len(pairs))
    drawings = np.zeros((len(masks), size, size), np.uint8)
    drawings[:, pairs[:, 0], pairs[:, 1]] = masks[:, None] >> np.arange(len(pairs)) & 1
    fed = drawings[:, :, 1:].any(axis=1).all(axis=1)
    drawings = drawings[fed & drawings[:, :-1].any(axis=2).all(axis=1)]
    assert _wiring_forms(drawings) == _wiring_forms(enumerate_wirings(size, 10))
    assert len(enumerate_wirings(size, 10)) == len(_wiring_forms(drawings)) == 98


def _wiring_forms(drawings: np.ndarray) -> set[bytes]:
    vertices = np.ones(drawings.shape[:2], np.int64)
    vertices[:, 0], vertices[:, -1] = 0, 2
    labels = ("input", "inner", "output")
    return set(canonical_forms(GraphBatch.from_adjacency(labels, vertices, drawings)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 9, "ab"), "Cells of 1 vertices[\\s\\S]*2 to 8"),
        ((1_000_000, 9, "ab"), "Cells of 1000000 vertices[\\s\\S]*2 to 8"),
        ((4, 0, "ab"), "0 edges connects nothing"),
        ((4, 9, ""), "at least one is needed"),
        ((4, 9, "aa"), "each is named once"),
        ((4, 9, [str(n) for n in range(200)]), "200 operations are too many"),
    ],
)
def test_impossible_spaces_are_refused(arguments: tuple[int, int, list[str]], message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        enumerate_cells(*arguments)


def test_spaces_too_large_for_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TopologyError, match=r"Cells of 6 vertices need .* GiB[\s\S]*fewer"):
        list(enumerate_cells(8, 9, [str(n) for n in range(30)]))
    monkeypatch.setattr(enumeration, "MAX_BYTES", 1_000)
    with pytest.raises(TopologyError, match=r"Wirings of 5 vertices need"):
        list(enumerate_cells(6, 9, "ab"))

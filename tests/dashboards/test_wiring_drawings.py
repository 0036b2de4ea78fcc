"""Every edge of a drawn network can be followed: computed from the SVG that the page draws."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from browser import Watched, chromium, file_address, watched_page
from drawn_wires import (
    Drawing,
    loose_ends,
    read_drawing,
    shared_stretches,
    slanted,
    through_foreign_boxes,
    through_own_boxes,
)
from scale import is_full_scale

from dashboards.documents.architecture import architecture_document
from dashboards.report import page_of
from nas.cli.named_architectures import build_named
from nas.space import load_space
from nas.topology.published import usual_images

if TYPE_CHECKING:
    from nas.space.choices import Choice

pytest.importorskip("playwright.sync_api")

NETWORKS = {
    "FractalNet": "fractalnet",
    "DenseNet": "densenet" if is_full_scale() else "densenet-cifar:depth=22",
    "U2-Net": "u2net",
    "random": "erdos_renyi:size=24",
    "near": "erdos_renyi(seed=1):size=24",
}
"""HiResNet, whose levels read all earlier levels and stages, is a member of a space: see below."""
MANY = 150
"""Nodes that the page draws side by side before it folds."""


def hires_net() -> dict[str, Any]:
    """Draw the hierarchical residual network with all of its edges across stages."""

    def widest(choice: Choice) -> Any:
        options = getattr(choice, "items", None)
        return list(options) if options is not None else choice.options[-1].value

    space = load_space("hierarchical")
    return architecture_document(space.build(space.walk(widest)), (3, 32, 32), 10)


def many_nodes(count: int) -> dict[str, Any]:
    """Return a document of one long row of nodes, each read by the next and by the tenth after."""
    blank: dict[str, Any] = {
        "merge": "sum",
        "width": 8,
        "stride": 1,
        "group": None,
        "shape": [8, 4, 4],
        "parameters": 584,
        "macs": 9216,
        "latency_ms": None,
        "exit": False,
        "tie": None,
    }
    nodes = [
        {"id": f"op{n}", "label": f"op{n}", "kind": "operation", "operation": "conv3x3", **blank}
        for n in range(count)
    ]
    pairs = [(n, n + step) for n in range(count) for step in (1, 10) if n + step < count]
    edges = [
        {"id": f"{a}>{b}", "source": f"op{a}", "target": f"op{b}", "details": []}
        | {"kind": "chain" if b == a + 1 else "skip", "adapted": False, "gate": None}
        for a, b in pairs
    ]
    head = {"schema": "nas.dash.architecture/1", "id": f"row-{count}", "wiring": "row"}
    tail: dict[str, Any] = {"groups": [], "cost": {}, "measures": {}, "text": ""}
    return {**head, "input": [3, 4, 4], "classes": 2, "nodes": nodes, "edges": edges, **tail}


def run_document() -> dict[str, Any]:
    """Return the least that the page needs to show a run."""
    counts = {"finished": 0, "failed": 0, "open": 0, "planned": None}
    unknown = ("problem", "fix", "space", "data", "seed", "preset", "sampler", "stamp")
    return {
        "schema": "nas.dash.run/1",
        "name": "drawn",
        "kind": "search",
        "state": "finished",
        **dict.fromkeys(unknown),
        "created": "2026-01-01T00:00:00Z",
        "seq": 1,
        "objectives": [],
        "trials": counts,
        "front_size": 0,
        "front": [],
        "hypervolume": None,
        "trust": {"verdict": "not needed", "front": None, "why": None},
        "stages": [],
    }


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    found = {
        name: architecture_document(build_named(text), *usual_images(text))
        for name, text in NETWORKS.items()
    }
    return {**found, "HiResNet": hires_net(), "row": many_nodes(5000)}


@pytest.fixture(scope="module")
def shown(
    documents: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Watched, str]]:
    """Open a report that carries the documents."""
    carried = {"/api/runs/drawn": run_document()}
    for name, document in documents.items():
        carried[f"/api/runs/drawn/baselines/{quote(name)}"] = document
    path = tmp_path_factory.mktemp("drawn") / "report.html"
    path.write_text(page_of("drawn", carried), encoding="utf-8")
    with (
        chromium() as browser,
        watched_page(browser, viewport={"width": 1280, "height": 900}) as page,
    ):
        yield page, file_address(path)


def draw(shown: tuple[Watched, str], name: str, query: str = "") -> None:
    """Show a network and wait until it is laid out."""
    watched, address = shown
    watched.page.goto("about:blank")
    watched.page.goto(f"{address}#/run/drawn/trial?baseline={quote(name)}{query}")
    settle(watched)


def settle(watched: Watched) -> None:
    watched.page.wait_for_selector('svg.wiring[aria-busy="false"] [data-edge]', timeout=120_000)


def check(drawing: Drawing) -> None:
    """Check that every edge can be followed from its source to its target."""
    assert through_foreign_boxes(drawing) == []
    assert through_own_boxes(drawing) == []
    assert shared_stretches(drawing, distance=4) == []
    assert loose_ends(drawing) == []
    assert slanted(drawing) == []


@pytest.mark.parametrize("name", ["FractalNet", "DenseNet", "HiResNet", "U2-Net", "random"])
def test_every_edge_of_a_drawing_has_a_way_of_its_own(
    shown: tuple[Watched, str], documents: dict[str, dict[str, Any]], name: str
) -> None:
    draw(shown, name)
    page, document = shown[0].page, documents[name]
    unfold = page.get_by_role("button", name="Unfold all")
    if unfold.is_enabled():  # as large ones are folded at first
        check(read_drawing(page))
        unfold.click()
        settle(shown[0])
    drawing = read_drawing(page)
    assert set(drawing.boxes) == {node["id"] for node in document["nodes"]}
    assert {wire.edge: (wire.source, wire.target) for wire in drawing.wires} == {
        edge["id"]: (edge["source"], edge["target"]) for edge in document["edges"]
    }
    check(drawing)
    shown[0].check()


def test_a_drawing_that_runs_across_has_as_clear_edges(shown: tuple[Watched, str]) -> None:
    draw(shown, "HiResNet")
    shown[0].page.get_by_role("button", name="turn").click()
    settle(shown[0])
    drawing = read_drawing(shown[0].page)
    first, last = drawing.boxes["input"], drawing.boxes["head"]
    assert last.x - first.x > 4 * abs(last.y - first.y)
    check(drawing)


def test_a_stage_folds_by_click_and_by_key_and_its_edges_join(
    shown: tuple[Watched, str], documents: dict[str, dict[str, Any]]
) -> None:
    draw(shown, "FractalNet")
    page, document = shown[0].page, documents["FractalNet"]
    inside = {node["id"] for node in document["nodes"] if node["group"] == "stage2"}
    page.get_by_role("button", name="Fit").click()
    page.locator('g.group[data-group="stage2"] rect.title').click()
    page.wait_for_selector('g.box[data-group="stage2"]:focus')
    settle(shown[0])
    folded = read_drawing(page)
    assert set(folded.boxes) == {
        node["id"] for node in document["nodes"] if node["id"] not in inside
    } | {"fold:stage2"}
    box = page.locator('g.box[data-group="stage2"]')
    assert box.get_attribute("aria-expanded") == "false"
    check(folded)
    page.keyboard.press("Enter")
    page.wait_for_selector('g.group[data-group="stage2"]:focus')
    settle(shown[0])
    assert inside <= set(read_drawing(page).boxes)


def test_arrow_keys_walk_along_edges(
    shown: tuple[Watched, str], documents: dict[str, dict[str, Any]]
) -> None:
    draw(shown, "FractalNet")
    page = shown[0].page
    pairs = {(edge["source"], edge["target"]) for edge in documents["FractalNet"]["edges"]}
    page.locator("svg.wiring").focus()
    page.keyboard.press("ArrowDown")
    seen = ["input"]
    for _ in range(12):
        page.wait_for_selector(f'g.box[data-node="{seen[-1]}"][aria-pressed="true"]:focus')
        page.keyboard.press("ArrowDown")
        before = f'g.box[aria-pressed="true"]:not([data-node="{seen[-1]}"])'
        seen.append(str(page.wait_for_selector(before).get_attribute("data-node")))
    assert set(pairwise(seen)) <= pairs
    page.keyboard.press("ArrowUp")
    page.wait_for_selector(f'g.box[aria-pressed="true"]:not([data-node="{seen[-1]}"])')


def test_two_networks_are_drawn_as_one_with_signs_at_what_differs(
    shown: tuple[Watched, str], documents: dict[str, dict[str, Any]]
) -> None:
    draw(shown, "random", "&with=near")
    page = shown[0].page
    page.wait_for_selector("section.differences")
    settle(shown[0])
    here, there = (
        {(edge["source"], edge["target"]) for edge in documents[name]["edges"]}
        for name in ("random", "near")
    )
    assert here != there
    count = page.evaluate(
        "() => ['added', 'removed', 'same'].map((mark) =>"
        " document.querySelectorAll(`svg.wiring .line.${mark}`).length)"
    )
    assert count == [len(here - there), len(there - here), len(here & there)]
    assert page.locator("svg.wiring .line.added text.count").first.text_content() == "+"
    check(read_drawing(page))


def test_a_saved_drawing_is_whole_and_carries_its_own_looks(
    shown: tuple[Watched, str], documents: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    draw(shown, "random")
    page = shown[0].page
    with page.expect_download() as download:
        page.get_by_role("button", name="Save SVG").click()
    path = tmp_path / "drawing.svg"
    download.value.save_as(path)
    text = path.read_text(encoding="utf-8")
    tree = ElementTree.fromstring(text)
    edges = [each for each in tree.iter() if each.get("data-edge") is not None]
    assert len(edges) == len(documents["random"]["edges"])
    assert "var(--" not in text
    assert "<script" not in text


@pytest.mark.fault("G-L3")
def test_five_thousand_nodes_are_folded_at_first_and_open_piece_by_piece(
    shown: tuple[Watched, str],
) -> None:
    draw(shown, "row")
    page = shown[0].page
    first = read_drawing(page)
    assert 2 <= len(first.boxes) <= MANY
    assert all(name.startswith("fold:") for name in first.boxes)
    assert page.get_by_role("button", name="Unfold all").is_disabled()
    page.locator("g.box[data-group]").first.click()
    page.wait_for_selector("g.group[data-group]")
    settle(shown[0])
    opened = read_drawing(page)
    assert sum(not name.startswith("fold:") for name in opened.boxes) >= 40
    check(opened)

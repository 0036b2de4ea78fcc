"""The report page of a run: complete, inert, and readable when the run is not whole."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_runs import front_of, made_config, made_run

from dashboards.static_report import SMOKE_STAMP, report_page
from nas.run_store import Run

NAMESPACE = "http://www.w3.org/2000/svg"
VOID = {"meta", "link", "br", "img", "hr", "input"}
HOSTILE = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>"


class Page(HTMLParser):
    """Collects tags, ids and links; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> set[str]:
        return {value for key, value in self.attributes if key == name and value}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run(tmp_path_factory.mktemp("runs"))


def page_of(path: Path, front: dict[str, Any] | None = None) -> str:
    with Run.open(path) as run:
        return report_page(run, front_of(run) if front is None else front)


def test_the_page_is_inert(path: Path) -> None:
    text = page_of(path)
    page = Page(text)
    assert not {"script", "iframe", "object", "link", "img", "form"} & set(page.tags)
    assert not [key for key, _ in page.attributes if key.startswith("on")]
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= {NAMESPACE}
    assert "default-src 'none'" in text
    assert all(link.startswith("#") for link in page.values("href"))


def test_every_point_of_the_front_has_its_row_and_its_drawing(path: Path) -> None:
    text = page_of(path)
    page = Page(text)
    with Run.open(path) as run:
        points = front_of(run)["points"]
    assert points
    ids = page.values("id")
    assert {f"trial-{point['trial']}" for point in points} == ids
    assert {link.removeprefix("#") for link in page.values("href")} <= ids
    assert text.count('class="wiring"') >= len(points)
    assert "not drawn" not in text
    assert "3.00 % ± 0.20" in text
    assert "resnet-8 (hand_made)" in text


def test_a_smoke_run_is_stamped_and_others_are_not(path: Path, tmp_path: Path) -> None:
    assert SMOKE_STAMP in page_of(path)
    small = made_run(tmp_path, config=made_config(preset="small"), trials=1)
    assert SMOKE_STAMP not in page_of(small)


def test_made_twice_it_is_the_same(path: Path) -> None:
    assert page_of(path) == page_of(path)


def test_hostile_names_are_text(tmp_path: Path) -> None:
    config = {**made_config(), "data": HOSTILE}
    environment = {"machine": HOSTILE}
    with Run.create(tmp_path, "hostile", config, environment) as run:
        asked = {"trial": 0, "attempt": 1, "decisions": {}, "wiring": HOSTILE}
        run.append({"kind": "trial_asked", "architecture": "s1-0", **asked})
        failed = {"reason": "crash", "message": HOSTILE}
        run.append({"kind": "trial_failed", "trial": 0, "attempt": 1, **failed})
        entry = {"wiring": HOSTILE, "name": HOSTILE, "kind": HOSTILE, "objectives": {}}
        front = {
            "points": [{"trial": 0, "architecture": "s1-0", **entry, "macs": HOSTILE}],
            "best_per_pattern": [],
            "baselines": [{**entry, "kind": "random", "parameters": HOSTILE}],
            "verdict": HOSTILE,
        }
        text = report_page(run, front)
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert "<script" not in text


def test_a_run_without_trials_says_so(tmp_path: Path) -> None:
    text = page_of(made_run(tmp_path, trials=0))
    assert "No finished trial to draw yet." in text
    assert "No feasible trial has finished, so the front is empty." in text
    Page(text)


def test_a_damaged_architecture_costs_its_drawing_only(tmp_path: Path) -> None:
    path = made_run(tmp_path, trials=8)
    with Run.open(path) as run:
        points = front_of(run)["points"]
    for number, content in enumerate((b"\xff\xfe", b"{}", b"[1", b'{"schema": "x/9"}', b"")):
        damaged = points[number % len(points)]["architecture"]
        (path / "architectures" / f"{damaged}.json").write_bytes(content)
        text = page_of(path)
        assert "not drawn: " in text
        Page(text)
    (path / "architectures" / f"{damaged}.json").unlink()
    assert "is missing or damaged" in page_of(path)


def test_a_half_written_run_shows_what_is_there(tmp_path: Path) -> None:
    path = made_run(tmp_path, trials=3)
    log = path / "trials.log"
    whole = log.read_bytes()
    lines = whole.splitlines(keepends=True)
    for kept in (1, 2, 4, len(lines) - 2):
        log.write_bytes(b"".join(lines[:kept]) + lines[kept][:9])
        text = page_of(path)
        Page(text)
        assert "interrupted" in text or "created" in text


def test_the_page_is_the_same_while_the_run_is_owned(tmp_path: Path) -> None:
    path = made_run(tmp_path, trials=3)
    log = path / "trials.log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    unowned = page_of(path)
    assert "interrupted" in unowned
    with Run.open(path, write=True) as run:
        assert report_page(run, front_of(run)) == unowned


def test_failures_are_listed_with_their_reason(tmp_path: Path) -> None:
    path = made_run(tmp_path, trials=1)
    with Run.open(path, write=True) as run:
        run.append({"kind": "trial_asked", "trial": 9, "attempt": 1, "decisions": {}})
        said = {"reason": "oom", "message": "7 GiB < 9 GiB"}
        run.append({"kind": "trial_failed", "trial": 9, "attempt": 1, **said})
    text = page_of(path)
    assert "<h2>Failed trials</h2>" in text
    assert "7 GiB &lt; 9 GiB" in text


def test_what_was_retrained_has_a_chart_of_its_own(path: Path) -> None:
    text = page_of(path)
    with Run.open(path) as run:
        front = front_of(run)
    chart = text.partition("Retrained from scratch")[2].partition("<h2>")[0]
    assert chart.count("<circle") == len(front["points"])
    assert chart.count("<rect") == 1
    assert "▲ random" in chart
    assert "svc" in text
    assert "1.24 %" in text
    for point in (*front["points"], *front["baselines"]):
        point["error_confirmed_mean"] = None
    assert "Retrained from scratch" not in page_of(path, front)


def test_what_the_front_says_of_the_ranking_is_shown(path: Path) -> None:
    assert "Ranking: <b>unverified</b>" in page_of(path)
    with Run.open(path) as run:
        front = front_of(run)
    trust = {"verdict": "trusted <well>", "front": "raw & cooked", "why": "tau", "left_out": 2}
    text = page_of(path, {**front, "trust": trust})
    assert "Ranking: <b>trusted &lt;well&gt;</b>; the front compares raw &amp; cooked; tau" in text
    assert "2 trials without a calibrated score are left out" in text


def test_the_front_as_a_whole_is_told(path: Path) -> None:
    with Run.open(path) as run:
        front = front_of(run)
    trial = front["points"][0]["trial"]
    front["points"][0] |= {"knee": True, "ties": [7], "flags": ["busy"], "probability_front": 0.25}
    front["points"][0]["quantisation"] = "int8"
    front["knee"] = {"trial": trial, "probability": 0.4}
    front["near_front"] = [{"trial": 9, "probability_front": 0.3}]
    front["hypervolume"] = {"value": 1.5, "shrunken": 1.4, "low": 1.25, "high": 1.75}
    page = page_of(path, front)
    assert f"Knee: trial {trial}, in 40 % of the draws." in page
    assert "P(front) in brackets: 9 (0.30)." in page
    assert "1.5 as recorded, 1.4 (1.25 to 1.75) shrunken" in page
    assert "int8; knee; ties: 7; busy" in page and "<td class='number'>0.25</td>" in page

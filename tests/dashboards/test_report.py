"""The report: one file that its own policy holds together, the same bytes from the same log."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from made_runs import made_run
from report_pages import carried

from dashboards import report
from dashboards.report import page_of, report_page
from nas.errors import EnvironmentFault
from nas.run_store import Run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def page(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    with Run.open(made) as run:
        path.write_text(report_page(run), encoding="utf-8")
    return path


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.fault("F2")
def test_the_policy_allows_the_one_script_and_style_and_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)[0]  # the head comes first
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'{_hash(script)}'"
    assert rules["style-src"] == f"'{_hash(style)}'"
    assert "connect-src" not in rules and "unsafe" not in policy
    # Any further script is a block of text that no browser runs.
    assert len(re.findall(r"<script(?! type=\"text/plain\")", text)) == 1


def test_it_carries_the_run_and_is_made_again_byte_by_byte(made: Path, page: Path) -> None:
    documents = carried(page)
    name = made.name
    trials = documents[f"/api/runs/{name}/trials"]
    assert trials["total"] == len(trials["trial"]) > 0
    assert {f"/api/runs/{name}/trials/{number}" for number in trials["trial"]} <= set(documents)
    with Run.open(made) as run:
        assert report_page(run) == page.read_text(encoding="utf-8")
    with Run.open(made, write=True) as owned:  # who owns a run while it is read does not show
        assert report_page(owned) == page.read_text(encoding="utf-8")


@pytest.mark.fault("F2")
def test_names_cannot_leave_their_place(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><!--"
    path = tmp_path / "page.html"
    path.write_text(page_of(evil, {"/api/runs": {"name": evil}}), encoding="utf-8")
    assert "<script>alert" not in path.read_text(encoding="utf-8")
    assert carried(path)["/api/runs"]["name"] == evil


def test_without_the_built_page_it_says_how_to_build_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(report, "BUILT", tmp_path)
    with pytest.raises(EnvironmentFault, match=r"app\.js is missing") as caught:
        page_of("any", {})
    assert caught.value.fix is not None and "make page" in caught.value.fix

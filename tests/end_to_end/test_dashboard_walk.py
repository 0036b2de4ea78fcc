"""A user's way through the dashboard, in a real browser, over real runs of this engine."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from as_before import as_before
from browser import Watched, chromium, file_address, watched_page

from nas.cli.main import run as type_in
from nas.export.sessions import open_session

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip("playwright.sync_api")
sync_api.expect.set_options(timeout=60_000)
expect = sync_api.expect

SEARCH = (
    *("search", "tiny_exhaustive", "--data=digits", "--preset=smoke", "--seed=3"),
    "--executor=inline",
    *("--set=max_train_images=400", "--set=supernet.training.epochs=2"),
    *("--set=supernet.relaxation.epochs=3", "--set=search.batch=8"),
    *("--set=latency.max_seconds=0.05", "--set=latency.wait_s=0"),
    *("--set=confirm.bins=1", "--set=confirm.shortlist=1"),
    *("--set=confirm.recipe.epochs=2", "--set=confirm.baselines={hand_made: 1, random: 1}"),
    *("--set=confirm.rivals=[space_wirings, random_members]",),
)
PATIENCE_MS = 60_000
NODE, EDGE, GROUP = (f"svg.wiring [data-{kind}]" for kind in ("node", "edge", "group"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run called `walked`, made by the command typed in this process."""
    root = tmp_path_factory.mktemp("walk")
    said = io.StringIO()
    with as_before(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = type_in([*SEARCH, "--trials=10", "--name=walked", f"--runs={root}"])
    assert code == 0, said.getvalue()
    return root


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@contextmanager
def dashboard(runs: Path) -> Iterator[str]:
    """Serve a folder of runs as a user would; yield the link that is printed."""
    command = [sys.executable, "-m", "nas", "dash", str(runs), "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        assert link, process.stderr.read() if process.stderr else ""
        yield link
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0 and "Traceback" not in said, said


@contextmanager
def opened(browser: Browser, link: str, **options: Any) -> Iterator[Watched]:
    """Open a link in a browser without any memory, watched for errors and foreign requests."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    try:
        with watched_page(context, urlsplit(link).netloc) as watched:
            watched.page.set_default_timeout(PATIENCE_MS)
            watched.page.goto(link)
            yield watched
    finally:
        context.close()


def view(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()


def front_of(runs: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert type_in(["front", str(runs / "walked"), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_from_all_runs_to_a_network_taken_home(
    runs: Path, browser: Browser, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    points = front_of(runs, capsys)["points"]
    fastest = min(points, key=lambda point: point["latency_ms"])
    (latency,) = (name for name in points[0]["objectives"] if name.startswith("latency"))
    with dashboard(runs) as link, opened(browser, link) as watched:
        page = watched.page
        page.get_by_role("link", name="walked").click()

        # The front, and what is left of it under a budget that only the fastest keeps.
        page.wait_for_selector("tr[data-trial]")
        assert page.locator("tr[data-trial]").count() >= len(points)
        budget = page.locator(f'[data-limit="{latency}"] input:not([type=range])')
        budget.fill(str(1.0001 * fastest["latency_ms"]))
        budget.press("Enter")
        best = page.locator("[data-best]").first
        best.get_by_text(f"trial {fastest['trial']}", exact=True).wait_for()

        # Its wiring: as many nodes and edges as the network has.
        best.get_by_role("link", name=f"trial {fastest['trial']}").click()
        page.wait_for_selector(NODE)
        capsys.readouterr()
        assert type_in(["arch", "show", f"{runs / 'walked'}:{fastest['trial']}", "--json"]) == 0
        network = json.loads(capsys.readouterr().out)
        extra = page.locator(f'{NODE}[data-node="head"], {NODE}[data-node="output"]').count()
        assert page.locator(NODE).count() - extra == len(network["nodes"])
        assert page.locator(EDGE).count() - extra == len(network["edges"])

        # A stage folds into one box and unfolds again.
        before = page.locator(NODE).count()
        stage = page.locator(f'{GROUP}[data-group="stage1"]')
        stage.focus()
        page.keyboard.press("Enter")
        expect(page.locator(f'{NODE}[data-node="stage1.op1"]')).to_have_count(0)
        assert page.locator(NODE).count() < before
        page.get_by_role("button", name="Unfold all").click()
        expect(page.locator(NODE)).to_have_count(before)

        # Beside another point: what differs is listed.
        other = next(point for point in points if point["trial"] != fastest["trial"])
        page.get_by_label("Compare with").select_option(str(other["trial"]))
        page.get_by_role("region", name="Differences").wait_for()

        # Downloads: a file that ONNX Runtime opens, and a source that runs without this package.
        found = {name: downloaded(page, name, tmp_path) for name in ("onnx", "source")}
    (onnx,) = found["onnx"].glob("**/*.onnx")
    assert open_session(onnx.read_bytes(), 1).get_inputs()[0].name == "images"
    (source,) = found["source"].glob("**/*.py")
    ran = subprocess.run(
        [sys.executable, "-I", str(source)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert all(list(folder.glob("**/README.md")) for folder in found.values())


def downloaded(page: Page, name: str, folder: Path) -> Path:
    """Press a download and return the folder of what came."""
    with page.expect_download(timeout=2 * PATIENCE_MS) as waiting:
        page.locator(f'a[href$="/files/{name}"]').click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    with zipfile.ZipFile(path) as packed:
        packed.extractall(folder / name)
    return folder / name


def test_gates_are_scrubbed_with_the_keyboard(runs: Path, browser: Browser) -> None:
    with dashboard(runs) as link, opened(browser, link) as watched:
        page = watched.page
        page.get_by_role("link", name="walked").click()
        view(page, "Supernet")
        page.wait_for_selector(EDGE)
        scrubber = page.get_by_label("Epoch", exact=False).first
        last = scrubber.input_value()
        scrubber.focus()
        page.keyboard.press("Home")
        assert scrubber.input_value() != last
        page.get_by_text("1 of 3").wait_for()


def test_a_running_search_is_followed_to_its_end(browser: Browser, tmp_path: Path) -> None:
    search = subprocess.Popen(
        [
            *(sys.executable, "-m", "nas", *SEARCH, "--trials=400", "--name=live"),
            *("--set=search.batch=2", f"--runs={tmp_path}"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    asked = False
    try:
        with dashboard(tmp_path) as link, opened(browser, link) as watched:
            page = watched.page
            for _ in range(120):  # the run's folder comes into being with its first record
                if page.get_by_role("link", name="live").count():
                    break
                page.wait_for_timeout(500)
                page.reload()
            page.get_by_role("link", name="live").click()
            view(page, "Progress")
            figure = page.locator(".figures").first
            expect(figure).to_contain_text(re.compile(r"[1-9]\d* of 400"), timeout=2 * PATIENCE_MS)
            (seen,) = re.findall(r"(\d+) of 400", figure.inner_text())
            expect(figure).not_to_contain_text(f"{seen} of 400")
            search.send_signal(signal.SIGINT)
            asked = True  # a second signal would end it at once
            expect(page.locator("header.frame")).to_contain_text("interrupted")
    finally:
        if search.poll() is None and not asked:
            search.send_signal(signal.SIGINT)
        _, said = search.communicate(timeout=60)
    assert search.returncode == 130, said


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_is_read_from_a_file(
    runs: Path, browser: Browser, theme: str, width: int
) -> None:
    report = runs / "walked" / "report.html"
    assert report.stat().st_size < 3_000_000
    options = {"viewport": {"width": width, "height": 844}, "color_scheme": theme}
    with watched_page(browser, **options) as watched:
        page = watched.page
        page.set_default_timeout(PATIENCE_MS)
        page.goto(file_address(report))
        page.wait_for_selector("tr[data-trial]")
        for name in ("Architecture", "Supernet", "Progress", "Space", "Failures", "Provenance"):
            view(page, name)
            page.wait_for_load_state()
            page.locator("main h1, main h2").first.wait_for()
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} pixels wide on a screen of {width}"
        view(page, "Architecture")
        page.wait_for_selector(EDGE)

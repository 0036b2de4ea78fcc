"""A headless Chromium for tests, with an ear for everything that must not happen on a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
HOW = "no Chromium for this test; Debian: apt-get install chromium; elsewhere set NAS_CHROMIUM"
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """Return the path of a Chromium: `NAS_CHROMIUM`, or one on the path."""
    given = os.environ.get("NAS_CHROMIUM")
    return given or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium; skip the test, saying how to get one, where there is none."""
    path = find_chromium()
    if path is None:
        pytest.skip(HOW)
    from playwright.sync_api import sync_playwright

    # Root may not use Chromium's own sandbox, and test machines are often root.
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else [*FLAGS]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page and what it did that it should not.

    Args:
        page: The page.
        allowed: `host:port` of the server, empty for a file.
    """

    page: Page
    allowed: str = ""
    complaints: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fail if the page logged an error or asked for anything elsewhere."""
        assert self.complaints == [], self.complaints


@contextmanager
def watched_page(
    browser: Browser | BrowserContext, allowed: str = "", **options: object
) -> Iterator[Watched]:
    """Open a page on which console errors and requests to anywhere else are collected and fail.

    Args:
        browser: The browser.
        allowed: `host:port` that it may ask.
        options: Of the page, such as `viewport` and `color_scheme`.
    """
    page = browser.new_page(**options)  # type: ignore[arg-type]
    watched = Watched(page, allowed)

    def hear(kind: str, text: str) -> None:
        watched.complaints.append(f"{kind}: {text}")

    page.on("console", lambda m: hear(m.type, m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: hear("exception", str(error)))

    def asked(url: str) -> None:
        parts = urlsplit(url)
        here = parts.scheme in ("data", "blob", "about", "file")
        if not here and parts.netloc != allowed:
            hear("request", url)

    page.on("request", lambda request: asked(request.url))
    try:
        yield watched
        watched.check()
    finally:
        page.close()


def file_address(path: Path) -> str:
    """Return the `file://` address of a file."""
    return path.absolute().as_uri()

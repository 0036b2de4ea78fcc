"""Take the pictures of docs/images from real runs: `make screenshots RUNS=runs RUN=NAME`.

They are looked at by people, so no test compares them; that every view opens without an error is
what `tests/end_to_end/test_dashboard_walk.py` holds.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from browser import chromium, watched_page
from scale import CHECKOUT

IMAGES = CHECKOUT / "docs" / "images"
SIZE = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}


def main(runs: str, run: str) -> None:
    """Serve `runs`, open every view of `run`, keep a picture of each."""
    command = [sys.executable, "-m", "nas", "dash", runs, "--port", "0", "--no-token"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            take(server.stdout.readline().strip(), run)
        finally:
            server.terminate()


def take(link: str, run: str) -> None:
    """Take all pictures from a served folder."""
    IMAGES.mkdir(exist_ok=True)
    home, host = link.split("#")[0], urlsplit(link).netloc
    with chromium() as browser:
        for scheme, viewport, names in (
            ("light", SIZE, tuple(VIEWS)),
            ("dark", SIZE, ("architecture",)),
            ("light", PHONE, ("front",)),
        ):
            options = {"viewport": viewport, "color_scheme": scheme}
            with watched_page(browser, host, **options) as watched:
                page = watched.page
                for name in names:
                    place, ready = VIEWS[name]
                    page.goto(home + place.format(run=run))
                    page.reload()  # a hash alone loads nothing anew
                    page.wait_for_selector(ready)
                    page.wait_for_timeout(1500)  # charts move into place
                    page.screenshot(path=IMAGES / f"{name}{suffix(scheme, viewport)}.png")


def suffix(scheme: str, viewport: dict[str, int]) -> str:
    """Return what tells a picture apart from the usual one of its view."""
    return ("-dark" if scheme == "dark" else "") + ("-phone" if viewport is PHONE else "")


VIEWS = {
    "overview": ("#/", "main table"),
    "front": ("#/run/{run}/front", "tr[data-trial]"),
    "architecture": ("#/run/{run}/trial", "svg.wiring [data-edge]"),
    "supernet": ("#/run/{run}/supernet", "svg.wiring [data-edge]"),
    "progress": ("#/run/{run}/progress", "canvas"),
    "space": ("#/run/{run}/space", "canvas"),
    "failures": ("#/run/{run}/failures", "main h1"),
    "provenance": ("#/run/{run}/provenance", "main pre"),
}
"""Name of a picture to the view's address and to what is there once it is drawn."""


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).absolute()), sys.argv[2])

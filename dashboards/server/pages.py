"""The built page: four files of known names, read once when the server starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nas.errors import EnvironmentFault

from .answers import Body, body_of

BUILT: Final = Path(__file__).parent.parent / "built"
"""The page as `make page` builds it."""

FILES: Final = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "elk-worker.js": "text/javascript; charset=utf-8",
}


def read_pages(folder: Path = BUILT) -> Mapping[str, Body]:
    """Return the files of the page by the path they are served under.

    Args:
        folder: Where they lie.

    Raises:
        EnvironmentFault: If one is missing.
    """
    found = {}
    for name, media_type in FILES.items():
        try:
            data = (folder / name).read_bytes()
        except OSError as error:
            raise EnvironmentFault(
                f"The dashboard's page is not whole: {name} is missing.",
                where=str(folder),
                fix="Install nas again, or in a checkout build the page: make page.",
            ) from error
        found["/" if name == "index.html" else f"/{name}"] = body_of(data, media_type)
    return found

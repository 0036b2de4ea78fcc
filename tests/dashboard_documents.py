"""Every document of a run, held to the page's types: for tests of what makes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from page_types import Types, page_types

from dashboards.documents import Reading, document, read_run
from nas.errors import NasError

PARTS = ("front", "trials", "supernet", "progress", "space", "failures", "provenance")
_FORMS = (
    (r"/api/runs/[^/?]+", "/api/runs/R"),
    (r"/trials/\d+$", "/trials/N"),
    (r"/baselines/.*", "/baselines/NAME"),
    (r"\?runs=.*", "?runs=A,B"),
)


@cache
def types() -> Types:
    """The page's types."""
    return page_types()


def type_name(path: str) -> str:
    """Return the interface of the document at a path."""
    if not path.startswith("/api/compare"):
        path = path.partition("?")[0]
    for form, shown in _FORMS:
        path = re.sub(form, shown, path)
    return types().paths[path]


def problems(path: str, found: Any) -> list[str]:
    """Return what in a document breaks its type; a front may say more than the page reads."""
    return types().problems(type_name(path), found, exact=not path.endswith("/front"))


def run_paths(runs: Path, name: str) -> list[str]:
    """Return the paths of the documents that a run has or may have."""
    base = f"/api/runs/{quote(name)}"
    paths = ["/api/runs", base, *(f"{base}/{part}" for part in PARTS)]
    paths += [f"{base}/trials/0", f"{base}/trials?after=0", f"/api/compare?runs={quote(name)}"]
    return paths


def every_document(
    runs: Path, name: str, *, odd: bool = False
) -> Iterator[tuple[str, dict[str, Any] | NasError]]:
    """Yield each path with its document, or with the error in its place.

    A document has been through JSON, as the page gets it, and keeps its type. The run is opened
    once, as a server does.

    Args:
        runs: Folder of runs.
        name: The run.
        odd: Records hold what nas never writes; a front passes that on as it is.
    """
    readings: dict[str, Reading] = {}

    def keep(folder: Path, asked: str) -> Reading:
        if asked not in readings:
            readings[asked] = read_run(folder, asked)
        return readings[asked]

    for path in run_paths(runs, name):
        try:
            found = document(runs, path, keep)
        except NasError as error:
            yield path, error
            continue
        plain = json.loads(json.dumps(found, allow_nan=False))
        if not (odd and path.endswith("/front")):
            assert problems(path, plain) == [], path
        yield path, plain

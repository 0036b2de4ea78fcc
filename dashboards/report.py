"""The report of a run as one HTML file: the dashboard's page with the run's documents inside.

It needs no server and no network and works from `file://`. The page's policy allows the one script
and the one style sheet by their hashes; documents and ELK's worker are carried as compressed text.
The file is made from the run folder alone, and twice from one log it has the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

from nas.errors import EnvironmentFault
from nas.run_store.run import Run

from .documents import report_documents

LICENCES: Final = (
    "The page holds ECharts (Apache-2.0), zrender (BSD-3-Clause), tslib (0BSD), elkjs (EPL-2.0), "
    "Preact (MIT); sources: npmjs.com/package/NAME; texts: dashboards/built/licences.txt of nas."
)
"""What the page is made of, as its licences want it told."""
BUILT: Final = Path(__file__).parent / "built"
"""The page as `make page` builds it."""


def report_page(run: Run) -> str:
    """Return the report of a run as HTML.

    Args:
        run: The run, opened to read.

    Raises:
        EnvironmentFault: If the built page is missing.
        NasError: As the documents raise it.
    """
    return page_of(run.name, report_documents(run))


def page_of(name: str, carried: Mapping[str, Any]) -> str:
    """Return the page with documents inside.

    Args:
        name: Title of the page.
        carried: Documents by the paths that the page asks for.

    Raises:
        EnvironmentFault: If the built page is missing.
    """
    script, style = _built("app.js"), _built("app.css")
    # What the HTML parser would take for the script's end.
    script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    documents = json.dumps(carried, allow_nan=False, separators=(",", ":"))
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "worker-src blob:; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    title = escape(f"{name} - nas")
    return (
        f'<!doctype html><html lang="en"><!-- {LICENCES} --><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{title}</title><style>{style}</style></head><body>"
        '<div id="page"></div><noscript>This report needs JavaScript; '
        "<code>nas front RUN</code> prints a front without it.</noscript>"
        f'<script type="text/plain" id="report-documents">{_packed(documents)}</script>'
        f'<script type="text/plain" id="report-elk-worker">{_packed(_built("elk-worker.js"))}'
        f'</script><script type="module">{script}</script></body></html>\n'
    )


def _built(name: str) -> str:
    try:
        return (BUILT / name).read_text(encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(
            f"The dashboard's page is not whole: {name} is missing.",
            where=str(BUILT),
            fix="Install nas again, or in a checkout build the page: make page.",
        ) from error


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _packed(text: str) -> str:
    """Return text as base64 of its gzip; the same text always gives the same bytes."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()

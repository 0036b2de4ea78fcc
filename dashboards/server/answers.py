"""What goes back over the wire: safety headers, compressed bodies, and plain error pages."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
SAFETY_HEADERS: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"x-frame-options", b"DENY"),
    (b"x-robots-tag", b"noindex, nofollow"),
)
"""Carried by every answer, errors and downloads included."""

JSON: Final = "application/json"
_SMALLEST_TO_COMPRESS: Final = 1024
_TITLES: Final = {
    401: "This dashboard is locked",
    403: "This request was refused",
    404: "There is nothing here",
    421: "This server has another name",
}


@dataclass(frozen=True)
class Body:
    """Bytes to answer with, compressed once and tagged by their content.

    Args:
        plain: As they are.
        packed: Compressed, where that is smaller.
        tag: Weak entity tag: the same for both.
        media_type: Content type.
    """

    plain: bytes
    packed: bytes | None
    tag: str
    media_type: str

    @property
    def size(self) -> int:
        """Bytes held in memory."""
        return len(self.plain) + len(self.packed or b"")


def body_of(data: bytes, media_type: str = JSON) -> Body:
    """Compress and tag `data`."""
    packed = gzip.compress(data, 6, mtime=0) if len(data) >= _SMALLEST_TO_COMPRESS else None
    if packed is not None and len(packed) >= len(data):
        packed = None
    return Body(data, packed, f'W/"{hashlib.sha256(data).hexdigest()[:32]}"', media_type)


def json_bytes(document: Any) -> bytes:
    """Return compact JSON in UTF-8; NaN and infinity are bugs of ours."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    # A lone surrogate of a damaged file name cannot be sent; JSON's own escape can.
    return text.encode("utf-8", "backslashreplace")


def answer(request: Request, body: Body) -> Response:
    """Return the body, compressed for whoever takes that, or 304 for whoever has it already."""
    headers = {
        "ETag": body.tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Encoding, Cookie",
    }
    known = request.headers.get("if-none-match", "")
    if body.tag in (tag.strip() for tag in known.split(",")) or known.strip() == "*":
        return Response(status_code=304, headers=headers)
    if body.packed is not None and _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return Response(body.packed, headers=headers, media_type=body.media_type)
    return Response(body.plain, headers=headers, media_type=body.media_type)


def _takes_gzip(request: Request) -> bool:
    for part in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = part.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def failure(
    status: int,
    error: str,
    fix: str | None,
    *,
    as_page: bool = False,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return an error: JSON for programs, a page in plain words for a person.

    Args:
        status: HTTP status.
        error: What is wrong.
        fix: The way out.
        as_page: Whether a browser is going to show it.
        headers: Further headers.
    """
    kept = {"Cache-Control": "no-store", **(headers or {})}
    if not as_page:
        return Response(json_bytes({"error": error, "fix": fix}), status, kept, JSON)
    title = escape(_TITLES.get(status, "This did not work"))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{title} - nas</title></head>'
        f"<body><main><h1>{title}</h1><p>{escape(error)}</p><p>{escape(fix or '')}</p></main>"
        "</body></html>\n"
    )
    return Response(page, status, kept, "text/html")

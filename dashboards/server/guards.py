"""What every request passes before anything of a run is read: the one gate around the app.

In this order, so that nobody learns more than they may: the name the server was called by, where
the request comes from, its method, its size, its key. A request that fails changes nothing, and all
answers carry the same headers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import SAFETY_HEADERS, failure
from .hosts import Hosts
from .keys import Keys

HEALTH: Final = "/healthz"
"""The one place that needs no key; it says only that the server lives."""

LINK_KEY: Final = "key"
"""Name of the query field of a one-time link."""

METHODS: Final = ("GET", "HEAD")
LONGEST_TARGET: Final = 4096
"""Bytes of path and query."""


@final
class Guard:
    """The gate as an ASGI app around another.

    Args:
        app: What answers a request that passed.
        hosts: Allowed names.
        keys: Who may look; None lets everybody in who reaches this machine's loopback.
        cookie: Name of the session's cookie.
        on_link_used: Called when a one-time link let somebody in.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Hosts,
        keys: Keys | None,
        cookie: str,
        on_link_used: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._keys = keys
        self._cookie = cookie
        self._on_link_used = on_link_used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI app."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *SAFETY_HEADERS]
            await send(message)

        request = Request(scope)
        answer = self._refusal(request) or self._entry(request)
        await (answer or self._app)(scope, receive, send_safely)

    def _refusal(self, request: Request) -> Response | None:
        checks = (self._wrong_host, self._foreign, self._wrong_method, self._too_large)
        for check in checks:
            refused = check(request)
            if refused is not None:
                return refused
        return None

    def _wrong_host(self, request: Request) -> Response | None:
        named = request.headers.getlist("host")
        server = request.scope.get("server")
        reached = server[0] if server else None
        if len(named) == 1 and self._hosts.allows(named[0], reached):
            return None
        return failure(
            421,
            "The dashboard does not answer under this name.",
            "Use the address that nas dash printed, or start it with --allow-host NAME.",
            as_page=_wants_page(request),
            headers={"Connection": "close"},
        )

    def _foreign(self, request: Request) -> Response | None:
        """Refuse what a page of another site caused, by what browsers say about that."""
        own = {f"{scheme}://{request.headers['host'].lower()}" for scheme in ("http", "https")}
        origins = request.headers.getlist("origin")
        sites = request.headers.getlist("sec-fetch-site")
        purpose = request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")
        if (
            all(origin.lower() in own for origin in origins)
            and all(site in ("same-origin", "none") for site in sites)
            and "prefetch" not in purpose
        ):
            return None
        return failure(
            403,
            "Another site asked for this.",
            "Paste the address into the address bar of your browser.",
            as_page=_wants_page(request),
        )

    def _wrong_method(self, request: Request) -> Response | None:
        if request.method in METHODS:
            return None
        return failure(
            405,
            "The dashboard only reads: it answers GET and HEAD.",
            None,
            headers={"Allow": ", ".join(METHODS), "Connection": "close"},
        )

    def _too_large(self, request: Request) -> Response | None:
        target = len(request.scope["raw_path"]) + len(request.scope["query_string"])
        carries = request.headers.get("content-length", "0") != "0"
        if carries or "transfer-encoding" in request.headers:
            told = (413, "The dashboard takes no data.")
        elif target > LONGEST_TARGET or not request.scope["raw_path"].startswith(b"/"):
            told = (414, "This address is too long or no address.")
        else:
            return None
        return failure(*told, None, headers={"Connection": "close"})

    def _entry(self, request: Request) -> Response | None:
        """Return None for whoever has a key, a session for a fresh link, else a refusal."""
        # The path itself: what an address is made of it drops line breaks and tabs.
        is_health = request.scope["path"] == HEALTH
        if self._keys is None or is_health or self._has_key(request, self._keys):
            return self._without_link(request)
        code = _link_code(request)
        if code is not None and request.method == "GET":
            session = self._keys.exchange(code)
            if session is not None:
                self._on_link_used()
                return self._let_in(session)
        if code is not None:
            told = ("This link was used already or is an old one.", 403)
        elif "authorization" in request.headers or self._cookie in request.cookies:
            told = ("This key is wrong, or the dashboard was started anew.", 403)
        else:
            told = ("The dashboard shows itself to whoever started it.", 401)
        return failure(
            told[1],
            told[0],
            "Open the newest link that nas dash printed in its terminal; each works once.",
            as_page=_wants_page(request),
            headers={"WWW-Authenticate": "Bearer"} if told[1] == 401 else None,
        )

    def _has_key(self, request: Request, keys: Keys) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and keys.is_token(token.strip()):
            return True
        session = request.cookies.get(self._cookie)
        return session is not None and keys.is_session(session)

    def _without_link(self, request: Request) -> Response | None:
        """Send whoever opens a link a second time to the page, so that no address keeps a code."""
        if _link_code(request) is None:
            return None
        return Response(status_code=303, headers={"Location": "/", "Cache-Control": "no-store"})

    def _let_in(self, session: str) -> Response:
        answer = Response(status_code=303, headers={"Location": "/", "Cache-Control": "no-store"})
        answer.set_cookie(self._cookie, session, path="/", httponly=True, samesite="strict")
        return answer


def _link_code(request: Request) -> str | None:
    if request.scope["path"] != "/":
        return None
    found = parse_qs(request.scope["query_string"].decode("latin-1")).get(LINK_KEY)
    return found[0] if found and len(found) == 1 else None


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")

"""Starting the dashboard: what it may listen on, its socket, its token file, its end.

By default only this machine reaches it, and only whoever holds the printed link. Anything wider is
an explicit wish.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, final

import uvicorn
from starlette.types import ASGIApp

from nas.errors import ConfigError, EnvironmentFault

from .app import create_app
from .guards import LINK_KEY
from .hosts import ANYWHERE, as_name, is_loopback
from .keys import Keys, write_token
from .protocol import PatientProtocol

FIRST_PORT: Final = 8765
PORTS_TRIED: Final = 20
MOST_CONNECTIONS: Final = 1024
NICE: Final = 5
"""By how much the dashboard stands back from whatever else this machine computes."""
LONGEST_HEAD: Final = 16 << 10
"""Bytes of a request's head."""


@final
@dataclass(frozen=True)
class Wishes:
    """How the dashboard is to be started.

    Args:
        runs: Folder of runs.
        host: Address to listen on.
        port: Port; 0 for any free one, None for the first free one from 8765 on.
        names: Further names it may be called by, such as that of a proxy.
        allow_remote: Whether other machines may reach it.
        with_token: Whether looking needs a key.
    """

    runs: Path
    host: str = "127.0.0.1"
    port: int | None = None
    names: tuple[str, ...] = ()
    allow_remote: bool = False
    with_token: bool = True


@final
@dataclass(frozen=True)
class Started:
    """What the user is told once the dashboard listens.

    Args:
        link: Address to open; with a token it works once.
        token_file: Where programs find the token.
        is_remote: Whether other machines can reach it.
    """

    link: str
    token_file: Path | None
    is_remote: bool


def serve(
    wishes: Wishes, on_start: Callable[[Started], None], on_link: Callable[[str], None]
) -> None:
    """Serve the dashboard until Ctrl-C or SIGTERM.

    Args:
        wishes: How to start.
        on_start: Called once it listens.
        on_link: Called with a new link whenever the last one was used.

    Raises:
        ConfigError: If the wishes would open the dashboard to others unasked.
        EnvironmentFault: If the address cannot be used, the token not be kept, or the page is
            missing.
    """
    check_wishes(wishes)
    keys = Keys() if wishes.with_token else None
    listening = listen(wishes.host, wishes.port)
    port = listening.getsockname()[1]
    base = f"http://{_shown_host(wishes.host)}:{port}/"
    app = create_app(
        wishes.runs,
        keys,
        listens=wishes.host,
        names=wishes.names,
        cookie=f"nas_dash_{port}",
        on_link_used=lambda: on_link(_link(base, keys)),
    )
    token_file = write_token(keys.token, port) if keys else None
    # A search beside it goes first.
    os.nice(NICE)
    try:
        on_start(Started(_link(base, keys), token_file, not is_loopback(wishes.host)))
        _run(web_server(app), listening)
    finally:
        listening.close()
        if token_file is not None:
            token_file.unlink(missing_ok=True)


def check_wishes(wishes: Wishes) -> None:
    """Refuse what would open the dashboard to others unasked.

    Raises:
        ConfigError: If it listens beyond this machine without --allow-remote, or without a token.
    """
    if is_loopback(wishes.host):
        return
    if not wishes.allow_remote:
        raise ConfigError(
            f"The address {wishes.host} can be reached from other machines.",
            where="--host",
            why="A dashboard shows everything about your runs.",
            fix="Keep to this machine and reach it by ssh -L 8765:localhost:8765 HOST, or say "
            "--allow-remote.",
        )
    if not wishes.with_token:
        raise ConfigError(
            f"Without a token everybody who reaches {wishes.host} could look.",
            where="--no-token",
            why="--no-token is for a dashboard that only this machine can reach.",
            fix="Leave --no-token or --host out.",
        )


def listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: Address; a name is looked up.
        port: Port, 0 for any free one, None for the first free one from 8765 on.

    Raises:
        EnvironmentFault: If the address is not one of this machine, or the port is taken.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    for tried in (port,) if port is not None else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        # The protocol by name: asyncio sends small answers at once only on such sockets.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((place[0], tried, *place[2:]))
            listening.listen(128)
        except OSError as error:
            listening.close()
            if port is not None or error.errno != errno.EADDRINUSE:
                raise _cannot_listen(host, tried, error) from error
        else:
            return listening
    raise EnvironmentFault(
        f"The ports {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1} are all taken.",
        fix="Name a free one: nas dash --port 9000.",
    )


def _cannot_listen(host: str, port: int | None, error: OSError) -> EnvironmentFault:
    told = error.strerror or str(error)
    return EnvironmentFault(
        f"The dashboard cannot listen on {host}, port {port}: {told}.",
        where="--host and --port",
        fix="Leave --port out to get a free one, and --host for this machine alone.",
    )


def _shown_host(host: str) -> str:
    """Return a host that can be typed: a server on all addresses is opened by its own name."""
    return as_name(host) if host not in ANYWHERE else socket.gethostname().lower()


def _link(base: str, keys: Keys | None) -> str:
    return base if keys is None else f"{base}?{LINK_KEY}={keys.code}"


def web_server(app: ASGIApp) -> uvicorn.Server:
    """Return the server that speaks HTTP for an app.

    It logs nothing: an address may hold a link's code, and a refused request is no news.
    """
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


def _run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until a signal, which is the ordinary end."""
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

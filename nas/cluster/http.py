"""Plain requests to a cluster's job server, each with a time limit.

Ray's own client waits without end for a server that does not answer, and tells a refused token and
a closed port apart only in words. So whether a cluster is there is found out here.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import urllib.parse
from dataclasses import dataclass, field
from typing import Any, Final, final

from nas.errors import ClusterError, ConfigError

TIMEOUT_S: Final = 15.0
_LARGEST_ANSWER: Final = 1 << 26


@final
@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes

    def document(self) -> Any:
        """Return the body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@final
@dataclass(frozen=True)
class Endpoint:
    """A job server and the token that it asks for.

    Args:
        address: `http://HOST:PORT` or `https://...`.
        token: None sends none.
        options: What the user typed to name it, with a blank before; empty if nothing.
    """

    address: str
    token: str | None = field(repr=False)
    options: str = ""

    def command(self, words: str) -> str:
        """Return a command about this cluster as it is to be typed."""
        return f"nas {words}{self.options}"

    def headers(self) -> dict[str, str]:
        """Return the headers that every request carries."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def request(self, method: str, path: str, *, timeout_s: float = TIMEOUT_S) -> Answer:
        """Send one request without a body.

        Raises:
            ClusterError: If nobody answers in time.
        """
        parts = urllib.parse.urlsplit(self.address)
        assert parts.hostname is not None
        try:
            connection = _connection(parts, timeout_s)
            try:
                connection.request(method, parts.path.rstrip("/") + path, headers=self.headers())
                answer = connection.getresponse()
                body = answer.read(_LARGEST_ANSWER + 1)
                if len(body) > _LARGEST_ANSWER:
                    raise _too_long(self.address)
                return Answer(answer.status, body)
            finally:
                connection.close()
        except ClusterError:
            raise
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise unreachable(self.address, f"{type(error).__name__}: {error}") from error

    def check(self) -> str:
        """Make sure that a Ray of a version with tokens answers here; return the version.

        Raises:
            ClusterError: If nobody answers, the token is refused, or it is no Ray.
        """
        answer = self.request("GET", "/api/version")
        if answer.status in (401, 403):
            raise refused(self.address, self.token is not None)
        found = answer.document()
        version = found.get("ray_version") if isinstance(found, dict) else None
        if answer.status != 200 or not isinstance(version, str):
            raise ClusterError(
                f"What answers at {self.address} is no Ray: it said {answer.status}.",
                where="--address",
                fix="Give the address of the Ray dashboard, as http://127.0.0.1:8265.",
            )
        return version


def check_address(address: str) -> str:
    """Return the address of a job server without a slash at its end.

    Raises:
        ConfigError: If it is no http(s) URL of a host.
    """
    try:
        parts = urllib.parse.urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.username or parts.query or parts.fragment or not address.isprintable():
        raise ConfigError(
            f"{address!r} is not the address of a job server.",
            where="--address",
            why="Jobs are sent to the Ray dashboard; ray:// and the head's own port are others.",
            fix="Write it as http://127.0.0.1:8265, with the port of the dashboard; a head on this "
            "machine starts with: nas cluster up",
        )
    return address.rstrip("/")


def is_loopback(address: str) -> bool:
    """Tell whether an address is on this machine."""
    host = urllib.parse.urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def unreachable(address: str, why: str) -> ClusterError:
    """Build the error for a cluster that does not answer."""
    return ClusterError(
        f"The cluster at {address} cannot be reached.",
        where="--address",
        why=why,
        fix="Check the address and that it runs; a head on this machine starts with: "
        "nas cluster up",
    )


def head_is_gone(address: str) -> ClusterError:
    """Build the error for a local head that ended without being told to."""
    return ClusterError(
        f"The local head at {address} is gone: it was ended, or this machine was started anew.",
        where="--address",
        fix="Start another one, then submit the run again: nas cluster up",
    )


def _too_long(address: str) -> ClusterError:
    return ClusterError(
        f"The cluster at {address} answers with more than {_LARGEST_ANSWER >> 20} MiB.",
        where=address,
        fix="Of a long log, look at what comes: nas jobs logs RUN --follow",
    )


def refused(address: str, had_token: bool) -> ClusterError:
    """Build the error for a token that is missing or wrong."""
    what = "refuses this token" if had_token else "refuses requests without a token"
    return ClusterError(
        f"The cluster at {address} {what}.",
        where="--token-file",
        why="Who may send it jobs may run code there.",
        fix="Give the file that holds its token: --token-file FILE, or set RAY_AUTH_TOKEN_PATH.",
    )


def _connection(parts: urllib.parse.SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    assert parts.hostname is not None
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_s, context=context
        )
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)

"""A dashboard on a real socket, and a client that sends exactly the bytes it is told."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from process_watch import wait_until

from dashboards.server.app import create_app
from dashboards.server.keys import Keys
from dashboards.server.start import listen, web_server

VIEWS = ("front", "trials", "supernet", "progress", "space", "failures", "provenance")


@dataclass(frozen=True)
class Answered:
    """Status, headers (names in lower case) and body, as they came over the wire."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> bytes:
        """The body without its compression."""
        packed = self.headers.get("content-encoding") == "gzip"
        return gzip.decompress(self.raw) if packed else self.raw

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Dash:
    """A running dashboard.

    Args:
        port: Where it listens, on 127.0.0.1.
        keys: Its keys, None without a token.
        server: What speaks HTTP.
    """

    port: int
    keys: Keys | None
    server: uvicorn.Server
    wire: Wire = field(init=False)
    viewers: list[Viewer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wire = Wire(self.port)

    @property
    def bearer(self) -> tuple[str, str]:
        """The header of a program that may look."""
        assert self.keys is not None
        return ("Authorization", f"Bearer {self.keys.token}")

    def get(self, target: str, *headers: tuple[str, str], **options: Any) -> Answered:
        """Ask with the right token."""
        return self.wire.ask(target, self.bearer, *headers, **options)

    def follow(self, run: str, after: int, *headers: tuple[str, str]) -> Viewer:
        """Follow a run with the right token."""
        self.viewers.append(Viewer(self.port, run, after, self.bearer, *headers))
        return self.viewers[-1]


class Wire:
    """One connection that is opened again when the server closes it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None

    def ask(
        self,
        target: str | bytes,
        *headers: tuple[str, str],
        method: str = "GET",
        host: Iterable[str] | None = None,
        data: bytes = b"",
    ) -> Answered:
        """Send one request and return the answer.

        Args:
            target: Path and query as they go over the wire.
            headers: Headers beside `Host`.
            method: Method.
            host: Values of `Host`, one line each; the right one by default.
            data: What follows the head.
        """
        named = [f"127.0.0.1:{self.port}"] if host is None else host
        raw = target if isinstance(target, bytes) else target.encode()
        lines = [f"Host: {name}" for name in named] + [f"{key}: {text}" for key, text in headers]
        head = b"%s %s HTTP/1.1\r\n" % (method.encode(), raw)
        head += "".join(f"{line}\r\n" for line in lines).encode("latin-1", "replace")
        answered = self._exchange(head + b"\r\n" + data, with_body=method != "HEAD")
        if "close" in answered.headers.get("connection", "") or answered.status == 400:
            self.close()
        return answered

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, request: bytes, *, with_body: bool) -> Answered:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        try:
            self._socket.sendall(request)
            return read_answer(self._socket, with_body=with_body)
        except OSError:
            self.close()
            raise


class Viewer:
    """One browser that follows a run; `events` are (name, data) as they came."""

    def __init__(self, port: int, run: str, after: int, *headers: tuple[str, str]) -> None:
        self.events: list[tuple[str, Any]] = []
        self.beats = 0
        self.status = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        lines = [
            f"GET /api/runs/{run}/events?after={after} HTTP/1.1",
            f"Host: localhost:{port}",
        ]
        lines += [f"{name}: {text}" for name, text in headers]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        name = ""
        with self._socket.makefile("rb") as stream:
            try:
                for line in stream:
                    name = self._take(line.strip(), name)
            except OSError:
                return

    def _take(self, line: bytes, name: str) -> str:
        if line.startswith(b"HTTP/1.1 "):
            self.status = int(line.split()[1])
        elif line.startswith(b": "):
            self.beats += 1
        elif line.startswith(b"event: "):
            return line[7:].decode()
        elif line.startswith(b"data: "):
            self.events.append((name, json.loads(line[6:])))
        return name

    @property
    def last(self) -> int:
        """Number of the last record this viewer was told."""
        told = [data["seq"] for name, data in self.events if name == "increment"]
        return told[-1] if told else -1

    def close(self) -> None:
        """Hang up without a word, as a laptop that is closed."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(30)


def read_answer(connection: socket.socket, *, with_body: bool = True) -> Answered:
    """Read one answer from a socket."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += _received(connection)
    head, _, body = found.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
    if not with_body:
        return Answered(int(first.split()[1]), headers, b"")
    body = _read_chunks(connection, body) if "transfer-encoding" in headers else body
    while len(body) < int(headers.get("content-length", 0)):
        body += _received(connection)
    return Answered(int(first.split()[1]), headers, body)


def _read_chunks(connection: socket.socket, found: bytes) -> bytes:
    body = b""
    while True:
        while b"\r\n" not in found:
            found += _received(connection)
        size, _, found = found.partition(b"\r\n")
        length = int(size, 16)
        while len(found) < length + 2:
            found += _received(connection)
        body, found = body + found[:length], found[length + 2 :]
        if not length:
            return body


def _received(connection: socket.socket) -> bytes:
    piece = connection.recv(1 << 20)
    if not piece:
        raise ConnectionResetError("closed in the middle of an answer")
    return piece


@contextmanager
def serving(runs: Path, *, with_token: bool = True, **options: Any) -> Iterator[Dash]:
    """Serve a folder of runs on a free port of this machine.

    Args:
        runs: The folder.
        with_token: Whether looking needs a key.
        options: Of `create_app`.
    """
    keys = Keys() if with_token else None
    server = web_server(create_app(runs, keys, **options))
    with closing(listen("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        dash = Dash(listening.getsockname()[1], keys, server)
        try:
            wait_until(lambda: server.started)
            yield dash
        finally:
            for viewer in dash.viewers:
                viewer.close()
            dash.wire.close()
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()

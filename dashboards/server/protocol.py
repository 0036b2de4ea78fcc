"""Deadlines for connections: who sends no whole request, or takes no answer, is cut off.

uvicorn limits the time between two requests, not that of a request itself; so a handful of slow
connections could hold the server for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .answers import SAFETY_HEADERS


@final
class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to patience.

    Attributes:
        head_s: Seconds until a request must have come in whole.
        stalled_s: Seconds in which a slow reader must take `least` bytes.
        least: Bytes.
    """

    head_s: ClassVar[float] = 10.0
    stalled_s: ClassVar[float] = 30.0
    least: ClassVar[int] = 16 << 10

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._unsent = 0

    # uvicorn narrows the argument as this does; asyncio declares the wider base class.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._forget_head()
        self._forget_stall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in a piece of a request; only a whole one ends the waiting."""
        super().data_received(data)
        if self._is_answering():
            self._forget_head()
        elif not self.transport.is_closing():
            self._await_head()

    def on_response_complete(self) -> None:
        """Wait for the next request; uvicorn's own timer runs until its first byte."""
        self._forget_head()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, with the headers that every answer carries."""
        headers = [(b"content-type", b"text/plain"), (b"connection", b"close"), *SAFETY_HEADERS]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=msg.encode("ascii", "replace")),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        """Begin to watch a reader who does not keep up."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Trust the reader again."""
        self._forget_stall()
        super().resume_writing()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(self.head_s, self._no_head)

    def _no_head(self) -> None:
        self._head = None
        if not self._is_answering():
            self.transport.abort()

    def _watch_reader(self) -> None:
        self._forget_stall()
        self._unsent = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(self.stalled_s, self._still_stalled)

    def _still_stalled(self) -> None:
        self._stall = None
        if self.transport.get_write_buffer_size() > self._unsent - self.least:
            self.transport.abort()
        else:
            self._watch_reader()

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _forget_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

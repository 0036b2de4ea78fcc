"""Server-sent events: what a run gained since the record a viewer knows, as it happens.

All viewers of a run are woken by one watch, so that they ask for the same increment and it is made
once. The watch rests longer the longer an increment takes to make: a search that shares this
machine with its viewers must not feel them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final, final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nas.errors import NasError

from ..documents.plain import without_folder
from .addresses import Address, run_path
from .store import Store

MOST_VIEWERS: Final = 256
"""Streams that are open at a time, over all runs."""

HEARTBEAT_S: Final = 15.0
"""Seconds of silence after which a stream says that it still lives."""

SHORTEST_REST_S: Final = 1.0
LONGEST_REST_S: Final = 60.0
REST_SHARE: Final = 9.0
"""Rest per second of making an increment: at most a tenth of one core is spent on it."""

OVER: Final = frozenset({"finished", "failed", "damaged", "newer"})
"""States that nothing follows."""


@final
@dataclass
class _Watch:
    """What the viewers of one run share: who watches the run, and the bell he rings."""

    viewers: int = 0
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


@final
class Streams:
    """All open streams of a server.

    Args:
        store: Where increments come from.
        most: Viewers at a time.
        heartbeat_s: Seconds between signs of life.
        rest_s: Fewest seconds between two looks at a run.
    """

    def __init__(
        self,
        store: Store,
        most: int = MOST_VIEWERS,
        heartbeat_s: float = HEARTBEAT_S,
        rest_s: float = SHORTEST_REST_S,
    ) -> None:
        self._store = store
        self._most = most
        self._heartbeat_s = heartbeat_s
        self._rest_s = rest_s
        self._watches: dict[str, _Watch] = {}
        self._closing = asyncio.Event()

    @property
    def viewers(self) -> int:
        """Open streams."""
        return sum(watch.viewers for watch in self._watches.values())

    @property
    def is_full(self) -> bool:
        """Whether no further viewer is let in."""
        return self.viewers >= self._most

    def close(self) -> None:
        """End every stream; browsers come back when the server does."""
        self._closing.set()
        for watch in self._watches.values():
            watch.bell.set()

    async def events(self, run: str, after: int) -> AsyncGenerator[bytes]:
        """Yield the stream of a run: increments behind the record `after`, and signs of life.

        Args:
            run: Name of the run.
            after: Number of the last record the viewer knows; -1 for none.
        """
        async with self._watched(run) as watch:
            yield b"retry: 3000\n\n"
            told = None
            while not self._closing.is_set():
                bell = watch.bell
                try:
                    body = await self._store.body(increment_address(run, after))
                except NasError as error:
                    fix = without_folder(error.fix, self._store.folder.path)
                    yield _event("problem", {"error": error.what, "fix": fix})
                    return
                increment = json.loads(body.plain)
                after = increment["seq"]
                if told != (after, increment["run"]):
                    told = (after, increment["run"])
                    yield b"id: %d\nevent: increment\ndata: %s\n\n" % (after, body.plain)
                if increment["run"]["state"] in OVER:
                    yield _event("end", {})
                    return
                while not await _rings(bell, self._heartbeat_s):
                    yield b": still here\n\n"

    @asynccontextmanager
    async def _watched(self, run: str) -> AsyncIterator[_Watch]:
        watch = self._watches.setdefault(run, _Watch())
        watch.viewers += 1
        if watch.task is None:
            watch.task = asyncio.create_task(self._look(run, watch))
        try:
            yield watch
        finally:
            watch.viewers -= 1
            if not watch.viewers:
                watch.task.cancel()
                del self._watches[run]

    async def _look(self, run: str, watch: _Watch) -> None:
        """Ring the bell whenever the run changed, with rests between."""
        address = Address("document", run_path(run), (run,))
        seen = None
        while True:
            begun = time.monotonic()
            try:
                state = self._store.state(address)
                if state != seen:
                    await self._store.body(address)
            except NasError:
                state = None
            took = time.monotonic() - begun
            if state != seen or state is None:
                seen = state
                rung, watch.bell = watch.bell, asyncio.Event()
                rung.set()
            await asyncio.sleep(min(max(self._rest_s, REST_SHARE * took), LONGEST_REST_S))


def increment_address(run: str, after: int) -> Address:
    """Return the address under which an increment is kept."""
    path = f"{run_path(run, 'events')}?after={after}"
    return replace(Address("events", path, (run,)), after=after)


async def _rings(bell: asyncio.Event, within_s: float) -> bool:
    try:
        await asyncio.wait_for(bell.wait(), within_s)
    except TimeoutError:
        return False
    return True


def _event(name: str, data: dict[str, str | None]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


@final
class EventAnswer(Response):
    """An answer that goes on until the viewer leaves, the run is over or the server stops.

    Args:
        streams: All open streams.
        run: Name of the run.
        after: Number of the last record the viewer knows.
    """

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, run: str, after: int) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams = streams
        self._run = run
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI app."""
        writing = asyncio.create_task(self._write(send))
        leaving = asyncio.create_task(_left(receive))
        done, pending = await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if writing in done:
            writing.result()

    async def _write(self, send: Send) -> None:
        headers = self.raw_headers
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        stream = self._streams.events(self._run, self._after)
        try:
            async for chunk in stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await stream.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def known_record(request: Request, after: int | None) -> int:
    """Return the last record a viewer knows: what it says on coming back, else what it asked."""
    told = request.headers.get("last-event-id", "")
    came_back = int(told) if told.isascii() and told.isdigit() and len(told) < 10 else -1
    return max(came_back, -1 if after is None else after)

"""Following a job: its words as they come, its end, and the moment when nobody answers any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any, Final

from nas.cluster.http import Endpoint
from nas.cluster.jobs import Job, read_job
from nas.cluster.sending import job_client
from nas.errors import ClusterError

PATIENCE_S: Final = 60.0
_POLL_S: Final = 1.0
_AGAIN_S: Final = 0.5
_CLOSED_S: Final = 5.0
_LAST_WORDS_S: Final = 20.0


def follow(
    endpoint: Endpoint,
    key: str,
    on_line: Callable[[str], None],
    patience_s: float = PATIENCE_S,
) -> Job:
    """Hand on what a job says until it ends; return it as it ended.

    Args:
        endpoint: Where the job is.
        key: Its id.
        on_line: Called with each line, without its end.
        patience_s: How long the cluster may be silent.

    Raises:
        ClusterError: If it does not answer for that long.
    """
    return asyncio.run(_Follower(endpoint, key, on_line, patience_s).follow())


class _Follower:
    def __init__(
        self, endpoint: Endpoint, key: str, on_line: Callable[[str], None], patience_s: float
    ) -> None:
        self._endpoint = endpoint
        self._key = key
        self._on_line = on_line
        self._patience_s = patience_s
        self._client = job_client(endpoint)
        self._seen = 0
        self._rest = ""
        self._ended = asyncio.Event()

    async def follow(self) -> Job:
        words = asyncio.create_task(self._listen())
        try:
            watch = asyncio.create_task(self._watch())
            await asyncio.wait((words, watch), return_when=asyncio.FIRST_COMPLETED)
            if words.done():  # nobody takes the words any more
                watch.cancel()
                words.result()
            job = await watch
            self._ended.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(words, _LAST_WORDS_S)
        finally:
            words.cancel()
            await asyncio.gather(words, return_exceptions=True)
        if self._rest:
            self._on_line(self._rest)
        return job

    async def _watch(self) -> Job:
        """Return the job when it has ended; asked for apart, since a dead connection is silent."""
        heard = time.monotonic()
        while True:
            try:
                job = await asyncio.to_thread(read_job, self._endpoint, self._key)
            except ClusterError:
                if time.monotonic() - heard > self._patience_s:
                    raise
            else:
                heard = time.monotonic()
                if not job.is_going:
                    return job
            await asyncio.sleep(_POLL_S)

    async def _listen(self) -> None:
        """Hand on the log; what is raised by who takes it ends this, and is no lost connection."""
        async with aclosing(self._news()) as news:
            async for text in news:
                self._take(text)

    async def _news(self) -> AsyncGenerator[str]:
        """Yield the log; a connection that breaks is made again, what was seen is skipped."""
        while True:
            passed = 0
            try:
                async for text in self._client.tail_job_logs(self._key):
                    fresh = text[max(0, self._seen - passed) :]
                    passed += len(text)
                    self._seen = max(self._seen, passed)
                    yield fresh
                # A server may close the connection before the job ends.
                await asyncio.wait_for(self._ended.wait(), _CLOSED_S)
                return
            except TimeoutError:
                continue
            except _connection_errors():
                await asyncio.sleep(_AGAIN_S)

    def _take(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._on_line(line)


def _connection_errors() -> tuple[type[BaseException], ...]:
    import aiohttp

    found: Any = (RuntimeError, OSError, aiohttp.ClientError)
    return tuple(found)

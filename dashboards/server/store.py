"""Documents as bytes: made once per state of a run, shared by everybody who looks.

Every document is kept under its path together with the fingerprint of the runs it is about, so an
answer is never older than the run on disk. Documents are made in a few threads, one per run at a
time; who asks for what is being made waits for that one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, final

from nas.errors import RunError

from .addresses import Address
from .answers import Body, body_of, json_bytes
from .folder import Folder

MOST_BYTES: Final = 192 << 20
"""Bytes of documents that are kept."""

LARGEST_DOCUMENT: Final = 48 << 20
"""Bytes of one document; above that a browser would not show it either."""

MAKERS: Final = 2
"""Threads that make documents."""

Make = Callable[[Address], Any]
"""Makes the document of an address."""


@final
class Store:
    """Answers by address.

    Args:
        folder: The folder of runs.
        make: Makes a document; called in a thread.
        most_bytes: Bytes that are kept; what was not asked for longest leaves first.
    """

    def __init__(self, folder: Folder, make: Make, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._make = make
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, tuple[Hashable, Body]] = OrderedDict()
        self._bytes = 0
        self._making: dict[tuple[str, Hashable], asyncio.Task[Body]] = {}
        self._threads = ThreadPoolExecutor(MAKERS, thread_name_prefix="documents")

    @property
    def kept_bytes(self) -> int:
        """Bytes of all documents that are kept."""
        return self._bytes

    async def body(self, address: Address) -> Body:
        """Return the document of an address as it is now.

        Raises:
            NasError: As the document raises it.
        """
        key = self.state(address)
        kept = self._kept.get(address.path)
        if kept is not None and kept[0] == key:
            self._kept.move_to_end(address.path)
            return kept[1]
        making = self._making.get((address.path, key))
        if making is None:
            making = asyncio.create_task(self._made(address, key))
            making.add_done_callback(_look_at)
            self._making[address.path, key] = making
        # One who leaves must not stop what others wait for.
        return await asyncio.shield(making)

    async def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Call `work` in one of the threads that make documents."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def state(self, address: Address) -> Hashable:
        """Return what tells one state of everything the document is about from another.

        Raises:
            NotFoundError: If a run of it does not exist.
        """
        if not address.runs and address.kind == "document":
            names = sorted(self.folder.names())
            return tuple((name, self.folder.fingerprint(name)) for name in names)
        for name in address.runs:
            self.folder.check_name(name)
        return tuple(self.folder.fingerprint(name) for name in address.runs)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _made(self, address: Address, key: Hashable) -> Body:
        try:
            body: Body = await self.in_thread(self._body, address)
            self._keep(address.path, key, body)
            return body
        finally:
            del self._making[address.path, key]

    def _body(self, address: Address) -> Body:
        data = json_bytes(self._make(address))
        if len(data) > LARGEST_DOCUMENT:
            raise RunError(
                f"This document has {len(data):,} bytes; the most is {LARGEST_DOCUMENT:,}.",
                fix="Look at the run with nas front --json and nas runs export.",
            )
        return body_of(data)

    def _keep(self, path: str, key: Hashable, body: Body) -> None:
        old = self._kept.pop(path, None)
        self._bytes += body.size - (old[1].size if old else 0)
        self._kept[path] = (key, body)
        while self._bytes > self._most_bytes:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= dropped.size


def _look_at(task: asyncio.Task[Body]) -> None:
    """Take note of an error that nobody waits for any more, or asyncio complains about it."""
    if not task.cancelled():
        task.exception()

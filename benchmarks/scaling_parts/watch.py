"""What calls take of the processor, and how often they wait for the disk."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, final


@final
class Watch:
    """Adds up what some calls take of the processor, and how often they wait for the disk."""

    def __init__(self) -> None:
        self.processor: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self.syncs: dict[str, int] = defaultdict(int)
        self.sync_s: list[float] = []

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call, watched."""

        def watched(*given: Any, **named: Any) -> Any:
            began, synced = time.process_time(), len(self.sync_s)
            try:
                return call(*given, **named)
            finally:
                self.processor[name] += time.process_time() - began
                self.calls[name] += 1
                self.syncs[name] += len(self.sync_s) - synced

        return watched

    def sync(self, call: Callable[[int], None]) -> Callable[[int], None]:
        """Return `fsync`, watched."""

        def watched(descriptor: int) -> None:
            began = time.perf_counter()
            call(descriptor)
            self.sync_s.append(time.perf_counter() - began)

        return watched

    def per_call(self, name: str, count: int) -> dict[str, float]:
        """Return milliseconds of the processor and syncs, divided by a count."""
        return {
            "processor_ms": round(1e3 * self.processor[name] / count, 3),
            "syncs": round(self.syncs[name] / count, 3),
        }

"""How much memory a search holds, for those who watch it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from nas.search.executors import AbstractExecutor

PROCESSES: Final = Path("/proc")


def memory_use(executor: AbstractExecutor, processes: Path = PROCESSES) -> dict[str, Any]:
    """Return the workers' number and the resident memory, in MB (10^6 bytes), null where unknown.

    Args:
        executor: Whose workers.
        processes: Folder of processes as Linux shows it; elsewhere nothing is known.
    """
    workers = [_resident_mb(processes, pid) for pid in executor.process_ids()]
    known = [size for size in workers if size is not None]
    return {
        "workers": executor.workers,
        "memory_mb": _resident_mb(processes, os.getpid()),
        "worker_memory_mb": round(sum(known), 1) if known else None,
    }


def _resident_mb(processes: Path, pid: int) -> float | None:
    try:
        pages = int((processes / str(pid) / "statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    except (OSError, ValueError, IndexError):
        return None

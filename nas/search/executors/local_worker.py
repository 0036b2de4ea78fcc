"""One local worker process as the driver sees it: started, told, heard, and ended with its group.

Its end is seen by the process, not by the socket alone: a child that the worker forked holds the
socket open after the worker died.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, final

from nas.search.executors.base import Job, Setup, payload_of, rebuild_error
from nas.search.executors.process_group import (
    ProcessGroup,
    end_groups,
    memory_kills,
    peak_memory_mib,
    wait_for,
)

TERM_GRACE_S: Final = 1.0
"""How long a worker that is asked to end may take, in seconds."""

_SEND_S: Final = 10.0
"""Longest wait for a worker that does not read, such as a stopped one."""
_LOOK_S: Final = 0.5
_MEMORY_WORDS: Final = ("bad_alloc", "MemoryError")


@final
class Worker:
    """One worker process.

    Args:
        setup: Sent at once.
    """

    def __init__(self, setup: Setup) -> None:
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        self.job: Job | None = None
        self.ready = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end_workers`
        self._setups = 0
        self._since = self._looked = time.monotonic()
        self._buffer = b""
        self._kills_before = memory_kills()
        self._peak_mib: float | None = None
        held, self._lifeline = os.pipe()
        with theirs, os.fdopen(held):
            descriptors = [theirs.fileno(), held]
            process = subprocess.Popen(
                [sys.executable, "-m", "nas.search.executors.local_child", *map(str, descriptors)],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                pass_fds=descriptors,
                start_new_session=True,
                env=_environment(setup.threads),
            )
        self.group = ProcessGroup(process)
        self.set_up(setup)

    def set_up(self, setup: Setup) -> None:
        """Send the setup."""
        self.ready, self._since = False, time.monotonic()
        self._setups += 1
        self._send(
            {
                "kind": "setup",
                "number": self._setups,
                "factory": setup.factory,
                "arguments": dict(setup.arguments),
                "memory_gib": setup.memory_gib,
            }
        )

    def start(self, job: Job) -> None:
        """Send a job."""
        self.job, self._since = job, time.monotonic()
        self._send({"kind": "job", "key": job.key, "payload": payload_of(job)})

    def leave(self) -> None:
        """Ask it to leave its job, if that is one that can be gone on with."""
        self._send({"kind": "leave"})

    def take_readiness(self, message: dict[str, Any]) -> bool:
        """Note the answer to a setup; return whether the worker is ready for the last one.

        Raises:
            NasError: What the factory raised.
        """
        if message["number"] != self._setups:
            return False  # the answer to a setup that was replaced meanwhile
        if message["kind"] == "unfit":
            raise rebuild_error(message["error"])
        self.ready = True
        return True

    @property
    def seconds(self) -> float:
        """Time since the last job or setup was sent."""
        return time.monotonic() - self._since

    def receive(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the messages that came, and whether the worker is still there."""
        alive = not self.group.has_ended()  # asked first: its last words are read below
        while True:
            try:
                data = self.channel.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                alive = False
                break
            self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        return [json.loads(line) for line in lines], alive

    def look_at_memory(self) -> None:
        """Note now and then how much memory it holds: once it was killed, nobody knows."""
        if time.monotonic() - self._looked > _LOOK_S:
            self._looked = time.monotonic()
            self._peak_mib = peak_memory_mib(self.group.pid) or self._peak_mib

    def cause_of_death(self) -> tuple[str, str]:
        """Return reason and message of a worker that is there no more; its group ends with it."""
        gone = wait_for([self.group], TERM_GRACE_S)
        self.group.kill()
        code, tail = self.group.code, self._last_words()
        starved = code == -signal.SIGKILL and memory_kills() > self._kills_before
        if gone and (starved or any(word in tail for word in _MEMORY_WORDS)):
            held = f" It held {self._peak_mib:g} MiB or more." if self._peak_mib else ""
            return "oom", f"The worker was ended because memory ran out.{held} {tail}".strip()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        how = how if gone else "its connection closed"
        hint = " It may have been memory that ran out." if code == -signal.SIGKILL and gone else ""
        return "died", f"The worker died with {how}.{hint} {tail}".strip()

    def _last_words(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return " ".join(lines[-3:])[-500:]

    def _send(self, message: dict[str, Any]) -> None:
        # A worker that is gone already is seen at the next receive.
        self.channel.settimeout(_SEND_S)
        with suppress(OSError):
            self.channel.sendall(json.dumps(message, allow_nan=False).encode() + b"\n")
        self.channel.setblocking(False)

    def close(self) -> None:
        """Close what was open to the worker; it has ended."""
        self.channel.close()
        self._errors.close()
        with suppress(OSError):
            os.close(self._lifeline)
        self._lifeline = -1


def end_workers(workers: Sequence[Worker], grace_s: float = 0.0) -> None:
    """End workers, all at once, and everything they started.

    Args:
        workers: Who is to end.
        grace_s: How long they have after they were asked, in seconds; 0 does not ask.
    """
    end_groups([worker.group for worker in workers], grace_s)
    for worker in workers:
        worker.close()


def _environment(threads: int) -> dict[str, str]:
    return {
        **os.environ,
        # What the driver can import, the worker can: a plugin beside a script, a checkout.
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path) or ".",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
    }

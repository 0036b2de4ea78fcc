"""A local worker process: JSON lines over one socket, and an end as soon as that socket closes.

Started as `python -m nas.search.executors.local_child SOCKET PIPE` in a session of its own, so that
a Ctrl-C reaches the driver only. When the driver is gone, killed even, the worker and everything it
started are gone a moment later: a thread watches the socket, and where Linux can it kills them
itself when the pipe closes, also while a library holds the interpreter or the worker is stopped.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Any, final

from nas.search.executors.attempt import TALK
from nas.search.executors.base import Task, describe_error, make_task, perform
from nas.search.executors.process_group import peak_memory_mib


def main(descriptor: int, lifeline: int) -> None:
    """Serve the driver at the other end of the socket until it closes.

    Args:
        descriptor: The socket.
        lifeline: Reading end of a pipe that the driver holds open and never writes to.
    """
    _end_with(lifeline)
    channel = socket.socket(fileno=descriptor)
    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    leaving = threading.Event()
    threading.Thread(target=_listen, args=(channel, inbox, leaving), daemon=True).start()
    logging.getLogger(TALK).addHandler(_Teller(channel))
    logging.getLogger(TALK).setLevel(logging.INFO)
    task: Task | None = None
    while True:
        message = inbox.get()
        if message["kind"] == "setup":
            task, answer = _set_up(message)
        else:
            assert task is not None, "a setup comes before the first job"
            done = perform(task, message["payload"], leaving.is_set)
            answer = {"kind": "outcome", "key": message["key"], **done}
            _tell_memory(answer)
        _send(channel, answer)


@final
class _Teller(logging.Handler):
    """Sends what trainings say to the driver, which says it: nobody reads what a worker prints."""

    def __init__(self, channel: socket.socket) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        _send(self._channel, {"kind": "said", "level": record.levelno, "text": text})


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall(json.dumps(message, allow_nan=False).encode() + b"\n")


def _tell_memory(answer: dict[str, Any]) -> None:
    if answer.get("reason") == "oom" and (peak := peak_memory_mib()) is not None:
        answer["message"] = f"{answer['message']} The worker held up to {peak:g} MiB."


def _set_up(message: dict[str, Any]) -> tuple[Task | None, dict[str, Any]]:
    try:
        limit_memory(message.get("memory_gib"))
        task = make_task(message["factory"], message["arguments"])
        return task, {"kind": "ready", "number": message["number"]}
    except Exception as error:
        described = describe_error(error)
        return None, {"kind": "unfit", "number": message["number"], "error": described}


def _end_with(lifeline: int) -> None:
    """Let the kernel kill this process group when the other end of the pipe closes."""
    os.set_inheritable(lifeline, False)
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC)


def _listen(
    channel: socket.socket,
    inbox: queue.SimpleQueue[dict[str, Any]],
    leaving: threading.Event,
) -> None:
    # The whole session: a task may have started processes of its own.
    with suppress(OSError, ValueError), channel.makefile("rb") as lines:
        for line in lines:
            message = json.loads(line)
            if message["kind"] == "leave":
                leaving.set()
                continue
            leaving.clear()
            inbox.put(message)
    with suppress(OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def limit_memory(gib: float | None) -> None:
    """Let this process have no more memory than this, in GiB; None sets no limit."""
    if gib is None:
        return
    import resource

    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    limit = int(gib * 2**30)
    with suppress(OSError, ValueError):  # macOS keeps no such limit
        resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

"""Processes that hold a device lock, for tests; they load no torch, so that they start quickly."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from pathlib import Path

from nas.training.device_lock import DeviceLock


def train(folder: Path, pipe: Connection, step_s: float) -> None:
    """Work in steps until told to stop, reporting when each began and ended."""
    lock = DeviceLock("cpu", folder)
    steps = []
    with lock.working() as turn:
        pipe.send("ready")
        while not pipe.poll():
            turn.pause()
            began = time.monotonic()
            time.sleep(step_s)
            steps.append((began, time.monotonic()))
    pipe.send(steps)


def hold(folder: Path, pipe: Connection, alone: bool) -> None:
    """Hold the lock and never let go."""
    lock = DeviceLock("cpu", folder)
    with lock.measuring() if alone else lock.working():
        pipe.send("ready")
        time.sleep(60)


def measure(folder: Path, pipe: Connection, seconds: float) -> None:
    """Measure again and again, with no pause in between."""
    lock = DeviceLock("cpu", folder)
    pipe.send("ready")
    while True:
        with lock.measuring():
            time.sleep(seconds)

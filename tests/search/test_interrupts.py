"""When a search stops, and that it is asked rather than cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from nas.search.interrupts import Stopper


def test_nobody_asked_means_going_on() -> None:
    assert not Stopper()()


def test_a_request_is_looked_for_twice_a_second_and_remembered() -> None:
    now = [0.0]
    asked = [False]
    stopper = Stopper(lambda: asked[0], clock=lambda: now[0])
    assert not stopper()
    asked[0] = True
    assert not stopper()
    now[0] = 1.0
    assert stopper()
    asked[0] = False
    assert stopper()
    assert stopper.reason == "stop"


@pytest.mark.fault("A18")
def test_the_time_limit_counts_from_the_start() -> None:
    now = [10.0]
    stopper = Stopper(time_limit_s=5.0, clock=lambda: now[0])
    assert not stopper()
    now[0] = 15.0
    assert stopper()
    assert stopper.reason == "time"


@pytest.mark.fault("A5")
def test_the_first_signal_asks_and_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    stopper = Stopper()
    with stopper.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopper()
        assert stopper.signal_name == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.fault("A5")
def test_the_second_signal_ends_at_once() -> None:
    script = (
        "import os, signal, time\n"
        "from nas.search.interrupts import Stopper\n"
        "with Stopper().listening():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('asked', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.stdout == "asked\n"
    assert done.returncode == -signal.SIGTERM

"""Only what was started here is ended, all of it, and nobody else who got its number since."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from process_watch import all_end

from nas.cluster import processes as module
from nas.cluster.keeper import read_processes
from nas.cluster.processes import Process, descendants, end, process, processes

SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=1); "


def started(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )


def known(child: subprocess.Popen[str]) -> Process:
    found = process(child.pid)
    assert found is not None
    return found


def test_a_process_is_told_from_one_that_got_its_number() -> None:
    child = started(SLEEP)
    try:
        itself = known(child)
        other = replace(itself, started="1")
        assert itself.is_alive()
        assert not other.is_alive()
        assert end([other], 0.1) == []
        other.send(signal.SIGKILL)
        assert child.poll() is None
        assert end([itself], 10.0) == []
        child.wait(10)
        assert not itself.is_alive()
    finally:
        child.kill()
        child.communicate()


@pytest.mark.fault("A13")
def test_one_that_ignores_being_asked_is_ended_all_the_same() -> None:
    child = started(STUBBORN + SLEEP)
    assert child.stdout is not None
    child.stdout.readline()
    begun = time.monotonic()
    assert end([known(child)], 0.3) == []
    assert time.monotonic() - begun >= 0.3
    assert child.wait(10) == -signal.SIGKILL
    child.communicate()


def test_the_system_s_list_says_the_same_as_ps() -> None:
    child = started(SLEEP)
    try:
        asked = module._from_ps()
        assert asked[child.pid][1] == processes()[child.pid][1]
        assert {each.pid for each in descendants(child.pid)} == set()
    except FileNotFoundError:
        pytest.skip("skipped: no ps here")
    finally:
        child.kill()
        child.communicate()


KEPT = f"""
import subprocess, sys, time
# Detached twice over: of another session, and its parent is gone.
middle = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], " \
         "start_new_session=True)"
subprocess.run([sys.executable, "-c", middle], check=True)
subprocess.Popen([sys.executable, "-c", {STUBBORN + SLEEP!r}])
open("ready", "w").close()
time.sleep(600)
"""


def keeper(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nas.cluster.keeper", str(folder), sys.executable, "-c", KEPT],
        cwd=folder,
        text=True,
    )


@pytest.mark.fault("A13")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to a keeper")
@pytest.mark.parametrize("way", ["told", "head killed", "keeper killed"])
def test_everything_below_a_keeper_ends_also_what_was_detached(way: str, tmp_path: Path) -> None:
    from nas.cluster.keeper import _WRITE_EVERY_S

    kept = keeper(tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists() or len(descendants(kept.pid)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    below = descendants(kept.pid)
    if way == "told":
        kept.terminate()
        assert kept.wait(60) == 0
    elif way == "head killed":
        head = min(below, key=lambda each: each.pid)
        head.send(signal.SIGKILL)
        assert kept.wait(60) == 0
    else:
        while len(read_processes(tmp_path)) < 3:
            assert time.monotonic() < deadline + _WRITE_EVERY_S
            time.sleep(0.05)
        kept.kill()
        kept.wait(60)
        assert end([Process(*each) for each in read_processes(tmp_path)], 0.5) == []
    assert all_end(each.pid for each in below)

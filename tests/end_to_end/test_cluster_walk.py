"""A user's way to a cluster and back, typed as docs/cluster.md has it.

One head on this machine, one search that is killed while it explores, its run brought back, gone
on with, and looked at. The preset is brief, more so than in the other tours; a job gets it with its
config. Nothing of Ray is left at the end, and nothing was open without the token.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from documents import commands
from scale import CHECKOUT, is_full_scale

from nas.cluster.processes import Process, descendants, processes
from nas.run_store import Run
from nas.run_store.lock import owner_of

DOCUMENT = "docs/cluster.md"
PATIENCE_S = 1800.0 if is_full_scale() else 400.0
FINISHED = "trial_finished"
BRIEFLY = """
from unittest.mock import patch
from brief_searches import brief_searches
from nas.cli.main import main
from nas.search.settings.presets import PRESETS, merge

brief = {
    "search": {"trials": 8, "batch": 4},
    "confirm": {"enabled": False},
    "executor": {"workers": 1},
}
with brief_searches(), patch.dict(PRESETS, smoke=merge(PRESETS["smoke"], brief)):
    main()
"""


class Terminal:
    """Where the walk is typed: a folder, and a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Ray's sockets need short paths: the head makes its folder under /tmp itself.
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        self.nas = ["-m", "nas"] if is_full_scale() else ["-c", BRIEFLY]

    def start(self, line: str) -> subprocess.Popen[str]:
        words = shlex.split(line)
        assert words[0] == "nas"
        return subprocess.Popen(
            [sys.executable, *self.nas, *words[1:]],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def type(self, line: str) -> str:
        process = self.start(line)
        out, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, f"{line}\n{out}\n{said}"
        return out


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal whose local cluster is ended whatever happens."""
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.start("nas cluster down").communicate(timeout=PATIENCE_S)


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
    return found


def finished_trials(run: Path) -> int:
    try:
        return (run / "trials.log").read_bytes().count(b'"kind":"trial_finished"')
    except FileNotFoundError:
        return 0


def answer_without_token(address: str, method: str, path: str) -> int:
    host = urlsplit(address)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
    connection.request(method, path, body=b'{"entrypoint": "touch planted"}')
    status = connection.getresponse().status
    connection.close()
    return status


LOOPBACK = re.compile(r"0100007F|0{24}01000000|0{16}(FFFF0000|0000FFFF)0100007F")
LISTENS = "0A"


def open_to_others(those: list[Process]) -> list[str]:
    """Return addresses, as Linux writes them, on which processes listen to other machines."""
    sockets = set()
    for each in those:
        try:
            sockets |= {str(link.readlink()) for link in Path(f"/proc/{each.pid}/fd").iterdir()}
        except OSError:
            continue  # it ended meanwhile
    found, count = [], 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, address, _, state, *_, inode = line.split()[:10]
            if state == LISTENS and f"socket:[{inode}]" in sockets:
                count += 1
                if not LOOPBACK.fullmatch(address.partition(":")[0]):
                    found.append(address)
    assert count > 5, "the head's own sockets were not found"
    return found


def promised_in_readme() -> list[str]:
    """Return the lines that the README shows under its heading on clusters."""
    section = (CHECKOUT / "README.md").read_text().partition("## On a cluster\n")[2]
    return re.findall(r"^    (.+)$", section.partition("\n## ")[0], flags=re.MULTILINE)


def mentioning(folder: str) -> list[int]:
    """Return processes whose arguments or environment name a folder."""
    found = []
    for pid in processes():
        try:
            said = Path(f"/proc/{pid}/environ").read_bytes()
            said += Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if folder.encode() in said and pid != os.getpid():
            found.append(pid)
    return found


@pytest.mark.timeout(3600 if is_full_scale() else 900)
@pytest.mark.fault("A1", "F13", "F14", "G-S2", "G-S7")
def test_a_search_goes_to_a_cluster_is_killed_and_comes_home(terminal: Terminal) -> None:
    typed = commands(DOCUMENT)
    up, submit, listed, again, front, down = typed
    assert submit == "nas submit wired_cnn --preset smoke --follow"
    assert promised_in_readme() == [up, submit, down]

    assert terminal.type(up).startswith("started: ")
    assert terminal.type(up).startswith("runs already: ")
    head = json.loads(terminal.type("nas cluster status --json"))
    keeper = json.loads((terminal.folder / "state/nas/cluster.json").read_bytes())["keeper"]
    started = [Process(keeper["pid"], keeper["started"]), *descendants(keeper["pid"])]
    refused_without_token(head)

    search = terminal.start(submit)
    assert search.stderr is not None
    lines = iter(search.stderr.readline, "")
    name = next(found[1] for line in lines if (found := re.match(r"submitted run '(.*?)'", line)))
    there = terminal.folder / "state/nas/submitted-runs" / name
    until(lambda: finished_trials(there) >= 2 or search.poll() is not None, "the second trial")
    assert search.poll() is None, search.communicate()
    assert re.search(rf"^{name} +running", terminal.type(listed), flags=re.MULTILINE)
    driver = owner_of(there / "lock")
    assert driver is not None
    started += descendants(keeper["pid"])
    assert open_to_others(started) == []
    os.kill(driver.pid, signal.SIGKILL)
    _, said = search.communicate(timeout=PATIENCE_S)
    assert search.returncode == 7, said
    assert f"The job of run '{name}' ended with signal 9." in said

    home = terminal.folder / "runs" / name
    with Run.open(home) as run:
        assert run.state() == "interrupted"
        acknowledged = {trial.number for trial in run.table().finished()}
    terminal.type(again.replace("NAME", name))
    with Run.open(home) as run:
        assert run.state() == "finished"
        numbers = [record["trial"] for record in run.records() if record["kind"] == FINISHED]
        assert acknowledged <= set(numbers)
        assert len(numbers) == len(set(numbers))
    assert "knee" in terminal.type(front.replace("NAME", name))

    started += descendants(keeper["pid"])
    terminal.type(down)
    alive = processes()
    assert [each for each in started if alive.get(each.pid, (None,))[0] == each] == []
    folder = str(Path(head["token_file"]).parent)
    assert not Path(folder).exists()
    assert mentioning(folder) == []


def refused_without_token(head: dict[str, Any]) -> None:
    """A stranger can neither look at jobs nor send one; the token is the owner's alone."""
    for method, path in (("GET", "/api/jobs/"), ("POST", "/api/jobs/"), ("GET", "/api/v0/nodes")):
        assert answer_without_token(head["address"], method, path) == 401, path
    token = Path(head["token_file"])
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700

"""What a search leaves alone and what cannot disturb it: secrets of the user, and who looks on."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from search_runs import canonical, fake_search, points

from nas.cli.main import run as type_command
from nas.run_store import Run

SECRETS = {
    name: f"canary-{number}-of-a-secret"
    for number, name in enumerate(
        ("AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "HF_TOKEN", "SSH_AUTH_SOCK", "MY_PASSWORD")
    )
}


@pytest.mark.fault("F16")
def test_no_variable_of_the_environment_gets_into_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    # Some trials fail, with whatever an exception says, here and in a worker.
    run = fake_search(
        tmp_path, "objectives=[faulty, macs]", "search.trials=32", executor="local", workers=1
    )
    assert run.table().failed()
    for command in ("doctor", "runs rebuild", f"report -o {tmp_path / 'report.html'}"):
        assert type_command([*command.split(), str(run.path)]) == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    for path in files:
        raw = path.read_bytes()
        assert b"canary-" not in raw, path
        assert not [name for name in SECRETS if name.encode() in raw], path
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700


@contextmanager
def looking_on(runs: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a dashboard on a folder of runs, and a viewer who asks and never reads."""
    environment = {**os.environ, "XDG_STATE_HOME": str(runs.parent / "state")}
    command = [sys.executable, "-m", "nas", "dash", str(runs), "--port", "0", "--no-token"]
    dash = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert dash.stdout is not None
        port = urlsplit(dash.stdout.readline().strip()).port
        with socket.create_connection(("127.0.0.1", port or 0), timeout=60) as viewer:
            head = f"GET /api/runs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
            viewer.sendall(head * 50)
            yield dash
    finally:
        dash.kill()
        dash.communicate()


def opened_for_writing(process: int, below: Path) -> list[str]:
    """Return the files below a folder that a process could write to."""
    found = []
    for entry in Path(f"/proc/{process}/fd").iterdir():
        target = str(entry.readlink())
        flags = (Path(f"/proc/{process}/fdinfo") / entry.name).read_text()
        mode = int(flags.split("flags:")[1].split()[0], 8) & os.O_ACCMODE
        if target.startswith(str(below)) and mode != os.O_RDONLY:
            found.append(target)
    return found


@pytest.mark.fault("A19", "F12")
@pytest.mark.skipif(not Path("/proc/self/fdinfo").exists(), reason="no /proc here")
def test_a_dashboard_that_hangs_or_dies_is_not_noticed_by_the_search(tmp_path: Path) -> None:
    alone = fake_search(tmp_path / "alone")
    runs = tmp_path / "runs"
    runs.mkdir()
    done: list[str] = []
    with looking_on(runs) as dash:

        def listener(progress: Any) -> None:
            if progress.stage == "explore" and progress.done >= 8 and not done:
                assert opened_for_writing(dash.pid, runs) == []
                os.kill(dash.pid, signal.SIGSTOP)
                done.append("stopped")
            elif progress.stage == "explore" and progress.done >= 16 and len(done) == 1:
                os.kill(dash.pid, signal.SIGKILL)
                done.append("killed")

        run = fake_search(runs, listener=listener)
    assert done == ["stopped", "killed"]
    assert run.state() == "finished"
    assert canonical(points(run)) == canonical(points(alone))
    names = {path.name for path in run.path.iterdir()}
    assert names == {path.name for path in Run.open(alone.path).path.iterdir()}

"""The batch script for Slurm, run by a real bash; Slurm, Ray and nas are small programs here.

What is tested is what the script itself does: which command it starts, who gets a signal, what it
leaves behind, and when it asks to be queued again.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from nas.cluster.rendering import JobDescription, render

CONFIG = "schema: nas.search/1\nspace: wired_cnn\nnote: $(touch nowhere) `x` $HOME\nEND_OF_CONFIG\n"

PROGRAMS = {
    "srun": 'while [[ "$1" == --* ]]; do shift; done\nexec "$@"\n',
    "scontrol": 'if [ "$1" = show ]; then echo node-1; echo node-2; '
    'else echo "$@" >> "$WORK/scontrol"; fi\n',
    "ray": """\
if [ "$1" = health-check ]; then [ -e "$WORK/head" ]; exit; fi
stat -c %a "$RAY_AUTH_TOKEN_PATH" >> "$WORK/token-mode"
echo "$$ $RAY_AUTH_MODE $*" >> "$WORK/ray"
[[ "$*" != *--head* ]] || touch "$WORK/head"
exec sleep 600
""",
    "nas": """\
[ "$1" = resume ] || cp "$2" "$WORK/config"
trap 'kill $!; exit 130' TERM
echo "$*" >> "$WORK/nas"
until [ "$(wc -l < "$WORK/ray")" -ge "$NODES" ]; do sleep 0.02; done
if [ -e "$WORK/wait" ]; then sleep 60 & wait $!; fi
exit "$(cat "$WORK/code")"
""",
}


@dataclass(frozen=True)
class Work:
    """A folder with the programs and what they wrote."""

    path: Path

    def lines(self, name: str) -> list[str]:
        """Return what a program wrote, one line per call; none if it was not called."""
        path = self.path / name
        return path.read_text().splitlines() if path.exists() else []

    def start(self, job: JobDescription) -> subprocess.Popen[str]:
        """Start the script as Slurm would."""
        script = self.path / "job.sh"
        script.write_text(render("slurm", job))
        home = self.path / "home"
        home.mkdir(exist_ok=True)
        return subprocess.Popen(
            ["/bin/bash", str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.path,
            env={
                "PATH": f"{self.path / 'bin'}:/usr/bin:/bin",
                "HOME": str(home),
                "WORK": str(self.path),
                "NODES": str(job.nodes),
                "SLURM_JOB_ID": "4711",
                "SLURM_JOB_NODELIST": "node-[1-2]",
            },
        )


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Return a folder with the programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}")
        (folder / name).chmod(stat.S_IRWXU)
    (folder / "python3").symlink_to(sys.executable)
    (tmp_path / "code").write_text("0")
    return Work(tmp_path)


def described(work: Work, nodes: int = 2) -> JobDescription:
    """Return a job whose runs lie in the folder."""
    return JobDescription(name="cells", config=CONFIG, nodes=nodes, runs=str(work.path / "runs"))


def ended(pid: int) -> bool:
    """Tell whether a process is gone within two seconds."""
    for _ in range(40):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_directives_are_slurms_and_ask_for_what_was_described() -> None:
    text = render("slurm", JobDescription(name="cells", config=CONFIG, gpus=2, hours=30))
    found = dict(re.findall(r"^#SBATCH --([a-z-]+)=?(\S*)$", text, re.MULTILINE))
    assert len(found) == len(re.findall(r"^#SBATCH", text, re.MULTILINE))
    assert found == {
        "job-name": "cells",
        "nodes": "2",
        "ntasks-per-node": "1",
        "cpus-per-task": "4",
        "mem": "8G",
        "gpus-per-node": "2",
        "time": "1-06:00:00",
        "exclusive": "",
        "signal": "B:TERM@120",
        "requeue": "",
        "open-mode": "append",
        "output": "cells-%j.log",
    }
    head, _, body = text.partition("set -euo pipefail")
    assert "#SBATCH" not in body
    assert all(line.startswith(("#", "export PYTHONPATH")) for line in head.splitlines() if line)


def test_a_new_run_is_searched_with_its_config_as_it_was_written(work: Work) -> None:
    process = work.start(described(work))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    runs = work.path / "runs"
    private = work.path / "home" / ".nas-slurm-4711"
    assert work.lines("nas") == [
        f"search {private}/search.yaml --name cells --runs {runs} --executor ray"
    ]
    assert (work.path / "config").read_text() == CONFIG
    assert not private.exists()
    assert not (work.path / "nowhere").exists()
    assert work.lines("scontrol") == []


@pytest.mark.fault("F13")
def test_both_parts_of_the_cluster_have_a_private_token_and_end_with_the_job(work: Work) -> None:
    process = work.start(described(work))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert work.lines("token-mode") == ["600", "600"]
    calls = [line.split(" ", 2) for line in work.lines("ray")]
    assert [mode for _, mode, _ in calls] == ["token", "token"]
    assert "--head --port=24711 --temp-dir=/tmp/nas-4711" in calls[0][2]
    assert "--address=node-1:24711" in calls[1][2]
    assert all(ended(int(pid)) for pid, _, _ in calls)


def test_a_run_that_was_begun_is_resumed(work: Work) -> None:
    log = work.path / "runs" / "cells" / "trials.log"
    log.parent.mkdir(parents=True)
    log.touch()
    process = work.start(described(work, nodes=1))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert work.lines("nas") == [
        f"resume cells --runs {log.parent.parent} --executor ray --take-over"
    ]
    assert len(work.lines("ray")) == 1


@pytest.mark.fault("A5")
def test_a_signal_reaches_the_search_whose_saved_state_is_queued_again(work: Work) -> None:
    (work.path / "wait").touch()
    process = work.start(described(work))
    deadline = time.monotonic() + 30
    while not work.lines("nas") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert work.lines("scontrol") == ["requeue 4711"]
    assert "state of 'cells' is saved" in said
    assert all(ended(int(line.split()[0])) for line in work.lines("ray"))


def test_a_search_that_failed_is_not_queued_again_and_its_code_is_the_jobs(work: Work) -> None:
    (work.path / "code").write_text("5")
    process = work.start(described(work))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 5, said
    assert work.lines("scontrol") == []

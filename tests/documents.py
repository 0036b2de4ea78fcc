"""The documents, their command lines, and typing them."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import brief_searches
from scale import CHECKOUT

from nas.cli.main import run

Typist = Callable[[str, Path], subprocess.CompletedProcess[str]]

DOCUMENTS = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in (
        CHECKOUT / "README.md",
        CHECKOUT / "CONTRIBUTING.md",
        CHECKOUT / "examples" / "README.md",
        *(CHECKOUT / "docs").glob("*.md"),
    )
)
CATALOGUE = "docs/catalogue.md"
"""Its hundred commands only print, so they are typed in one process."""
STAND_IN = (
    "nas search tiny_exhaustive --data digits --preset smoke --trials 8 --set confirm.enabled=false"
)
"""Typed for `make search`, which takes minutes; `.ci/run` types the README's as it stands."""
TOURS = ("README.md", "examples/README.md", "docs/cluster.md")
"""Documents whose commands search and train: they take minutes."""


def blocks(document: str) -> list[list[str]]:
    """Return the command lines of every `sh` block of a document."""
    text = (CHECKOUT / document).read_text()
    return [
        [
            line.split("  #")[0].strip()
            for line in block.splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ]
        for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    ]


def commands(document: str) -> list[str]:
    """Return the command lines of a document's `sh` blocks and of the examples' table."""
    text = (CHECKOUT / document).read_text()
    lines = [line for block in blocks(document) for line in block]
    lines += re.findall(r"^\| `\w+` \|.*\| `([^`]*nas [^`]*)` \|$", text, flags=re.MULTILINE)
    return lines


def typed(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one line as a person would, in a process of its own, with brief searches."""
    words = shlex.split(line)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    while "=" in words[0]:
        name, value = words.pop(0).split("=", 1)
        environment[name] = value
    assert words[0] in ("nas", ".venv/bin/nas"), f"cannot type: {line}"
    if words[1] == "dash":
        return _opened(words, folder, environment)
    return subprocess.run(
        [sys.executable, brief_searches.__file__, *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )


def typed_here(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one line in this process, which has loaded torch already; the folder is the current one.

    What sets variables or waits for Ctrl-C is typed in a process of its own.
    """
    words = shlex.split(line)
    if words[0] != "nas" or words[1] == "dash":
        return typed(line, folder)
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        code = run(words[1:])
    return subprocess.CompletedProcess(words, code, out.getvalue(), said.getvalue())


def _opened(
    words: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Start a dashboard, open the link it prints, and end it as a person would: by Ctrl-C."""
    environment["XDG_STATE_HOME"] = str(folder / "state")
    dash = subprocess.Popen(
        [sys.executable, "-m", "nas", *words[1:]],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert dash.stdout is not None
        link = urlsplit(dash.stdout.readline().strip())
        if link.hostname is not None:
            page = http.client.HTTPConnection(link.hostname, link.port or 80, timeout=60)
            page.request("GET", f"{link.path}?{link.query}")
            answer = page.getresponse()
            assert (answer.status, answer.getheader("Location")) == (303, "/")
            page.close()
            dash.send_signal(signal.SIGINT)
        out, said = dash.communicate(timeout=60)
    finally:
        dash.kill()
    return subprocess.CompletedProcess(words, dash.returncode, out, said)


def follow(document: str, folder: Path, type_in: Typist = typed) -> None:
    """Type every command of a document in order; `make` targets are only looked up.

    In place of `make search`, where commands go on with its run, a smaller search is typed.
    """
    makefile = (CHECKOUT / "Makefile").read_text()
    shutil.copytree(CHECKOUT / "examples", folder / "examples")
    for line, following in zip(found := commands(document), [*found[1:], ""], strict=False):
        if line.startswith(("git clone", "cd ")):
            continue
        if line.startswith("make"):
            target = line.split()[1]
            assert re.search(rf"^{re.escape(target)}:", makefile, flags=re.MULTILINE), line
            if "latest" not in following:
                continue
            line = STAND_IN
        result = type_in(line, folder)
        assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"

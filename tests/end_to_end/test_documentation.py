"""Every command in the README, the documents and the examples does what it says.

Lines of `sh` blocks are typed in the order they stand in, in a folder that looks like a checkout.
`make` targets are only looked up: `make search`, `make check` and `make test` are what CI runs.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scale import CHECKOUT

DOCUMENTS = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in (
        CHECKOUT / "README.md",
        CHECKOUT / "CONTRIBUTING.md",
        CHECKOUT / "examples" / "README.md",
        *(CHECKOUT / "docs").glob("*.md"),
    )
)
LINKS = re.compile(r"\[[^\]]*\]\(([^)#]+)[^)]*\)")


def commands(document: str) -> list[str]:
    """Return the command lines of a document's `sh` blocks and of the examples' table."""
    text = (CHECKOUT / document).read_text()
    lines = [
        line.split("  #")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
        for line in block.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    lines += re.findall(r"^\| `\w+` \|.*\| `([^`]*nas [^`]*)` \|$", text, flags=re.MULTILINE)
    return lines


def typed(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one line as a person would, with this interpreter's `nas`."""
    words = shlex.split(line)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    while "=" in words[0]:
        name, value = words.pop(0).split("=", 1)
        environment[name] = value
    assert words[0] in ("nas", ".venv/bin/nas"), f"cannot type: {line}"
    return subprocess.run(
        [sys.executable, "-m", "nas", *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_the_document_works(document: str, tmp_path: Path) -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    shutil.copytree(CHECKOUT / "examples", tmp_path / "examples")
    for line in commands(document):
        if line.startswith(("git clone", "cd ")):
            continue
        if line.startswith("make"):
            target = line.split()[1]
            assert re.search(rf"^{re.escape(target)}:", makefile, flags=re.MULTILINE), line
            continue
        result = typed(line, tmp_path)
        assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_the_document_leads_somewhere(document: str) -> None:
    path = CHECKOUT / document
    for target in LINKS.findall(path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{document} links to {target}"


def test_the_readme_says_the_two_commands() -> None:
    lines = commands("README.md")
    assert {"make search", "make test"} <= set(lines)

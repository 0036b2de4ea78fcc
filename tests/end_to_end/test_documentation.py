"""Every command in the documents does what it says, and every link leads somewhere.

Lines of `sh` blocks are typed in the order they stand in, in a folder that looks like a checkout.
`make` targets are only looked up: `make search`, `make check` and `make test` are what CI runs. The
documents here are typed in one process, since starting one costs seconds of loading torch; the
tours of the README and of the examples type into real ones, in files of their own.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from documents import CATALOGUE, DOCUMENTS, TOURS, commands, follow, typed_here
from scale import CHECKOUT

from nas.cli.main import run

LINKS = re.compile(r"\[[^\]]*\]\(([^)#]+)[^)]*\)")


@pytest.mark.parametrize("document", sorted({*DOCUMENTS} - {*TOURS, CATALOGUE}))
@pytest.mark.usefixtures("_logging_as_before", "_brief_searches")
def test_every_command_of_the_document_works(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    follow(document, tmp_path, typed_here)


@pytest.mark.usefixtures("_logging_as_before")
def test_every_command_of_the_catalogue_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = commands(CATALOGUE)
    assert len(lines) > 50
    for line in lines:
        words = shlex.split(line)
        assert words[0] == "nas", line
        assert run(words[1:]) == 0, line


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_the_document_leads_somewhere(document: str) -> None:
    path = CHECKOUT / document
    for target in LINKS.findall(path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{document} links to {target}"


def test_the_readme_says_the_two_commands() -> None:
    assert {"make search", "make test"} <= set(commands("README.md"))

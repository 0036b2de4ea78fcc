"""Every command in the examples does what it says."""

from __future__ import annotations

from pathlib import Path

from documents import follow


def test_every_command_of_the_examples_works(tmp_path: Path) -> None:
    follow("examples/README.md", tmp_path)

"""Type the README's way from a search to a network, behind a `make search` that was made before.

`.ci/run` calls this in the checkout, as a newcomer would go on; the tour of the README in the suite
types the same lines behind a smaller search.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from documents import blocks
from scale import CHECKOUT

FIRST = "make search"


def main() -> None:
    """Type every line after the first; end at the first that fails."""
    (lines,) = (block for block in blocks("README.md") if len(block) == 5 and block[0] == FIRST)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        # What a newcomer makes stands in the checkout; here it is not to stay.
        for name in ("runs", "examples"):
            (Path(folder) / name).symlink_to(CHECKOUT / name)
        for line in lines[1:]:
            print(f"$ {line}", flush=True)
            subprocess.run(line.split(), cwd=folder, env={**os.environ, "PATH": path}, check=True)
        assert (Path(folder) / "report.html").is_file()
        assert (Path(folder) / "taken_home" / "README.md").is_file()


if __name__ == "__main__":
    main()

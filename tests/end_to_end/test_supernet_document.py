"""What `docs/supernet.md` lets a newcomer add in one file passes the contract suite unasked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scale import CHECKOUT

TEXT = (CHECKOUT / "docs" / "supernet.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", TEXT, flags=re.DOTALL))
SUITES = {
    "sparsemax": "test_gate_samplers.py",
    "pair": "test_path_samplers.py",
    "late_family": "test_sharing.py",
}


def test_there_is_a_file_for_every_kind_that_is_promised() -> None:
    assert set(FILES) == set(SUITES)


@pytest.mark.parametrize("name", list(SUITES))
def test_a_newcomers_file_is_tested_by_being_there(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text(FILES[name], encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    suite = f"tests/contracts/{SUITES[name]}"
    options = ["-q", "-p", name, "-p", "no:cacheprovider", "-k", name, suite]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None
    assert int(found.group(1)) >= 4

"""What `docs/supernet.md` lets a newcomer add in one file passes the contract suite unasked."""

from __future__ import annotations

import os
import re
import subprocess
import sys

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


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of the three suites with the three files there: one start for all."""
    folder = tmp_path_factory.mktemp("newcomer")
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    plugins = [word for name in SUITES for word in ("-p", name)]
    suites = [f"tests/contracts/{suite}" for suite in SUITES.values()]
    options = ["-v", *plugins, "-p", "no:cacheprovider", "-k", " or ".join(SUITES), *suites]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", list(SUITES))
def test_a_newcomers_file_is_tested_by_being_there(name: str, told: str) -> None:
    passed = re.findall(rf"{SUITES[name]}::\w+\[[^\]]*\b{name}\b[^\]]*\] PASSED", told)
    assert len(passed) >= 4, told[-3000:]

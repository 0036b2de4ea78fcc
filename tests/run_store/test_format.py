"""What `runs/README.md` says is what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from scale import CHECKOUT

from nas.run_store import FAILURE_REASONS, Run, layout
from nas.run_store.trial_rules import CHECKS
from nas.run_store.trials import _APPLIERS

README = (CHECKOUT / "runs" / "README.md").read_text(encoding="utf-8")


def test_every_record_kind_and_every_file_of_a_run_is_documented() -> None:
    kinds = {*CHECKS, *_APPLIERS, "run_created", "repaired"}
    documented = set(re.findall(r"^\| `([a-z]+_[a-z]+|verdict|repaired)` \|", README, re.M))
    assert documented >= kinds  # higher layers add kinds of their own
    for name in layout.RESERVED:
        assert f"| `{name}" in README
    for reason in FAILURE_REASONS:
        assert f"`{reason}`" in README
    assert f"format `{layout.SCHEMA}/{layout.VERSION}`" in README


def test_the_documented_way_to_read_a_log_works(tmp_path: Path) -> None:
    with Run.create(tmp_path, "mine", {}, {}) as run:
        run.append({"kind": "verdict", "text": "a b\nc"})
    example = README.split("other tools\n\n")[1].split("\n\n")[0]
    names: dict[str, object] = {}
    exec(textwrap.dedent(example).replace("runs/NAME", str(run.path)), names)
    assert names["record"] == {"kind": "verdict", "text": "a b\nc"}


@pytest.mark.parametrize("module", ["nas.run_store", "nas.pareto"])
def test_importing_loads_neither_torch_nor_optuna_nor_ray(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'optuna', 'ray'}} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    assert found.stdout.strip() == "[]"

"""The study behind `docs/trust.md`, run anew from the images to the report; hours, so a soak."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scale import CHECKOUT, require_nas_data

FAMILIES = {"residual", "dense", "fractal", "hierarchical", "mixed"}


def run(*words: str, folder: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, *words], cwd=folder, env=environment, check=True)


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
def test_a_supernet_of_wired_cnn_is_trusted_or_told_apart_by_its_front(tmp_path: Path) -> None:
    """At least 0.8 of the ceiling and above every trivial baseline, or the verdict says where not.

    A study is 250 trainings alone; it writes into a copy, never over the recorded result.
    """
    images = require_nas_data("cifar10", "cifar10_train_jpeg.npz").parent
    checkout, work, data = tmp_path / "nas", tmp_path / "work", str(tmp_path / "cifar10.npz")
    for name in ("nas", "search_spaces", "benchmarks", "dashboards"):
        shutil.copytree(CHECKOUT / name, checkout / name)
    run("-m", "nas", "data", "convert", str(images), data, folder=checkout)
    script = "benchmarks/trust_study.py"
    run(script, "truth", str(work), "--data", data, folder=checkout)
    run(script, "supernet", str(work), "--data", data, "--only", "uniform", folder=checkout)
    run(script, "report", str(work), "--data", data, "--record", folder=checkout)
    text = (checkout / "benchmarks" / "results" / "trust_wired_cnn.json").read_text()
    document: dict[str, Any] = json.loads(text)
    members = document["members"].values()
    counts = Counter(member["family"] for member in members)
    assert set(counts) == FAMILIES
    assert min(counts.values()) >= 25
    assert all(len(member["cross_entropies"]) >= 2 for member in members)
    verdict = document["configurations"]["uniform"]["verdict"]
    assert verdict["verdict"].startswith("trusted") or verdict["why"]

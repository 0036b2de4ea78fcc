"""`import nas` is enough for Python users, and costs nothing until something is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import nas

HEAVY = ("torch", "optuna", "ray", "pandas", "sklearn", "networkx")


def test_every_public_name_is_there() -> None:
    assert callable(nas.search)
    assert callable(nas.resume)
    assert callable(nas.from_module)
    assert nas.load_space("tiny_exhaustive").count() > 0
    assert nas.Run.open
    with pytest.raises(AttributeError, match="has no attribute 'serach'"):
        nas.serach  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, nas; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


def test_a_search_from_python_returns_its_run(tmp_path: Path) -> None:
    run = nas.search(
        "tiny_exhaustive",
        data="digits",
        preset="smoke",
        runs=tmp_path,
        name="mine",
        set=[
            "objectives=[error, macs]",
            "search.trials=4",
            "search.batch=4",
            "supernet.training.epochs=1",
            "supernet.relaxation.enabled=false",
            "confirm.enabled=false",
            "max_train_images=400",
            "executor.workers=1",
        ],
    )
    points = run.front_points()
    assert points
    again = nas.Run.open(tmp_path / "mine")
    assert again.front_points() == points
    assert again.best()["trial"] == points[0]["trial"]
    assert again.architecture(points[0]["trial"]).nodes
    assert list(again.front()["trial"]) == [point["trial"] for point in points]

"""What a package loads when it really runs: import-linter cannot see registries or lazy imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "optuna", "ray")

# Imports every module of a package and fills every registry found on the way.
IMPORT_ALL = """
import importlib, pkgutil, sys
from nas.registry import Registry
package = importlib.import_module(sys.argv[1])
names = [package.__name__]
for found in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
    names.append(found.name)
for name in names:
    for value in list(vars(importlib.import_module(name)).values()):
        if isinstance(value, Registry):
            value.load()
print(" ".join(heavy for heavy in sys.argv[2:] if heavy in sys.modules))
"""


def loaded_by(package: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL, package, *HEAVY],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "package",
    [
        "nas.topology",
        "nas.cost",
        "nas.space",
        "nas.pareto",
        "nas.run_store",
        "nas.registry",
        "nas.config_files",
        "nas.errors",
    ],
)
def test_plain_data_packages_load_neither_torch_nor_optuna_nor_ray(package: str) -> None:
    assert loaded_by(package) == []


def test_the_model_and_the_supernet_load_neither_optuna_nor_ray() -> None:
    assert loaded_by("nas.supernet") == ["torch"]


def test_a_search_goes_on_without_libraries_that_it_needs_later() -> None:
    code = "import sys, nas.search.driver, nas.search.samplers.nsga2\n"
    code += "from nas.training.data import load_data; load_data('digits')\n"
    code += "print(*{'scipy', 'pandas', 'sklearn', 'networkx'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)
    assert (done.stdout.split(), done.stderr) == ([], "")

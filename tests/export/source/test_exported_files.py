"""Files of source give without nas what the network gave, for everything that is registered."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from catalogue_cases import Case, lively, random_cases, registered_cases
from safetensors.torch import load, save_file
from scale import is_full_scale, scaled

from nas.export.source import SourceFiles, write_source

CHILD = Path(__file__).parent / "child.py"
CASES = registered_cases()
CLOSE = {"float64": 1e-10, "float32": 1e-4}


def exported(name: str, case: Case, *, folded: bool, folder: Path) -> SourceFiles:
    """Write the files of a case, and what its network makes of two images."""
    network = lively(case)
    files = write_source(
        network, case.input_shape, case.classes, name=name, about={}, folded=folded
    )
    images = torch.randn(
        2, *case.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )
    with torch.no_grad():
        outputs = [network(images)]
        if len(network.exits):
            outputs += network.exit_logits(images)
    stem = stem_of(name, folded=folded)
    (folder / f"{stem}.py").write_text(files.code, encoding="utf-8")
    (folder / f"{stem}.safetensors").write_bytes(files.weights)
    told = {f"output{n}": tensor.contiguous().clone() for n, tensor in enumerate(outputs)}
    save_file({"images": images, **told}, folder / "outputs" / f"{stem}.safetensors")
    return files


def stem_of(name: str, *, folded: bool) -> str:
    return re.sub(r"\W", "_", name) + ("_folded" if folded else "")


def choices() -> list[tuple[str, bool]]:
    """Return every case plain and folded; in the small run each in one of the two, and fewer."""
    names = list(CASES)
    if is_full_scale():
        return [(name, folded) for name in names for folded in (False, True)]
    small = [name for name in names if not name.startswith(("published", "pattern"))]
    large = [name for name in names if name not in small]
    return [(name, bool(place % 2)) for place, name in enumerate([*small, *large[::3]])]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process without nas found."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "outputs").mkdir()
    for name, folded in choices():
        exported(name, CASES[name](), folded=folded, folder=folder)
    drawn = random_cases(scaled(200))
    for place, (name, case) in enumerate(drawn.items()):
        exported(name, case, folded=bool(place % 2), folder=folder)
    child = subprocess.run(
        [sys.executable, "-I", "-W", "error", str(CHILD), str(folder)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    found["codes"] = {file.stem: file.read_text("utf-8") for file in folder.glob("*.py")}
    return dict(found)


@pytest.mark.parametrize(("name", "folded"), choices())
def test_a_file_gives_the_same_numbers_without_nas(
    results: dict[str, Any], name: str, folded: bool
) -> None:
    found = results[stem_of(name, folded=folded)]
    assert "error" not in found, found["error"]
    assert {kind: gap for kind, gap in found.items() if not gap <= CLOSE[kind]} == {}


def test_files_of_random_networks_give_the_same_numbers(results: dict[str, Any]) -> None:
    drawn = {name: found for name, found in results.items() if name.startswith("random")}
    assert len(drawn) >= scaled(200) // 2
    for name, found in drawn.items():
        assert "error" not in found, (name, found)
        assert all(gap <= CLOSE[kind] for kind, gap in found.items()), (name, found)


def test_a_file_imports_torch_and_the_standard_library_only(results: dict[str, Any]) -> None:
    known = {"torch", *sys.stdlib_module_names}
    for name, code in results["codes"].items():
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                assert {entry.name.partition(".")[0] for entry in node.names} <= known, name
            elif isinstance(node, ast.ImportFrom):
                assert str(node.module).partition(".")[0] in known, name
            assert not (isinstance(node, ast.Name) and node.id in ("eval", "exec", "pickle")), name


def test_lines_stay_readable(results: dict[str, Any]) -> None:
    for name, code in results["codes"].items():
        longest = max(code.splitlines(), key=len)
        assert len(longest) <= 100, (name, longest)


def test_no_batch_norm_is_left_behind_a_convolution_where_norms_are_folded() -> None:
    files = write_source(
        lively(CASES["published-resnet-cifar:depth=20"]()),
        (3, 32, 32),
        7,
        name="folded",
        about={},
        folded=True,
    )
    assert "BatchNorm2d" not in files.code
    assert not any("running" in key for key in load(files.weights))


def test_a_file_run_as_a_program_says_that_it_works(tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    exported("exits", CASES["exits"](), folded=False, folder=tmp_path)
    child = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "exits.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert re.fullmatch(
        r"[\d,]+ parameters, \(2, 5\) for two random images: it runs\n", child.stdout
    )

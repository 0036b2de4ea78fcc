"""Every error that a user can meet says what is wrong and names the way out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from scale import CHECKOUT

from nas import errors

KINDS = {
    name for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.NasError) and name != "TrialError"
}  # fmt: skip
"""All but those of single trials, which are recorded while the search goes on."""
CALLED_FROM_CODE = (
    *("nas/statistics/", "nas/cost/", "nas/seeds.py", "nas/objectives/runtime_agreement.py"),
    *("nas/topology/canonical.py", "nas/topology/enumeration.py", "nas/topology/graph_batch.py"),
    "nas/topology/scaling.py",
)
"""Where arguments come from Python code alone: the rule that was broken is the way out."""


def without_way_out(path: Path) -> Iterator[str]:
    """Yield the places of a file that raise an error of ours without `fix`."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
            named = {word.arg for word in node.keywords}
            if node.args and not {"fix", None} & named:
                yield f"{path.relative_to(CHECKOUT)}:{node.lineno}"


@pytest.mark.fault("G-R16")
def test_every_error_names_the_way_out() -> None:
    files = [
        path
        for path in sorted((CHECKOUT / "nas").rglob("*.py"))
        if not path.relative_to(CHECKOUT).as_posix().startswith(CALLED_FROM_CODE)
        and "nas.errors" in path.read_text(encoding="utf-8")
    ]
    assert len(files) > 200
    assert [place for path in files for place in without_way_out(path)] == []

"""The page on reliability and the tests: every row of it is held by a test that runs in CI.

Marks are read from the source, not from a collected session, so that the answer is the same
whichever tests were selected, and so that a mark in the wrong place is an error.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from scale import CHECKOUT

DOCUMENT = CHECKOUT / "docs" / "reliability.md"
LENGTHS = {"A": 21, "B": 18, "C": 14, "D": 12, "E": 17, "F": 18}
GOALS = {"R": 18, "D": 3, "F": 3, "L": 4, "S": 8}
ROWS = {f"{letter}{number}" for letter, most in LENGTHS.items() for number in range(1, most + 1)}
GOAL_ROWS = {f"G-{kind}{number}" for kind, most in GOALS.items() for number in range(1, most + 1)}

ROW = re.compile(r"^\| ([A-F]\d+|G-[A-Z]\d+) \| (.+) \| (.+) \|$", re.MULTILINE)
NO_ROW = "Does not apply: "
LEFT_OUT = {"skip", "soak", "xfail"}
"""Marks of tests that a plain run of the suite leaves out or lets fail."""


@dataclass(frozen=True)
class Mark:
    """One `pytest.mark.fault(...)`: where it stands, its rows, whether its test runs in CI."""

    place: str
    rows: tuple[str, ...]
    on_test: bool
    runs: bool


def documented() -> dict[str, str]:
    """Return what the document says of every row, by row."""
    found = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    assert len({row for row, _, _ in found}) == len(found), "a row stands twice"
    return {row: text for row, _, text in found}


def mark_name(node: ast.AST) -> str | None:
    """Return `x` of `pytest.mark.x` or `pytest.mark.x(...)`."""
    node = node.func if isinstance(node, ast.Call) else node
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
        return node.attr if node.value.attr == "mark" else None
    return None


def leaves_out(node: ast.AST) -> bool:
    """Tell whether a mark beside another one keeps its test from a plain run."""
    if mark_name(node) == "skipif" and isinstance(node, ast.Call) and node.args:
        return ast.unparse(node.args[0]) == "not is_full_scale()"
    return mark_name(node) in LEFT_OUT


def marks_in(path: Path) -> Iterator[Mark]:
    """Yield every mark of a file, in the order of nodes."""
    text = path.read_text(encoding="utf-8")
    if "mark.fault" not in text:
        return
    tree = ast.parse(text)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and mark_name(node) == "fault":
            chain = [node, *above(node, parents)]
            runs = not any(leaves_out(each) for level in chain for each in siblings(level))
            rows = tuple(ast.literal_eval(each) for each in node.args)
            place = f"{path.relative_to(CHECKOUT)}:{node.lineno}"
            yield Mark(place, rows, is_on_test(node, parents), runs)


def above(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    while (node := parents.get(node)) is not None:
        yield node


def siblings(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the marks that stand beside another one on a test, a class, a case or a module."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield from node.decorator_list
    if isinstance(node, (ast.List, ast.Tuple)):
        yield from node.elts
    if isinstance(node, (ast.ClassDef, ast.Module)):
        for line in node.body:
            if isinstance(line, ast.Assign) and is_named(line, "pytestmark"):
                yield from getattr(line.value, "elts", [line.value])


def is_named(line: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in line.targets)


def is_on_test(node: ast.Call, parents: dict[ast.AST, ast.AST]) -> bool:
    """Tell whether a mark decorates a test or a class of tests, or is one of a case or a file."""
    holder = parents[node]
    if isinstance(holder, (ast.List, ast.Tuple)):
        holder = parents[holder]
    if isinstance(holder, (ast.FunctionDef, ast.ClassDef)):
        return node in holder.decorator_list and holder.name.lower().startswith("test")
    if isinstance(holder, ast.Call):  # pytest.mark.fault("A1")(Machine.TestCase)
        return holder.func is node
    if isinstance(holder, ast.keyword):
        return holder.arg == "marks"
    return isinstance(holder, ast.Assign) and is_named(holder, "pytestmark")


@cache
def marks() -> tuple[Mark, ...]:
    paths = sorted(CHECKOUT.glob("tests/**/test_*.py"))
    return tuple(mark for path in paths for mark in marks_in(path))


def covered() -> set[str]:
    """Return the rows that a test of a plain run is marked with."""
    return {row for mark in marks() if mark.runs for row in mark.rows}


def applying() -> set[str]:
    return {row for row, text in documented().items() if not text.startswith(NO_ROW)}


@pytest.mark.fault("G-R16")
def test_the_document_has_every_row_once() -> None:
    assert documented().keys() == ROWS | GOAL_ROWS


@pytest.mark.fault("G-R16")
def test_every_row_that_applies_has_a_test_that_runs() -> None:
    assert sorted(applying() - covered()) == []


def test_a_row_that_does_not_apply_says_why_and_has_no_test() -> None:
    others = {row: text for row, text in documented().items() if text.startswith(NO_ROW)}
    assert all(len(text) > len(NO_ROW) + 20 for text in others.values())
    assert others.keys() & covered() == set()


def test_every_mark_is_on_a_test_and_names_rows_there_are() -> None:
    assert [mark.place for mark in marks() if not mark.on_test] == []
    assert {row for mark in marks() for row in mark.rows} <= documented().keys()


MARKED = "@pytest.mark.fault('A1')\ndef test_x(): ..."


@pytest.mark.parametrize(
    ("source", "on_test", "runs"),
    [
        (MARKED, True, True),
        (f"@pytest.mark.soak\n{MARKED}", True, False),
        (f"@pytest.mark.skipif(not is_full_scale())\n{MARKED}", True, False),
        (f"@pytest.mark.skipif(no_proc)\n{MARKED}", True, True),
        ("@pytest.mark.fault('A1')\ndef helper(): ...", False, True),
        ("@pytest.mark.skip\nclass TestX:\n @pytest.mark.fault('A1')\n def test(): 0", True, False),
        ("pytestmark = pytest.mark.fault('A1')", True, True),
        ("pytestmark = [pytest.mark.soak, pytest.mark.fault('A1')]", True, False),
        ("case = pytest.param(1, marks=[pytest.mark.fault('A1')])", True, True),
        ("TestX = pytest.mark.fault('A1')(Machine.TestCase)", True, True),
        ("wanted = pytest.mark.fault('A1')", False, True),
    ],
)  # fmt: skip
def test_marks_are_read_as_pytest_reads_them(
    source: str, on_test: bool, runs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "test_some.py"
    path.write_text(source)
    monkeypatch.setitem(globals(), "CHECKOUT", tmp_path)
    (mark,) = marks_in(path)
    assert (mark.rows, mark.on_test, mark.runs) == (("A1",), on_test, runs)

"""`nas patterns`, and the catalogue that is written from the registries."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.topology.catalogue import PATTERN_TESTS, catalogue
from nas.topology.edge_scales import EDGE_SCALES
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS
from nas.topology.pattern_facts import pattern_facts
from nas.topology.patterns import PATTERNS
from nas.topology.published import PUBLISHED

Nas = Callable[..., Any]
CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "catalogue.md"


def test_every_pattern_is_listed_with_its_paper_parameters_and_picture(nas: Nas) -> None:
    answer = nas("patterns")
    lines = answer.out.splitlines()
    assert lines[0].split() == ["pattern", "parameters", "paper", "picture"]
    assert [line.split()[0] for line in lines[1:]] == list(PATTERNS)
    (residual,) = (line for line in lines if line.startswith("residual "))
    assert "span,order,gate" in residual
    assert "He et al. 2015, arXiv:1512.03385" in residual
    assert residual.endswith("in─●─○₂─●─○₂─●─○₂─●─○₂")
    document = nas("patterns", "--json").document
    assert document["schema"] == "nas.patterns/1"
    assert [entry["name"] for entry in document["patterns"]] == list(PATTERNS)


def test_one_pattern_is_told_with_its_formula_sizes_parameters_and_pictures(nas: Nas) -> None:
    out = nas("patterns", "dense").out
    assert out.startswith("dense (Huang et al. 2016, arXiv:1608.06993)")
    assert "n (n + 1) / 2 edges" in out
    assert "any size from 1" in out
    assert "in─●─●₂─●₂₃─●₂₃₄" in out
    assert "╭" in out
    assert 'nas arch build "dense:size=4"' in out


def test_a_pattern_with_parameters_is_told_as_it_was_written(nas: Nas) -> None:
    out = nas("patterns", "csp(inner=dense)").out
    assert out.startswith("csp(inner=dense) (Wang et al.")
    assert "inner=dense: wiring of the stage" in out
    assert "the sizes of dense" in out
    document = nas("patterns", "csp(inner=dense)", "--json").document
    assert document["schema"] == "nas.pattern/1"
    assert document["name"] == "csp(inner=dense)"
    assert [each["name"] for each in document["parameters"]] == ["inner", "parts"]


@pytest.mark.parametrize("name", list(PATTERNS))
def test_one_pattern_is_told_about(name: str, nas: Nas) -> None:
    answer = nas("patterns", name)
    assert answer.code == 0
    assert answer.out.startswith(name)
    assert "operations  nodes  edges  joins" in answer.out
    assert nas("patterns", name, "--json").document["schema"] == "nas.pattern/1"


def test_an_unknown_pattern_is_answered_with_the_known_ones(nas: Nas) -> None:
    answer = nas("patterns", "fractle")
    assert answer.code == 3
    assert "Unknown pattern 'fractle'" in answer.err
    assert "Did you mean 'fractal'?" in answer.err
    assert "hierarchical" in answer.err


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("csp(iner=dense)", 2, "Did you mean 'inner'?"),
        ("csp(inner=dens)", 3, "Did you mean 'dense'?"),
        ("csp(parts=9)", 2, "Write parts=4"),
        ("watts_strogatz(rewire=0.75)", 2, "a whole number, 0 to 100"),
        ("csp(inner=dense", 2, "does not spell a pattern"),
        ("a" * 1000, 2, "takes 1000 characters"),
    ],
)
def test_a_misspelt_pattern_is_refused_with_the_way_out(
    name: str, code: int, message: str, nas: Nas
) -> None:
    answer = nas("patterns", name)
    assert answer.code == code
    assert message in answer.err


@pytest.mark.parametrize("name", list(PATTERNS))
def test_every_command_that_is_offered_works(name: str, nas: Nas) -> None:
    commands = pattern_facts(name).commands
    assert len(commands) == 1 + len(PATTERNS.get(name).parameters)
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "nas"
        answer = nas(*arguments, "--input", "3x16x16", "--classes", 5)
        assert answer.code == 0, f"{command}: {answer.err}"


def test_the_catalogue_is_what_the_registries_hold(nas: Nas) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == catalogue(), "run `make catalogue`"
    assert nas("patterns", "--catalogue").out == page


def test_every_entry_of_every_registry_is_in_the_catalogue() -> None:
    page = catalogue()
    for name in PATTERNS:
        assert f"\n### {name}\n" in page
        assert f"- test: `python -m pytest {PATTERN_TESTS} -k {name}`" in page
    for registry in (MERGES, EDGE_SCALES, OPERATIONS):
        assert all(f"| `{name}` |" in page for name in registry)
    assert all(f"| `{name}" in page for name in PUBLISHED)
    assert (CHECKOUT / PATTERN_TESTS).is_file()


def test_the_makefile_writes_the_page() -> None:
    rules = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    assert "nas patterns --catalogue" in rules
    assert "docs/catalogue.md" in rules

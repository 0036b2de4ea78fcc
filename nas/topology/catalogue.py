"""The catalogue: one page about everything a wiring can be made of, written from the registries.

`make catalogue` writes it to docs/catalogue.md; a test compares the page with what the registries
hold, so a new pattern, merge, operation, edge scale or published network brings its own entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nas.topology.edge_scales import EDGE_SCALES
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS
from nas.topology.pattern_facts import ParameterFacts, PatternFacts, pattern_facts
from nas.topology.patterns import PATTERNS
from nas.topology.published import PUBLISHED

PATTERN_TESTS = "tests/contracts/test_patterns.py"
_HEAD = """\
# Catalogue

What wirings are made of. This page is written from the registries by `make catalogue`; a test holds
the two together.

- [Patterns](#patterns): which node feeds which
- [Merges](#merges): how a node combines its inputs
- [Edge scales](#edge-scales): what skips and branches are multiplied with
- [Operations](#operations): what a node computes
- [Published networks](#published-networks): whole networks by name

## Patterns

A pattern wires a number of operations, the *size*, between an input and an output. In the pictures
`●` is an operation, which a space chooses; `○` a join, which only merges; `◇` a node that the
pattern fixes (a 1x1 convolution, a pooling, a gate); `↗` a head in the middle. A dash is the edge
from the node before, small numbers say how many nodes back the further inputs are.

Parameters stand in brackets, and patterns may stand inside patterns: `csp(inner=dense)`. The same
text names them in a space (`pattern: csp(inner=dense)`) and on the command line
(`nas arch build "csp(inner=dense):size=4"`). Pre- and post-activation is the order of layers inside
an operation: `conv3x3` against `bn_relu_conv3x3`.
"""


def catalogue() -> str:
    """Return the page, in Markdown."""
    parts = [_HEAD, _pattern_table()]
    parts += [_pattern_entry(pattern_facts(name)) for name in PATTERNS]
    parts += [_merges(), _edge_scales(), _operations(), _published()]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(each.replace("|", "\\|") for each in row) + " |" for row in lines
    )


def _paper(paper: object) -> str:
    return str(paper) if paper else "-"


def _pattern_table() -> str:
    rows = []
    for name in PATTERNS:
        facts = pattern_facts(name)
        rows.append((f"[{name}](#{name})", _paper(facts.paper), f"`{facts.picture}`"))
    return _table(("pattern", "paper", "picture"), rows)


def _pattern_entry(facts: PatternFacts) -> str:
    smallest = ", ".join(str(each.operations) for each in facts.examples)
    return "\n".join(
        [
            f"### {facts.name}",
            "",
            facts.text,
            "",
            f"- paper: {_paper(facts.paper)}",
            f"- formula: `{facts.formula}`",
            f"- sizes: {facts.sizes} ({smallest}, ...); published merge: `{facts.merge}`",
            *map(_parameter_line, facts.parameters),
            f"- test: `python -m pytest {PATTERN_TESTS} -k {facts.name}`",
            "",
            "```",
            facts.picture,
            "",
            facts.drawing,
            "```",
            "",
            "```sh",
            *facts.commands,
            "```",
        ]
    )


def _parameter_line(parameter: ParameterFacts) -> str:
    return f"- `{parameter.name}={parameter.value}`: {parameter.meaning} ({parameter.allowed})"


def _merges() -> str:
    rows = []
    for name in MERGES:
        merge = MERGES.get(name)
        learned = merge.count(16, 3)
        rows.append(
            (
                f"`{name}`",
                merge.formula,
                "mixed" if merge.linear else "whole",
                f"{learned:,}" if learned else "-",
                _paper(MERGES.paper(name)),
            )
        )
    return "\n".join(
        [
            "## Merges",
            "",
            "How a node combines its inputs (`merge:` of a space, `merge=` of `nas arch build`).",
            "`x_e` are the inputs, `d` is their number; see [language.md](language.md#merges).",
            "The numbers learned are those of three inputs of 16 channels. Tests: those called",
            "`tests/contracts/test_merges_*.py`.",
            "",
            _table(("merge", "what it computes", "in a relaxation", "learned", "paper"), rows),
        ]
    )


def _edge_scales() -> str:
    rows = []
    for name in EDGE_SCALES:
        scale = EDGE_SCALES.get(name)
        numbers = ", ".join(
            f"`{key}={number.default:g}`: {number.meaning}"
            for key, number in scale.parameters.items()
        )
        rows.append((f"`{name}`", scale.summary, numbers or "-", _paper(EDGE_SCALES.paper(name))))
    return "\n".join(
        [
            "## Edge scales",
            "",
            "What the residual nodes of any wiring multiply their branches and skips with, number",
            "`l` of `L` (`edge_scale=` of `nas arch build`). Test:",
            "`tests/contracts/test_edge_scales.py`.",
            "",
            _table(("scale", "rule", "numbers", "paper"), rows),
        ]
    )


def _operations() -> str:
    rows = []
    for name in OPERATIONS:
        operation = OPERATIONS.get(name)
        layers = ", ".join(type(layer).__name__ for layer in operation.layers)
        learned = operation.parameters((16, 16, 16), 16)
        rows.append(
            (
                f"`{name}`",
                layers or ("zeros" if operation.zero else "nothing"),
                f"{learned:,}" if learned else "-",
                _paper(OPERATIONS.paper(name)),
            )
        )
    return "\n".join(
        [
            "## Operations",
            "",
            "What a node computes (`operation:` of a space, `operation=` of `nas arch build`).",
            "Others are written as a row of layers, `bn+relu+conv3x3.g4`. The numbers learned are",
            "those of 16 channels. Tests: `tests/contracts/test_operations_data.py`,",
            "`tests/contracts/test_operations_modules.py`.",
            "",
            _table(("operation", "layers", "learned", "paper"), rows),
        ]
    )


def _published() -> str:
    rows = []
    for name in PUBLISHED:
        options = PUBLISHED.get(name).options
        written = ",".join(f"{key}={_option(value)}" for key, value in options.items())
        rows.append((f"`{name}{':' if written else ''}{written}`", _paper(PUBLISHED.paper(name))))
    return "\n".join(
        [
            "## Published networks",
            "",
            "Whole networks with their options at the defaults, built by",
            "`nas arch build NAME:key=value`.",
            "",
            _table(("network", "paper"), rows),
        ]
    )


def _option(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

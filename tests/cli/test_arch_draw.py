"""`nas arch draw`: a whole file of the format its name says, or a clear refusal."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from nas.topology.dot_drawing import dot_text
from nas.topology.published import build_published

Nas = Callable[..., Any]


def test_a_name_is_drawn_as_svg_and_as_dot(nas: Nas) -> None:
    answer = nas("arch", "draw", "resnet-cifar:depth=20", "-o", "net.svg")
    assert answer.code == 0 and answer.out == "net.svg\n"
    root = ElementTree.fromstring(Path("net.svg").read_text(encoding="utf-8"))
    assert root.tag.endswith("svg") and root[0].text == "resnet-cifar:depth=20"
    assert nas("arch", "draw", "resnet-cifar:depth=20", "-o", "net.DOT").code == 0
    network = build_published("resnet-cifar", depth="20")
    assert Path("net.DOT").read_text(encoding="utf-8") == dot_text(network)


def test_a_trial_of_a_run_is_drawn(nas: Nas, made: Path) -> None:
    assert nas("arch", "draw", f"{made}:0", "-o", "trial.svg").code == 0
    assert Path("trial.svg").read_text(encoding="utf-8").count('class="node"') > 2


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("net.gif", "'net.gif' names no format of drawings: .svg, .png, .dot, .gv."),
        ("net", "'net' names no format of drawings"),
        ("there.svg", "there.svg exists already."),
        ("nowhere/net.svg", "nowhere does not exist."),
    ],
)
def test_what_cannot_be_written_is_refused(nas: Nas, output: str, message: str) -> None:
    Path("there.svg").write_text("mine", encoding="utf-8")
    answer = nas("arch", "draw", "resnet-cifar:depth=20", "-o", output)
    assert answer.code == 2 and message in answer.err and "fix: " in answer.err
    assert [path.name for path in Path().iterdir()] == ["there.svg"]
    assert Path("there.svg").read_text(encoding="utf-8") == "mine"


def test_png_says_what_it_needs(nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pygraphviz":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    answer = nas("arch", "draw", "resnet-cifar:depth=20", "-o", "net.png")
    assert answer.code == 2 and not Path("net.png").exists()
    assert "PNG drawings need pygraphviz, which is not installed." in answer.err
    assert "pip install 'nas[draw]'" in answer.err and ".svg" in answer.err


def test_png_of_a_huge_network_is_refused_before_graphviz_is_asked(nas: Nas) -> None:
    answer = nas("arch", "draw", "dense:size=90", "-o", "net.png")
    assert answer.code == 2 and "too large for a PNG; at most 3,000" in answer.err


def test_png_is_drawn_where_graphviz_is(nas: Nas) -> None:
    pytest.importorskip("pygraphviz", reason="pip install 'nas[draw]' and Graphviz")
    assert nas("arch", "draw", "resnet-cifar:depth=20", "-o", "net.png").code == 0
    assert Path("net.png").read_bytes().startswith(b"\x89PNG\r\n")

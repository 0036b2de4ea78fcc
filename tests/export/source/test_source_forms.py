"""Every layer, merge and adapter has a source form; what has none is refused by its name."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import final

import pytest
import torch
from catalogue_cases import Case, lively, registered_cases
from torch import Tensor, nn

from nas.errors import NotFoundError
from nas.export.source import write_source
from nas.export.source.merge_forms import MERGE_FORMS
from nas.export.source.pieces import FORMS, PARTS, form_of
from nas.export.source.text import part_source
from nas.model import adapters, layer_modules
from nas.model.layers import build_operation
from nas.model.merges import MERGE_MODULES
from nas.topology.operations import OPERATIONS

MODULES = [
    entry
    for package in (adapters, layer_modules)
    for _, entry in inspect.getmembers(package, inspect.isclass)
    if issubclass(entry, nn.Module) and entry.__module__ == package.__name__
]


@pytest.mark.parametrize("module", MODULES, ids=lambda entry: entry.__name__)
def test_every_module_of_a_layer_or_an_adapter_has_a_source_form(module: type[nn.Module]) -> None:
    assert module in FORMS


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_layer_of_an_operation_has_a_source_form(name: str) -> None:
    for module in build_operation(OPERATIONS.get(name), (8, 9, 9), 8, 1):
        assert form_of(module).call is not None


@pytest.mark.parametrize("name", MERGE_MODULES)
def test_every_merge_that_is_a_module_has_a_source_form(name: str) -> None:
    assert name in MERGE_FORMS


@pytest.mark.parametrize("name", PARTS.known)
def test_what_files_carry_stands_by_itself(name: str) -> None:
    source = part_source(name)
    assert "nas" not in source and "@" not in source
    compile(source, name, "exec")


@final
class Unheard(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def test_a_layer_without_a_source_form_is_refused_by_name() -> None:
    network = lively(registered_cases()["head-none"]())
    network.nodes["1"].operation[0] = Unheard()  # type: ignore[union-attr,operator,index]
    with pytest.raises(NotFoundError, match=r"'Unheard'.*\n?.*source_form.*ChannelNorm"):
        write_source(network, network.input_shape, 5, name="x", about={})


def test_a_merge_without_a_source_form_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = lively(registered_cases()["merge-mudd"]())
    monkeypatch.delitem(MERGE_FORMS, "mudd")
    with pytest.raises(NotFoundError, match=r"merge 'mudd'.*\n?.*merge_form.*laurel_rw"):
        write_source(network, network.input_shape, 5, name="x", about={})


def load(code: str) -> dict[str, object]:
    space: dict[str, object] = {"__name__": "exported", "__file__": "exported.py"}
    exec(compile(code, "exported.py", "exec"), space)
    return space


def test_text_of_others_stays_text() -> None:
    case = registered_cases()["exits"]()
    told = {'"""\nimport os\n"""': 'a\\"""b', "trial": "\u202ex" * 3}
    files = write_source(lively(case), case.input_shape, 5, name='../x"""\n1/0', about=told)
    documented = load(files.code)["__doc__"]
    assert "import os" in str(documented)
    assert "os" not in load(files.code)


def test_a_long_name_is_told_on_several_lines() -> None:
    case = registered_cases()["image"]()
    told = {"command": "nas arch export " + "word " * 40}
    code = write_source(lively(case), case.input_shape, 5, name="name " * 15, about=told).code
    assert max(map(len, code.splitlines())) <= 100


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    first, second = (registered_cases()[name]() for name in ("exits", "ties"))
    code = write_source(lively(first), first.input_shape, 5, name="a", about={}).code
    other = write_source(lively(second), second.input_shape, 5, name="b", about={})
    path = tmp_path / "b.safetensors"
    path.write_bytes(other.weights)
    build = load(code)["build"]
    with pytest.raises(ValueError, match="is for another network: "):
        build(path)
    path.write_bytes(other.weights[:-8])
    with pytest.raises(ValueError, match="are cut off"):
        build(path)
    path.write_bytes(b"\x00" * 4)
    with pytest.raises(ValueError, match="is no safetensors file"):
        build(path)  # type: ignore[operator]


def test_a_network_that_is_exported_stays_as_it_was() -> None:
    case = registered_cases()["ties"]()
    network = lively(case)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for folded in (False, True):
        write_source(network, case.input_shape, 5, name="x", about={}, folded=folded)
    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def trained_step(network: nn.Module, x: Tensor) -> Sequence[Tensor]:
    network(x).square().mean().backward()
    return [entry.grad for entry in network.parameters() if entry.grad is not None]


@pytest.mark.parametrize("name", ["ties", "cells-tied", "pattern-looped"])
def test_nodes_that_share_weights_share_them_in_the_file(name: str, tmp_path: Path) -> None:
    case: Case = registered_cases()[name]()
    network = lively(case)
    files = write_source(network, case.input_shape, 5, name="x", about={})
    path = tmp_path / "x.safetensors"
    path.write_bytes(files.weights)
    exported = load(files.code)["Network"]().double()  # type: ignore[operator]
    exported.load_weights(path).eval()
    x = torch.randn(2, *case.input_shape, dtype=torch.float64)
    theirs, ours = trained_step(network, x), trained_step(exported, x)
    assert sum(entry.numel() for entry in theirs) == sum(entry.numel() for entry in ours)
    sums = [sorted(float(entry.abs().sum()) for entry in entries) for entries in (theirs, ours)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-9)


def test_a_form_of_a_plugin_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    network = lively(registered_cases()["head-none"]())
    monkeypatch.setitem(FORMS, Unheard, lambda _: form_of(nn.Sigmoid()))
    network.nodes["1"].operation[2] = Unheard()  # type: ignore[union-attr,operator,index]
    code = write_source(network, network.input_shape, 5, name="x", about={}).code
    assert "nn.Sigmoid()" in code

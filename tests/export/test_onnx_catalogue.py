"""Everything that is registered, and random networks, as ONNX files with an open batch."""

from __future__ import annotations

import pytest
import torch
from catalogue_cases import Case, lively, random_cases, registered_cases
from scale import is_full_scale, scaled

from nas.export.onnx import check_onnx, export_onnx
from nas.model.fuse import fuse

CASES = registered_cases()
FEW = ("merge-mudd", "pattern-u_shaped", "cells-tied")
"""What differs most in its operators; `make soak` exports every entry."""


def chosen() -> list[str]:
    assert set(FEW) <= set(CASES)
    return list(CASES if is_full_scale() else FEW)


def check(case: Case, *, folded: bool) -> None:
    network = lively(case).float()
    ready = fuse(network) if folded else network
    images = torch.randn(3, *case.input_shape, generator=torch.Generator().manual_seed(2))
    assert check_onnx(export_onnx(ready, case.input_shape, None), ready, images.numpy()) < 1e-4


@pytest.mark.parametrize("name", chosen())
def test_onnx_runtime_answers_as_torch_for_what_is_registered(name: str) -> None:
    check(CASES[name](), folded=list(CASES).index(name) % 2 == 0)


def test_onnx_runtime_answers_as_torch_for_random_networks() -> None:
    cases = random_cases(scaled(200) if is_full_scale() else 2)
    for place, case in enumerate(cases.values()):
        check(case, folded=place % 2 == 0)

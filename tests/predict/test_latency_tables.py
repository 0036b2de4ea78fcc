"""The benchmark on published tables: its twins, its bootstrap, and a small part of its result."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest
from scale import CHECKOUT, require_nas_data

CHAIN = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    return importlib.import_module("latency_tables")


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    return importlib.import_module("latency_predictor")


def test_twins_exchange_two_nodes_that_no_edge_joins(tables: ModuleType) -> None:
    one = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|"
    other = "|skip_connect~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~2|"
    assert tables.executed_twins([CHAIN, one, other]) == [(1, 2)]


def test_the_bootstrap_sees_a_gain_and_no_gain(predictor: ModuleType) -> None:
    rng = np.random.default_rng(0)
    errors = rng.uniform(0, 0.2, 200)
    low, high = predictor.bootstrap_gain(errors, errors - 0.05 + 0.02 * rng.standard_normal(200))
    assert 0.04 < low < 0.05 < high < 0.06
    low, high = predictor.bootstrap_gain(errors, errors + 0.02 * rng.standard_normal(200))
    assert low < 0 < high


def test_fifty_measurements_place_unseen_cells_within_ten_percent(tables: ModuleType) -> None:
    require_nas_data("nasbench201", "help_latency.csv.gz")
    folder = require_nas_data("hwnasbench360").parent
    found = tables.read_tables(folder, 500)
    for device, share in (("gold_6226", 0.85), ("1080ti_1", 0.97), ("fpga", 0.97)):
        cells = tables.drawn_cells(found, device, 50, seed=0)
        own = tables.additive_score(found, device, cells, [])
        assert own.within > share
        assert own.spearman > 0.97
        assert own.within > tables.macs_score(found, device, cells).within + 0.2

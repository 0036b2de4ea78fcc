"""What a network runs, and what of it a compiler would leave."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from latency_devices import CLASSES, SHAPE, members
from strategies import architectures

from nas.cost.count import cost
from nas.cost.pieces import pieces
from nas.cost.shapes import plan
from nas.predict.design import Design
from nas.predict.features import NetworkFeatures, network_features
from nas.space import load_space
from nas.space.cell_table import cell_decisions
from nas.topology.graph import Architecture

SKELETON = 4
"""Convolutions 3x3 of the two residual blocks between the stages."""


def features(architecture: Architecture) -> NetworkFeatures:
    return network_features(architecture, SHAPE, CLASSES)


def cell(text: str) -> NetworkFeatures:
    return features(load_space("nasbench201").build(cell_decisions(text)))


def count(own: NetworkFeatures, name: str, *, live: bool = False) -> int:
    return sum(n for piece, n in (own.live if live else own.executed) if piece.name == name)


@given(architectures(max_nodes=6, input_shape=SHAPE))
@settings(deadline=None, max_examples=10)
def test_the_pieces_of_any_network_add_up_to_its_cost(network: Architecture) -> None:
    own = features(network)
    counted = cost(network, SHAPE, CLASSES)
    assert sum(n * piece.macs for piece, n in own.executed) == counted.macs == own.macs
    idle = sum(
        piece.bytes
        for piece in pieces(plan(network, SHAPE), CLASSES)
        if (piece.kind, piece.name) == ("adapter", "identity")
    )
    assert sum(n * piece.bytes for piece, n in own.executed) == counted.bytes - idle


@given(architectures(max_nodes=6, input_shape=SHAPE))
@settings(deadline=None, max_examples=10)
def test_live_pieces_are_among_the_executed_ones(network: Architecture) -> None:
    own = features(network)
    executed = dict(own.executed)
    assert all(n <= executed[piece] for piece, n in own.live)
    assert own.critical_pieces <= sum(executed.values())


def test_everything_a_member_of_wired_cnn_runs_is_live() -> None:
    for network in members("wired_cnn", 10):
        assert features(network).live == features(network).executed


def test_edges_that_lead_nowhere_are_executed_but_not_live() -> None:
    own = cell("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|")
    assert count(own, "relu_conv3x3_bn") == 15 + SKELETON
    assert count(own, "relu_conv3x3_bn", live=True) == SKELETON
    assert count(own, "relu_conv1x1_bn") == count(own, "relu_conv1x1_bn", live=True) == 15


def test_operations_on_zeros_are_executed_but_not_live() -> None:
    own = cell("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|")
    assert count(own, "avg_pool3x3") == 15
    assert count(own, "avg_pool3x3", live=True) == 0
    sums = count(own, "sum"), count(own, "sum", live=True)
    assert sums[0] - sums[1] == 15 * 3, "of a merge and its two inputs nothing is left per cell"


def test_of_a_cell_of_zeros_only_the_head_is_left() -> None:
    own = cell("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert [piece.kind for piece, _ in own.live] == ["head"]
    assert own.critical_pieces == 1


def test_a_longest_path_counts_the_pieces_on_it() -> None:
    chain = cell("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_3x3~2|")
    wide = cell("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    assert chain.macs == wide.macs
    assert chain.critical_pieces == wide.critical_pieces + 30


def test_a_matrix_has_a_row_per_network_and_a_column_per_piece() -> None:
    networks = [features(network) for network in members("wired_cnn", 6)]
    design = Design.of(networks)
    matrix = design.matrix(networks)
    assert matrix.shape == (6, len(design.columns))
    pieces_of = design.block("piece").astype(bool)
    assert matrix[:, pieces_of].sum(1) == pytest.approx([own.rough_ms for own in networks])
    assert all(design.unknown_share(own) == 0 for own in networks)
    few = Design.of(networks[:1])
    assert 0 < few.unknown_share(networks[1]) < 1

"""Published networks beside the same networks written by hand, with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hand_written.comparison import copy_in_order, stir
from hand_written.parts import count
from published_cases import CASES, NARROW

from nas.cost.count import cost
from nas.model.fuse import fuse
from nas.model.network import Network
from nas.topology.edits import mutate
from nas.topology.graph import Architecture
from nas.topology.identity import structural_id
from nas.topology.published import build_published_text
from nas.topology.serial import dump_architecture, load_architecture


@pytest.mark.parametrize("text", NARROW)
def test_with_copied_weights_the_output_is_that_of_the_module_written_by_hand(text: str) -> None:
    make, shape = NARROW[text]
    hand = make().double()
    network = Network(build_published_text(text), shape, 7).double().eval()
    images = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        stir(hand, images)
        copy_in_order(hand, network)
        wanted, got = hand(images), network(images)
    assert wanted.shape == got.shape
    assert wanted.std(0).max() > 0.01 * wanted.abs().max()
    assert (got - wanted).abs().max() <= 1e-10 * wanted.abs().max()


@pytest.mark.parametrize("text", NARROW)
def test_a_published_network_travels_as_json_and_has_an_id(text: str) -> None:
    architecture = build_published_text(text)
    again = load_architecture(dump_architecture(architecture))
    assert again == architecture
    assert structural_id(again) == structural_id(architecture)


def test_no_two_published_members_are_the_same_network() -> None:
    ids = [structural_id(build_published_text(text)) for text in CASES]
    assert len(set(ids)) == len(ids)


def test_a_dense_network_past_whose_blocks_nothing_goes_is_densenet() -> None:
    partial = build_published_text("csp-densenet:past=0,fusion=first")
    assert structural_id(partial) == structural_id(build_published_text("densenet:depth=121"))


@pytest.mark.parametrize("text", NARROW)
def test_every_weight_has_a_gradient_and_norms_fold_into_what_ships(text: str) -> None:
    shape = NARROW[text][1]
    network = Network(build_published_text(text), shape, 7, initialisation="default").double()
    images = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    network(images).square().sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in network.parameters()
    )
    network.eval()
    with torch.no_grad():
        wanted, got = network(images), fuse(network)(images)
    assert (got - wanted).abs().max() <= 1e-10 * wanted.abs().max()


@pytest.mark.parametrize("text", NARROW)
def test_a_published_network_is_a_start_of_a_search(text: str) -> None:
    shape = NARROW[text][1]

    def computable(architecture: Architecture) -> None:
        cost(architecture, shape, 7)

    child = mutate(build_published_text(text), np.random.default_rng(0), check=computable, count=3)
    network = Network(child, shape, 7)
    assert structural_id(child) != structural_id(build_published_text(text))
    assert cost(child, shape, 7).parameters == count(network)
    assert network(torch.zeros(2, *shape)).isfinite().all()

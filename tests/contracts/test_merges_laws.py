"""Laws 2, 3, 5 and 6 over random networks that mix all merges, nested, tied and with ports."""

from __future__ import annotations

import random
from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scale import scaled
from strategies import INPUT_SHAPE, architectures, renumbered
from torch.utils.flop_counter import FlopCounterMode

from nas.cost.count import cost
from nas.cost.pieces import pieces
from nas.cost.shapes import plan
from nas.model.fuse import fuse
from nas.model.network import Network
from nas.predict.features import network_features
from nas.topology.flatten import flatten
from nas.topology.graph import Architecture
from nas.topology.identity import executed_id, sharing_id, structural_id
from nas.topology.merges import MERGES
from nas.topology.serial import architecture_text, load_architecture

CLASSES = 5
EXAMPLES = scaled(250)
EVERY = (*MERGES, "laurel_lr(rank=2)")
SYMMETRIC = tuple(
    name
    for name in MERGES
    if MERGES.get(name).roles == "alike" and MERGES.get(name).weight != "stacked"
)
NETWORKS = architectures(merges=EVERY)
KEPT = ("relu", "bn_relu", "avg_pool3x3", "conv1x1")


def images(count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn((count, *INPUT_SHAPE), generator=generator, dtype=torch.float64)


def masked(network: Architecture, chosen: int) -> Architecture:
    """Let one edge into each node of several inputs carry the port `mask`."""
    edges = list(network.edges)
    for node in range(1, len(network.nodes)):
        into = network.inputs(node)
        if len(into) > 1:
            place = edges.index(into[chosen % (len(into) - 1)])
            edges[place] = replace(edges[place], port="mask")
    return replace(network, edges=tuple(edges))


@given(network=NETWORKS, chosen=st.integers(0, 3), ported=st.booleans())
@settings(max_examples=EXAMPLES)
def test_costs_pieces_gradients_and_files_hold_for_every_mix_of_merges(
    network: Architecture, chosen: int, ported: bool
) -> None:
    network = masked(network, chosen) if ported else network
    assert load_architecture(architecture_text(network)) == network
    built = Network(network, INPUT_SHAPE, CLASSES)
    counted = cost(network, INPUT_SHAPE, CLASSES)
    assert counted.parameters == sum(p.numel() for p in built.parameters())
    found = list(pieces(plan(network, INPUT_SHAPE), CLASSES))
    assert sum(piece.parameters for piece in found) == counted.parameters
    assert sum(piece.macs for piece in found) == counted.macs
    assert network_features(network, INPUT_SHAPE, CLASSES).macs == counted.macs
    built(images().float()).square().mean().backward()
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        built.eval()(images(1).float())
    assert counted.macs * 2 == counter.get_total_flops()


@given(network=NETWORKS)
@settings(max_examples=EXAMPLES)
def test_the_network_that_ships_gives_the_same_output(network: Architecture) -> None:
    built = Network(network, INPUT_SHAPE, CLASSES, seed=3).double().eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in built.named_parameters():
            if ".merge." in name:
                value.add_(0.3 * torch.rand(value.shape, generator=generator))
        wanted = built(images())
        assert (fuse(built)(images()) - wanted).abs().max() <= 1e-10 * wanted.abs().max() + 1e-300


@given(network=architectures(merges=EVERY, cells=2))
@settings(max_examples=EXAMPLES)
def test_flattening_keeps_costs_and_ids_under_every_merge(network: Architecture) -> None:
    flat = flatten(network)
    nested_cost, flat_cost = (cost(one, INPUT_SHAPE, CLASSES) for one in (network, flat))
    assert (nested_cost.parameters, nested_cost.macs) == (flat_cost.parameters, flat_cost.macs)
    for identifier in (structural_id, sharing_id, executed_id):
        assert identifier(network) == identifier(flat)


@given(
    network=architectures(
        merges=SYMMETRIC, operations=KEPT, cells=0, transforms=False, carried=False
    ),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=EXAMPLES)
def test_order_never_matters_to_symmetric_merges(network: Architecture, seed: int) -> None:
    plain = replace(network, nodes=tuple(replace(n, width=None, stride=1) for n in network.nodes))
    other = renumbered(plain, random.Random(seed))
    for identifier in (structural_id, sharing_id, executed_id):
        assert identifier(other) == identifier(plain)

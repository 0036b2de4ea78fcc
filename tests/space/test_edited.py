"""Spaces of edits: the base is a member, edits are what they say, and supernets hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nas.errors import ConfigError, NotFoundError, SpaceError
from nas.space import AbstractSpace, SubsetOf, space_from_dict
from nas.supernet.supernet import Supernet
from nas.topology.facts import Gain
from nas.topology.identity import structural_id
from nas.topology.published import build_published_text

BASE = "resnet-cifar:depth=8,width=4"


def declared(**fields: Any) -> AbstractSpace:
    data = {"schema": "nas.space/1", "kind": "edits", "name": "edits", "base": BASE, **fields}
    return space_from_dict(data)


FULL: dict[str, Any] = {
    "skips": {"reach": 2},
    "operations": {"of": ["conv3x3"], "choices": ["conv1x1"]},
    "merges": {"choices": ["mean", "weighted"]},
}


def test_the_base_is_a_member() -> None:
    space = declared(**FULL)
    known = space.known()
    assert list(known) == ["residual"]
    built = space.build(known["residual"])
    assert structural_id(built) == structural_id(build_published_text(BASE))


def test_every_edit_is_of_its_kind_and_nothing_else_changes() -> None:
    space = declared(**FULL)
    base = space.known()["residual"]
    for decisions in space.neighbours(base):
        (name,) = [key for key in decisions if decisions[key] != base.get(key)]
        built = space.build(decisions)
        node = next((n for n in built.nodes if n.name == name.rsplit(".", 1)[0]), None)
        if node is not None and name.endswith(".operation"):
            assert node.operation == decisions[name]
        if node is not None and name.endswith(".merge"):
            assert node.merge == decisions[name]
        assert structural_id(built) != structural_id(space.build(base))


def test_a_merging_node_is_offered_the_states_within_reach() -> None:
    near, far = declared(skips={"reach": 1}), declared(skips={"reach": 3})
    assert all(isinstance(choice, SubsetOf) for choice in (*near.choices, *far.choices))
    last = "stage3.block1.join.inputs"
    items = {choice.name: getattr(choice, "items", ()) for choice in (*near.choices,)}
    more = {choice.name: getattr(choice, "items", ()) for choice in (*far.choices,)}
    assert items[last] == ("stage2.block1.join",)
    assert more[last] == ("stem", "stage1.block1.join", "stage2.block1.join")


def test_a_new_connection_may_start_without_effect() -> None:
    space = declared(skips={"reach": 2, "start": "zero"})
    base = space.known()["residual"]
    name = "stage3.block1.join.inputs"
    added = space.build({**base, name: ["stage1.block1.join", "stage2.block1.join"]})
    gains = [edge.gain for edge in added.edges if not edge.gain.identity]
    assert gains == [Gain("scalar", 0.0)]


def test_a_member_inside_the_supernet_is_the_network_it_is_cut_out_as() -> None:
    space = declared(skips={"reach": 2, "start": "zero"}, operations=FULL["operations"])
    net = Supernet(space, (3, 16, 16), 5, seed=0).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise, alpha=0.2)
    x = torch.randn((4, 3, 16, 16), generator=generator, dtype=torch.float64)
    rng = np.random.default_rng(0)
    for _ in range(5):
        member = space.build(space.sample(rng))
        statistics = net.recalibrate(member, x)
        with torch.no_grad():
            alone = net.extract(member, statistics).eval()(x)
            gap = (net(x, member, statistics) - alone).abs().max()
        assert gap <= 1e-10 * alone.abs().max()


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"base": "resnet-cifr"}, NotFoundError, r"'resnet-cifr'[\s\S]*'resnet-cifar'"),
        ({"base": "resnet-cifar:depth=21"}, ConfigError, r"'depth' is 21[\s\S]*20[\s\S]*26"),
        ({}, SpaceError, r"No edit of the space 'edits' applies[\s\S]*conv3x3"),
        (
            {"operations": {"of": ["mbconv3x3"], "choices": ["conv1x1"]}},
            SpaceError,
            r"No edit of the space 'edits' applies to resnet-cifar",
        ),
        (
            {"operations": {"of": ["conv3x3"], "choices": ["konv1x1"]}},
            NotFoundError,
            r"'konv1x1'[\s\S]*operations",
        ),
        ({"merges": {"choices": ["summ"]}}, NotFoundError, r"merge 'summ'[\s\S]*'sum'"),
        ({"skips": {"reach": 0}}, ConfigError, r"reach"),
    ],
)
def test_what_cannot_be_edited_is_refused(
    fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        declared(**fields)

"""Cells of their own: counts, names, members that differ by stage or place, and their gates."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from nas.errors import ConfigError
from nas.space import AbstractSpace, space_from_dict
from nas.supernet.binding import Binder
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits
from nas.supernet.relaxation import Relaxation
from nas.supernet.supernet import Supernet

Per = Literal["all", "stage", "cell"]
EVERY: tuple[Per, ...] = ("all", "stage", "cell")
OWNERS = {
    "all": ["cell"],
    "stage": ["stage1", "stage2"],
    "cell": ["stage1.cell1", "stage1.cell2", "stage2.cell1"],
}


def cells(per: str | None, nodes: int = 3) -> AbstractSpace:
    operations = ["none", "identity", "relu_conv3x3_bn"]
    cell: dict[str, object] = {"nodes": nodes, "operations": operations}
    if per is not None:
        cell["per"] = per
    return space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "cells",
            "name": "cells",
            "cell": cell,
            "stages": [{"cells": 2, "width": 4}, {"cells": 1, "width": 8}],
        }
    )


@pytest.mark.parametrize("per", EVERY)
def test_every_owner_has_choices_of_its_own(per: Per) -> None:
    space = cells(per)
    owners = list(dict.fromkeys(choice.name.rsplit(".", 1)[0] for choice in space.choices))
    assert owners == OWNERS[per]
    assert space.count() == (3**3) ** len(owners)
    assert all(space.normalise(member) == member for member in space.cover())


def test_one_cell_for_all_is_the_default() -> None:
    assert cells(None).fingerprint == cells("all").fingerprint


@pytest.mark.parametrize("per", EVERY)
def test_cells_differ_where_they_are_their_own(per: Per) -> None:
    space = cells(per)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(20):
        member = space.sample(rng)
        nodes = {node.name: node.cell for node in space.build(member).nodes if node.cell}
        one, two, three = (nodes[f"stage{s}.cell{c}"] for s, c in ((1, 1), (1, 2), (2, 1)))
        seen.add((one == two, one == three))
    together = {"all": {(True, True)}, "stage": {(True, False), (True, True)}}
    assert seen <= together.get(per, {(a, b) for a in (True, False) for b in (True, False)})
    assert (seen != {(True, True)}) == (per != "all")


@pytest.mark.parametrize("per", EVERY)
def test_ids_tell_members_apart_by_every_cell(per: Per) -> None:
    space = cells(per)
    first = {choice.name: "relu_conv3x3_bn" for choice in space.choices}
    ids = {space.member_id(first)}
    for owner in OWNERS[per]:
        ids.add(space.member_id({**first, f"{owner}.edge0-2": "identity"}))
    assert len(ids) == 1 + len(OWNERS[per])


def test_the_hand_made_cell_is_known_in_every_place() -> None:
    space = cells("cell", nodes=4)
    (member,) = space.known().values()
    assert space.normalise(member) == member
    assert len({node.cell for node in space.build(member).nodes if node.cell}) == 1


def test_an_unknown_owner_of_cells_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"per[\s\S]*all, stage, cell"):
        cells("row")


@pytest.mark.parametrize("per", EVERY)
@pytest.mark.parametrize("operations", ["sampled", "mixed"])
def test_every_vertex_of_gates_per_cell_is_the_member(per: Per, operations: str) -> None:
    space = cells(per)
    supernet = Supernet(space, (3, 8, 8), 5).double()
    relaxation = Relaxation(space, operations=operations).double()  # type: ignore[arg-type]
    assert len(relaxation.logits) == 9 * len(OWNERS[per])
    binder, rng = Binder(space), np.random.default_rng(0)
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(6):
        member = space.sample(rng)
        context, values = relaxation.context(member)
        with torch.no_grad():
            ours = relaxed_logits(supernet, mix(supernet, binder, context), values, x)
            theirs = supernet(x, space.build(member))
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)

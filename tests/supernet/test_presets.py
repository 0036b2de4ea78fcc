"""Which parts a config names, and why a space is refused: the messages in full."""

from __future__ import annotations

from typing import Any

import pytest

from nas.errors import ConfigError, NotFoundError
from nas.space import AbstractSpace, space_from_dict
from nas.supernet.fitting import Fitting, Site
from nas.supernet.relaxation_config import RELAXATION_PRESETS, RelaxationSettings
from nas.supernet.relaxation_parts import check_fit, check_parts

SHAPE = (3, 32, 32)


def stages(**more: Any) -> AbstractSpace:
    stage = {"pattern": "free", "depth": 3, "width": 8, **more}
    return space_from_dict(
        {"schema": "nas.space/1", "kind": "stages", "name": "mine", "stages": [stage]}
    )


def cells() -> AbstractSpace:
    cell = {"nodes": 3, "operations": ["none", "identity", "relu_conv3x3_bn"]}
    return space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "cells",
            "name": "cells",
            "cell": cell,
            "stages": [{"cells": 1, "width": 8}],
        }
    )


def test_every_line_of_a_preset_is_a_part_that_exists() -> None:
    for name in RELAXATION_PRESETS:
        parts = check_parts(RelaxationSettings(preset=name))
        assert {"partial", "alternation", "discretisation"} <= {part.key for part in parts}
    (rule,) = [
        part.name
        for part in check_parts(RelaxationSettings(preset="sd-darts"))
        if part.key.startswith("rules.")
    ]
    assert rule == "self_distillation"


def test_the_defaults_fit_every_space() -> None:
    for space in (stages(), cells(), stages(pattern="chain")):
        check_fit(RelaxationSettings(), space)


@pytest.mark.parametrize(
    ("settings", "space", "message"),
    [
        ({"preset": "dots"}, cells(), r"'dots' \(gate sampler 'k_subsets'\)[\s\S]*No set of edges"),
        ({"preset": "dots"}, stages(depth=1), r"preset 'dots'[\s\S]*more than 2 edges"),
        ({"preset": "dnw"}, cells(), r"preset 'dnw'[\s\S]*Every choice of the space"),
        (
            {"preset": "gdas"},
            stages(operation="conv3x3"),
            r"'gumbel_hard'[\s\S]*No choice among merges",
        ),
        (
            {"gates": {"options": "dirichlet"}},
            stages(),
            r"^The gate sampler 'dirichlet' does not fit the space 'mine'",
        ),
        (
            {},
            stages(merge="stack"),
            r"cannot be relaxed: the node 'stage1\.\w+' may merge by stack",
        ),
        (
            {"operations": "mixed"},
            stages(merge={"choices": ["sum", "stack"], "per": "node"}),
            r"may merge by stack[\s\S]*relaxation\.enabled=false",
        ),
    ],
)
def test_a_misfit_names_the_part_the_space_why_and_the_way_out(
    settings: dict[str, Any], space: AbstractSpace, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        check_fit(RelaxationSettings(**settings), space)
    assert caught.value.why and caught.value.fix and caught.value.where


def test_a_stack_of_fixed_edges_is_no_obstacle() -> None:
    check_fit(RelaxationSettings(), stages(pattern="residual", merge="stack"))


def test_unknown_names_and_options_are_refused_with_what_there_is() -> None:
    with pytest.raises(NotFoundError, match=r"Unknown partial 'rows'[\s\S]*channels, none"):
        check_parts(RelaxationSettings(partial="rows"))
    with pytest.raises(NotFoundError, match=r"Unknown training rule 'x'") as caught:
        check_parts(RelaxationSettings(rules=["x"]))
    assert caught.value.where == "relaxation.rules.0"
    with pytest.raises(ConfigError, match=r"'xi'"):
        check_parts(RelaxationSettings(alternation={"name": "second_order", "xi": -1}))
    with pytest.raises(ConfigError, match=r"does not answer choices of options"):
        check_parts(RelaxationSettings(gates={"options": "sigmoid"}))
    with pytest.raises(ValueError, match=r"the presets are darts, darts-2nd, "):
        RelaxationSettings(preset="dartz")


def test_mixed_sites_are_those_of_nodes_and_of_edges_at_every_width() -> None:
    mixed = RelaxationSettings(operations="mixed")
    space = stages(
        pattern="chain",
        depth=2,
        width={"choices": [4, 8]},
        operation={"choices": ["conv3x3", "conv1x1"], "per": "node"},
    )
    sites = Fitting(space, mixed, SHAPE).mixed_sites()
    assert set(sites) == {
        Site(f"stage1.{node}", width, width, 1) for node in ("op1", "op2") for width in (4, 8)
    }
    edges = Fitting(cells(), mixed, SHAPE).mixed_sites()
    assert {site.name for site in edges} == {
        "stage1.cell1/node1<node0",
        "stage1.cell1/node2<node0",
        "stage1.cell1/node2<node1",
    }
    assert Fitting(cells(), RelaxationSettings(), SHAPE).mixed_sites() == ()

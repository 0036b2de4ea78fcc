"""Every registered study method keeps the promises of one, unasked."""

from __future__ import annotations

from typing import Any

import pytest
from study_cases import study

from nas.cost.count import cost
from nas.study.methods import METHODS
from nas.study.resolve import make_methods
from nas.study.session import Materials, context_of, rows_of

MACS = 260_000
OPTIONS: dict[str, dict[str, Any]] = {
    "wiring": {"name": "dense"},
    "published": {"name": "resnet-cifar"},
}
"""Options of the methods that need some; a new method that needs none is tested by existing."""


def config_of(kind: str, **keys: Any) -> Any:
    match = {"macs": MACS, "tolerance": 0.1}
    return study(methods=[{"kind": kind, **OPTIONS.get(kind, {})}], match=match, **keys)


@pytest.mark.parametrize("kind", METHODS.names())
def test_a_method_has_its_registered_name_and_a_label(kind: str) -> None:
    (method,) = make_methods(config_of(kind))
    assert method.kind == kind
    assert method.label
    (renamed,) = make_methods(
        study(methods=[{"kind": kind, "label": "mine", **OPTIONS.get(kind, {})}])
    )
    assert renamed.label == "mine"


@pytest.mark.parametrize("kind", METHODS.names())
def test_a_method_says_what_it_chooses_or_what_it_searches(kind: str) -> None:
    config = config_of(kind)
    (row,) = rows_of(config, make_methods(config))
    context = context_of(config, Materials(config), row)
    choice, search = row.method.preview(context), row.method.search_config(context)
    assert (choice is None) != (search is None)
    if search is not None:
        assert not search.confirm.enabled
        assert search.constraints == {"macs": {"min": 234_000, "max": 286_000}}
        assert search.max_train_images == config.max_train_images
        return
    assert choice is not None
    assert len(choice.by_seed) == config.seeds
    assert {place for places in choice.by_seed for place in places} == set(
        range(len(choice.networks))
    )
    for network in choice.networks:
        assert abs(cost(network, context.input_shape, context.num_classes).macs / MACS - 1) <= 0.1
    assert row.method.preview(context) == choice


@pytest.mark.parametrize("kind", [kind for kind in METHODS if kind != "search"])
def test_without_a_size_networks_are_taken_as_they_come(kind: str) -> None:
    config = study(methods=[{"kind": kind, **OPTIONS.get(kind, {})}])
    (row,) = rows_of(config, make_methods(config))
    assert row.method.preview(context_of(config, Materials(config), row)) is not None


def test_a_fixed_number_of_random_members_is_trained_with_every_seed() -> None:
    config = study(methods=[{"kind": "random", "members": 2}])
    (row,) = rows_of(config, make_methods(config))
    choice = row.method.preview(context_of(config, Materials(config), row))
    assert choice is not None
    assert choice.by_seed == ((0, 1),) * 3
    assert choice.note == "mean of 2 members"

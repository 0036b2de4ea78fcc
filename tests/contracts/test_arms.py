"""Every arm, also one that is added: a name, a kind, made without arguments, data that survives."""

from __future__ import annotations

from typing import get_args

import pytest

from nas.search.confirm.arms import ARMS, AbstractArm
from nas.search.confirm.candidate import Candidate, Kind, LeftOut
from nas.search.settings.config import SearchConfig
from nas.search.settings.presets import PRESETS
from nas.search.settings.resolve import resolve_config
from nas.topology.published import build_published


@pytest.mark.parametrize("name", list(ARMS))
def test_an_arm_is_final_named_and_of_a_kind(name: str) -> None:
    arm = ARMS.get(name)
    assert issubclass(arm, AbstractArm)
    assert arm.name == name
    assert arm.kind in get_args(Kind)
    assert getattr(arm, "__final__", False)
    assert arm().candidates.__doc__
    assert (arm.kind == "searched") == (name == "front")


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_has_hand_made_and_random_rivals(preset: str) -> None:
    config: SearchConfig = resolve_config("tiny_exhaustive", options={"preset": preset})
    kinds = {ARMS.get(name).kind for name in config.confirm.rivals}
    assert kinds == {"hand_made", "random"}
    assert (config.confirm.seeds_b >= 5) == (preset != "smoke")
    assert (len(config.confirm.varied_recipes()) >= 3) == (preset != "smoke")


def test_a_candidate_survives_its_record() -> None:
    network = build_published("resnet-cifar")
    first = Candidate.of("published-resnet", "published", "hand_made", "published resnet", network)
    assert Candidate.from_record(first.to_record()) == first
    assert LeftOut("published", "published fractalnet", "too small").to_record() == {
        "arm": "published",
        "name": "published fractalnet",
        "reason": "too small",
    }

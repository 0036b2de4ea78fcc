"""Spaces whose members also decide in which number formats they ship."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.space import load_space
from nas.space.quantised import QuantisedSpace

TINY = load_space("tiny_exhaustive")


@pytest.mark.parametrize(("per", "factor"), [("network", 3), ("stage", 9)])
def test_every_architecture_comes_in_every_policy(per: str, factor: int) -> None:
    space = QuantisedSpace(TINY, ["fp32", "int8", "int8-dynamic"], per)  # type: ignore[arg-type]
    assert space.count() == factor * TINY.count()
    assert space.fingerprint != TINY.fingerprint


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), per=st.sampled_from(["network", "stage"]))
def test_the_policy_changes_the_member_and_not_its_architecture(seed: int, per: str) -> None:
    space = QuantisedSpace(TINY, ["fp32", "int8"], per)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    member = space.sample(rng)
    inner = {name: answer for name, answer in member.items() if "quantisation" not in name}
    assert space.build(member) == TINY.build(inner)
    assert space.wiring(member) == TINY.wiring(inner)
    assert space.family(member) == TINY.family(inner)
    changed = space.mutate(member, rng)
    same_formats = space.formats(member) == space.formats(changed)
    if space.build(changed) == space.build(member):
        assert (space.member_id(changed) == space.member_id(member)) == same_formats


def test_equal_formats_in_all_stages_are_one_member_of_either_kind() -> None:
    by_stage = QuantisedSpace(TINY, ["fp32", "int8"], "stage")
    whole = QuantisedSpace(TINY, ["fp32", "int8"], "network")
    known = TINY.known()["residual"]
    uniform = {**known, "stage1.quantisation": "int8", "stage2.quantisation": "int8"}
    mixed = {**known, "stage1.quantisation": "int8", "stage2.quantisation": "fp32"}
    assert by_stage.member_id(uniform) == whole.member_id({**known, "quantisation": "int8"})
    assert by_stage.member_id(mixed) != by_stage.member_id(uniform)


def test_members_of_the_inner_space_are_completed_with_the_first_policy() -> None:
    space = QuantisedSpace(TINY, ["int8", "fp32"], "network")
    for name, decisions in TINY.known().items():
        assert space.known()[name] == space.complete(decisions)
        assert space.formats(space.known()[name]) == {"": "int8"}
        assert space.normalise(space.known()[name]) == space.known()[name]
    assert space.complete({"quantisation": "fp32"}) == {"quantisation": "fp32"}

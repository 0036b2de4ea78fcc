"""Who is trained for a ranking."""

from __future__ import annotations

from collections import Counter

import pytest
from supernet_cases import one_stage, space

from nas.errors import NotFoundError, SpaceError
from nas.supernet.trust.members import choose_members, possible_families
from nas.supernet.trust.truth import stratified_members


def test_the_families_of_a_space_are_what_every_stage_offers_and_mixed() -> None:
    assert possible_families(space("tiny_exhaustive")) == (
        "chain", "dense", "fractal", "hierarchical", "residual", "mixed",
    )  # fmt: skip
    assert possible_families(one_stage(patterns=("chain", "dense"))) == ("chain", "dense")
    assert "mixed" in possible_families(space("wired_cnn"))


def test_families_get_equal_numbers_of_distinct_members() -> None:
    tiny = space("tiny_exhaustive")
    members = choose_members(tiny, 30, seed=1)
    assert all(tiny.member_id(decisions) == name for name, decisions in members.items())
    counts = Counter(tiny.family(decisions) for decisions in members.values())
    assert set(counts.values()) == {5} and len(counts) == 6
    assert members == choose_members(tiny, 30, seed=1) != choose_members(tiny, 30, seed=2)


def test_a_family_with_too_few_members_is_left_out() -> None:
    tiny = space("tiny_exhaustive")  # 6 chains, 12 of every other pure family
    counts = Counter(tiny.family(each) for each in choose_members(tiny, 50, seed=0).values())
    assert set(counts) == {"dense", "fractal", "hierarchical", "residual", "mixed"}
    with pytest.raises(SpaceError, match="No family of the space 'tiny_exhaustive' has 5000"):
        choose_members(tiny, 5000, seed=0)


def test_named_families_are_drawn_as_stratified_members_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nas.supernet.trust.truth.TRIES_PER_MEMBER", 200)
    tiny, named = space("tiny_exhaustive"), ("dense", "mixed")
    assert choose_members(tiny, 6, 4, named) == stratified_members(tiny, 6, 4, named)
    with pytest.raises(NotFoundError, match=r"no family 'dens'[\s\S]*Did you mean 'dense'"):
        choose_members(tiny, 6, 4, ("dens",))
    with pytest.raises(SpaceError, match="gave 6 members of the family 'chain', 9 are wanted"):
        choose_members(tiny, 9, 4, ("chain",))


def test_all_members_are_every_distinct_one_and_a_large_space_is_refused() -> None:
    tiny = space("tiny_exhaustive")
    assert len(choose_members(tiny, None, seed=0)) == tiny.distinct()
    chains = choose_members(tiny, None, 0, ("chain",))
    assert {tiny.family(each) for each in chains.values()} == {"chain"} and len(chains) == 6
    with pytest.raises(SpaceError, match=r"wired_cnn.* too many to train all"):
        choose_members(space("wired_cnn"), None, seed=0)

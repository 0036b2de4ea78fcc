"""The language of spaces: counting, walking and editing agree with brute force."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import SpaceError
from nas.space.choices import (
    Choice,
    Decisions,
    OneOf,
    Option,
    SubsetOf,
    asked,
    count_members,
    cover,
    crossover,
    enumerate_members,
    mutate,
    neighbours,
    normalise,
    sample,
)


def choice_trees(prefix: str = "c", depth: int = 2) -> st.SearchStrategy[tuple[Choice, ...]]:
    """Small random spaces; names are unique because they hold their place in the tree."""

    @st.composite
    def build(draw: st.DrawFn, prefix: str = prefix, depth: int = depth) -> tuple[Choice, ...]:
        found: list[Choice] = []
        for index in range(draw(st.integers(0 if depth < 2 else 1, 2))):
            name = f"{prefix}.{index}"
            if draw(st.booleans()):
                size = draw(st.integers(1, 3))
                items = tuple("xyz"[:size])
                found.append(SubsetOf(name, items, draw(st.integers(0, size))))
                continue
            options = tuple(
                Option(value, draw(build(f"{name}.{value}", depth - 1)) if depth else ())
                for value in range(draw(st.integers(1, 3)))
            )
            found.append(OneOf(name, options))
        return tuple(found)

    return build()


def key(decisions: Decisions) -> str:
    return repr(sorted(decisions.items()))


@given(choice_trees())
def test_the_count_equals_the_length_of_the_enumeration(choices: tuple[Choice, ...]) -> None:
    members = [key(member) for member in enumerate_members(choices)]
    assert len(members) == len(set(members)) == count_members(choices)


@given(choice_trees(), st.integers(0, 10))
def test_samples_mutants_and_crossings_are_members(choices: tuple[Choice, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    members = {key(member) for member in enumerate_members(choices)}
    first, second = sample(choices, rng), sample(choices, rng)
    mutant = mutate(choices, first, rng)
    assert {key(first), key(mutant), key(crossover(choices, first, second, rng))} <= members
    if len(members) > 1:
        assert mutant != first


@given(choice_trees())
def test_neighbourhood_is_complete_for_one_changed_answer(choices: tuple[Choice, ...]) -> None:
    members = {key(member) for member in enumerate_members(choices)}
    for member in list(enumerate_members(choices))[:5]:
        near = [key(other) for other in neighbours(choices, member)]
        assert set(near) <= members
        assert key(member) not in near
        expected = sum(
            len(list(choice.nearby(member[choice.name]))) for choice in asked(choices, member)
        )
        assert len(near) == expected


@given(choice_trees())
def test_the_cover_is_made_of_members(choices: tuple[Choice, ...]) -> None:
    members = {key(member) for member in enumerate_members(choices)}
    assert {key(member) for member in cover(choices)} <= members


def test_sampling_answers_each_question_uniformly() -> None:
    inner = (OneOf("depth", (Option(1), Option(2), Option(3))),)
    choices = (OneOf("pattern", (Option("a"), Option("b", inner))), SubsetOf("in", ("x", "y")))
    rng = np.random.default_rng(0)
    draws = [sample(choices, rng) for _ in range(6000)]
    patterns = Counter(str(draw["pattern"]) for draw in draws)
    assert abs(patterns["a"] - 3000) < 4 * np.sqrt(1500)
    subsets = Counter(repr(draw["in"]) for draw in draws)
    assert len(subsets) == 3
    assert all(abs(count - 2000) < 4 * np.sqrt(1333) for count in subsets.values())


def test_a_space_of_one_member_mutates_to_itself() -> None:
    choices = (OneOf("a", (Option(1),)),)
    assert mutate(choices, {"a": 1}, np.random.default_rng(0)) == {"a": 1}


@pytest.mark.fault("C9")
def test_a_choice_without_options_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"choice 'a' has no options"):
        OneOf("a", ())


def test_an_option_offered_twice_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"'a' offers an option twice: \[1, 1\]"):
        OneOf("a", (Option(1), Option(1)))


def test_a_subset_of_more_than_there_is_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"'a' asks for 3 of 2 items"):
        SubsetOf("a", ("x", "y"), minimum=3)


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ({"in": ["x"]}, r"'p' is not answered"),
        ({"p": "c", "in": ["x"]}, r"'c' is no answer to 'p'.*\n.*\n.*one of a, b"),
        ({"p": "a", "in": []}, r"\[\] is no answer to 'in'"),
        ({"p": "a", "in": ["y", "x"]}, r"at least 1 of x, y, in this order"),
        ({"p": "a", "in": ["x"], "inn": ["x"]}, r"no choice 'inn'.*\n.*Did you mean 'in'"),
        ({"p": True, "in": ["x"]}, r"True is no answer to 'p'"),
    ],
)
def test_wrong_decisions_are_refused_with_the_way_out(decisions: Decisions, message: str) -> None:
    choices = (OneOf("p", (Option("a"), Option("b"))), SubsetOf("in", ("x", "y")))
    with pytest.raises(SpaceError, match=message):
        normalise(choices, decisions)

"""Every space that comes with the package keeps the promises of a space, unasked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scale import scaled

from nas.cost.count import cost
from nas.space import AbstractSpace, OneOf, SubsetOf, load_space, space_from_dict, space_names
from nas.space.choices import all_names

DIGITS, CIFAR = (1, 8, 8), (3, 32, 32)
SPACES = space_names()


@pytest.fixture(scope="module", params=SPACES)
def space(request: pytest.FixtureRequest) -> AbstractSpace:
    return load_space(str(request.param))


def draws(space: AbstractSpace, full: int = 200) -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    return [dict(space.sample(rng)) for _ in range(scaled(full))]


def test_the_file_is_named_like_its_space_and_has_a_summary(space: AbstractSpace) -> None:
    assert space.name in SPACES
    assert len(space.summary) > 10


def test_every_sample_builds_and_computes_at_small_and_usual_images(space: AbstractSpace) -> None:
    for decisions in draws(space):
        architecture = space.build(decisions)
        assert cost(architecture, DIGITS, 10).parameters == (
            cost(architecture, CIFAR, 10).parameters - _stem_difference(architecture)
        )


def _stem_difference(architecture: object) -> int:
    """Three colour channels instead of one, in the stem's 3x3 kernels."""
    return 2 * 9 * architecture.nodes[1].width  # type: ignore[attr-defined]


def test_normalising_a_sample_changes_nothing_and_ignores_unasked_answers(
    space: AbstractSpace,
) -> None:
    names = all_names(space.choices)
    for decisions in draws(space, 50):
        assert space.normalise(decisions) == decisions
        unasked = next(iter(sorted(names - decisions.keys())), None)
        if unasked is not None:
            assert space.normalise({**decisions, unasked: "anything"}) == decisions


def test_neighbours_differ_and_are_members(space: AbstractSpace) -> None:
    for decisions in draws(space, 30):
        for _, neighbour in zip(range(30), space.neighbours(decisions), strict=False):
            assert neighbour != decisions
            assert space.normalise(neighbour) == neighbour


def test_mutation_and_crossover_return_members_and_repeat_with_the_seed(
    space: AbstractSpace,
) -> None:
    members = draws(space, 100)
    for first, second in pairwise(members):
        children = [
            (
                space.mutate(first, np.random.default_rng(7)),
                space.crossover(first, second, np.random.default_rng(7)),
            )
            for _ in range(2)
        ]
        assert children[0] == children[1]
        mutated, crossed = children[0]
        assert mutated != first
        for child in (mutated, crossed):
            space.build(child)
            assert space.normalise(child) == child


def test_the_cover_holds_every_option_and_all_items(space: AbstractSpace) -> None:
    seen: set[tuple[str, str]] = set()
    for decisions in space.cover():
        seen |= {(name, repr(answer)) for name, answer in decisions.items()}

    def expect(choices: tuple[OneOf | SubsetOf, ...]) -> None:
        for choice in choices:
            if isinstance(choice, SubsetOf):
                assert (choice.name, repr(list(choice.items))) in seen
                continue
            if not choice.elastic:
                for option in choice.options:
                    assert (choice.name, repr(option.value)) in seen
                    expect(option.choices)

    expect(space.choices)


def test_known_wirings_are_members_of_one_family(space: AbstractSpace) -> None:
    known = space.known()
    assert known
    for name, decisions in known.items():
        assert space.normalise(decisions) == decisions
        assert space.family(decisions) in (name, "cell")


def test_the_reference_costs_as_much_as_any_sample(space: AbstractSpace) -> None:
    most = cost(space.build(space.reference()), CIFAR, 10).macs
    assert all(cost(space.build(member), CIFAR, 10).macs <= most for member in draws(space, 300))


def test_the_declaration_survives_a_round_trip(space: AbstractSpace) -> None:
    again = space_from_dict(space.to_dict())
    assert again.to_dict() == space.to_dict()
    assert again.fingerprint == space.fingerprint
    assert again.count() == space.count()

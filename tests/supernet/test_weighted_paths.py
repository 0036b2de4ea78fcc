"""The sampler `weighted`: how often it draws what, and the spaces it refuses."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from path_cases import CLASSES, SHAPE, fixed_space, training
from scipy.stats import chisquare

from nas.errors import ConfigError, SpaceError
from nas.space import AbstractSpace, load_space
from nas.supernet.member_sizes import MemberSizes
from nas.supernet.path_samplers import PATH_SAMPLERS, AbstractPathSampler, Moment, Scene

WITH_WEIGHTS = {"relu_conv1x1_bn", "relu_conv3x3_bn"}


def begun(space: AbstractSpace, odds: float) -> AbstractPathSampler:
    kind = PATH_SAMPLERS.get("weighted")
    sampler = kind(kind.Options(odds=odds))
    sizes = MemberSizes(space, SHAPE, CLASSES)
    sampler.begin(Scene(space, sizes, 0, 8, lambda _, __: 0.0))
    return sampler


def drawn(space: AbstractSpace, odds: float, count: int) -> list[dict[str, object]]:
    sampler, rng = begun(space, odds), np.random.default_rng(3)
    moments = (Moment(step, 0.0, rng, lambda _: 0.0) for step in range(count))
    return [dict(sampler.lessons(moment)[0].decisions) for moment in moments]


@pytest.mark.parametrize("odds", [1.0, 3.0])
def test_operations_with_weights_are_drawn_at_the_odds_and_all_others_alike(odds: float) -> None:
    space = load_space("nasbench201_c8n1")
    members = drawn(space, odds, 400)
    names = ("none", "identity", "relu_conv1x1_bn", "relu_conv3x3_bn", "avg_pool3x3")
    counts = Counter(str(answer) for member in members for answer in member.values())
    shares = np.array([odds if name in WITH_WEIGHTS else 1.0 for name in names])
    expected = shares / shares.sum() * 400 * len(space.choices)
    assert chisquare([counts[name] for name in names], expected).pvalue > 0.01


def test_a_space_in_which_the_odds_change_nothing_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"(?s)'weighted' does not fit.*Use 'uniform'"):
        training("weighted", fixed_space())


def test_odds_below_uniform_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"(?s)odds.*greater than or equal to 1"):
        training("weighted", sampler={"name": "weighted", "odds": 0.5})

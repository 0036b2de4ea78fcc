"""Published networks fitted to a size, and refusals of what cannot be fitted."""

from __future__ import annotations

import pytest
import torch

from nas.cost.count import cost
from nas.errors import ConfigError, NotFoundError
from nas.model.network import Network
from nas.model.published import (
    PUBLISHED,
    build_published,
    published_like,
    published_options_like,
)

CIFAR = (3, 32, 32)


def fitted_shapes() -> list[tuple[str, tuple[int, int, int]]]:
    """Return every family that is fitted to sizes with the images it can read."""
    cases = []
    for name in PUBLISHED:
        family = PUBLISHED.get(name)
        if family.width_option is None:
            continue
        shapes = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (2, 5, 7)]
        wide = [shape for shape in shapes if min(shape[1:]) >= family.smallest]
        cases += [(name, shape) for shape in wide or [(3, family.smallest, family.smallest + 1)]]
    return cases


@pytest.mark.parametrize(("name", "shape"), fitted_shapes())
def test_a_network_of_similar_size_comes_near_to_the_multiply_adds(
    name: str, shape: tuple[int, int, int]
) -> None:
    target = 60_000 * shape[1] * shape[2]
    architecture = published_like(name, shape, 10, target)
    counted = cost(architecture, shape, 10)
    assert abs(counted.macs / target - 1) < 0.1
    assert Network(architecture, shape, 10)(torch.zeros(2, *shape)).shape == (2, 10)
    options = published_options_like(name, shape, 10, target)
    assert build_published(name, **options) == architecture


def test_a_target_without_multiply_adds_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 multiply-add; got a target of 0"):
        published_like("resnet-cifar", CIFAR, 10, 0)


def test_images_of_one_pixel_are_too_small_for_a_fractal_network() -> None:
    with pytest.raises(ConfigError, match=r"of 2 pixels or more.*images have \(1, 1\)"):
        published_like("fractalnet", (3, 1, 1), 10, 10**6)


def test_a_family_without_a_width_to_fit_is_refused_and_the_others_named() -> None:
    with pytest.raises(ConfigError, match=r"(?s)'u2net' is not fitted.*densenet.*resnet"):
        published_like("u2net", CIFAR, 10, 10**6)


def test_an_unknown_family_is_refused_and_the_families_listed() -> None:
    with pytest.raises(NotFoundError, match=r"(?s)'resnte'.*mean 'resnet'.*densenet.*fractalnet"):
        build_published("resnte")

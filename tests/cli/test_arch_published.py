"""`nas arch build` prints the published numbers of published networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Nas = Callable[..., Any]

CIFAR = ("--input", "3x32x32", "--classes", 10)
IMAGENET = ("--input", "3x224x224", "--classes", 1000)


@pytest.mark.parametrize(
    ("name", "images", "parameters"),
    [
        ("resnet-cifar:depth=20,skip=projection", CIFAR, 272_474),
        ("resnet-cifar:depth=110", CIFAR, 1_727_962),
        ("densenet-cifar:depth=40,growth=12", CIFAR, 1_019_722),
        ("densenet-cifar:depth=100,growth=12,bc=true", CIFAR, 769_162),
        ("wrn-cifar:depth=16,width=4", CIFAR, 2_748_890),
        ("wrn-cifar:depth=28,width=10", (), 36_479_194),
        ("resnet:depth=18", IMAGENET, 11_689_512),
        ("resnet:depth=50", (), 25_557_032),
        ("densenet:depth=121", (), 7_978_856),
        ("mobilenetv2", (), 3_504_872),
    ],
)
def test_a_published_network_has_its_published_parameters(
    name: str, images: tuple[object, ...], parameters: int, nas: Nas
) -> None:
    answer = nas("arch", "build", name, *images, "--json")
    assert answer.code == 0, answer.err
    assert answer.document["parameters"] == parameters


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("resnet-cifar:depth=21", "depth=20 or depth=26"), ("resnet:depth=51", "depth=50")],
)
def test_an_impossible_depth_names_the_nearest_ones(name: str, nearest: str, nas: Nas) -> None:
    answer = nas("arch", "build", name)
    assert answer.code == 2
    assert nearest in answer.err

"""Published networks: exact parameters, published multiply-adds, and what their options refuse.

The published figures stand beside the exact counts with where they come from; the modules written
by hand are held to them first, so that they are oracles.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hand_written.parts import count
from hand_written.u2net import SMALL, U2Net
from published_cases import CASES
from torch import nn

from nas.cost.count import cost
from nas.errors import ArchitectureError, ConfigError
from nas.topology.published import PUBLISHED, build_published_text, usual_images

IMAGENET = (3, 224, 224)
OTHER = (3, 331, 299)
CLASSES = 1000


@pytest.mark.parametrize("text", CASES)
def test_the_module_written_by_hand_has_the_published_number_of_parameters(text: str) -> None:
    case = CASES[text]
    with torch.device("meta"):
        hand = case.hand()
    assert count(hand) == case.exact
    digits = len(case.millions.partition(".")[2])
    assert f"{case.exact / 1e6:.{digits}f}" == case.millions


@pytest.mark.parametrize("text", CASES)
def test_a_published_network_has_exactly_that_many_at_any_resolution(text: str) -> None:
    architecture = build_published_text(text)
    for shape in (IMAGENET, OTHER):
        assert cost(architecture, shape, CLASSES).parameters == CASES[text].exact


@pytest.mark.parametrize(
    ("text", "billions"),
    [
        ("hardnet:depth=68", 4.3),
        ("hardnet:depth=85", 9.1),
        ("hardnet:depth=39,separable=true", 0.44),
        ("hardnet:depth=68,separable=true", 0.8),
        ("vovnet:depth=39", 7.09),
        ("vovnet:depth=57", 8.95),
        ("res2net:depth=50,width=26,scale=4", 4.2),
        ("res2net:depth=50,width=26,scale=6", 6.3),
        ("res2net:depth=50,width=26,scale=8", 8.3),
        ("res2net:depth=101", 8.1),
        ("csp-resnet:depth=50", 8.97 / 2),
        ("csp-resnext:depth=50", 7.93 / 2),
        ("csp-darknet:depth=53", 13.07 / 2),
        ("inception-resnet-v2", 13.18),
        ("rdnet:size=tiny", 5.0),
        ("rdnet:size=small", 8.7),
        ("rdnet:size=base", 15.4),
        ("rdnet:size=large", 34.7),
    ],
)
def test_multiply_adds_are_the_published_ones_on_the_published_images(
    text: str, billions: float
) -> None:
    # The tables count some pointwise work too, and round: 4 % is what they agree to among
    # themselves. Darknet counts operations, two for a multiply-add.
    shape, classes = usual_images(text)
    assert cost(build_published_text(text), shape, classes).macs / 1e9 == pytest.approx(
        billions, rel=0.04
    )


@pytest.mark.parametrize(
    ("text", "millions"),
    [("csp-resnet:depth=50", 21.57), ("csp-resnext:depth=50", 20.50), ("csp-darknet", 27.61)],
)
def test_cross_stage_networks_have_the_published_numbers_without_their_norms(
    text: str, millions: float
) -> None:
    name, depth = text.partition(":")[0], {"csp-darknet": 53}.get(text.partition(":")[0], 50)
    with torch.device("meta"):
        hand = CASES[f"{name}:depth={depth}"].hand()
    norms = sum(count(part) for part in hand.modules() if isinstance(part, nn.BatchNorm2d))
    total = cost(build_published_text(text), IMAGENET, CLASSES).parameters
    assert round((total - norms) / 1e6, 2) == millions


def test_gates_in_every_block_explain_the_published_differences_of_vovnet2() -> None:
    # Faster R-CNN with FPN on these backbones (youngwanLE/vovnet-detectron2): 37.6, 52.6, 68.9 and
    # 96.9 million; only the backbones differ.
    counts = [
        cost(build_published_text(f"vovnet:version=2,depth={depth}"), IMAGENET, CLASSES).parameters
        for depth in (19, 39, 57, 99)
    ]
    steps = [(after - before) / 1e6 for before, after in pairwise(counts)]
    for step, published in zip(steps, (15.0, 16.3, 28.0), strict=True):
        assert step == pytest.approx(published, abs=0.1)


@pytest.mark.parametrize(
    ("make", "megabytes"), [(lambda: U2Net(), 176.3), (lambda: U2Net(*SMALL), 4.7)]
)
def test_a_nested_u_network_fills_a_file_of_the_published_size(
    make: Callable[[], nn.Module], megabytes: float
) -> None:
    with torch.device("meta"):
        hand = make()
    file = io.BytesIO()
    # The format in which the authors saved it.
    torch.save(hand.to_empty(device="cpu").state_dict(), file, _use_new_zipfile_serialization=False)
    assert round(file.tell() / 1e6, 1) == megabytes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hardnet:depth=70", r"'depth' is 70, but must be one of 39, 68, 85(?s:.*)depth=68\."),
        ("hardnet:percent=0", r"'percent' is 0, but must be 1 to 1000(?s:.*)percent=1\."),
        ("hardnet:seperable=true", r"no option 'seperable'(?s:.*)mean 'separable'"),
        ("vovnet:depth=40", r"'depth' is 40(?s:.*)depth=39\."),
        ("vovnet:version=3", r"'version' is 3, but must be 1 to 2"),
        ("vovnet:gates=lst", r"'gates' is lst, but must be one of every, last(?s:.*)gates=last"),
        ("vovnet:gates=x", r"'gates' is x(?s:.*)one of them after gates="),
        ("vovnet:percent=2000", r"'percent' is 2000"),
        (
            "res2net:depth=152",
            r"'depth' is 152, but must be one of 14, 26, 50, 101(?s:.*)depth=101",
        ),
        ("res2net:scale=1", r"'scale' is 1, but must be 2 to 64"),
        ("res2net:width=0", r"'width' is 0"),
        ("res2net:base=9999", r"'base' is 9999"),
        ("res2net:width=4096,scale=64", r"'width' is 4096, but must be 1 to 128(?s:.*)width=128"),
        ("csp-resnet:depth=101", r"'depth' is 101, but must be one of 50(?s:.*)depth=50"),
        ("csp-resnet:percent=0", r"'percent' is 0"),
        ("csp-resnext:groups=1", r"'groups' is 1, but must be 2 to 64"),
        ("csp-darknet:depth=52", r"'depth' is 52(?s:.*)depth=53"),
        ("csp-darknet:percent=0", r"'percent' is 0"),
        ("csp-densenet:depth=120", r"'depth' is 120(?s:.*)depth=121"),
        ("csp-densenet:growth=1", r"'growth' is 1, but must be 2 to 512"),
        ("csp-densenet:past=60", r"'past' is 60, but must be one of 0, 25, 50, 75(?s:.*)past=50"),
        ("csp-densenet:past=25,growth=5", r"quarters(?s:.*)growth=4 or growth=6, or past=50"),
        ("csp-densenet:fusion=frist", r"'fusion' is frist(?s:.*)fusion=first"),
        ("inception-resnet-v2:blocks17=0", r"'blocks17' is 0, but must be 1 to 100"),
        ("inception-resnet-v2:percent=0", r"'percent' is 0"),
        ("rdnet:size=tinny", r"'size' is tinny(?s:.*)size=tiny"),
        ("rdnet:layers=0", r"'layers' is 0"),
        ("rdnet:size=large,percent=1000", r"'stage12.op3' would have 65728 channels(?s:.*)fewer"),
        ("rdnet:percent=0", r"'percent' is 0"),
        ("u2net:maps=0", r"'maps' is 0"),
        ("u2netp:percent=0", r"u2netp: 'percent' is 0"),
    ],
)
def test_an_impossible_option_is_refused_and_the_nearest_possible_named(
    text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_published_text(text)


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("hardnet", r"stage4\.lower"),
        ("vovnet", r"stage4\.pool"),
        ("csp-densenet", r"stage3\.pool"),
        ("inception-resnet-v2", r"stage3\.lower\.chain1\.op2"),
        ("rdnet", r"stage7\.lower"),
    ],
)
def test_smaller_images_than_a_family_says_are_refused_at_the_node_where_they_vanish(
    name: str, node: str
) -> None:
    side = PUBLISHED.get(name).smallest
    architecture = build_published_text(name)
    assert cost(architecture, (3, side, side), CLASSES).macs
    with pytest.raises(ArchitectureError, match=rf"{node}'\): the resolution drops to 0x0"):
        cost(architecture, (3, side - 1, side - 1), CLASSES)


def test_a_network_is_built_for_the_images_it_was_published_for() -> None:
    assert usual_images("inception-resnet-v2:percent=50") == ((3, 299, 299), 1000)
    assert usual_images("hardnet") == ((3, 224, 224), 1000)
    assert usual_images("no-such-network") == ((3, 32, 32), 10)


@pytest.mark.parametrize("text", ["hardnet:depth=39", "hardnet:depth=68", "hardnet:depth=85"])
def test_a_harmonic_block_has_as_many_edges_as_the_rule_says(text: str) -> None:
    # 2L - popcount(L) inputs for L layers: linear where a dense block has L (L + 1) / 2.
    architecture = build_published_text(text)
    layers: Counter[str] = Counter()
    edges: Counter[str] = Counter()
    for index, node in enumerate(architecture.nodes):
        stage, _, unit = node.name.partition(".op")
        if unit:
            layers[stage] += 1
            edges[stage] += len(architecture.inputs(index))
    assert len(layers) >= 4
    assert edges == {stage: 2 * count - count.bit_count() for stage, count in layers.items()}

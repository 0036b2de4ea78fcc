"""Options of published networks: text in, clear refusals out, names that are unique."""

from __future__ import annotations

import pytest

from nas.errors import ConfigError
from nas.topology.published import (
    PUBLISHED,
    build_published,
    build_published_text,
    parse_published,
)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_family_builds_with_its_defaults_and_says_what_it_is(name: str) -> None:
    family = PUBLISHED.get(name)
    architecture = build_published(name)
    names = [node.name for node in architecture.nodes]
    assert all(names) and len(set(names)) == len(names)
    assert architecture.wiring
    assert family.summary.endswith(".") or family.summary.endswith(",")
    assert PUBLISHED.paper(name) is not None
    assert family.width_option is None or family.width_option in family.options
    assert build_published(name, **family.options) == architecture


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_depths_tried_for_a_size_exist(name: str) -> None:
    family = PUBLISHED.get(name)
    for shape in ((1, 8, 8), (3, 32, 32), (3, 2, 9)):
        for depth in family.depths(shape):
            assert family.width_option is not None
            for width in family.widths:
                build_published(name, **depth, **{family.width_option: width})


def test_options_may_be_text() -> None:
    text = "densenet:depth=22,growth=12,bottleneck=true"
    assert parse_published(text) == (
        "densenet",
        {"depth": "22", "growth": "12", "bottleneck": "true"},
    )
    assert build_published_text(text) == build_published("densenet_bc", depth=22)
    assert build_published_text("resnet") == build_published("resnet", depth=20, width=16)


def test_projection_is_another_word_for_project() -> None:
    assert build_published("resnet", shortcut="projection") == build_published(
        "resnet", shortcut="project"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet:dept=20", r"no option 'dept'(?s:.*)mean 'depth'(?s:.*)depth=20, width=16"),
        ("resnet:depth=21", r"'depth' is 21, but a depth is 6n \+ 2(?s:.*)depth=20 or depth=26"),
        ("resnet:depth=2", r"'depth' is 2(?s:.*)The nearest: depth=8\."),
        ("resnet:depth=-20", r"'depth' is -20(?s:.*)The nearest: depth=8\."),
        ("resnet:depth=90000", r"'depth' is 90000, but must be 8 to 1500"),
        ("resnet:depth=abc", r"'depth' is 'abc', but must be a whole number"),
        ("resnet:depth=true", r"'depth' is True, but must be a whole number"),
        ("resnet:shortcut=zeropad", r"'zeropad'(?s:.*)mean 'zero_pad'(?s:.*)zero_pad, project"),
        ("resnet:stages=0", r"'stages' is 0, but must be 1 to 8(?s:.*)stages=1"),
        ("resnet:width=0", r"'width' is 0, but must be 1 to 4096"),
        ("wide_resnet:depth=17", r"6n \+ 4(?s:.*)depth=16 or depth=22"),
        ("wide_resnet:widen=99", r"'widen' is 99, but must be 1 to 64"),
        ("wide_resnet:width=9999", r"'width' is 9999"),
        ("densenet:depth=41", r"3n \+ 4(?s:.*)depth=40 or depth=43"),
        ("densenet:growth=0", r"'growth' is 0"),
        ("densenet:bottleneck=1", r"'bottleneck' is 1, but must be true or false"),
        ("fractalnet:columns=9", r"'columns' is 9, but must be 1 to 6"),
        ("fractalnet:blocks=0", r"'blocks' is 0"),
        ("fractalnet:width=0", r"'width' is 0"),
        ("plain:width=0", r"'width' is 0"),
        ("plain:depth=4", r"3n \+ 2(?s:.*)depth=5"),
        ("resnet:depth", r"'depth' is no option of the form key=value"),
        ("resnet:depth=20,depth=32", r"'depth' is there twice"),
    ],
)
def test_a_bad_option_is_refused_and_the_way_out_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_published_text(text)

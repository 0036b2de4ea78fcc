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
    text = "densenet-cifar:depth=22,growth=12,bc=true"
    assert parse_published(text) == (
        "densenet-cifar",
        {"depth": "22", "growth": "12", "bc": "true"},
    )
    assert build_published_text(text) == build_published("densenet-cifar", depth=22, bc=True)
    assert build_published_text("resnet-cifar") == build_published(
        "resnet-cifar", depth=20, width=16
    )


def test_numbers_may_have_fractions_where_the_option_has() -> None:
    assert build_published_text("mobilenetv2:width=1") == build_published("mobilenetv2", width=1.0)
    assert build_published_text("mobilenetv2:width=5e-1") == build_published(
        "mobilenetv2", width=0.5
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet-cifar:dept=20", r"no option 'dept'(?s:.*)mean 'depth'(?s:.*)depth=20, width=16"),
        ("resnet-cifar:depth=21", r"is 21, but a depth is 6n \+ 2(?s:.*)depth=20 or depth=26"),
        ("resnet-cifar:depth=2", r"'depth' is 2(?s:.*)The nearest: depth=8\."),
        ("resnet-cifar:depth=-20", r"'depth' is -20(?s:.*)The nearest: depth=8\."),
        ("resnet-cifar:depth=90000", r"'depth' is 90000, but must be 8 to 1500"),
        (
            "resnet-cifar:depth=abc",
            r"'depth' is 'abc', but must be a whole number(?s:.*)Write for example depth=20",
        ),
        ("resnet-cifar:depth=20.0", r"'depth' is '20.0', but must be a whole number"),
        ("resnet-cifar:depth=true", r"'depth' is True, but must be a whole number"),
        ("resnet-cifar:skip=zeropda", r"'skip' is zeropda(?s:.*)mean skip=zeropad"),
        ("resnet-cifar:stages=0", r"'stages' is 0, but must be 1 to 8(?s:.*)stages=1"),
        ("resnet-cifar:width=0", r"'width' is 0, but must be 1 to 4096"),
        ("resnet:depth=51", r"'depth' is 51, but must be one of 18, 34, 50(?s:.*)depth=50\."),
        ("resnet:width=0", r"'width' is 0, but must be 1 to 4096"),
        ("resnet:stride=2x2", r"'stride' is 2x2, but must be one of 3x3, 1x1"),
        ("resnext:depth=18", r"'depth' is 18, but must be one of 50, 101, 152(?s:.*)depth=50\."),
        ("resnext:groups=0", r"'groups' is 0, but must be 1 to 256"),
        ("resnext:width=0", r"'width' is 0, but must be 1 to 128"),
        ("wrn:depth=28", r"'depth' is 28, but must be one of 50(?s:.*)depth=50\."),
        ("wrn:width=99", r"'width' is 99, but must be 1 to 32"),
        ("wrn:base=0", r"'base' is 0, but must be 1 to 4096"),
        ("resnext:base=0", r"'base' is 0, but must be 1 to 4096"),
        ("wrn-cifar:depth=17", r"6n \+ 4(?s:.*)depth=16 or depth=22"),
        ("wrn-cifar:width=99", r"'width' is 99, but must be 1 to 64"),
        ("wrn-cifar:base=9999", r"'base' is 9999"),
        ("wrn-cifar:dropout=1", r"'dropout' is 1.0, but must be 0 to 0.99"),
        ("wrn-cifar:dropout=0.333", r"0.333, but must be a whole percent(?s:.*)dropout=0.33\."),
        ("wrn-cifar:dropout=nan", r"'dropout' is 'nan', but must be a finite number"),
        ("preresnet-cifar:depth=111", r"6n \+ 2(?s:.*)depth=110 or depth=116"),
        ("preresnet-cifar:depth=165", r"9n \+ 2(?s:.*)depth=164 or depth=173"),
        ("preresnet-cifar:block=botleneck", r"'block' is botleneck(?s:.*)block=bottleneck"),
        ("preresnet-cifar:skip=no", r"'skip' is no, but must be one of zeropad, projection"),
        ("preresnet-cifar:width=0", r"'width' is 0"),
        ("densenet:depth=122", r"'depth' is 122, but must be one of 121(?s:.*)depth=121\."),
        ("densenet:growth=-1", r"'growth' is -1, but must be 0 to 512"),
        ("densenet-cifar:depth=41", r"3n \+ 4(?s:.*)depth=40 or depth=43"),
        ("densenet-cifar:depth=41,bc=true", r"6n \+ 4(?s:.*)depth=40 or depth=46"),
        ("densenet-cifar:growth=0", r"'growth' is 0"),
        (
            "densenet-cifar:bc=1",
            r"'bc' is 1, but must be true or false(?s:.*)Write for example bc=",
        ),
        ("pyramidnet-cifar:depth=109", r"6n \+ 2(?s:.*)depth=104 or depth=110"),
        ("pyramidnet-cifar:depth=110,bottleneck=true,alpha=0", r"'alpha' is 0, but must be 1"),
        ("pyramidnet-cifar:depth=111,bottleneck=true", r"9n \+ 2(?s:.*)depth=110 or depth=119"),
        ("mobilenetv2:width=0", r"'width' is 0.0, but must be 0.05 to 8(?s:.*)width=0.05"),
        ("fractalnet:columns=9", r"'columns' is 9, but must be 1 to 6"),
        ("fractalnet:blocks=0", r"'blocks' is 0"),
        ("fractalnet:width=0", r"'width' is 0"),
        ("plain-cifar:width=0", r"'width' is 0"),
        ("plain-cifar:depth=4", r"3n \+ 2(?s:.*)depth=5"),
        ("resnet-cifar:depth", r"'depth' is no option of the form key=value"),
        ("resnet-cifar:depth=20,depth=32", r"'depth' is there twice"),
    ],
)
def test_a_bad_option_is_refused_and_the_way_out_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_published_text(text)

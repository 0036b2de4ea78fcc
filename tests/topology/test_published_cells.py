"""The cells of NAS-Bench-201: classes of the published string form, and where ids differ from it.

That the ids find 5,260 classes is held in `test_identity.py`. The string form finds more, because a
sum of zeros is no zero to it; and it takes some different networks for one.
"""

from __future__ import annotations

import itertools
from functools import cache

from nas.topology.graph import Architecture, Edge, Node
from nas.topology.identity import structural_id

PAIRS = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
OPERATIONS = ("none", "identity", "avg_pool3x3", "relu_conv1x1_bn", "relu_conv3x3_bn")
ZERO = "#"

Cell = tuple[str, ...]


def string_form(cell: Cell, *, zeros: bool, skips: bool = True) -> str:
    """Write a cell as its paper does (arXiv:2001.00326): per node, the sorted terms it adds up.

    Args:
        cell: The operation of each edge.
        zeros: Whether `none`, and whatever reads nothing else, is a zero.
        skips: Whether the identity is the term it reads.
    """
    written = ["0"]
    for node in (1, 2, 3):
        terms = []
        for (source, target), operation in zip(PAIRS, cell, strict=True):
            if target != node:
                continue
            if zeros and (operation == "none" or written[source] == ZERO):
                terms.append(ZERO)
            elif skips and operation == "identity":
                terms.append(written[source])
            else:
                terms.append(f"({written[source]})@{operation}")
        written.append("+".join(sorted(terms)))
    return written[3]


@cache
def cells() -> tuple[Cell, ...]:
    return tuple(itertools.product(OPERATIONS, repeat=len(PAIRS)))


def architecture(cell: Cell) -> Architecture:
    edges = tuple(Edge(*pair, name) for pair, name in zip(PAIRS, cell, strict=True))
    return Architecture((Node(),) * 4, edges, zero_allowed=True)


def test_the_string_form_has_the_published_number_of_classes() -> None:
    assert len(cells()) == 15_625
    assert len({string_form(cell, zeros=True) for cell in cells()}) == 6_466
    assert len({string_form(cell, zeros=False) for cell in cells()}) == 12_751
    assert len({string_form(cell, zeros=False, skips=False) for cell in cells()}) == 15_625


CONV, SKIP, NONE = "relu_conv3x3_bn", "identity", "none"


def test_a_convolution_read_twice_is_not_two_convolutions_though_they_have_one_string() -> None:
    read_twice = (CONV, NONE, SKIP, NONE, SKIP, SKIP)
    two = (CONV, CONV, NONE, NONE, SKIP, SKIP)
    assert string_form(read_twice, zeros=True) == string_form(two, zeros=True)
    assert structural_id(architecture(read_twice)) != structural_id(architecture(two))


def test_a_sum_of_zeros_is_a_zero_though_it_has_another_string() -> None:
    nothing = (NONE, NONE, NONE, CONV, NONE, NONE)
    convolved = (NONE, NONE, NONE, CONV, NONE, CONV)
    assert string_form(nothing, zeros=True) != string_form(convolved, zeros=True)
    assert structural_id(architecture(nothing)) == structural_id(architecture(convolved))

"""One suite for every operation as data, registered or written: facts agree with costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operation_rows import ROWS, divisor, keeps_positions

from nas.errors import NotFoundError
from nas.topology.layers import AbstractNorm, TokenLinear
from nas.topology.operations import OPERATIONS

NAMES = [*OPERATIONS, *ROWS]
SHAPES = st.tuples(st.integers(1, 40), st.integers(2, 40), st.integers(2, 40))


@pytest.mark.parametrize("name", NAMES)
@given(shape=SHAPES, width=st.integers(1, 40), stride=st.integers(1, 4))
def test_facts_agree_with_shapes_and_counts(
    name: str, shape: tuple[int, int, int], width: int, stride: int
) -> None:
    operation = OPERATIONS.get(name)
    stride = stride if operation.can_stride else 1
    shape, width = (shape[0] * divisor(name), *shape[1:]), width * divisor(name)
    shapes = operation.shapes(shape, width, stride)
    assert len(shapes) == len(operation.layers) + 1
    assert shapes[0] == shape
    assert shapes[-1][0] == (shape[0] if operation.keeps_channels else width)
    assert (operation.parameters(shape, width, stride) > 0) is operation.parametric
    if min(shapes[-1]) > 0:
        assert operation.macs(shape, width, stride) >= 0
    if operation.identity or operation.zero:
        assert shapes[-1] == shape


@pytest.mark.parametrize("name", NAMES)
@given(shape=SHAPES, stride=st.integers(1, 4))
def test_resolution_is_kept_at_stride_one_and_divided_otherwise(
    name: str, shape: tuple[int, int, int], stride: int
) -> None:
    operation = OPERATIONS.get(name)
    if not keeps_positions(name):  # windows without padding, pooling of everything, upsampling
        return
    stride = stride if operation.can_stride else 1
    shape = (shape[0] * divisor(name), *shape[1:])
    output = operation.shapes(shape, 8, stride)[-1]
    ceil = any(getattr(layer, "ceil", False) for layer in operation.layers)
    assert ceil or output[1:] == tuple(-(-side // stride) for side in shape[1:])


@pytest.mark.parametrize("name", NAMES)
@given(shape=SHAPES, width=st.integers(1, 40))
def test_parameters_do_not_depend_on_the_resolution(
    name: str, shape: tuple[int, int, int], width: int
) -> None:
    operation = OPERATIONS.get(name)
    shape, width = (shape[0] * divisor(name), *shape[1:]), width * divisor(name)
    other = (shape[0], shape[1] + 3, shape[2] + 1)
    tokens = any(isinstance(layer, TokenLinear) for layer in operation.layers)
    alike = operation.parameters(shape, width) == operation.parameters(other, width)
    assert alike is not tokens


@pytest.mark.parametrize("name", NAMES)
def test_at_most_one_layer_carries_the_stride(name: str) -> None:
    operation = OPERATIONS.get(name)
    assert sum(layer.strided for layer in operation.layers) <= 1
    assert operation.can_stride is any(layer.strided for layer in operation.layers)
    assert operation.normalised is any(
        isinstance(layer, AbstractNorm) for layer in operation.layers
    )
    assert operation.name == name


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        # 5 channels at 8 x 8 to 7 channels, stride 2, so 4 x 4 behind the strided layer.
        ("conv1x1", 5 * 7 + 14, 5 * 7 * 16),
        ("conv3x3", 9 * 5 * 7 + 14, 9 * 5 * 7 * 16),
        ("conv5x5", 25 * 5 * 7 + 14, 25 * 5 * 7 * 16),
        ("conv3x3_bn", 9 * 5 * 7 + 14, 9 * 5 * 7 * 16),
        ("bn_relu_conv3x3", 10 + 9 * 5 * 7, 9 * 5 * 7 * 16),
        ("relu_conv3x3_bn", 9 * 5 * 7 + 14, 9 * 5 * 7 * 16),
        ("separable3x3", 9 * 5 + 5 * 7 + 14, (9 * 5 + 5 * 7) * 16),
        ("separable5x5", 25 * 5 + 5 * 7 + 14, (25 * 5 + 5 * 7) * 16),
        (
            "mbconv3x3",
            5 * 15 + 30 + 9 * 15 + 30 + 15 * 7 + 14,
            5 * 15 * 64 + (9 * 15 + 15 * 7) * 16,
        ),
        (
            "mbconv5x5",
            5 * 15 + 30 + 25 * 15 + 30 + 15 * 7 + 14,
            5 * 15 * 64 + (25 * 15 + 15 * 7) * 16,
        ),
        ("max_pool3x3", 0, 0),
        ("avg_pool2x2", 0, 0),
    ],
)
def test_counts_are_those_of_the_formula(name: str, parameters: int, macs: int) -> None:
    operation = OPERATIONS.get(name)
    assert operation.parameters((5, 8, 8), 7, 2) == parameters
    assert operation.macs((5, 8, 8), 7, 2) == macs
    assert operation.shapes((5, 8, 8), 7, 2)[-1][1:] == (4, 4)


def test_an_unknown_operation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match=r"'conv33'[\s\S]*'conv3x3'[\s\S]*avg_pool2x2, "):
        OPERATIONS.get("conv33")

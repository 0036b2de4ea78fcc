"""Operations written as text: one spelling per row, and refusals that name the wrong part."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operation_rows import ROWS

from nas.cost.shapes import plan
from nas.errors import ArchitectureError, ConfigError, NotFoundError
from nas.space import space_from_dict
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.identity import structural_id
from nas.topology.layers import (
    AbstractLayer,
    Affine,
    BatchNorm,
    ChannelShuffle,
    Conv,
    DepthwiseConv,
    Dropout,
    LayerNorm,
    LeakyReLU,
    Pool,
    ReLU6,
    SqueezeExcite,
    TokenLinear,
    Upsample,
)
from nas.topology.operation_rows import MAX_LAYERS, MAX_TEXT
from nas.topology.operation_tokens import COUNTED, SUFFIXES, WINDOWS, WORDS, write_token
from nas.topology.operations import OPERATIONS, Operation, row_name
from nas.topology.serial import dump_architecture, load_architecture

ODD = st.sampled_from((1, 3, 5, 7))
LAYERS: st.SearchStrategy[AbstractLayer] = st.one_of(
    st.builds(
        Conv,
        kernel=st.one_of(ODD, st.tuples(ODD, ODD)),
        groups=st.integers(1, 64),
        dilation=st.integers(1, 4),
        bias=st.booleans(),
    ),
    st.builds(Conv, kernel=st.integers(1, 9), padding=st.integers(0, 5)),
    st.builds(Conv, kernel=st.just(1), expand=st.integers(1, 8)),
    st.builds(Conv, own_width=st.integers(1, 512), groups=st.integers(1, 4)),
    st.builds(DepthwiseConv, kernel=ODD, dilation=st.integers(1, 9), bias=st.booleans()),
    st.builds(
        Pool,
        kernel=st.integers(2, 9),
        padding=st.sampled_from(("auto", "valid", 1)),
        kind=st.sampled_from(("average", "max")),
        ceil=st.booleans(),
    ),
    st.builds(Pool, count_padding=st.booleans()),
    st.builds(BatchNorm, eps=st.sampled_from((1e-5, 1e-3, 2e-4)), affine=st.booleans()),
    st.builds(LayerNorm, eps=st.sampled_from((1e-6, 1e-5))),
    st.builds(
        SqueezeExcite,
        reduction=st.integers(1, 64),
        own_width=st.one_of(st.none(), st.integers(1, 64)),
        gate=st.sampled_from(("sigmoid", "hardsigmoid")),
    ),
    st.builds(Upsample, factor=st.integers(2, 32), mode=st.sampled_from(("bilinear", "nearest"))),
    st.builds(Dropout, rate=st.integers(1, 99).map(lambda percent: percent / 100)),
    st.builds(LeakyReLU, slope=st.integers(1, 99).map(lambda percent: percent / 100)),
    st.builds(ChannelShuffle, groups=st.integers(2, 64)),
    st.sampled_from((TokenLinear(), Affine(), ReLU6())),
)


@given(layers=st.lists(LAYERS, min_size=1, max_size=8), carrier=st.integers(0, 7))
def test_every_row_of_layers_has_one_name_that_reads_back(
    layers: list[AbstractLayer], carrier: int
) -> None:
    # The row ends with a convolution of the node's width, where it has one at all.
    tail = Conv(kernel=1, bias=True)
    windows = [n for n, each in enumerate(layers) if isinstance(each, (Conv, DepthwiseConv, Pool))]
    row = [*layers, tail]
    strided = windows[carrier % len(windows)] if windows else len(layers)
    row[strided] = replace(row[strided], strided=True)
    text = "+".join(
        write_token(layer, carries_stride=number == strided) for number, layer in enumerate(row)
    )
    name = row_name(text)
    assert OPERATIONS.get(name).layers == tuple(row)
    assert row_name(name) == name
    assert name in OPERATIONS
    if text != name:  # the same row in other words is no other operation
        assert text not in OPERATIONS
        with pytest.raises(NotFoundError, match=re.escape(f"Write '{name}'.")):
            OPERATIONS.get(text)


@pytest.mark.parametrize("name", [*OPERATIONS, *ROWS])
def test_the_name_of_an_operation_is_that_of_its_layers(name: str) -> None:
    operation = OPERATIONS.get(name)
    assert operation.name == row_name(name) == name
    assert not set("|<\\/ ") & set(name)


def test_registered_operations_are_iterated_and_written_ones_are_not() -> None:
    assert "conv5x5.s" in OPERATIONS
    assert "conv5x5.s" not in OPERATIONS.names()
    assert OPERATIONS.paper("conv5x5.s") is None
    assert OPERATIONS.paper("conv5x5") is not None


def test_the_stride_goes_to_the_first_window_unless_marked() -> None:
    assert OPERATIONS.get("bn+conv3x3.bias+conv1x1").layers[1].strided
    marked = OPERATIONS.get("conv1x1+dwconv3x3.s").layers
    assert [layer.strided for layer in marked] == [False, True]
    assert not OPERATIONS.get("bn+gelu").can_stride


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "bn+relu+conv3x3.s",
            r"another spelling of a named operation.\nfix: Write 'bn_relu_conv3x",
        ),
        ("conv3x3+bn+relu", r"Write 'conv3x3'\."),
        ("conv3x3.s", r"Write 'plain_conv3x3'\."),
        ("conv7x7", r"Write 'conv7x7\.s' for the bare convolution, or 'conv7x7\+bn\+relu'"),
        ("conv7x7.s+bn+relu", r"not the spelling of this row.\nfix: Write 'conv7x7\+bn\+relu'\."),
        ("conv3x3.bias.g2", r"Write 'conv3x3\.g2\.bias'\."),
        ("conv5x5.p2.bias", r"Write 'conv5x5\.bias'\."),
        ("conv5x5.p0.bias", r"Write 'conv5x5\.valid\.bias'\."),
        ("se.r16", r"Write 'se'\."),
        ("bn.eps1e-5+conv3x3.bias", r"Write 'bn\+conv3x3\.bias'\."),
        (
            "bn+relv+conv3x3",
            r"malformed at layer 2: 'relv' is no layer\.\nfix: Did you mean 'relu'",
        ),
        ("conv3x3+", r"malformed at layer 2: '' is no layer"),
        ("conv3+bn", r"'conv3' is no layer\.\nfix: Did you mean 'conv3x3'\? Known layers: affine"),
        ("conv3x3.g03", r"'\.g03' is no suffix of 'conv'\.\nfix: It takes: \.g8, \.d8, "),
        ("relu.s+bn", r"'\.s' is no suffix of 'relu'\.\nfix: It takes none"),
        ("conv3x3.g2.g4", r"'\.g4' says twice what 'groups' is\.\nfix: Keep one"),
        ("conv3x3.valid.p1", r"'\.p1' says twice what 'padding' is"),
        ("conv3x3.x2.w8+conv1x1", r"'expand' and 'own_width' both set"),
        ("conv3x3.s+conv1x1.s", r"carries the stride in two layers.\nfix: Keep one '\.s'"),
        ("conv3x3+conv1x1.w8", r"gives its last convolution a width of its own"),
        ("conv1x1.x4+bn", r"gives its last convolution a width of its own"),
        ("conv4x4+bn", r"a window of \(4, 4\) has no middle to pad around\.\nfix: Use an odd"),
        ("conv1x3.valid+bn", r"changes height and width differently"),
        ("conv999x1+bn", r"'kernel' is 999, but must be 1 to 127\.\nfix: The nearest is 127"),
        ("conv3x3.d99+bn", r"'dilation' is 99, but must be 1 to 64"),
        ("conv3x3.g99999+bn", r"'groups' is 99999, but must be 1 to 65536"),
        ("conv3x3.w99999+conv1x1", r"'own_width' is 99999"),
        ("conv3x3.x99+conv1x1", r"'expand' is 99, but must be 1 to 64"),
        ("maxpool3x3.p2", r"'padding' is 2, but must be 0 to 1"),
        ("dropout100", r"'rate' is 1\.0, but must be 0\.0 to 0\.99"),
        ("leakyrelu101+bn", r"'slope' is 1\.01, but must be 0\.0 to 1\.0"),
        ("up1", r"'factor' is 1, but must be 2 to 32"),
        ("shuffle1", r"'groups' is 1, but must be 2 to 4096"),
        ("se.r99999", r"'reduction' is 99999"),
        ("se.w99999", r"'own_width' is 99999"),
        ("x" * MAX_TEXT + "+bn", r"xxx\.\.\.' has more than 256 characters"),
        ("+".join(["bn"] * (MAX_LAYERS + 1)), r"has more than 32 layers.\nfix: Split it into"),
    ],
)
def test_a_row_that_is_not_accepted_names_the_way_out(text: str, message: str) -> None:
    assert text not in OPERATIONS
    with pytest.raises(NotFoundError, match=message):
        OPERATIONS.get(text)
    with pytest.raises(ArchitectureError, match=message.partition(r"\n")[0]):
        plan(Architecture((Node(), Node(text, width=8)), (Edge(0, 1),)), (3, 8, 8))


def test_a_malformed_row_has_no_name() -> None:
    with pytest.raises(ConfigError, match="'foo' is no layer"):
        row_name("conv3x3+foo")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: Conv(padding="half"), "unknown padding 'half'"),
        (lambda: Pool(kind="median"), "unknown kind 'median'"),  # type: ignore[arg-type]
        (lambda: SqueezeExcite(gate="tanh"), "unknown gate 'tanh'"),  # type: ignore[arg-type]
        (lambda: Upsample(mode="cubic"), "unknown mode 'cubic'"),  # type: ignore[arg-type]
        (lambda: BatchNorm(eps=0.0), "'eps' is 0.0, but must be 1e-12 to 1.0"),
        (lambda: Conv(padding=-1), "'padding' is -1, but must be 0 to"),
    ],
)
def test_an_impossible_layer_is_refused(layer: type, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        layer()


@pytest.mark.parametrize(
    ("operation", "channels", "message"),
    [
        (
            "conv3x3.g4.bias",
            6,
            r"Node 1 \('odd'\): 'conv3x3\.g4\.bias': 4 groups do not divide 6 in",
        ),
        ("conv3x3.g4.bias", 8, r"4 groups do not divide 10 output channels(?s:.*)8 or 12 output"),
        ("shuffle4", 10, r"4 groups do not divide 10 channels(?s:.*)a multiple of 4"),
        ("up32+up32+up32+up32", 10, r"the resolution grows to 262144x262144(?s:.*)65536 or below"),
    ],
)
def test_channels_and_sizes_that_a_layer_cannot_take_are_refused_at_their_node(
    operation: str, channels: int, message: str
) -> None:
    width = None if OPERATIONS.get(operation).keeps_channels else 10
    nodes = (Node(), Node(operation, width=width, name="odd"))
    with pytest.raises(ArchitectureError, match=message):
        plan(Architecture(nodes, (Edge(0, 1),)), (channels, 8, 8))


def test_groups_on_an_edge_are_refused_at_the_edge() -> None:
    nodes = (Node(), Node("identity", width=6, name="join"))
    edges = (Edge(0, 1, transform="conv3x3.g4.bias"),)
    message = r"Node 1 \('join'\), the edge from node 0: 'conv3x3\.g4\.bias': 4 groups"
    with pytest.raises(ArchitectureError, match=message):
        plan(Architecture(nodes, edges), (6, 8, 8))


def test_written_operations_travel_as_json_and_have_ids() -> None:
    nodes = (Node(), *(Node(name, width=None, name=f"n{i}") for i, name in enumerate(ROWS)))
    edges = tuple(Edge(index, index + 1) for index in range(len(ROWS)))
    architecture = Architecture(nodes, edges)
    again = load_architecture(dump_architecture(architecture))
    assert again == architecture
    assert structural_id(again) == structural_id(architecture)
    other = Architecture((*nodes[:-1], Node("avgpool5x5.p2")), edges)
    with pytest.raises(ArchitectureError, match=r"Write 'avgpool5x5'"):
        structural_id(other)


def test_a_space_may_offer_written_operations() -> None:
    declared = space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "stages",
            "name": "written",
            "stem": "conv3x3.bias",
            "transition": "conv3x3+bn+relu6",
            "stages": [
                {
                    "pattern": "residual",
                    "depth": 2,
                    "width": 8,
                    "operation": {"choices": ["bn.eps1e-3+conv3x3.g2", "dwconv7x7+ln+gelu"]},
                }
            ],
        }
    )
    names = {
        node.operation
        for member in declared.known().values()
        for node in declared.build(member).nodes
    }
    assert {"conv3x3.bias", "bn.eps1e-3+conv3x3.g2"} <= names
    with pytest.raises(NotFoundError, match=r"(?s)'relv' is no layer.*stages\.0\.operation"):
        space_from_dict(
            {
                "schema": "nas.space/1",
                "kind": "stages",
                "name": "written",
                "stages": [
                    {"pattern": "residual", "depth": 2, "width": 8, "operation": "bn+relv+conv3x3"}
                ],
            }
        )


def test_every_word_is_reached_by_the_rows_of_the_tests() -> None:
    heads = {re.match(r"[a-z]+6?", token)[0] for row in ROWS for token in row.split("+")}  # type: ignore[index]
    assert heads == {*WORDS, *COUNTED, *WINDOWS}
    assert set(SUFFIXES) <= heads


def test_the_rows_and_words_of_the_documentation_exist() -> None:
    path = Path(__file__).parents[2] / "docs" / "language.md"
    section = path.read_text("utf-8").partition("\n## Operations\n")[2].partition("\n## ")[0]
    rows = section.partition("```text\n")[2].partition("```")[0].split()
    assert len(rows) > 5
    assert all(row in OPERATIONS for row in rows)
    table = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    words = re.findall(r"`([a-z]+6?)[0-9x]*`", " ".join(line[1] for line in table))
    assert set(words) == {*WORDS, *COUNTED, *WINDOWS}
    for _, heads, suffixes, *_ in table:
        for head in re.findall(r"`([a-z]+6?)[0-9x]*`", heads):
            known = SUFFIXES.get(head, ())
            for text in re.findall(r"`\.([^`]*)`", suffixes):
                matching = [each for each in known if re.fullmatch(each.pattern, text)]
                assert matching or text == "counted", (head, text)


def test_a_registered_name_takes_a_row_over(monkeypatch: pytest.MonkeyPatch) -> None:
    row = "conv3x3+bn+mish"
    layers = OPERATIONS.get(row).layers
    monkeypatch.setattr(OPERATIONS, "_entries", dict(OPERATIONS._entries))
    monkeypatch.setattr(OPERATIONS, "_papers", dict(OPERATIONS._papers))
    OPERATIONS.add("conv3x3_mish", Operation("conv3x3_mish", layers))
    assert row not in OPERATIONS
    assert row_name(row) == "conv3x3_mish"
    OPERATIONS._written.clear()


@pytest.mark.parametrize(("operation", "alike"), [("relu6", True), ("relu+dropout30", False)])
def test_equal_branches_are_one_value_unless_they_draw_random_numbers(
    operation: str, alike: bool
) -> None:
    assert OPERATIONS.get(operation).repeatable is alike
    twice = Architecture(
        (Node(), Node(operation), Node(operation), Node("identity")),
        (Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(2, 3)),
    )
    once = Architecture(
        (Node(), Node(operation), Node("identity"), Node("identity")),
        (Edge(0, 1), Edge(1, 2), Edge(1, 3), Edge(2, 3)),
    )
    assert (structural_id(twice) == structural_id(once)) is alike

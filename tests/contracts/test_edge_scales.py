"""One suite for every registered edge scale, on every pattern; and the published numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scale import scaled

from nas.errors import ConfigError, NotFoundError
from nas.registry import Parameter, complete_parameters, read_written
from nas.topology.edge_scales import (
    EDGE_SCALES,
    UNSCALED,
    ResidualGains,
    edge_scale,
    read_edge_scale,
    scale_architecture,
    scale_topology,
)
from nas.topology.edge_scales.layer_scale import start_by_depth
from nas.topology.graph import PLAIN, Architecture, Edge, Gain, Link, Node, Topology
from nas.topology.patterns import PATTERNS
from nas.topology.residual_nodes import residual_nodes

SCALES = list(EDGE_SCALES)
SIZES = scaled(30)
"""Sizes per pattern: its smallest ones."""

WIRINGS = [
    (name, size)
    for name in PATTERNS
    for size in list(filter(PATTERNS.get(name).exists, range(1, 65)))[:SIZES]
]
LARGEST = [(name, max(size for other, size in WIRINGS if other == name)) for name in PATTERNS]


def wiring(name: str, size: int) -> Topology:
    return PATTERNS.get(name).wire(size)


def sides(topology: Topology) -> dict[tuple[int, int], str]:
    found: dict[tuple[int, int], str] = {}
    for node in residual_nodes(topology):
        found |= {(edge.source, edge.target): "skip" for edge in node.skips}
        found |= {(edge.source, edge.target): "branch" for edge in node.branches}
    return found


def gains(topology: Topology) -> dict[tuple[int, int], Gain]:
    return {edge: topology.link(edge).gain for edge in topology.edges}


# Which edges.


@pytest.mark.parametrize(("name", "size"), WIRINGS)
def test_a_skip_is_an_edge_that_another_way_goes_around(name: str, size: int) -> None:
    topology = wiring(name, size)
    graph = topology.to_networkx()
    found = sides(topology)

    def is_gone_around(source: int, target: int) -> bool:
        rest = graph.copy()
        rest.remove_edge(source, target)
        return nx.has_path(rest, source, target)

    for (source, target), side in found.items():
        if is_gone_around(source, target):
            assert side == "skip"
        elif side == "skip":  # of a lagged stream: it carries on from a sum with a skip of its own
            assert not any(is_gone_around(other, target) for other in graph.predecessors(target))
            assert source in topology.joins
            assert "skip" in {found.get((other, source)) for other in graph.predecessors(source)}


@pytest.mark.parametrize("lag", range(4))
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_sum_of_a_lagged_stream_is_a_residual_node(lag: int, size: int) -> None:
    topology = wiring(f"ladder(lag={lag})", size)
    found = residual_nodes(topology)
    assert [node.node for node in found] == sorted(topology.joins)
    branches = [edge.source for node in found for edge in node.branches]
    assert branches == list(topology.operations)
    scaled_gains = gains(scale_topology(topology, "inverse_root_depth"))
    assert [scaled_gains[node.branches[0].source, node.node].value for node in found] == [
        pytest.approx(size**-0.5)
    ] * size


@pytest.mark.parametrize(("name", "size"), WIRINGS)
def test_a_residual_node_has_a_skip_that_stays_and_a_branch(name: str, size: int) -> None:
    topology = wiring(name, size)
    found = sides(topology)
    for node in {target for _, target in found}:
        into = {side: source for (source, target), side in found.items() if target == node}
        assert set(into) == {"skip", "branch"}
    assert not {edge for edge, side in found.items() if side == "skip"} & topology.optional


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("name", "size"), LARGEST)
def test_a_scale_changes_gains_of_residual_nodes_and_nothing_else(
    scale: str, name: str, size: int
) -> None:
    topology = wiring(name, size)
    changed = scale_topology(topology, scale)
    assert replace(changed, links=topology.links) == topology
    found, before = sides(topology), gains(topology)
    order = sorted({target for _, target in found})
    written = read_edge_scale(scale)
    for edge, gain in gains(changed).items():
        expected = before[edge]
        if edge in found and expected == PLAIN:
            both = written.gains(order.index(edge[1]) + 1, len(order))
            side = both.skip if found[edge] == "skip" else both.branch
            expected = PLAIN if side.identity else side
        assert gain == expected


@pytest.mark.parametrize("scale", SCALES)
def test_no_scale_can_cut_a_network(scale: str) -> None:
    """With every gain at its start, the input still reaches the output through factors not 0."""
    for name, size in WIRINGS:
        topology = scale_topology(wiring(name, size), scale)
        alive = nx.DiGraph(
            edge for edge, gain in gains(topology).items() if gain.value > 0 or gain == PLAIN
        )
        alive.add_nodes_from(range(topology.num_nodes))
        assert nx.has_path(alive, 0, topology.num_nodes - 1)


@pytest.mark.parametrize("scale", SCALES)
def test_an_architecture_is_scaled_as_its_wiring_is(scale: str) -> None:
    for name, size in WIRINGS:
        topology = wiring(name, size)
        if topology.optional or topology.links or topology.rules:
            continue  # the plain architecture below knows nothing of these
        nodes = tuple(Node(merge=topology.merge) for _ in range(topology.num_nodes))
        plain = Architecture(nodes, tuple(Edge(*edge) for edge in topology.edges))
        found = {
            (edge.source, edge.target): edge.gain for edge in scale_architecture(plain, scale).edges
        }
        assert found == gains(scale_topology(topology, scale))


def test_a_chain_and_a_fractal_have_no_residual_node() -> None:
    assert sides(wiring("chain", 5)) == {}
    assert sides(wiring("fractal", 7)) == {}


def test_the_skip_past_a_block_is_one_whatever_computes_its_source() -> None:
    nodes = (Node(), Node("conv3x3"), Node("conv3x3"), Node("relu"))
    edges = (Edge(0, 1), Edge(1, 2), Edge(1, 3), Edge(2, 3))
    scaled_edges = scale_architecture(Architecture(nodes, edges), "rezero").edges
    learned = [(edge.source, edge.target) for edge in scaled_edges if edge.gain.learned]
    assert learned == [(2, 3)]


def test_masks_and_parts_and_gains_of_a_pattern_are_left_alone() -> None:
    edges = frozenset({(0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4), (4, 5), (4, 6), (5, 6)})
    own = Gain("fixed", 0.5)
    topology = Topology(
        7,
        edges,
        frozenset({2, 4, 6}),
        links={(1, 2): Link(port="mask"), (2, 4): Link(part=(0, 2)), (5, 6): Link(gain=own)},
    )
    changed = gains(scale_topology(topology, "fixed(value=0.1)"))
    assert changed.pop((5, 6)) == own
    assert set(changed.values()) == {PLAIN}


def test_nested_cells_keep_their_gains() -> None:
    cell = Architecture((Node(), Node("conv3x3"), Node()), (Edge(0, 1), Edge(0, 2), Edge(1, 2)))
    outer = Architecture((Node(), Node(cell=cell)), (Edge(0, 1),))
    assert scale_architecture(outer, "rezero") == outer


# The published numbers.


@pytest.mark.parametrize(("a_min", "product"), [(0.6, 0.0468), (1.0, 1.0)])
def test_the_skips_of_a_decayed_identity_multiply_to_the_published_product(
    a_min: float, product: float
) -> None:
    topology = scale_topology(wiring("residual", 12), f"decayed_identity(a_min={a_min})")
    skips = [
        topology.link(edge).gain.value for edge, side in sides(topology).items() if side == "skip"
    ]
    assert len(skips) == 12
    assert math.prod(skips) == pytest.approx(product, abs=5e-5)
    assert min(skips) == pytest.approx(a_min)


@pytest.mark.parametrize(
    ("written", "count", "branch"),
    [
        ("rezero", 7, Gain("scalar", 0.0)),
        ("skip_init", 7, Gain("scalar", 0.0)),
        ("skip_init(start=0.5)", 7, Gain("scalar", 0.5)),
        ("layer_scale", 36, Gain("channel", 0.1)),
        ("layer_scale", 48, Gain("channel", 1e-5)),
        ("layer_scale", 72, Gain("channel", 1e-6)),
        ("layer_scale(start=1e-4)", 72, Gain("channel", 1e-4)),
        ("inverse_depth", 4, Gain("fixed", 0.25)),
        ("inverse_root_depth", 4, Gain("fixed", 0.5)),
        ("deep_norm", 16, Gain("fixed", 0.5)),
        ("fixed", 3, Gain("fixed", 0.2)),
        ("fixed(value=0.17)", 3, Gain("fixed", 0.17)),
        (UNSCALED, 3, PLAIN),
    ],
)
def test_the_branches_start_as_published(written: str, count: int, branch: Gain) -> None:
    for number in (1, count):
        assert read_edge_scale(written).gains(number, count) == ResidualGains(branch=branch)


@given(st.integers(1, scaled(2000)))
def test_the_start_of_layer_scale_never_rises_with_depth(count: int) -> None:
    assert start_by_depth(count + 1) <= start_by_depth(count)


def test_the_second_moment_of_a_linear_residual_chain_is_bounded_by_the_scales() -> None:
    """Uncorrelated branches add squares: (1 + g^2)^L; 1.1e15, 2.7 and 1.02 for 50 layers."""

    def moment(scale: str) -> float:
        topology = scale_topology(wiring("residual", 50), scale)
        found = 1.0
        for (source, target), side in sorted(sides(topology).items(), key=lambda entry: entry[0]):
            if side == "branch":
                found *= 1 + topology.link((source, target)).gain.value ** 2
        return found

    assert moment(UNSCALED) == pytest.approx(2.0**50)
    assert moment("inverse_root_depth") == pytest.approx(2.69, abs=0.01)
    assert moment("inverse_depth") == pytest.approx(1.02, abs=0.001)


# The registry, and what is typed.


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_describes_itself_and_its_numbers(name: str) -> None:
    scale = EDGE_SCALES.get(name)
    assert scale.name == name
    assert scale.summary.endswith(".")
    assert name == UNSCALED or EDGE_SCALES.paper(name) is not None
    for parameter in scale.parameters.values():
        assert parameter.low <= parameter.default <= parameter.high
        assert parameter.meaning


@pytest.mark.parametrize("name", SCALES)
def test_every_scale_takes_its_numbers_in_writing(name: str) -> None:
    parameters = EDGE_SCALES.get(name).parameters
    inside = ", ".join(f"{key}={value.high!r}" for key, value in parameters.items())
    assert read_edge_scale(f"{name}({inside})").values == {
        key: value.high for key, value in parameters.items()
    }
    assert read_edge_scale(f"{name}()").values == read_edge_scale(name).values


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("rezro", NotFoundError, r"edge scale 'rezro'[\s\S]*'rezero'"),
        ("fixed(value=99)", ConfigError, r"'value' is 99; it must be 0 to 10[\s\S]*value=10"),
        ("fixed(valu=1)", ConfigError, r"no parameter 'valu'[\s\S]*'value'"),
        ("rezero(value=1)", ConfigError, r"no parameter 'value'[\s\S]*are: none"),
        ("fixed(0.1)", ConfigError, r"'0.1' is no parameter[\s\S]*fixed\(key=number\)"),
        ("fixed(value=nan)", ConfigError, r"'value=nan' is no parameter"),
        ("fixed(value=1,value=2)", ConfigError, r"'value' is there twice"),
        ("fixed(value=1", ConfigError, r"bracket that is not closed"),
    ],
)
def test_a_mistyped_scale_is_refused_with_the_way_out(
    text: str, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        read_edge_scale(text)


def test_a_new_scale_needs_one_function_and_a_taken_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'rezero' is registered already"):

        @edge_scale("rezero")
        def again(number: int, count: int) -> ResidualGains:
            return ResidualGains()


@given(st.dictionaries(st.sampled_from(["a", "b_min", "c2"]), st.floats(-1e6, 1e6)))
def test_written_numbers_read_back_exactly(numbers: dict[str, float]) -> None:
    text = f"name({', '.join(f'{key}={value!r}' for key, value in numbers.items())})"
    assert read_written(text) == ("name", numbers)
    known = {key: Parameter(0.0, -1e6, 1e6, "a number") for key in ("a", "b_min", "c2")}
    assert complete_parameters(text, known, numbers) == dict.fromkeys(known, 0.0) | numbers

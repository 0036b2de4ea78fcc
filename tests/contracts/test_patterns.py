"""One suite for every registered pattern, unasked; and the closed forms of the known ones."""

from __future__ import annotations

import importlib
import random
from functools import cache
from math import comb, floor, log2
from xml.etree import ElementTree

import networkx as nx
import pytest
import torch
from composed_patterns import CLASSES, SHAPE, relabelled, small_stage, variants
from scale import is_full_scale, scaled
from torch import Tensor, nn

from nas.cost.count import cost
from nas.cost.shapes import plan
from nas.errors import ConfigError, NotFoundError, TopologyError
from nas.model.network import Network
from nas.topology.graph import Architecture, Topology
from nas.topology.identity import executed_id, sharing_id, structural_id
from nas.topology.measures import longest_path, path_count, path_lengths
from nas.topology.merges import MERGES
from nas.topology.operations import OPERATIONS
from nas.topology.patterns import MAX_SIZE, PATTERNS, Inner, Whole, connection_pattern
from nas.topology.pictures import arcs, one_line, read_line
from nas.topology.serial import architecture_text, load_architecture
from nas.topology.svg_drawing import draw_architecture

NAMES = list(PATTERNS)
VARIANTS = variants()
SIZES_EACH = 4 if is_full_scale() else 2


def sizes(text: str, count: int = SIZES_EACH) -> list[int]:
    """Return the smallest sizes a pattern exists for."""
    pattern = PATTERNS.get(text)
    found = [pattern.smallest()]
    while len(found) < count:
        found.append(pattern.smallest(found[-1] + 1))
    return found


CASES = [(text, size) for text in VARIANTS for size in sizes(text)]


@cache
def architecture(text: str, size: int) -> Architecture:
    return small_stage(PATTERNS.get(text), size)


def chosen(topology: Topology) -> set[object]:
    """Return what a space answers: open operations, those of one tie as one."""
    return {topology.rule(node).tie or node for node in topology.operations}


def test_the_patterns_of_the_catalogue_are_registered() -> None:
    named = {"chain", "residual", "dense", "fractal", "hierarchical", "harmonic", "free"}
    assert named <= set(NAMES)


@pytest.mark.parametrize(("text", "size"), CASES)
def test_a_pattern_wires_as_many_operations_as_it_was_asked_for(text: str, size: int) -> None:
    assert len(chosen(PATTERNS.get(text).wire(size))) == size


@pytest.mark.parametrize(("text", "size"), CASES)
def test_every_node_lies_between_input_and_output(text: str, size: int) -> None:
    topology = PATTERNS.get(text).wire(size)
    graph, last = topology.to_networkx(), topology.num_nodes - 1
    assert nx.descendants(graph, 0) | {0} == set(range(topology.num_nodes))
    assert nx.ancestors(graph, last) | {last} == set(range(topology.num_nodes))


@pytest.mark.parametrize(("text", "size"), CASES)
def test_a_wiring_is_numbered_in_topological_order_and_always_the_same(
    text: str, size: int
) -> None:
    pattern = PATTERNS.get(text)
    topology = pattern.wire(size)
    assert all(source < target for source, target in topology.edges)
    assert topology == pattern.rule(size, **dict(pattern.arguments))
    assert topology.merge in MERGES


@pytest.mark.parametrize(("text", "size"), CASES)
def test_joins_are_nodes_with_several_inputs_and_fixed_nodes_are_known(
    text: str, size: int
) -> None:
    topology = PATTERNS.get(text).wire(size)
    assert 0 not in topology.joins
    for join in topology.joins - ({topology.num_nodes - 1} if topology.optional else set()):
        assert len(topology.sources(join)) > 1
    for _, rule in topology.rules:
        assert rule.operation is None or rule.operation in OPERATIONS
        assert rule.merge is None or rule.merge in MERGES


@pytest.mark.parametrize(("text", "size"), CASES)
def test_the_smallest_answer_to_the_optional_edges_is_still_a_wiring(text: str, size: int) -> None:
    """What stays when all optional edges are off leads from the input to something."""
    topology = PATTERNS.get(text).wire(size)
    assert topology.optional <= topology.edges
    assert any(source == 0 for source, _ in topology.edges - topology.optional)


@pytest.mark.parametrize(("text", "size"), CASES)
def test_the_line_of_a_wiring_tells_all_its_edges(text: str, size: int) -> None:
    topology = PATTERNS.get(text).wire(size)
    line = one_line(topology)
    assert read_line(line) == topology.edges
    assert "\n" not in line
    assert line.count("●") == len(topology.operations)
    assert line.count("○") == len(topology.joins)
    assert arcs(topology).splitlines()[-1].count("●") == len(topology.operations)


@pytest.mark.parametrize("name", NAMES)
def test_a_pattern_describes_itself(name: str) -> None:
    pattern = PATTERNS.get(name)
    assert pattern.name == name
    assert pattern.rule.__module__ == f"nas.topology.patterns.{name}"
    assert importlib.import_module(pattern.rule.__module__).__doc__
    assert pattern.summary.endswith(".")
    assert pattern.sizes
    assert pattern.formula
    assert "\n" not in pattern.formula
    assert all(parameter.meaning and parameter.allowed for parameter in pattern.parameters)
    assert [key for key, _ in pattern.arguments] == [each.name for each in pattern.parameters]


@pytest.mark.parametrize("text", VARIANTS)
def test_every_spelling_is_canonical_and_spells_the_same_pattern_again(text: str) -> None:
    pattern = PATTERNS.get(text)
    assert pattern.name == text
    assert PATTERNS.get(pattern.name) == pattern
    assert text in PATTERNS
    assert PATTERNS.paper(text) == PATTERNS.paper(pattern.base)


@pytest.mark.parametrize("name", NAMES)
def test_written_defaults_are_left_out_of_the_spelling(name: str) -> None:
    for parameter in PATTERNS.get(name).parameters:
        assert PATTERNS.get(f"{name}({parameter.name}={parameter.default})").name == name


@pytest.mark.parametrize("name", NAMES)
def test_numbers_out_of_range_are_refused_with_the_nearest(name: str) -> None:
    for parameter in PATTERNS.get(name).parameters:
        if isinstance(parameter, Whole):
            message = rf"'{parameter.name}' is '{parameter.high + 1}'[\s\S]*={parameter.high}\b"
            with pytest.raises(ConfigError, match=message):
                PATTERNS.get(f"{name}({parameter.name}={parameter.high + 1})")
        elif isinstance(parameter, Inner):
            with pytest.raises(NotFoundError, match=rf"'{parameter.name}' names no pattern"):
                PATTERNS.get(f"{name}({parameter.name}=nonsense)")


@pytest.mark.parametrize("text", VARIANTS)
def test_sizes_that_do_not_exist_are_refused_with_the_nearest_that_do(text: str) -> None:
    pattern = PATTERNS.get(text)
    missing = {n for n in (-1, 0, 1, 2, 4, 6, MAX_SIZE + 1) if not pattern.exists(n)}
    for size in missing:
        with pytest.raises(TopologyError, match=f"not exist for {size} operations") as refused:
            pattern.wire(size)
        known = [n for n in range(1, MAX_SIZE + 1) if pattern.exists(n)]
        nearest = min(known, key=lambda n: (abs(n - size), n))
        assert f" {nearest}" in str(refused.value.fix).replace(".", "").replace(",", "")


# Networks.


@pytest.mark.parametrize(("text", "size"), [(t, s) for t in VARIANTS for s in sizes(t, 2)])
def test_a_network_of_it_costs_what_was_counted_and_learns(text: str, size: int) -> None:
    network = Network(architecture(text, size), SHAPE, CLASSES, seed=1)
    counted = cost(architecture(text, size), SHAPE, CLASSES)
    assert counted.parameters == sum(each.numel() for each in network.parameters())
    seen = shapes_and_macs(network)
    assert [step.output for step in network.plan.steps[1:]] == seen[0]
    assert counted.macs == seen[1] + sum(each.merge_macs() for each in network.plan.steps)
    torch.stack(network.exit_logits(images())).square().mean().backward()
    assert all(each.grad is not None for each in network.parameters())


def images() -> Tensor:
    return torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))


def shapes_and_macs(network: Network) -> tuple[list[tuple[int, ...]], int]:
    """Return the real shape of every node, and the multiply-adds of its layers, of one image."""
    shapes: list[tuple[int, ...]] = []
    total = [0]

    def shape(module: nn.Module, _: object, output: Tensor) -> None:
        shapes.append(tuple(output.shape[1:]))

    def macs(module: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        total[0] += module.weight[0].numel() * output[0].numel()

    hooks = [node.register_forward_hook(shape) for node in network.nodes.children()]
    hooks += [
        each.register_forward_hook(macs)
        for each in network.modules()
        if isinstance(each, nn.Conv2d | nn.Linear)
    ]
    network(images())
    for hook in hooks:
        hook.remove()
    return shapes, total[0]


@pytest.mark.parametrize(("text", "size"), CASES)
def test_a_network_of_it_travels_as_text_and_is_drawn(text: str, size: int) -> None:
    network = architecture(text, size)
    again = load_architecture(architecture_text(network))
    assert again == network
    assert again.wiring == (text,)
    marks = ElementTree.fromstring(draw_architecture(network))
    assert sum(mark.tag.endswith("}g") for mark in marks) == len(network.nodes)


@pytest.mark.parametrize(("text", "size"), CASES)
def test_relabelling_changes_no_id(text: str, size: int) -> None:
    network = architecture(text, size)
    for seed in range(scaled(20)):
        other = relabelled(network, random.Random(seed))
        assert executed_id(other) == executed_id(network)
        assert structural_id(other) == structural_id(network)
        assert sharing_id(other) == sharing_id(network)
        assert [s.output for s in plan(other, SHAPE).steps[-1:]] == [plan(network, SHAPE).output]


# Spelling.


def test_an_unknown_pattern_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match=r"pattern 'fractl'[\s\S]*'fractal'[\s\S]*chain, csp"):
        PATTERNS.get("fractl")
    with pytest.raises(NotFoundError, match=r"pattern 'cps'[\s\S]*'csp'"):
        PATTERNS.get("cps(inner=dense)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("csp(inner=dense", "'csp.inner=dense' does not spell a pattern"),
        ("csp(inner=dense))", "does not spell a pattern"),
        ("csp()", "an empty one is left out"),
        ("csp(inner)", "'inner' is not of the form key=value"),
        ("csp (inner=dense)", "no blanks"),
        ("csp(inner=dense, parts=2)", "' parts=2' is not of the form"),
        ("csp(parts=2,parts=2)", "'parts' is there twice"),
        ("csp(part=2)", r"no parameter 'part'[\s\S]*'parts'\?[\s\S]*are: inner, parts"),
        ("chain(size=2)", r"'chain' has no parameter 'size'[\s\S]*write chain"),
        ("csp(parts=two)", r"'parts' is 'two'; it must be a whole number, 2 to 4"),
        ("csp(parts=02)", "'parts' is '02'; it must be a whole number"),
        ("csp(parts=-1)", "'parts' is '-1'; it must be a whole number"),
        ("csp(parts=99999999999999999999)", "'parts' is '9999"),
        ("p3d(motif=d)", "'motif' is 'd'; it must be a or b or c or cycle"),
        ("one_shot(version=V2)", "'V2'; it must be v1 or v2"),
        ("looped(inner=free)", "'inner' is 'free', whose edges are choices"),
        ("csp(inner=csp(parts=9))", "'inner' names no pattern: The parameter 'parts' is '9'"),
        ("csp(inner=" * 5 + "chain" + ")" * 5, "more than 4 pairs of brackets"),
        ("csp(inner=" + "x" * 300 + ")", "takes 311 characters"),
    ],
)
def test_what_spells_no_pattern_is_refused_with_the_way_out(text: str, message: str) -> None:
    with pytest.raises((ConfigError, NotFoundError), match=message) as refused:
        PATTERNS.get(text)
    assert refused.value.fix
    assert text not in PATTERNS


def test_what_exists_for_no_size_says_so() -> None:
    pattern = PATTERNS.get("u_shaped(inner=repeated(times=32),levels=6)")
    assert pattern.smallest() == 352
    huge = PATTERNS.get("repeated(inner=repeated(inner=inception,times=32),times=32)")
    with pytest.raises(TopologyError, match="exists for no size from 1 to 512"):
        huge.smallest()
    with pytest.raises(TopologyError, match=r"does not exist for 6[\s\S]*smaller parameters"):
        huge.wire(6)


def test_an_enormous_wiring_is_refused_before_it_is_built() -> None:
    text = "looped(inner=looped(inner=looped(times=16),times=16),times=16)"
    with pytest.raises(TopologyError, match="more than 10000 nodes"):
        PATTERNS.get(text).wire(512)


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'chain' is registered already[\s\S]*taken are"):

        @connection_pattern("chain")
        def chain(size: int) -> Topology:
            return PATTERNS.get("chain").wire(size)


# Closed forms.


def edges(text: str, size: int) -> int:
    return len(PATTERNS.get(text).wire(size).edges)


@pytest.mark.parametrize("size", range(1, scaled(200)))
def test_edges_follow_the_closed_forms(size: int) -> None:
    assert edges("chain", size) == size
    assert edges("dense", size) == size * (size + 1) // 2
    assert edges("dense_additive", size) == size * (size + 1) // 2
    assert edges("harmonic", size) == 2 * size - size.bit_count()
    assert edges("residual", size) == 3 * size
    assert edges("log_dense", size) == sum(1 + floor(log2(node)) for node in range(1, size + 1))
    assert edges("one_shot", size) == 2 * size + 1
    assert edges("first_order", size) == 2 * size + 1


def test_the_published_harmonic_wiring_of_eight_has_fifteen_edges() -> None:
    assert edges("harmonic", 8) == 15


@pytest.mark.parametrize("columns", range(1, 8))
def test_a_fractal_has_its_closed_forms(columns: int) -> None:
    fractal = PATTERNS.get("fractal").wire(2**columns - 1)
    assert len(fractal.operations) == 2**columns - 1
    assert longest_path(fractal) == 2 ** (columns - 1)
    assert max((len(fractal.sources(join)) for join in fractal.joins), default=1) == columns
    assert fractal.merge == "mean"


def test_fractals_have_the_published_numbers_of_paths() -> None:
    fractals = [PATTERNS.get("fractal").wire(2**columns - 1) for columns in range(1, 6)]
    assert [path_count(fractal) for fractal in fractals] == [1, 2, 5, 26, 677]


@pytest.mark.parametrize("size", [1, 4, 8, 16])
def test_paths_of_a_residual_chain_are_binomial(size: int) -> None:
    lengths = path_lengths(PATTERNS.get("residual").wire(size))
    assert lengths == {length: comb(size, length) for length in range(size + 1)}


@pytest.mark.parametrize("size", [*range(1, 20), 64])
def test_the_critical_path_of_a_ladder_is_half_as_long(size: int) -> None:
    assert longest_path(PATTERNS.get("ladder").wire(size)) == -(-size // 2)
    assert longest_path(PATTERNS.get("ladder(lag=0)").wire(size)) == size
    assert longest_path(PATTERNS.get("ladder(lag=3)").wire(size)) == -(-size // 4)


def paths(topology: Topology) -> set[tuple[int, ...]]:
    """Return every path as the operations on it."""
    last, numbers = topology.num_nodes - 1, {n: i for i, n in enumerate(topology.operations)}
    found = nx.all_simple_paths(topology.to_networkx(), 0, last)
    return {tuple(numbers[node] for node in path if node in numbers) for path in found}


def test_the_p3d_motifs_are_three_path_sets_of_the_same_two_operations() -> None:
    motifs = [paths(PATTERNS.get(f"p3d(motif={motif})").wire(2)) for motif in "abc"]
    assert motifs == [{(), (0, 1)}, {(), (0,), (1,)}, {(), (0,), (0, 1)}]
    in_turn = PATTERNS.get("p3d").wire(6)
    a, b, c = motifs
    assert paths(in_turn) == {
        x + tuple(i + 2 for i in y) + tuple(i + 4 for i in z) for x in a for y in b for z in c
    }


def test_first_order_terms_are_the_short_paths_of_the_chain() -> None:
    chain = path_lengths(PATTERNS.get("residual").wire(6))
    broad = path_lengths(PATTERNS.get("first_order").wire(6))
    assert broad == {length: count for length, count in chain.items() if length <= 1}


@pytest.mark.parametrize("size", range(3, 21))
def test_every_level_of_a_hierarchy_reads_every_earlier_level(size: int) -> None:
    hierarchy = PATTERNS.get("hierarchical").wire(size)
    levels = [0, *sorted(hierarchy.joins)]
    assert len(levels) - 1 == -(-size // 2)
    for position, level in enumerate(levels[1:], start=1):
        assert set(levels[:position]) <= set(hierarchy.sources(level))


@pytest.mark.parametrize("states", range(2, 7))
def test_a_nasbench201_cell_has_two_to_the_states_paths(states: int) -> None:
    pattern = PATTERNS.get(f"nasbench201_cell(states={states})")
    cell = pattern.wire(states * (states - 1) // 2)
    assert path_count(cell) == 2 ** (states - 2)


def test_a_memory_of_one_bank_is_the_residual_wiring() -> None:
    one = PATTERNS.get("memory_banks(banks=1)").wire(5)
    residual = PATTERNS.get("residual").wire(5)
    assert (one.edges, one.joins) == (residual.edges, residual.joins)


@pytest.mark.parametrize("size", [6, 16, 40])
def test_random_graphs_have_the_edges_of_their_generators(size: int) -> None:
    def between(text: str) -> int:
        topology = PATTERNS.get(text).wire(size)
        inside = set(topology.operations)
        return sum(source in inside and target in inside for source, target in topology.edges)

    for order in ("index", "random", "breadth", "core"):
        assert between(f"barabasi_albert(attach=2,order={order})") == 2 * (size - 2)
        assert between(f"watts_strogatz(neighbours=4,seed=3,order={order})") == 2 * size
        assert between(f"erdos_renyi(probability=100,order={order})") == size * (size - 1) // 2
    assert between("erdos_renyi(probability=0)") == 0


def test_the_orientation_of_a_random_graph_is_a_choice_of_its_own() -> None:
    networks = {
        order: structural_id(architecture(f"watts_strogatz(seed=5,order={order})", 12))
        for order in ("random", "breadth", "core")
    }
    networks["index"] = structural_id(architecture("watts_strogatz(seed=5)", 12))
    assert len(set(networks.values())) == 4

"""The order of running: what is freed when, and which stacks grow instead of being copied."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import INPUT_SHAPE, architectures

from nas.cost.shapes import plan
from nas.cost.turns import Turn, growing_stacks, turns
from nas.topology.graph import Architecture, Edge, Node

SHAPE = (4, 8, 8)


def network_of(nodes: list[Node], edges: Iterable[tuple[int, int]]) -> Architecture:
    return Architecture(tuple(nodes), tuple(Edge(*edge) for edge in edges))


def stacked(sources: list[tuple[int, ...]]) -> Architecture:
    """Return convolutions that stack what they read."""
    nodes = [Node(), *(Node("conv3x3", merge="stack", width=4) for _ in sources)]
    edges = [(source, node) for node, own in enumerate(sources, 1) for source in own]
    return network_of(nodes, edges)


def frees(architecture: Architecture) -> list[tuple[int, ...]]:
    return [turn.frees for turn in turns(plan(architecture, SHAPE))]


def test_values_are_freed_at_the_turn_of_their_last_reader() -> None:
    pairs = [(source, target) for target in range(1, 5) for source in range(target)]
    dense = network_of([Node(), *(Node("conv3x3") for _ in range(4))], pairs)
    assert frees(dense) == [(), (), (), (0, 1, 2, 3)]
    chain = network_of([Node(), Node("relu"), Node("relu"), Node()], [(0, 1), (1, 2), (2, 3)])
    assert frees(chain) == [(0,), (1,), (2,)]


def test_a_value_that_nobody_reads_goes_a_turn_later() -> None:
    nodes, edges = (Node(), Node("conv3x3"), Node()), (Edge(0, 1), Edge(0, 2), Edge(1, 2, "none"))
    assert frees(Architecture(nodes, edges)) == [(), (0, 1)]


def test_the_stacks_of_a_dense_block_grow() -> None:
    network = stacked([(0,), (0, 1), (0, 1, 2), (0, 1, 2, 3)])
    assert growing_stacks(plan(network, SHAPE)) == {3: 2, 4: 3}
    assert turns(plan(network, SHAPE)) == (
        Turn(1, (), 0, (0,), ()),
        Turn(2, (0, 1), 5, (5,), (0, 1)),
        Turn(3, (5, 2), 6, (6,), (2, 5)),
        Turn(4, (), 0, (6, 3), (3, 6)),
    )


def test_equal_stacks_are_made_once() -> None:
    network = stacked([(0,), (0, 1), (0, 1), (2, 3)])
    assert growing_stacks(plan(network, SHAPE)) == {3: 2}
    assert turns(plan(network, SHAPE))[2] == Turn(3, (), 0, (5,), (5,))


def test_a_stack_is_not_kept_beside_its_parts() -> None:
    read_again = stacked([(0,), (0, 1), (0, 1, 2), (1, 3)])
    assert growing_stacks(plan(read_again, SHAPE)) == {}
    reordered = network_of(
        [Node(), Node("conv3x3"), *(Node("conv3x3", merge="stack", width=4) for _ in range(2))],
        [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)],
    )
    assert growing_stacks(plan(reordered, SHAPE)) == {}


def test_an_adapted_part_is_not_part_of_a_growing_stack() -> None:
    nodes = [Node(), Node("conv3x3", width=4), Node("conv3x3", merge="stack", width=4), Node()]
    last = Node("identity", merge="stack")
    edges = [Edge(0, 1), Edge(0, 2, "relu"), Edge(1, 2), Edge(0, 3), Edge(1, 3), Edge(2, 3)]
    network = Architecture((*nodes[:3], last), tuple(edges))
    assert growing_stacks(plan(network, SHAPE)) == {}


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_node_gets_what_its_edges_carry(data: st.DataObject) -> None:
    """Values are followed as sets of sources; at no time is more alive than without kept stacks."""
    merges = data.draw(st.sampled_from([("stack",), ("stack", "sum")]))
    network = data.draw(architectures(9, merges=merges, operations=("conv1x1",), cells=0))
    schedule = plan(network, INPUT_SHAPE)
    alive: dict[int, tuple[int, ...]] = {0: (0,)}
    width = {0: INPUT_SHAPE[0], **{step.index: step.output[0] for step in schedule.steps}}
    reads = {step.index: [e.edge.source for e in step.inputs] for step in schedule.steps}
    for turn in turns(schedule):
        if turn.stacked:
            alive[turn.kept] = sum((alive[value] for value in turn.stacked), ())
        got = sum((alive[value] for value in turn.reads), ())
        assert list(got) == reads[turn.node]
        for value in turn.frees:
            del alive[value]
        alive[turn.node] = (turn.node,)
        later = {s for node, own in reads.items() if node > turn.node for s in own}
        plainly = sum(width[value] for value in later | {turn.node} if value <= turn.node)
        assert sum(width[source] for parts in alive.values() for source in parts) <= plainly

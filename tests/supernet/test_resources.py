"""Expected costs: exact at vertices, right in between, blind to a common scale of gates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scale import scaled
from supernet_cases import SHAPE, digits, images, one_stage, shaken, space

from nas.cost.count import cost
from nas.cost.pieces import LinearLatency, Piece, pieces
from nas.cost.shapes import plan
from nas.errors import SpaceError
from nas.space import SubsetOf
from nas.space.declared import space_names
from nas.supernet.binding import Binder
from nas.supernet.budgets.cost_terms import EdgeTerm, Level, Mixed, NodeTerm
from nas.supernet.budgets.expected_cost import CostModel, named, presence
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits
from nas.supernet.optimizer import GateAdam
from nas.supernet.regularisers.resource import Resource, ResourceOptions
from nas.supernet.regularisers.skip import Skip
from nas.supernet.relaxation import Relaxation
from nas.supernet.relaxed_training import RelaxationConfig, train_relaxation
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture, Edge, Node


def table(piece: Piece) -> float:
    """A made-up latency table: every kind, name and shape has a time of its own."""
    return 0.001 * (len(piece.name) + piece.source[0]) + 1e-6 * piece.bytes * len(piece.kind)


def random_relaxation(name: str, seed: int, operations: str = "mixed") -> Relaxation:
    relaxation = Relaxation(space(name), operations=operations).double()  # type: ignore[arg-type]
    numbers = np.random.default_rng(seed).normal(size=len(relaxation.logits))
    with torch.no_grad():
        relaxation.logits.copy_(torch.from_numpy(2 * numbers))
    return relaxation


@pytest.mark.parametrize("operations", ["sampled", "mixed"])
@pytest.mark.parametrize("name", space_names())
def test_expected_cost_at_every_vertex_is_the_discrete_cost(name: str, operations: str) -> None:
    declared = space(name)
    model = CostModel(declared, SHAPE, 7, table)
    relaxation = Relaxation(declared, operations=operations).double()  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    for _ in range(scaled(100)):
        decisions = declared.sample(rng)
        found = named(model.at(*relaxation.context(decisions)))
        member = declared.build(decisions)
        counted = cost(member, SHAPE, 7)
        assert found["parameters"] == counted.parameters, decisions
        assert found["macs"] == counted.macs, decisions
        assert found["bytes"] == counted.bytes, decisions
        priced = sum(table(piece) for piece in pieces(plan(member, SHAPE), 7))
        assert found["latency_ms"] == pytest.approx(priced, rel=1e-12)
        assert named(model.discrete(decisions)) == pytest.approx(found, rel=1e-12)


def test_tied_nodes_own_one_set_of_weights_in_pieces_too() -> None:
    nodes = (Node(), Node("conv3x3", tie="a"), Node("conv3x3", tie="a"), Node("conv1x1"))
    network = Architecture(nodes, tuple(Edge(index, index + 1) for index in range(3)))
    found, counted = list(pieces(plan(network, SHAPE), 5)), cost(network, SHAPE, 5)
    assert sum(piece.parameters for piece in found) == counted.parameters
    assert sum(piece.bytes for piece in found) == counted.bytes


def test_tied_weights_are_charged_once_while_any_of_their_nodes_is_alive() -> None:
    own = torch.tensor([10.0, 3.0, 40.0 + 8.0, 0.0], dtype=torch.float64)
    nothing = torch.zeros(4, dtype=torch.float64)
    one = Mixed(torch.tensor([2]), nothing[None])

    def node(cost: torch.Tensor, sources: dict[int, int], tie: str | None) -> NodeTerm:
        edges = tuple(EdgeTerm(source, gate, False, nothing) for source, gate in sources.items())
        gated = any(gate != 2 for gate in sources.values())
        return NodeTerm(cost, edges, one, one, tie, gated, supplied=not gated)

    # The input feeds two tied nodes; the output reads each through a gate.
    level = Level(
        (node(nothing, {}, None), node(own, {0: 2}, "t"), node(own, {0: 2}, "t"),
         node(nothing, {1: 0, 2: 1}, None)),
        zero_allowed=False,
    )  # fmt: skip
    for first, second in ((1, 1), (1, 0), (0, 1), (0.5, 0.25)):
        gates = torch.tensor([first, second, 1.0], dtype=torch.float64)
        found = level.expected(gates)
        anyone = 1 - (1 - first) * (1 - second)
        assert float(found[0]) == pytest.approx(10 * anyone)
        assert float(found[1]) == pytest.approx(3 * (first + second))


def test_expected_cost_is_the_mean_over_members_drawn_by_presence() -> None:
    """Exact for independent edges; here every node is read by the output for certain."""
    stage = one_stage("concat", "weighted", patterns=("free",), depth=3)
    relaxation = Relaxation(stage).double()
    model = CostModel(stage, SHAPE, 5)
    rng = np.random.default_rng(3)
    context = relaxation.sample(rng)
    gates = {}
    for choice in context.relaxed:
        p = torch.from_numpy(rng.random(len(relaxation.positions(choice))))
        if isinstance(choice, SubsetOf):
            p[0] = 1.0
            p = torch.ones_like(p) if choice.name.endswith(".out.inputs") else p
        else:
            p = p / p.sum()
        gates[choice.name] = p
    expected = model.at(context, gates)
    draws = []
    for _ in range(3000):
        answers = dict(context.base)
        for choice in context.relaxed:
            p = gates[choice.name].numpy()
            if isinstance(choice, SubsetOf):
                on = rng.random(len(p)) < p
                answers[choice.name] = [i for i, flag in zip(choice.items, on, strict=True) if flag]
            else:
                answers[choice.name] = choice.options[int(rng.choice(len(p), p=p))].value
        draws.append(model.discrete(answers))
    error = np.std(draws, axis=0) / np.sqrt(len(draws))
    assert (np.abs(np.mean(draws, axis=0) - expected.numpy()) < 4 * error + 1e-9).all()


@pytest.mark.parametrize("name", ["wired_cnn", "nasbench201", "hierarchical"])
def test_gradients_of_expected_costs_equal_finite_differences(name: str) -> None:
    relaxation = random_relaxation(name, 1)
    model = CostModel(space(name), SHAPE, 5)
    context = relaxation.sample(np.random.default_rng(4))
    largest = torch.from_numpy(model.largest)

    def total() -> torch.Tensor:
        return (model.expected(relaxation, context) / largest).sum()

    (gradient,) = torch.autograd.grad(total(), [relaxation.logits])
    touched = np.flatnonzero(gradient.numpy())[:20]
    assert len(touched) > 5
    for position in touched:
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                relaxation.logits[position] += sign * 1e-6
                values.append(float(total()))
                relaxation.logits[position] -= sign * 1e-6
        estimate = (values[0] - values[1]) / 2e-6
        assert float(gradient[position]) == pytest.approx(estimate, rel=1e-4, abs=1e-9)


@given(
    p=st.lists(st.floats(0.01, 1), min_size=2, max_size=6),
    common=st.floats(0.05, 1),
    minimum=st.integers(1, 2),
)
def test_presence_does_not_see_a_common_scale(p: list[float], common: float, minimum: int) -> None:
    choice = SubsetOf("x", tuple(str(number) for number in range(len(p))), minimum)
    gates = torch.tensor(p, dtype=torch.float64)
    found = presence(choice, gates)
    torch.testing.assert_close(presence(choice, common * gates), found)
    assert int((found == 1).sum()) >= minimum and bool((found <= 1).all())


def test_scaling_all_gates_of_a_node_leaves_loss_cost_and_order_unchanged() -> None:
    stage = one_stage("sum", "mean", "weighted", patterns=("free",), depth=4)
    supernet = shaken(Supernet(stage, SHAPE, 5).double())
    relaxation = Relaxation(stage).double()
    model = CostModel(stage, SHAPE, 5)
    rng = np.random.default_rng(0)
    context = relaxation.sample(rng)
    gates = {
        choice.name: torch.from_numpy(rng.random(len(relaxation.positions(choice))))
        for choice in context.relaxed
    }
    mixing = mix(supernet, Binder(stage), context)
    with torch.no_grad():
        before = relaxed_logits(supernet, mixing, gates, images())
    for choice in context.relaxed:
        if isinstance(choice, SubsetOf):
            scaled_gates = {**gates, choice.name: 0.03 * gates[choice.name]}
            with torch.no_grad():
                after = relaxed_logits(supernet, mixing, scaled_gates, images())
            torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(model.at(context, scaled_gates), model.at(context, gates))
            order = [presence(choice, g[choice.name]).argsort() for g in (gates, scaled_gates)]
            assert torch.equal(*order)


def test_a_resource_term_never_moves_gates_that_cost_nothing() -> None:
    """Edges into a sum cost no MACs; their sources live on by other readers."""
    stage = one_stage("sum", patterns=("free",), depth=4)
    relaxation = Relaxation(stage).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        relaxation.logits.copy_(torch.randn(relaxation.logits.shape, generator=generator))
    context = relaxation.sample(np.random.default_rng(0))
    idle = [c for c in context.relaxed if c.name in ("stage1.op3.inputs", "stage1.op4.inputs")]
    last = next(c for c in context.relaxed if c.name == "stage1.out.inputs")
    with torch.no_grad():
        # The output reads every node, so that all of them live whatever else is read.
        relaxation.logits[relaxation.positions(last)] = 800.0
    places = [place for choice in idle for place in relaxation.positions(choice)]
    before = relaxation.logits.detach().clone()
    term = Resource(ResourceOptions(resource="macs"))
    term.prepare(Supernet(stage, SHAPE, 5), relaxation)
    adam = GateAdam(relaxation.logits, 0.1)
    for _ in range(20):
        (gradient,) = torch.autograd.grad(term.term(relaxation, context), [relaxation.logits])
        assert not gradient[places].any()
        adam.step(gradient, relaxation.touched(context))
    assert torch.equal(relaxation.logits[places].detach(), before[places])


def test_a_node_that_nobody_reads_is_not_charged() -> None:
    stage = one_stage("concat", patterns=("free",), depth=3)
    relaxation = Relaxation(stage, operations="mixed").double()
    model = CostModel(stage, SHAPE, 5)
    context = relaxation.sample(np.random.default_rng(0))
    with torch.no_grad():
        for choice in context.relaxed:
            if isinstance(choice, SubsetOf) and "op2" in choice.items:
                places = relaxation.positions(choice)
                relaxation.logits[places[choice.items.index("op2")]] = -1e9
    total = model.expected(relaxation, context)[1]
    (gradient,) = torch.autograd.grad(total, [relaxation.logits])
    dead = [c for c in context.relaxed if c.name.startswith("stage1.op2.")]
    assert len(dead) == 3  # operation, merge, inputs
    for choice in dead:
        assert not gradient[relaxation.positions(choice)].any()


def test_a_stack_of_gated_edges_has_no_expected_cost_and_says_why() -> None:
    stage = one_stage("stack", patterns=("free",))
    relaxation = Relaxation(stage)
    model = CostModel(stage, SHAPE, 5)
    context, _ = relaxation.context(stage.reference(SHAPE))
    with pytest.raises(SpaceError, match=r"merges by 'stack', whose cost has no expectation"):
        model.expected(relaxation, context)


def test_a_linear_latency_adds_multiplications_traffic_and_starts() -> None:
    piece = Piece("operation", "x", (1, 1, 1), (1, 1, 1), macs=2 * 10**9, bytes=10**9)
    model = LinearLatency(ms_per_gmac=3.0, ms_per_gbyte=5.0, ms_per_piece=0.25)
    assert model(piece) == pytest.approx(11.25)
    assert model(replace(piece, macs=0, bytes=0)) == 0


def found_macs(strength: float) -> float:
    """Train gates under a resource term; return the expected MACs over what they would sample."""
    stage = one_stage(patterns=("free",))
    relaxation = Relaxation(stage, operations="mixed")
    config = RelaxationConfig(
        epochs=4,
        batch_size=64,
        gate_warmup_epochs=0,
        gate_learning_rate=0.2,
        regularisers=[{"name": "resource", "strength": strength}],
        operations="mixed",
    )
    supernet = Supernet(stage, (1, 8, 8), 10, seed=0)
    train_relaxation(supernet, relaxation, digits(), config, seed=0)
    model, rng = CostModel(stage, (1, 8, 8), 10), np.random.default_rng(0)
    contexts = [relaxation.sample(rng) for _ in range(20)]
    costs = [float(model.expected(relaxation, context)[1].detach()) for context in contexts]
    return float(np.mean(costs))


def test_what_is_found_gets_cheaper_as_the_resource_term_grows() -> None:
    costs = [found_macs(strength) for strength in (0.0, 1.0, 10.0)]
    assert costs[0] > costs[1] > costs[2]


def test_the_skip_term_lowers_the_share_of_operations_without_weights() -> None:
    shares = []
    for strength in (0.0, 5.0):
        relaxation = Relaxation(space("nasbench201_c8n1"), operations="mixed")
        term = Skip(Skip.Options(strength=strength))
        adam = GateAdam(relaxation.logits, 0.1)
        context = relaxation.likeliest()
        for _ in range(5):
            objective = term.factor(1.0) * term.term(relaxation, context)
            (gradient,) = torch.autograd.grad(objective, [relaxation.logits])
            adam.step(gradient, relaxation.touched(context))
        shares.append(float(term.term(relaxation, context).detach()))
    assert shares[1] < shares[0] == pytest.approx(0.4)  # two of five; an absent edge is no skip

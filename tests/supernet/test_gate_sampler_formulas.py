"""What the papers of the gate samplers say, checked against references of their own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scale import scaled
from scipy.stats import chisquare
from scipy.stats import gamma as gamma_law
from supernet_cases import SHAPE, images, one_stage, shaken
from torch import Tensor
from torch.nn import functional

from nas.errors import ConfigError
from nas.space import Choice, OneOf, Option, SubsetOf
from nas.supernet.binding import Binder
from nas.supernet.declared_parts import make_part
from nas.supernet.gate_samplers import GATE_SAMPLERS, AbstractGateSampler, GateInput
from nas.supernet.gates import normalised
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import RelaxedRun
from nas.supernet.relaxation import Relaxation
from nas.supernet.supernet import Supernet

OPTIONS = OneOf("question", tuple(Option(letter) for letter in "abcd"))
EDGES = SubsetOf("question", tuple("abcdef"))
LOGITS = torch.tensor([0.9, -0.4, 0.3, -1.2], dtype=torch.float64)
EDGE_LOGITS = torch.tensor([0.9, -0.4, 0.3, -1.7, 0.1, -0.05], dtype=torch.float64)


def gate(choice: Choice, logits: Tensor, noise: int | None = None, heat: float = 1.0) -> GateInput:
    size = len(choice.items) if isinstance(choice, SubsetOf) else len(choice.options)
    generator = None if noise is None else torch.Generator().manual_seed(noise)
    return GateInput(choice, logits, torch.ones(size, dtype=torch.bool), heat, generator)


def part(name: str, **options: object) -> AbstractGateSampler:
    return make_part(GATE_SAMPLERS, {"name": name, **options}, "gates")


@pytest.mark.parametrize("heat", [0.3, 2.0])
@pytest.mark.parametrize("name", ["gumbel_softmax", "gumbel_hard"])
def test_the_largest_gumbel_sample_is_drawn_as_the_softmax_says(name: str, heat: float) -> None:
    drawn = np.zeros(4)
    count = scaled(20_000)
    noise = torch.Generator().manual_seed(3)
    opened = torch.ones(4, dtype=torch.bool)
    for _ in range(count):
        values = part(name).values(GateInput(OPTIONS, LOGITS, opened, heat, noise))
        drawn[int(values.argmax())] += 1
    assert chisquare(drawn, count * LOGITS.softmax(0).numpy()).pvalue > 0.01
    assert torch.equal(part(name).probabilities(gate(OPTIONS, LOGITS)), LOGITS.softmax(0))


def test_a_hard_sample_is_the_rounded_soft_one_with_its_derivative() -> None:
    logits = LOGITS.clone().requires_grad_()
    hard = part("gumbel_hard").values(gate(OPTIONS, logits, noise=5, heat=0.8))
    soft = part("gumbel_softmax").values(gate(OPTIONS, logits, noise=5, heat=0.8))
    assert sorted(hard.tolist()) == [0, 0, 0, 1] and hard.argmax() == soft.argmax()
    mask = torch.tensor([0.3, 2.0, -1.0, 0.7], dtype=torch.float64)
    (ours,) = torch.autograd.grad(hard @ mask, [logits])
    (theirs,) = torch.autograd.grad(soft @ mask, [logits])
    torch.testing.assert_close(ours, theirs)


def test_only_drawn_operations_run_and_their_gates_get_the_gradient_of_gdas() -> None:
    stage = one_stage("sum", patterns=("chain",), depth=2)
    supernet = shaken(Supernet(stage, SHAPE, 5).double())
    relaxation = Relaxation(stage, operations="mixed", options="gumbel_hard").double()
    context = relaxation.sample(np.random.default_rng(0))
    mixing = mix(supernet, Binder(stage), context)
    values = relaxation.values(context, torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 3])

    def gradients(leaving_out: bool) -> tuple[float, dict[str, Tensor], set[str]]:
        leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
        run = RelaxedRun(supernet, mixing, leaves)
        if not leaving_out:
            run.left_out = frozenset()
        loss = functional.cross_entropy(run.logits(images()), labels)
        for _, parameter in supernet.weights.slots():
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        trained = {key for key, value in supernet.weights.slots() if value.grad is not None}
        found = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
        return float(loss.detach()), found, trained

    loss, sparse, some = gradients(leaving_out=True)
    whole_loss, dense, all_slots = gradients(leaving_out=False)
    assert loss == pytest.approx(whole_loss, rel=1e-12)
    assert some < all_slots  # the others have no gradient at all, not one of zeros
    for name, value in values.items():
        chosen = value.detach() == 1
        torch.testing.assert_close(sparse[name][chosen], dense[name][chosen])
        if "operation" in name:
            assert (sparse[name][~chosen] == 0).all() and (dense[name][~chosen] != 0).all()


def test_dirichlet_gates_have_the_mean_and_the_law_of_their_concentrations() -> None:
    logits = torch.tensor([0.9, -0.4, 0.3, -0.2], dtype=torch.float64)
    concentration = functional.elu(logits) + 1
    noise, count = torch.Generator().manual_seed(0), scaled(20_000)
    opened = torch.ones(4, dtype=torch.bool)
    sampler = part("dirichlet")
    draws = torch.stack(
        [sampler.values(GateInput(OPTIONS, logits, opened, 1.0, noise)) for _ in range(count)]
    )
    law = torch.distributions.Dirichlet(concentration)
    torch.testing.assert_close(sampler.probabilities(gate(OPTIONS, logits)), law.mean)
    error = (law.variance / count).sqrt()
    assert ((draws.mean(0) - law.mean).abs() < 4 * error).all()
    torch.testing.assert_close(draws.var(0), law.variance, rtol=0.15, atol=0)


def test_dirichlet_gradients_are_those_of_the_gamma_distribution_function() -> None:
    logits = torch.tensor([0.9, -0.4, 0.3, -0.2, 1.5, -0.9], dtype=torch.float64)
    logits.requires_grad_()
    drawn = part("dirichlet").values(gate(EDGES, logits, noise=4))
    jacobian = torch.stack(
        [torch.autograd.grad(value, [logits], retain_graph=True)[0] for value in drawn]
    )
    concentration = functional.elu(logits) + 1
    (slope,) = torch.autograd.grad(concentration.sum(), [logits])
    a, x, step = concentration.detach().numpy(), drawn.detach().numpy(), 1e-6
    moved = gamma_law.cdf(x, a + step) - gamma_law.cdf(x, a - step)
    implicit = -moved / (2 * step) / gamma_law.pdf(x, a)  # at a fixed value of the function
    torch.testing.assert_close(
        jacobian, torch.diag(torch.from_numpy(implicit) * slope), rtol=1e-6, atol=1e-9
    )


def test_hard_concrete_gates_are_zero_and_one_as_often_as_the_paper_says() -> None:
    sampler, count = part("hard_concrete"), scaled(20_000)
    noise, opened = torch.Generator().manual_seed(1), torch.ones(6, dtype=torch.bool)
    draws = torch.stack(
        [sampler.values(GateInput(EDGES, EDGE_LOGITS, opened, 1.0, noise)) for _ in range(count)]
    )
    on = sampler.probabilities(gate(EDGES, EDGE_LOGITS)).numpy()
    expected = 1 / (1 + np.exp(-(EDGE_LOGITS.numpy() - 2 / 3 * np.log(0.1 / 1.1))))
    np.testing.assert_allclose(on, expected)
    full = 1 / (1 + np.exp(-(EDGE_LOGITS.numpy() - 2 / 3 * np.log(1.1 / 0.1))))
    for found, shares in (((draws > 0), on), ((draws == 1), full)):
        for times, share in zip(found.sum(0).tolist(), shares, strict=True):
            observed, wanted = [times, count - times], [count * share, count * (1 - share)]
            assert chisquare(observed, wanted).pvalue > 0.01 / 12


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_gates_of_k_subsets_sum_to_k_and_are_drawn_as_whole_sets(k: int) -> None:
    sampler, size = part("k_subsets", k=k), min(k, 6)
    subsets = list(itertools.combinations(EDGES.items, size))
    assert list(sampler.keys(EDGES)) == subsets
    logits = torch.linspace(-1, 1, len(subsets), dtype=torch.float64)
    shares = logits.softmax(0).numpy()
    by_hand = [sum(shares[n] for n, s in enumerate(subsets) if item in s) for item in EDGES.items]
    found = sampler.probabilities(gate(EDGES, logits))
    np.testing.assert_allclose(found, by_hand)
    assert float(found.sum()) == pytest.approx(size)
    rng, count = np.random.default_rng(2), scaled(10_000)
    drawn = [tuple(sampler.draw(gate(EDGES, logits), rng)) for _ in range(count)]
    times = [drawn.count(subset) for subset in subsets]
    assert sum(times) == count
    assert len(subsets) == 1 or chisquare(times, count * shares).pvalue > 0.01
    assert sampler.settle(gate(EDGES, logits)) == list(subsets[-1])


def test_too_many_subsets_are_refused_with_the_numbers() -> None:
    many = SubsetOf("stage1.op9.inputs", tuple(f"op{number}" for number in range(30)))
    with pytest.raises(
        ConfigError, match=r"4,060 sets of 3 from 30 edges at 'stage1.op9.inputs'; its limit"
    ):
        part("k_subsets", k=3).keys(many)


@pytest.mark.parametrize(("share", "kept"), [(0.5, 3), (0.34, 3), (0.3, 2), (0.01, 1), (1.0, 6)])
def test_discovered_wirings_run_the_strongest_and_teach_all(share: float, kept: int) -> None:
    sampler = part("top_edges", share=share)
    logits = EDGE_LOGITS.clone().requires_grad_()
    values = sampler.values(gate(EDGES, logits, noise=1))
    strength = (1 + EDGE_LOGITS).abs()
    strongest = strength.argsort(descending=True)[:kept]
    assert set(torch.nonzero(values).flatten().tolist()) == set(strongest.tolist())
    torch.testing.assert_close(values.detach()[strongest], strength[strongest])
    (gradient,) = torch.autograd.grad(values.sum(), [logits])
    assert torch.equal(gradient, (1 + EDGE_LOGITS).sign())  # straight through to every edge
    assert len(sampler.settle(gate(EDGES, EDGE_LOGITS))) == kept


def test_equal_edges_take_turns_in_a_discovered_wiring() -> None:
    sampler, fresh = part("top_edges"), torch.zeros(6, dtype=torch.float64)
    ran = sum(sampler.values(gate(EDGES, fresh, noise=seed)) for seed in range(300))
    assert chisquare(np.asarray(ran)).pvalue > 0.01


def test_an_edge_that_did_not_run_learns_as_the_paper_says() -> None:
    """DNW moves a missing edge by the product of its state and the gradient at its target."""
    stage = one_stage("sum", patterns=("free",), depth=4)
    supernet = shaken(Supernet(stage, SHAPE, 5).double())
    relaxation = Relaxation(stage, edges={"name": "top_edges", "share": 0.4}).double()
    context = relaxation.sample(np.random.default_rng(0))
    values = relaxation.values(context, torch.Generator().manual_seed(0))
    run = RelaxedRun(supernet, mix(supernet, Binder(stage), context), values)
    loss = functional.cross_entropy(run.logits(images()), torch.tensor([0, 1, 2, 3]))
    (gradient,) = torch.autograd.grad(loss, [relaxation.logits])
    off = [
        relaxation.positions(choice)[number]
        for choice in context.relaxed
        if isinstance(choice, SubsetOf)
        for number, value in enumerate(values[choice.name].tolist())
        if value == 0
    ]
    learning = gradient[off] != 0  # all but those into nodes that nothing reads at this step
    assert off and float(learning.double().mean()) > 0.5


def test_exponential_edge_weights_are_the_softmax_over_a_nodes_inputs() -> None:
    weights = part("softmax_edges").values(gate(EDGES, EDGE_LOGITS, heat=0.5))
    share = normalised(weights) / normalised(weights).sum()
    torch.testing.assert_close(share, (EDGE_LOGITS / 0.5).softmax(0))


def test_free_edge_weights_start_on_and_equal_and_lose_their_sign() -> None:
    sampler = part("toponet")
    assert sampler.probabilities(gate(EDGES, torch.zeros(6))).tolist() == [1.0] * 6
    signed = torch.tensor([1.0, -3.0, 0.0, -1.0, -2.0, 0.5], dtype=torch.float64)
    assert sampler.values(gate(EDGES, signed)).tolist() == [2.0, 2.0, 1.0, 0.0, 1.0, 1.5]
    assert sampler.probabilities(gate(EDGES, signed)).tolist() == [1.0, 1.0, 0.5, 0, 0.5, 0.75]


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("k_subsets", "k", 0), ("top_edges", "share", 0.0), ("hard_concrete", "stretch", -1.0)],
)
def test_a_wrong_option_of_a_sampler_is_named(name: str, option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"The option '{option}' of the gate sampler '{name}'"):
        part(name, **{option: value})

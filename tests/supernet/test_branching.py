"""Branching: one parent per node, chosen by option samplers; every vertex is the member."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scale import scaled
from supernet_cases import SHAPE, digits, images, shaken

from nas.space import AbstractSpace, OneOf, SubsetOf, space_from_dict
from nas.supernet.binding import Binder, flatten, role
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits
from nas.supernet.relaxation import Relaxation
from nas.supernet.relaxed_training import RelaxationConfig, make_relaxation, train_relaxation
from nas.supernet.supernet import Supernet


def branching(*patterns: str) -> AbstractSpace:
    stage = {
        "pattern": {"choices": list(patterns or ("free",))},
        "depth": 4,
        "width": 4,
        "inputs": "one",
        "operation": {"choices": ["conv3x3", "conv1x1"], "per": "node"},
        "merge": {"choices": ["sum", "concat", "weighted"], "per": "node"},
    }
    return space_from_dict(
        {"schema": "nas.space/1", "kind": "stages", "name": "branching", "stages": [stage, stage]}
    )


def test_every_operation_has_one_parent_and_the_join_any_set() -> None:
    space = branching()
    choices = {choice.name: choice for choice in Relaxation(space).every_choice()}
    parents = [choice for choice in choices.values() if role(choice) == "parent"]
    assert [choice.name for choice in parents][:3] == [
        "stage1.op2.parent",
        "stage1.op3.parent",
        "stage1.op4.parent",
    ]
    last = choices["stage1.op4.parent"]
    assert isinstance(last, OneOf)
    assert [option.value for option in last.options] == ["in", "op1", "op2", "op3"]
    assert isinstance(choices["stage1.out.inputs"], SubsetOf)
    rng = np.random.default_rng(0)
    for _ in range(20):
        member = space.sample(rng)
        architecture = space.build(member)
        flat = flatten(architecture)
        for path, source in flat.edges:
            name = path[0]
            if f"{name}.parent" in member:
                assert source.endswith((str(member[f"{name}.parent"]), "stem"))
                assert sum(edge[0] == path for edge in flat.edges) == 1


def test_the_number_of_members_is_the_product_of_the_choices() -> None:
    stage = {"pattern": "free", "depth": 3, "width": 4, "inputs": "one"}
    space = space_from_dict(
        {"schema": "nas.space/1", "kind": "stages", "name": "branching", "stages": [stage]}
    )
    assert space.count() == 2 * 3 * (2**4 - 1)
    assert len(list(space.enumerate())) == space.count()


@pytest.mark.parametrize("operations", ["sampled", "mixed"])
@pytest.mark.parametrize("patterns", [("free",), ("free", "residual", "dense")])
def test_every_vertex_of_a_branching_relaxation_is_the_member(
    patterns: tuple[str, ...], operations: str
) -> None:
    space = branching(*patterns)
    supernet = shaken(Supernet(space, SHAPE, 5).double())
    relaxation = Relaxation(space, operations=operations).double()  # type: ignore[arg-type]
    binder, rng, x = Binder(space), np.random.default_rng(0), images()
    for _ in range(scaled(200)):
        member = space.sample(rng)
        context, values = relaxation.context(member)
        with torch.no_grad():
            ours = relaxed_logits(supernet, mix(supernet, binder, context), values, x)
            theirs = supernet(x, space.build(member))
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-10, member


def test_parents_have_the_gradient_of_finite_differences() -> None:
    space = branching()
    supernet = shaken(Supernet(space, SHAPE, 5).double())
    relaxation = Relaxation(space).double()
    rng = np.random.default_rng(1)
    with torch.no_grad():
        relaxation.logits.copy_(torch.from_numpy(rng.normal(size=len(relaxation.logits))))
    context = relaxation.sample(rng)
    mixing = mix(supernet, Binder(space), context)

    def loss() -> torch.Tensor:
        values = relaxation.values(context)
        return relaxed_logits(supernet, mixing, values, images()).square().mean()

    (gradient,) = torch.autograd.grad(loss(), [relaxation.logits])
    parents = [choice for choice in context.relaxed if role(choice) == "parent"]
    assert len(parents) == 6
    for place in [place for choice in parents for place in relaxation.positions(choice)]:
        sides = []
        for change in (1e-5, -2e-5):
            relaxation.logits.data[place] += change
            sides.append(float(loss().detach()))
        relaxation.logits.data[place] += 1e-5
        estimate = (sides[0] - sides[1]) / 2e-5
        assert float(gradient[place]) == pytest.approx(estimate, rel=1e-4, abs=1e-8)
        assert gradient[place] != 0


@pytest.mark.parametrize("sampler", ["gumbel_softmax", "gumbel_hard"])
def test_parents_are_learned_with_gumbel_noise(sampler: str) -> None:
    space = branching()
    config = RelaxationConfig(
        epochs=1,
        batch_size=32,
        gate_warmup_epochs=0,
        gates={"options": sampler},
        operations="mixed",
    )
    supernet = Supernet(space, (1, 8, 8), 10, seed=0)
    relaxation = make_relaxation(supernet, config)
    _, training = train_relaxation(supernet, relaxation, digits(), config, seed=0)
    parents = [choice for choice in relaxation.every_choice() if role(choice) == "parent"]
    assert all(relaxation.logits[relaxation.positions(choice)].any() for choice in parents)
    for member in training.preferred(3, np.random.default_rng(0)):
        assert member == space.normalise(member)

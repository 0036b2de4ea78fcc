"""Stages with edge scales: declared, drawn, built, and shared in a supernet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scale import scaled

from nas.errors import ConfigError, NotFoundError
from nas.model.network import Network
from nas.space import AbstractSpace, OneOf, space_from_dict
from nas.supernet.binding import Binder, role
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits
from nas.supernet.relaxation import Relaxation
from nas.supernet.supernet import Supernet
from nas.topology.edge_scales import scale_topology
from nas.topology.patterns import PATTERNS
from nas.topology.stages import stage_architecture

SHAPE, CLASSES = (2, 6, 6), 3
CHOICES = ["unscaled", "rezero", "layer_scale(start=0.1)", "decayed_identity(a_min=0.5)"]


def space(edge_scale: Any, patterns: list[str] | None = None) -> AbstractSpace:
    stage: dict[str, Any] = {
        "pattern": {"choices": patterns or ["residual", "chain", "dense", "free"]},
        "depth": {"choices": [2, 3]},
        "merge": {"choices": ["sum", "weighted"], "per": "node"},
        "width": {"choices": [3, 4]},
        "edge_scale": edge_scale,
    }
    declared = {"schema": "nas.space/1", "kind": "stages", "name": "scaled", "stages": [stage]}
    return space_from_dict(declared, "test")


def test_a_fixed_scale_is_no_choice_and_is_in_every_member() -> None:
    fixed = space("rezero", ["residual"])
    assert [choice.name for choice in fixed.choices] == ["stage1.pattern", "stage1.width"]
    decisions = fixed.sample(np.random.default_rng(0))
    gains = [edge.gain.kind for edge in fixed.build(decisions).edges if edge.gain.learned]
    assert len(gains) == decisions["stage1.depth"]


def test_a_choice_of_scales_is_joint_and_every_answer_builds_its_own_gains() -> None:
    open_space = space({"choices": CHOICES}, ["residual"])
    choice = next(each for each in open_space.choices if each.name == "stage1.edge_scale")
    assert isinstance(choice, OneOf)
    assert role(choice) == "joint"
    decisions = dict(open_space.sample(np.random.default_rng(0)))
    built = {open_space.build({**decisions, "stage1.edge_scale": option}) for option in CHOICES}
    assert len(built) == len(CHOICES)


def test_a_space_without_scales_has_the_choices_it_had() -> None:
    assert "edge_scale" not in " ".join(each.name for each in space("unscaled").choices)


def test_the_declaration_reads_back() -> None:
    declared = space({"choices": CHOICES})
    again = space_from_dict(declared.to_dict(), "test")
    assert list(again.choices) == list(declared.choices)


def test_members_with_gains_equal_their_stand_alone_networks() -> None:
    shared = space({"choices": CHOICES})
    net = Supernet(shared, SHAPE, CLASSES, seed=0).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise, alpha=0.2)
    x = torch.randn(4, *SHAPE, dtype=torch.float64, generator=generator)
    rng = np.random.default_rng(2)
    for _ in range(scaled(200)):
        architecture = shared.build(shared.sample(rng))
        statistics = net.recalibrate(architecture, x)
        with torch.no_grad():
            inside = net.eval()(x, architecture, statistics)
            alone = net.extract(architecture, statistics).eval()(x)
        assert (inside - alone).abs().max() <= 1e-10 * alone.abs().max()


@pytest.mark.parametrize("operations", ["sampled", "mixed"])
def test_every_vertex_of_a_relaxation_with_scales_is_the_member(operations: str) -> None:
    scales = space({"choices": CHOICES}, ["residual", "dense", "free", "fractal"])
    net = Supernet(scales, SHAPE, CLASSES, seed=0).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise, alpha=0.2)
    relaxation = Relaxation(scales, operations=operations).double()  # type: ignore[arg-type]
    binder, rng = Binder(scales), np.random.default_rng(0)
    x = torch.randn(4, *SHAPE, dtype=torch.float64, generator=generator)
    for _ in range(scaled(100)):
        decisions = scales.sample(rng)
        context, values = relaxation.context(decisions)
        with torch.no_grad():
            ours = relaxed_logits(net, mix(net, binder, context), values, x)
            theirs = net(x, scales.build(decisions))
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-10, decisions


@pytest.mark.parametrize(
    ("edge_scale", "error", "match"),
    [
        ("rezro", NotFoundError, r"'rezro'[\s\S]*stages.0.edge_scale[\s\S]*'rezero'"),
        ("fixed(value=77)", ConfigError, r"'value' is 77[\s\S]*stages.0.edge_scale"),
        ({"choices": ["rezero", "nothing"]}, NotFoundError, r"edge scale 'nothing'"),
        ("Rezero!", ConfigError, r"edge_scale"),
    ],
)
def test_a_wrong_scale_is_refused_where_it_stands(
    edge_scale: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        space(edge_scale)


def test_residual_nodes_with_branches_at_zero_pass_their_input_on() -> None:
    """With every branch at 0 the Jacobian of the wiring is the identity, and branches learn."""
    topology = scale_topology(PATTERNS.get("residual").wire(3), "rezero")
    architecture = replace(stage_architecture(topology, width=2), head="none")
    net = Network(architecture, (2, 3, 3), 1, initialisation="default").double().eval()
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(net, x).reshape(18, 18)
    assert torch.equal(jacobian, torch.eye(18, dtype=torch.float64))
    net(x).square().sum().backward()
    gains = [value for name, value in net.named_parameters() if name.endswith(".gain")]
    assert len(gains) == 3
    assert all(gain.grad is not None and gain.grad.abs().sum() > 0 for gain in gains)


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [("unscaled", 5e14, 2.5e15), ("inverse_root_depth", 2.3, 3.1), ("inverse_depth", 0.9, 1.15)],
)
def test_fifty_linear_blocks_at_the_start_are_as_large_as_their_scale_says(
    scale: str, low: float, high: float
) -> None:
    """Mean squares near 1.1e15, 2.7 and 1.02: `(1 + g^2)^50` for branch factors g."""
    topology = scale_topology(PATTERNS.get("residual").wire(50), scale)
    built = stage_architecture(topology, width=128, operation="plain_conv1x1")
    found = []
    for seed in range(3):
        net = Network(replace(built, head="none"), (128, 1, 1), 1, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in net.parameters():
                if parameter.dim() == 4:
                    drawn = torch.randn(parameter.shape, generator=generator)
                    parameter.copy_(drawn / 128**0.5)
            y = net.double()(torch.randn(64, 128, 1, 1, generator=generator).double())
        found.append(float(y.square().mean()))
    assert low < sum(found) / len(found) < high

"""What a recipe asks of the wiring and of the weights over time: every setting acts in `fit`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas.errors import ConfigError
from nas.model.network import Network
from nas.model.path_masks import PathMasks
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.patterns import PATTERNS
from nas.topology.stages import stage_architecture
from nas.training.averaging import WeightAverage, measure_norms
from nas.training.batches import part_tensors
from nas.training.data import load_data
from nas.training.evaluate import evaluate
from nas.training.fit import fit
from nas.training.mixing import Targets, mix
from nas.training.parts import FiveParts, split_five
from nas.training.recipe import Recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def parts() -> FiveParts:
    return split_five(load_data("digits"), 0)


def network(pattern: str = "residual", size: int = 3) -> Network:
    topology = PATTERNS.get(pattern).wire(size)
    built = stage_architecture(topology, width=8, stem="conv3x3")
    return Network(built, (1, 8, 8), 10, initialisation="default")


def trained(parts: FiveParts, **settings: Any) -> Network:
    net = network(size=2)
    fit(net, parts.weights, Recipe(epochs=1, batch_size=64, **settings), seed=0)
    return net


@pytest.fixture(scope="module")
def plain(parts: FiveParts) -> Tensor:
    return weights(trained(parts))


def weights(net: nn.Module) -> Tensor:
    return torch.cat([value.detach().double().flatten() for value in net.state_dict().values()])


SETTINGS: list[dict[str, Any]] = [
    {"path_dropping": "stochastic_depth(per_sample=1)"},
    {"path_dropping": "scheduled_drop_path"},
    {"path_dropping": "drop_path"},
    {"mixup": 0.4},
    {"averaging": "ema"},
    {"averaging": "swa", "average_from": 0.5},
    {"learning_rate_rule": "weighted_paths"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda each: "-".join(map(str, each.values())))
def test_a_setting_changes_the_training_and_one_seed_repeats_it(
    parts: FiveParts, plain: Tensor, settings: dict[str, Any]
) -> None:
    changed = weights(trained(parts, **settings))
    assert not torch.equal(plain, changed)
    assert torch.equal(changed, weights(trained(parts, **settings)))


def test_the_modern_recipe_learns_digits(parts: FiveParts) -> None:
    recipe = Recipe.model_validate(
        {
            "named": "modern",
            "epochs": 7,
            "batch_size": 64,
            "warmup_epochs": 1,
            "average_decay": 0.9,
            "augmentation": "none",
        }
    )
    net = network()
    fit(net, parts.training, recipe, seed=0)
    assert evaluate(net, *part_tensors(parts.test, CPU)).accuracy > 0.8


def test_masks_reach_the_network_in_every_step_and_only_there(parts: FiveParts) -> None:
    net, seen = network("fractal", 3), []
    forward = net.forward

    def watched(x: Tensor, masks: PathMasks | None = None) -> Tensor:
        seen.append(masks)
        return forward(x, masks)

    net.forward = watched  # type: ignore[method-assign]
    recipe = Recipe(epochs=2, batch_size=64, path_dropping="drop_path_global", averaging="ema")
    steps = fit(net, parts.weights, recipe, seed=0).steps
    assert all(masks is not None and masks.inputs for masks in seen[:steps])
    assert all(masks is None for masks in seen[steps:])  # norms are measured on the whole network
    assert len(seen) > steps


@pytest.mark.parametrize(
    "settings",
    [{"path_dropping": "drop_path"}, {"learning_rate_rule": "cell_paths"}, {"exit_weight": 1.0}],
)
def test_a_module_without_a_wiring_is_refused(parts: FiveParts, settings: dict[str, Any]) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(ConfigError, match=r"a Sequential has no known (paths|wiring)"):
        fit(module, parts.weights, Recipe(epochs=1, **settings), seed=0)


def test_the_rate_of_a_chain_is_that_of_one_operation_over_the_root_of_its_cubes(
    parts: FiveParts,
) -> None:
    def moved(size: int, rule: str) -> float:
        topology = PATTERNS.get("chain").wire(size)
        built = stage_architecture(topology, width=4, operation="plain_conv1x1")
        net = Network(built, (1, 8, 8), 10, initialisation="default")
        before = net.head.weight.detach().clone() if net.head is not None else torch.zeros(())
        recipe = Recipe(
            epochs=1,
            batch_size=len(parts.weights),
            momentum=0,
            weight_decay=0,
            warmup_epochs=0,
            learning_rate_rule=rule,  # type: ignore[arg-type]
        )
        fit(net, parts.weights, recipe, seed=0)
        assert net.head is not None
        return float((net.head.weight.detach() - before).norm())

    assert moved(4, "cell_paths") == pytest.approx(moved(4, "fixed") * 4**-1.5, rel=1e-4)


def test_exits_learn_together_with_the_network(parts: FiveParts) -> None:
    nodes = (
        Node(),
        Node("conv3x3", width=16),
        Node("conv3x3", width=16, exit=True),
        Node("conv3x3", width=16),
    )
    architecture = Architecture(nodes, tuple(Edge(node, node + 1) for node in range(3)))
    images, labels = part_tensors(parts.validation, CPU)

    def accuracies(weight: float) -> list[float]:
        net = Network(architecture, (1, 8, 8), 10, initialisation="default")
        recipe = Recipe(epochs=7, batch_size=32, exit_weight=weight)
        fit(net, parts.weights, recipe, seed=0)
        with torch.no_grad():
            found = net.exit_logits(images)
        return [float((logits.argmax(1) == labels).float().mean()) for logits in found]

    alone, together = accuracies(0.0), accuracies(1.0)
    assert together[0] > alone[0] + 0.2
    assert together[0] > 0.6


# The pieces.


def test_a_swa_mean_is_the_mean_and_begins_where_it_says() -> None:
    module = nn.Linear(1, 1, bias=False)
    recipe = Recipe(averaging="swa", average_from=0.5)
    average = WeightAverage(module, recipe, total_steps=10)
    for step in range(10):
        with torch.no_grad():
            module.weight.fill_(float(step))
        average.add(step)
    average.finish([])
    assert module.weight.item() == pytest.approx((5 + 6 + 7 + 8 + 9) / 5)


def test_a_moving_average_follows_its_recursion() -> None:
    module = nn.Linear(1, 1, bias=False)
    average = WeightAverage(module, Recipe(averaging="ema", average_decay=0.5), total_steps=9)
    expected = 0.0
    for step in range(9):
        with torch.no_grad():
            module.weight.fill_(float(step))
        average.add(step)
        keep = min(0.5, (step + 1) / (step + 11))
        expected = float(step) if step == 0 else keep * expected + (1 - keep) * step
    average.finish([])
    assert module.weight.item() == pytest.approx(expected)


def test_an_average_that_never_began_leaves_the_weights() -> None:
    module = nn.Linear(1, 1)
    before = module.weight.detach().clone()
    WeightAverage(module, Recipe(averaging="swa"), total_steps=4).finish([])
    assert torch.equal(module.weight, before)


def test_norms_are_measured_as_the_mean_over_all_batches() -> None:
    norm = nn.BatchNorm2d(2)
    batches = [(torch.randn(8, 2, 3, 3) + each, torch.zeros(8)) for each in range(4)]
    measure_norms(norm, batches)
    means = torch.stack([images.mean((0, 2, 3)) for images, _ in batches])
    torch.testing.assert_close(norm.running_mean, means.mean(0))
    assert norm.momentum == 0.1
    measure_norms(nn.Linear(1, 1), [])  # nothing to measure


def test_mixup_is_the_mixture_of_the_losses_of_both_labels() -> None:
    images, labels = torch.randn(16, 1, 2, 2), torch.arange(16) % 3
    mixed, targets = mix(images, labels, alpha=0.7, seed=1, step=5)
    assert targets.others is not None
    assert 0 < targets.share < 1
    partner = next(
        each
        for each in range(16)
        if torch.allclose(
            mixed[0], targets.share * images[0] + (1 - targets.share) * images[each], atol=1e-6
        )
    )
    assert labels[partner] == targets.others[0]
    logits = torch.randn(16, 3)
    expected = targets.share * nn.functional.cross_entropy(logits, labels) + (
        1 - targets.share
    ) * nn.functional.cross_entropy(logits, targets.others)
    torch.testing.assert_close(targets.loss(logits, 0.0), expected)


def test_mixup_of_nothing_is_the_batch_itself() -> None:
    images, labels = torch.randn(4, 1, 2, 2), torch.arange(4)
    mixed, targets = mix(images, labels, alpha=0.0, seed=1, step=0)
    assert mixed is images
    assert targets == Targets(labels)

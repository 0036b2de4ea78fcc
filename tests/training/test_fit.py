"""The fit loop: learns, repeats bit for bit, and fails with a reason."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nas.errors import DataError, TrialError
from nas.training.baselines import simple_baselines
from nas.training.batches import part_tensors
from nas.training.data import load_data
from nas.training.data.image_data import ImageData
from nas.training.evaluate import FOLDS, evaluate, evaluate_part
from nas.training.faults import is_out_of_memory, memory_faults
from nas.training.fit import EpochReport, fit
from nas.training.optimizers import make_optimizer, parameter_groups
from nas.training.parts import FiveParts, split_five
from nas.training.recipe import Recipe

CPU = torch.device("cpu")
SHORT = Recipe(epochs=2, batch_size=64)


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_data("digits")


@pytest.fixture(scope="module")
def parts(digits: ImageData) -> FiveParts:
    return split_five(digits, 0)


def tiny_network(dropout: float = 0.0) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 24, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(24, 10),
        )


def weights_after(parts: FiveParts, recipe: Recipe, seed: int, dropout: float = 0.0) -> Tensor:
    network = tiny_network(dropout)
    fit(network, parts.weights, recipe, seed=seed)
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=8, batch_size=64, warmup_epochs=1),
        Recipe(epochs=8, batch_size=64, optimizer="adamw", learning_rate=0.01, gradient_clip=5.0),
    ],
    ids=["sgd", "adamw"],
)
def test_a_tiny_network_learns_digits_above_90_percent(parts: FiveParts, recipe: Recipe) -> None:
    network = tiny_network()
    result = fit(network, parts.training, recipe, seed=0)
    assert evaluate(network, *part_tensors(parts.test, CPU)).accuracy > 0.9
    assert result.losses[-1] < result.losses[0] / 2
    assert (result.epochs, result.steps, result.stopped) == (8, 8 * (1350 // 64), False)
    assert result.recipe_hash == recipe.recipe_hash
    assert not network.training


@pytest.mark.parametrize("augmentation", ["none", "shift", "flip_crop"])
def test_one_seed_gives_the_same_weights_bit_for_bit(parts: FiveParts, augmentation: str) -> None:
    recipe = Recipe(epochs=2, batch_size=64, augmentation=augmentation)  # type: ignore[arg-type]
    first = weights_after(parts, recipe, seed=3, dropout=0.2)
    torch.manual_seed(99)  # The state of the global generator must not matter.
    assert torch.equal(first, weights_after(parts, recipe, seed=3, dropout=0.2))
    assert not torch.equal(first, weights_after(parts, recipe, seed=4, dropout=0.2))


def test_fit_leaves_the_global_random_state_as_it_was(parts: FiveParts) -> None:
    before = torch.get_rng_state()
    fit(tiny_network(), parts.weights, SHORT, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_each_epoch_is_reported(parts: FiveParts) -> None:
    reports: list[EpochReport] = []
    result = fit(tiny_network(), parts.weights, SHORT, seed=0, on_epoch=reports.append)
    assert [(report.epoch, report.epochs) for report in reports] == [(1, 2), (2, 2)]
    assert tuple(report.loss for report in reports) == result.losses


def test_a_training_that_is_told_to_stop_stops_before_the_next_step(parts: FiveParts) -> None:
    answers = iter([False] * 14 + [True])
    result = fit(tiny_network(), parts.weights, SHORT, seed=0, should_stop=lambda: next(answers))
    assert result.stopped
    assert (result.epochs, result.steps) == (1, 14)


class Failing(nn.Module):
    """A network whose forward pass calls `fault` after some steps."""

    def __init__(self, steps: int, fault: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network = tiny_network()
        self.left = steps
        self.fault = fault

    def forward(self, images: Tensor) -> Tensor:
        self.left -= 1
        logits: Tensor = self.network(images)
        return self.fault(logits) if self.left < 0 else logits


@pytest.mark.fault("E1")
def test_a_loss_that_is_not_finite_names_epoch_and_step(parts: FiveParts) -> None:
    with pytest.raises(TrialError, match=r"(?s)training loss is nan.*epoch 2, step 3") as caught:
        fit(Failing(14, lambda logits: logits * math.nan), parts.weights, SHORT, seed=0)
    assert caught.value.kind == "nonfinite"


@pytest.mark.fault("E1")
def test_an_absurd_learning_rate_diverges_with_a_reason(parts: FiveParts) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Linear(64, 10))
    recipe = Recipe(learning_rate=100, schedule="constant", warmup_epochs=0, epochs=5)
    with pytest.raises(TrialError, match=r"(?s)diverged.*learning rate"):
        fit(network, parts.weights, recipe, seed=0)


def raise_error(error: BaseException) -> Callable[[Tensor], Tensor]:
    def fault(_: Tensor) -> Tensor:
        raise error

    return fault


@pytest.mark.fault("A14")
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("MPS backend out of memory"),
    ],
)
def test_running_out_of_memory_is_a_failed_trial(parts: FiveParts, error: BaseException) -> None:
    with pytest.raises(TrialError, match=r"(?s)Out of memory.*training.*smaller batch") as caught:
        fit(Failing(1, raise_error(error)), parts.weights, SHORT, seed=0)
    assert caught.value.kind == "oom"


def test_a_real_allocation_that_cannot_succeed_is_a_failed_trial(parts: FiveParts) -> None:
    with pytest.raises(TrialError, match="Out of memory"):
        fit(Failing(1, lambda _: torch.empty(2**60)), parts.weights, SHORT, seed=0)


def test_other_runtime_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="shape mismatch"), memory_faults("training"):
        raise RuntimeError("shape mismatch")
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.fault("E14")
def test_an_empty_part_is_refused(digits: ImageData, parts: FiveParts) -> None:
    empty = type(parts.weights)(
        digits.x_train, digits.y_train, parts.weights.labels[:0], parts.weights.normalisation
    )
    with pytest.raises(DataError, match="0 images to train on"):
        fit(tiny_network(), empty, SHORT, seed=0)
    images, labels = part_tensors(parts.test, CPU)
    with pytest.raises(DataError, match="0 images to evaluate on"):
        evaluate(tiny_network(), images[:0], labels[:0])
    with pytest.raises(DataError, match="0 images to evaluate on"):
        evaluate_part(tiny_network(), empty, device=CPU)


def test_a_part_scores_the_same_read_in_batches(parts: FiveParts) -> None:
    network = tiny_network()
    whole = evaluate(network, *part_tensors(parts.test, CPU))
    streamed = evaluate_part(network, parts.test, device=CPU, batch_size=100)
    assert (streamed.error, streamed.count) == (whole.error, whole.count)
    assert streamed.cross_entropy == pytest.approx(whole.cross_entropy, rel=1e-6)


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.gates = nn.Parameter(torch.zeros(3, 3))
        self.gate = nn.Linear(2, 2)
        self.frozen = nn.Parameter(torch.zeros(2, 2), requires_grad=False)


def test_norms_biases_and_gates_are_not_decayed() -> None:
    module = Gated()
    decayed, free = parameter_groups(module, 0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    names = {id(value): name for name, value in module.named_parameters()}
    listed = [{names[id(value)] for value in group["params"]} for group in (decayed, free)]  # type: ignore[attr-defined]
    assert listed[0] == {"convolution.weight", "gate.weight"}
    assert listed[1] == {"convolution.bias", "norm.weight", "norm.bias", "gates", "gate.bias"}


def test_momentum_of_zero_is_plain_sgd() -> None:
    optimizer = make_optimizer(Gated(), Recipe(momentum=0))
    assert optimizer.defaults["nesterov"] is False


def test_an_evaluation_counts_errors_and_nats(parts: FiveParts) -> None:
    images, labels = part_tensors(parts.test, CPU)

    def always_three(batch: Tensor) -> Tensor:
        logits = torch.zeros(len(batch), 10)
        logits[:, 3] = 1
        return logits

    score = evaluate(always_three, images, labels, batch_size=100)
    threes = int((labels == 3).sum())
    assert score.count == len(labels)
    assert score.error == pytest.approx(1 - threes / len(labels))
    expected = math.log(9 + math.e) - threes / len(labels)
    assert score.cross_entropy == pytest.approx(expected, rel=1e-6)


def test_an_evaluation_tells_its_own_noise(parts: FiveParts) -> None:
    images, labels = part_tensors(parts.test, CPU)
    network = tiny_network().eval()
    score = evaluate(network, images, labels, batch_size=100)
    with torch.no_grad():
        logits = network(images)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none").double()
    noise = score.noise
    assert noise is not None
    expected = float(losses.std() / math.sqrt(len(labels)))
    assert noise.cross_entropy_error == pytest.approx(expected, rel=1e-5)
    assert sum(noise.images) == len(labels) and len(noise.images) == FOLDS
    assert sum(noise.wrong) == round(score.error * len(labels))
    fold = torch.arange(len(labels)) % FOLDS == 5
    assert noise.cross_entropies[5] == pytest.approx(float(losses[fold].sum()), rel=1e-5)
    assert noise.wrong[5] == int((logits.argmax(1) != labels)[fold].sum())
    assert noise.to_dict()["images"] == list(noise.images)


def test_few_images_have_a_fold_each(parts: FiveParts) -> None:
    images, labels = part_tensors(parts.test, CPU)
    noise = evaluate(tiny_network(), images[:3], labels[:3]).noise
    assert noise is not None and noise.images == (1, 1, 1)
    alone = evaluate(tiny_network(), images[:1], labels[:1]).noise
    assert alone is not None and alone.cross_entropy_error is None


def test_an_evaluation_leaves_every_mode_as_it_was(parts: FiveParts) -> None:
    network = tiny_network().train()
    network[1].eval()  # type: ignore[index]
    before = [module.training for module in network.modules()]
    statistics = network.state_dict()["1.running_mean"].clone()
    evaluate(network, *part_tensors(parts.test, CPU))
    assert [module.training for module in network.modules()] == before
    assert torch.equal(statistics, network.state_dict()["1.running_mean"])


@pytest.mark.fault("E1", "D11")
def test_a_cross_entropy_that_is_not_finite_is_a_failed_trial(parts: FiveParts) -> None:
    network = Failing(0, lambda logits: logits * math.inf)
    with pytest.raises(TrialError, match=r"cross-entropy is (nan|inf)") as caught:
        evaluate(network, *part_tensors(parts.test, CPU))
    assert caught.value.kind == "nonfinite"


def test_the_simple_baselines_are_hard_to_beat_on_digits(digits: ImageData) -> None:
    neighbour, machine = simple_baselines(digits)
    assert (neighbour.name, machine.name) == ("1-nearest-neighbour", "svc")
    assert neighbour.accuracy > 0.97
    assert machine.accuracy > 0.97
    assert neighbour.count_train == 1350
    assert simple_baselines(digits, limit=100)[0].count_train == 100

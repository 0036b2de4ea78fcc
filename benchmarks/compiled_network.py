"""Whether a compiled network is as fast and as small as the same network written by hand.

ResNet-20, DenseNet-BC-100 and FractalNet stand here as plain torch modules, written from the
papers as one writes them for use: blocks in sequence, rectifiers in place, one running
concatenation. Weights are copied; logits and gradients must agree in float64 before anything is
timed, and both sides run in float32 and channels_last. Ratios are compiled / by hand: below 1 is
faster or smaller.

Peak memory is exact: the allocations and frees that torch's profiler reports for one training
step are added up, on top of what lives between steps (weights, gradients, momentum, images).

    python benchmarks/compiled_network.py [--small] [--threads 1] [--record]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

import harness
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.model.network import Network
from nas.model.published import build_published_text

CLASSES = 10
SHAPE = (3, 32, 32)
LIMIT = 1.03


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """Return a padded convolution without bias."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


@final
class BasicBlock(nn.Module):
    """Two convolutions and a shortcut that pads with zeros (He et al. 2015, arXiv:1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.extra = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, half the resolution at stride 2."""
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        if self.extra:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))
        return F.relu(y + x, inplace=True)


@final
class ResNet(nn.Module):
    """ResNet of 6n + 2 layers for 32x32 images (He et al. 2015, arXiv:1512.03385)."""

    def __init__(self, blocks: int = 3) -> None:
        super().__init__()
        self.conv = conv3x3(3, 16)
        self.norm = nn.BatchNorm2d(16)
        rows: list[nn.Module] = []
        inputs = 16
        for width in (16, 32, 64):
            for number in range(blocks):
                stride = 2 if width > 16 and number == 0 else 1
                rows.append(BasicBlock(inputs, width, stride))
                inputs = width
        self.blocks = nn.Sequential(*rows)
        self.head = nn.Linear(inputs, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = F.relu(self.norm(self.conv(x)), inplace=True)
        return self.head(self.blocks(x).mean((2, 3)))


@final
class DenseLayer(nn.Module):
    """Bottleneck layer that appends `growth` channels (Huang et al. 2016, arXiv:1608.06993)."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = conv3x3(4 * growth, growth)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input with the new channels behind it."""
        y = self.conv1(F.relu(self.norm1(x), inplace=True))
        y = self.conv2(F.relu(self.norm2(y), inplace=True))
        return torch.cat([x, y], dim=1)


@final
class Transition(nn.Module):
    """Halve the channels and the resolution between two dense blocks."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return half the channels at half the resolution."""
        return F.avg_pool2d(self.conv(F.relu(self.norm(x), inplace=True)), 2)


@final
class DenseNet(nn.Module):
    """DenseNet-BC with three blocks (Huang et al. 2016, arXiv:1608.06993)."""

    def __init__(self, layers: int = 16, growth: int = 12) -> None:
        super().__init__()
        channels = 2 * growth
        rows: list[nn.Module] = [conv3x3(3, channels)]
        for stage in range(3):
            if stage:
                rows.append(Transition(channels))
                channels //= 2
            for _ in range(layers):
                rows.append(DenseLayer(channels, growth))
                channels += growth
        self.features = nn.Sequential(*rows)
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = F.relu(self.norm(self.features(x)), inplace=True)
        return self.head(x.mean((2, 3)))


def unit(inputs: int, outputs: int) -> nn.Sequential:
    """Return convolution, batch norm, rectifier."""
    return nn.Sequential(conv3x3(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


@final
class FractalBlock(nn.Module):
    """Columns of 1, 2, 4, ... convolutions (Larsson et al. 2016, arXiv:1605.07648).

    Column `c` closes a convolution every `2^c` rows; what closes in one row is averaged, and every
    column that closed goes on from there.
    """

    def __init__(self, inputs: int, width: int, columns: int) -> None:
        super().__init__()
        self.columns = nn.ModuleList()
        for column in reversed(range(columns)):
            rows = 2 ** (columns - 1 - column)
            units = [unit(width if row else inputs, width) for row in range(rows)]
            self.columns.append(nn.ModuleList(units))

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of what closes in the last row."""
        count = len(self.columns)
        states = [x] * count
        for row in range(1, 2 ** (count - 1) + 1):
            closing = [place for place in range(count) if row % 2 ** (count - 1 - place) == 0]
            ends = []
            for place in closing:
                index = row // 2 ** (count - 1 - place) - 1
                ends.append(self.columns[place][index](states[place]))  # type: ignore[index]
            joined = ends[0] if len(ends) == 1 else mean(ends)
            for place in closing:
                states[place] = joined
        return joined


def mean(tensors: list[Tensor]) -> Tensor:
    """Return the mean of several tensors."""
    total = tensors[0] + tensors[1]
    for tensor in tensors[2:]:
        total = total + tensor
    return total / len(tensors)


@final
class FractalNet(nn.Module):
    """FractalNet of five blocks, each ending in 2x2 max pooling."""

    def __init__(self, columns: int = 3, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2 ** min(block, 3) for block in range(5)]
        rows: list[nn.Module] = []
        for inputs, outputs in zip((3, *widths), widths, strict=False):
            rows += [FractalBlock(inputs, outputs, columns), nn.MaxPool2d(2)]
        self.blocks = nn.Sequential(*rows)
        self.head = nn.Linear(widths[-1], CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.blocks(x).mean((2, 3)))


@final
@dataclass(frozen=True)
class Case:
    """A network: what compiles to it, the same by hand, images per training step."""

    name: str
    text: str
    by_hand: Callable[[], nn.Module]
    images: int


CASES = (
    Case("ResNet-20", "resnet-cifar:depth=20", ResNet, 32),
    Case("DenseNet-BC-100", "densenet-cifar:depth=100,growth=12,bc=true", DenseNet, 16),
    Case("FractalNet", "fractalnet:columns=3", FractalNet, 8),
)


def layers_as_run(network: nn.Module) -> list[nn.Module]:
    """Return the layers that hold numbers in the order of execution."""
    found: list[nn.Module] = []
    hooks = [
        layer.register_forward_pre_hook(lambda module, _: found.append(module))
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.Linear)
    ]
    with torch.no_grad():
        network(torch.zeros(2, *SHAPE))
    for hook in hooks:
        hook.remove()
    return found


def make_sides(case: Case) -> tuple[Network, nn.Module]:
    """Return the compiled network and the one by hand, with equal weights.

    Raises:
        SystemExit: If they do not compute the same.
    """
    compiled = Network(build_published_text(case.text), SHAPE, CLASSES, initialisation="default")
    by_hand = case.by_hand()
    pairs = list(zip(layers_as_run(compiled), layers_as_run(by_hand), strict=True))
    for ours, theirs in pairs:
        theirs.load_state_dict(ours.state_dict())
    for network in (compiled, by_hand):
        network.to(torch.float64)
    x, labels = images(2, torch.float64)
    logits = [loss_and_backward(network, x, labels) for network in (compiled, by_hand)]
    agree(case.name, "logits", *logits)
    for ours, theirs in pairs:
        for left, right in zip(ours.parameters(), theirs.parameters(), strict=True):
            agree(case.name, "gradients", left.grad, right.grad)
    for network in (compiled, by_hand):
        network.zero_grad()
        network.to(torch.float32)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return compiled, by_hand


def agree(name: str, what: str, ours: Tensor | None, theirs: Tensor | None) -> None:
    """Stop unless two tensors are equal to 1e-10 of their size."""
    assert ours is not None and theirs is not None
    distance = float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-12))
    if not distance < 1e-10:
        raise SystemExit(f"{name}: the {what} of the two sides differ by {distance:.1e}")


def images(count: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return random images and labels."""
    generator = torch.Generator().manual_seed(count)
    x = torch.randn(count, *SHAPE, generator=generator).to(dtype)
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    return x.contiguous(memory_format=torch.channels_last), labels


def loss_and_backward(network: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Run forwards and backwards in training mode; return the logits."""
    logits: Tensor = network.train()(x)
    F.cross_entropy(logits, labels).backward()
    return logits.detach()


def inference(network: nn.Module, x: Tensor) -> Callable[[], Any]:
    """Return a call that computes the logits of a batch."""

    def run() -> Tensor:
        with torch.no_grad():
            return network(x)

    network.eval()
    return run


def training(network: nn.Module, x: Tensor, labels: Tensor) -> Callable[[], Any]:
    """Return a call that makes one training step."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)

    def run() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(x), labels).backward()
        optimizer.step()

    network.train()
    return run


def peak_bytes(network: nn.Module, x: Tensor, labels: Tensor) -> int:
    """Return the most bytes alive within a training step."""
    step = training(network, x, labels)
    step()
    network.zero_grad()  # so that the profiler sees all gradients come; momentum stays
    weights = sum(parameter.nbytes for parameter in network.parameters())
    lasting = 2 * weights + sum(buffer.nbytes for buffer in network.buffers()) + x.nbytes
    with torch.profiler.profile(profile_memory=True) as profile:
        step()
    alive = peak = 0
    for event in profile.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            alive += event.nbytes()
            peak = max(peak, alive)
    return lasting + peak


def rows_of(case: Case, small: bool) -> Iterator[harness.Row]:
    """Yield the rows of one network."""
    sides = make_sides(case)
    for batch in (1, 32):
        x, _ = images(batch)
        calls = [inference(side, x) for side in sides]
        rounds, each = (10, 5) if batch == 1 else (5, 1)
        taken = harness.interleave(calls, rounds=rounds if small else 4 * rounds, calls=each)
        yield harness.ratio_row(f"{case.name}, inference, batch {batch}", *taken)
    x, labels = images(case.images)
    calls = [training(side, x, labels) for side in sides]
    taken = harness.interleave(calls, rounds=4 if small else 15)
    yield harness.ratio_row(f"{case.name}, training step, batch {case.images}", *taken)
    ours, theirs = (peak_bytes(side, x, labels) for side in sides)
    yield harness.Row(f"{case.name}, peak training memory", ours / theirs, 0.0)


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    rows = []
    for case in CASES:
        if options.only not in case.name:
            continue
        for row in rows_of(case, options.small):
            rows.append(row)
            harness.print_row(row)
    harness.finish(
        "compiled_network",
        rows,
        unit="x (compiled / by hand)",
        threads=options.threads,
        overhead=True,
        record=options.record,
        more={"limit": LIMIT},
    )


if __name__ == "__main__":
    main()

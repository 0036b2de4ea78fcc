"""Published networks: exact parameter counts, and outputs equal to modules written by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.cost.count import cost
from nas.errors import ConfigError, NotFoundError
from nas.model.network import Network
from nas.model.published import (
    PUBLISHED,
    build_published,
    build_published_text,
    published_like,
    published_options_like,
)

CIFAR = (3, 32, 32)
PARAMETERS = {
    "resnet:depth=20,shortcut=zero_pad": 269_722,
    "resnet:depth=20,shortcut=projection": 272_474,
    "resnet:depth=110": 1_727_962,
    "densenet:depth=40,growth=12": 1_019_722,
    "densenet:depth=100,growth=12,bottleneck=true": 769_162,
    "densenet_bc:depth=100,growth=12": 769_162,
    "wide_resnet:depth=16,widen=4": 2_748_890,
    "wide_resnet:depth=28,widen=10": 36_479_194,
}


@pytest.mark.parametrize("text", PARAMETERS)
def test_parameters_are_the_published_ones(text: str) -> None:
    architecture = build_published_text(text)
    assert cost(architecture, CIFAR, 10).parameters == PARAMETERS[text]
    network = Network(architecture, CIFAR, 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[text]


def conv_bn(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def bn_relu_conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), conv)


class HandResNet(nn.Module):
    def __init__(self, blocks: int, project: bool) -> None:
        super().__init__()
        self.stem = conv_bn(3, 16)
        self.blocks = nn.ModuleList()
        self.project = project
        inputs = 16
        for width in (16, 32, 64):
            for _ in range(blocks):
                stride = 2 if width != inputs else 1
                parts = [conv_bn(inputs, width, stride), conv_bn(width, width)]
                if project and stride == 2:
                    parts.append(conv_bn(inputs, width, 2, kernel=1))
                self.blocks.append(nn.ModuleList(parts))
                inputs = width
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for block in self.blocks:
            y = block[1](F.relu(block[0](x)))
            if len(block) == 3:
                x = block[2](x)
            elif y.shape != x.shape:
                x = x[:, :, ::2, ::2]
                x = torch.cat([x, torch.zeros_like(x)], dim=1)
            x = F.relu(x + y)
        return self.head(x.mean((2, 3)))


class HandDenseNet(nn.Module):
    def __init__(self, layers: int, growth: int, bottleneck: bool) -> None:
        super().__init__()
        channels = 2 * growth if bottleneck else 16
        self.stem = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.stages = nn.ModuleList()
        for stage in range(3):
            parts = nn.ModuleList()
            if stage:
                outputs = channels // 2 if bottleneck else channels
                parts.append(bn_relu_conv(channels, outputs, 1))
                channels = outputs
            for _ in range(layers):
                if bottleneck:
                    narrow = bn_relu_conv(channels, 4 * growth, 1)
                    parts.append(nn.Sequential(narrow, bn_relu_conv(4 * growth, growth, 3)))
                else:
                    parts.append(bn_relu_conv(channels, growth, 3))
                channels += growth
            self.stages.append(parts)
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for number, stage in enumerate(self.stages):
            layers = list(stage)
            if number:
                x = F.avg_pool2d(layers.pop(0)(x), 2)
            for layer in layers:
                x = torch.cat([x, layer(x)], dim=1)
        return self.head(F.relu(self.norm(x)).mean((2, 3)))


class HandFractalBlock(nn.Module):
    """Three columns by hand: c[k] convolves every 2^k rows; joins are means over what ends."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()

        def unit(channels: int) -> nn.Sequential:
            return nn.Sequential(*conv_bn(channels, width), nn.ReLU())

        self.row1 = unit(inputs)
        self.row2 = nn.ModuleList([unit(inputs), unit(width)])
        self.row3 = unit(width)
        self.row4 = nn.ModuleList([unit(inputs), unit(width), unit(width)])

    def forward(self, x: Tensor) -> Tensor:
        first = self.row1(x)
        second = (self.row2[0](x) + self.row2[1](first)) / 2
        third = self.row3(second)
        return (self.row4[0](x) + self.row4[1](second) + self.row4[2](third)) / 3


class HandFractalNet(nn.Module):
    def __init__(self, blocks: int, width: int) -> None:
        super().__init__()
        widths = [width * 2**block for block in range(blocks)]
        pairs = zip([3, *widths], widths, strict=False)
        self.blocks = nn.ModuleList(HandFractalBlock(*pair) for pair in pairs)
        self.head = nn.Linear(widths[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = F.max_pool2d(block(x), 2)
        return self.head(x.mean((2, 3)))


class HandWideResNet(nn.Module):
    def __init__(self, blocks: int, widen: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList()
        inputs = 16
        for stage in range(3):
            for block in range(blocks):
                width, stride = 16 * widen * 2**stage, 2 if stage and not block else 1
                parts: list[nn.Module] = [
                    nn.BatchNorm2d(inputs),
                    nn.Conv2d(inputs, width, 3, stride, 1, bias=False),
                    bn_relu_conv(width, width, 3),
                ]
                if not block:
                    parts.append(nn.Conv2d(inputs, width, 1, stride, bias=False))
                self.blocks.append(nn.ModuleList(parts))
                inputs = width
        self.norm = nn.BatchNorm2d(inputs)
        self.head = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            ready = F.relu(block[0](x))
            y = block[2](block[1](ready))
            x = y + (block[3](ready) if len(block) == 4 else x)
        return self.head(F.relu(self.norm(x)).mean((2, 3)))


HAND_WRITTEN = {
    "resnet:depth=20": lambda: HandResNet(3, project=False),
    "resnet:depth=14,shortcut=project": lambda: HandResNet(2, project=True),
    "densenet:depth=13,growth=5": lambda: HandDenseNet(3, 5, bottleneck=False),
    "densenet_bc:depth=16,growth=6": lambda: HandDenseNet(2, 6, bottleneck=True),
    "fractalnet:columns=3,blocks=3,width=6": lambda: HandFractalNet(3, 6),
    "wide_resnet:depth=16,widen=2": lambda: HandWideResNet(2, 2),
}


@pytest.mark.parametrize("text", HAND_WRITTEN)
def test_with_copied_weights_the_output_is_that_of_a_module_written_by_hand(text: str) -> None:
    torch.manual_seed(0)
    hand = HAND_WRITTEN[text]()
    for part in hand.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
            part.running_mean.normal_(std=0.3)
            part.running_var.uniform_(0.5, 1.5)
    network = Network(build_published_text(text), CIFAR, 10)
    theirs, ours = hand.state_dict(), network.state_dict()
    assert [tuple(t.shape) for t in theirs.values()] == [tuple(t.shape) for t in ours.values()]
    network.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    x = torch.randn(2, *CIFAR)
    with torch.no_grad():
        for module in (network, hand):
            module.eval()
        wanted, got = hand(x), network(x)
        assert (got - wanted).abs().max() <= 1e-5 * wanted.abs().max()
        wanted, got = hand.double()(x.double()), network.double()(x.double())
        assert (got - wanted).abs().max() <= 1e-12 * wanted.abs().max()


def fitted_shapes() -> list[tuple[str, tuple[int, int, int]]]:
    """Return every family that is fitted to sizes with the images it can read."""
    cases = []
    for name in PUBLISHED:
        family = PUBLISHED.get(name)
        if family.width_option is None:
            continue
        shapes = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (2, 5, 7)]
        wide = [shape for shape in shapes if min(shape[1:]) >= family.smallest]
        cases += [(name, shape) for shape in wide or [(3, family.smallest, family.smallest + 1)]]
    return cases


@pytest.mark.parametrize(("name", "shape"), fitted_shapes())
def test_a_network_of_similar_size_comes_near_to_the_multiply_adds(
    name: str, shape: tuple[int, int, int]
) -> None:
    target = 60_000 * shape[1] * shape[2]
    architecture = published_like(name, shape, 10, target)
    counted = cost(architecture, shape, 10)
    assert abs(counted.macs / target - 1) < 0.1
    assert Network(architecture, shape, 10)(torch.zeros(2, *shape)).shape == (2, 10)
    options = published_options_like(name, shape, 10, target)
    assert build_published(name, **options) == architecture


def test_a_target_without_multiply_adds_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 multiply-add; got a target of 0"):
        published_like("resnet", CIFAR, 10, 0)


def test_images_of_one_pixel_are_too_small_for_a_fractal_network() -> None:
    with pytest.raises(ConfigError, match=r"of 2 pixels or more.*images have \(1, 1\)"):
        published_like("fractalnet", (3, 1, 1), 10, 10**6)


def test_a_family_without_a_width_to_fit_is_refused_and_the_others_named() -> None:
    with pytest.raises(ConfigError, match=r"(?s)'u2net' is not fitted.*densenet.*resnet"):
        published_like("u2net", CIFAR, 10, 10**6)


def test_an_unknown_family_is_refused_and_the_families_listed() -> None:
    with pytest.raises(NotFoundError, match=r"(?s)'resnte'.*mean 'resnet'.*densenet.*fractalnet"):
        build_published("resnte")

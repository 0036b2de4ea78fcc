"""Inception-ResNet-v2: residuals of parallel chains, scaled down before they are added.

As its authors released it: norms with epsilon 0.001, unpadded convolutions and poolings in the stem
and where the resolution falls, factors 0.17, 0.1 and 0.2, and no rectifier behind the last block.
"""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.facts import Gain, Link
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import published_network
from nas.topology.published.assembly import Assembly, check_range, share

Chain = tuple[tuple[str, int], ...]
"""Kernels and channels of convolutions one behind the other."""

POOL = "maxpool3x3.valid"
STEM: tuple[tuple[str, int, int], ...] = (
    ("3x3.valid", 32, 2),
    ("3x3.valid", 32, 1),
    ("3x3", 64, 1),
    ("1x1", 80, 1),
    ("3x3.valid", 192, 1),
)
POOLED = (2, 4)
"""Convolutions of the stem behind which the resolution falls."""
OPENING: tuple[Chain, ...] = (
    (("1x1", 96),),
    (("1x1", 48), ("5x5", 64)),
    (("1x1", 64), ("3x3", 96), ("3x3", 96)),
)
OPENING_POOL = 64
BLOCKS: tuple[tuple[Chain, ...], ...] = (
    ((("1x1", 32),), (("1x1", 32), ("3x3", 32)), (("1x1", 32), ("3x3", 48), ("3x3", 64))),
    ((("1x1", 192),), (("1x1", 128), ("1x7", 160), ("7x1", 192))),
    ((("1x1", 192),), (("1x1", 192), ("1x3", 224), ("3x1", 256))),
)
FACTORS = (0.17, 0.1, 0.2)
LOWERING: tuple[tuple[Chain, ...], ...] = (
    ((("3x3", 384),), (("1x1", 256), ("3x3", 256), ("3x3", 384))),
    (
        (("1x1", 256), ("3x3", 384)),
        (("1x1", 256), ("3x3", 288)),
        (("1x1", 256), ("3x3", 288), ("3x3", 320)),
    ),
)
LAST = 1536


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return ({}, {"blocks35": 5, "blocks17": 10, "blocks8": 5})


@published_network(
    "inception-resnet-v2",
    Paper("Szegedy et al.", 2016, arxiv="1602.07261"),
    width_option="percent",
    widths=(5, 400),
    depths=_depths,
    smallest=75,
    images=(3, 299, 299),
    classes=1000,
)
def inception_resnet_v2(
    blocks35: int = 10, blocks17: int = 20, blocks8: int = 10, percent: int = 100
) -> Architecture:
    """Residual network of Inception blocks, in its ImageNet form (299 pixels published).

    Args:
        blocks35: Blocks at an eighth of the resolution (35 pixels of 299).
        blocks17: Blocks at a sixteenth.
        blocks8: Blocks at a thirty-second, the last of them without a rectifier.
        percent: Channels, in percent of the published ones.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    repeats = {"blocks35": blocks35, "blocks17": blocks17, "blocks8": blocks8}
    for option, value in repeats.items():
        check_range("inception-resnet-v2", option, value, 1, 100)
    check_range("inception-resnet-v2", "percent", percent, 1, 1000)
    net = _Inception(percent)
    state, channels = net.stem()
    for stage, repeat in enumerate(repeats.values()):
        for block in range(repeat):
            name = f"stage{stage + 1}.block{block + 1}"
            last = stage == 2 and block == repeat - 1
            state = net.block(name, state, channels, stage, "identity" if last else "relu")
        if stage < 2:
            state, channels = net.lower(f"stage{stage + 2}.lower", state, channels, stage)
    net.conv("out", "1x1", state, LAST)
    return net.assembly.architecture("inception_resnet", 3)


class _Inception:
    """The pieces of the network, with their channels in percent of the published ones."""

    def __init__(self, percent: int) -> None:
        self.assembly = Assembly()
        self.percent = percent

    def width(self, channels: int) -> int:
        """Return the channels to build for published ones."""
        return share(channels, self.percent)

    def conv(self, name: str, kernel: str, state: int, channels: int, stride: int = 1) -> int:
        """Append a convolution with norm and rectifier."""
        operation = f"conv{kernel}+bn.eps1e-3+relu"
        return self.assembly.add(name, operation, state, width=self.width(channels), stride=stride)

    def chains(self, name: str, state: int, chains: tuple[Chain, ...], lower: bool) -> list[int]:
        """Append parallel chains; return their ends."""
        ends = []
        for number, chain in enumerate(chains, start=1):
            end = state
            for step, (kernel, channels) in enumerate(chain, start=1):
                falls = lower and step == len(chain)
                kernel = f"{kernel}.valid" if falls else kernel
                unit = f"{name}.chain{number}.op{step}"
                end = self.conv(unit, kernel, end, channels, stride=2 if falls else 1)
            ends.append(end)
        return ends

    def total(self, chains: tuple[Chain, ...]) -> int:
        """Return the channels of all chains together."""
        return sum(self.width(chain[-1][1]) for chain in chains)

    def stem(self) -> tuple[int, int]:
        """Append what lies in front of the residual blocks; return its end and its channels."""
        state = 0
        for number, (kernel, channels, stride) in enumerate(STEM):
            state = self.conv(f"stem{number + 1}", kernel, state, channels, stride)
            if number in POOLED:
                state = self.assembly.add(f"stem{number + 1}.pool", POOL, state, stride=2)
        ends = self.chains("stage1.open", state, OPENING, lower=False)
        pool = self.assembly.add("stage1.open.mean", "avg_pool3x3", state)
        ends.append(self.conv("stage1.open.chain4.op1", "1x1", pool, OPENING_POOL))
        end = self.assembly.add("stage1.open.out", "identity", *ends, merge="stack")
        return end, self.total(OPENING) + self.width(OPENING_POOL)

    def block(self, name: str, state: int, channels: int, stage: int, operation: str) -> int:
        """Append a residual block."""
        ends = self.chains(name, state, BLOCKS[stage], lower=False)
        mixed = self.assembly.add(
            f"{name}.mix", "conv1x1.bias", *ends, width=channels, merge="stack"
        )
        scaled = Link(gain=Gain("fixed", FACTORS[stage]))
        return self.assembly.add(f"{name}.join", operation, state, (mixed, scaled))

    def lower(self, name: str, state: int, channels: int, stage: int) -> tuple[int, int]:
        """Append what halves the resolution; return its end and its channels."""
        ends = self.chains(name, state, LOWERING[stage], lower=True)
        ends.append(self.assembly.add(f"{name}.pool", POOL, state, stride=2))
        end = self.assembly.add(f"{name}.out", "identity", *ends, merge="stack")
        return end, channels + self.total(LOWERING[stage])

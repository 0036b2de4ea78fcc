"""VoVNet (Lee et al. 2019, arXiv:1904.09730) and VoVNetV2 (Lee and Park 2019, arXiv:1911.06667)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hand_written.parts import GlobalHead, conv_bn, narrow

BLOCKS = {
    19: (1, 1, 1, 1),
    27: (1, 1, 1, 1),
    39: (1, 1, 2, 2),
    57: (1, 1, 4, 3),
    99: (1, 3, 9, 3),
}


class EffectiveGate(nn.Module):
    """eSE: one convolution of the global means, through the hard sigmoid, gates the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * (F.relu6(self.mix(x.mean((2, 3), keepdim=True)) + 3) / 6)


class OneShotBlock(nn.Module):
    def __init__(
        self, inputs: int, width: int, outputs: int, layers: int, gate: bool, identity: bool
    ) -> None:
        super().__init__()
        sources = [inputs] + [width] * (layers - 1)
        self.chain = nn.ModuleList(conv_bn(source, width, act=nn.ReLU()) for source in sources)
        self.mix = conv_bn(inputs + layers * width, outputs, 1, act=nn.ReLU())
        self.gate = EffectiveGate(outputs) if gate else nn.Identity()
        self.identity = identity

    def forward(self, x: Tensor) -> Tensor:
        states = [x]
        for layer in self.chain:
            states.append(layer(states[-1]))
        y = self.gate(self.mix(torch.cat(states, 1)))
        return y + x if self.identity else y


class VoVNet(nn.Module):
    """`gates` of version 2: `every` block has one (the paper), or only the `last` of a stage."""

    def __init__(
        self,
        depth: int = 39,
        slim: bool = False,
        version: int = 1,
        gates: str = "every",
        percent: int = 100,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        layers = 3 if depth == 19 else 5
        inner = (64, 80, 96, 112) if slim else (128, 160, 192, 224)
        outer = (128, 256, 384, 512) if slim else (256, 512, 768, 1024)
        if slim and version == 2:
            outer = (112, *outer[1:])
        stem = [narrow(width, percent) for width in (64, 64, 128)]
        self.stem = nn.Sequential(
            conv_bn(3, stem[0], 3, 2, act=nn.ReLU()),
            conv_bn(stem[0], stem[1], act=nn.ReLU()),
            conv_bn(stem[1], stem[2], 3, 2, act=nn.ReLU()),
        )
        self.stages = nn.ModuleList()
        channels = stem[2]
        for blocks, width, outputs in zip(BLOCKS[depth], inner, outer, strict=True):
            width, outputs = narrow(width, percent), narrow(outputs, percent)
            stage = nn.Sequential()
            for block in range(blocks):
                gate = version == 2 and (gates == "every" or block == blocks - 1)
                identity = version == 2 and block > 0
                stage.append(OneShotBlock(channels, width, outputs, layers, gate, identity))
                channels = outputs
            self.stages.append(stage)
        self.head = GlobalHead(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for number, stage in enumerate(self.stages):
            x = stage(F.max_pool2d(x, 3, 2, ceil_mode=True) if number else x)
        return self.head(x)

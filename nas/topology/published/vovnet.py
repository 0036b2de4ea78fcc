"""VoVNet: chains of convolutions that are aggregated once, at their end.

Version 2 gates what a block gives by its global means (eSE), and adds the block's input where the
shapes agree. Its authors gate every block; a widespread port gates only the last of each stage.
"""

from __future__ import annotations

from nas.registry import Paper
from nas.topology.graph import Architecture
from nas.topology.layers import Shape
from nas.topology.published import IMAGENET, published_network
from nas.topology.published.assembly import Assembly, check_range, choose, share

STEM = (64, 64, 128)
POOL = "maxpool3x3.valid.ceil"
BLOCKS = {
    19: (1, 1, 1, 1),
    27: (1, 1, 1, 1),
    39: (1, 1, 2, 2),
    57: (1, 1, 4, 3),
    99: (1, 3, 9, 3),
}
"""Blocks per stage; those of VoVNet-19 are chains of 3 convolutions, the others of 5."""


def _depths(input_shape: Shape) -> tuple[dict[str, int], ...]:
    return ({"depth": 39}, {"depth": 57}, {"depth": 27})


@published_network(
    "vovnet",
    Paper("Lee et al.", 2019, arxiv="1904.09730"),
    width_option="percent",
    widths=(5, 400),
    depths=_depths,
    smallest=29,
    images=IMAGENET,
    classes=1000,
)
def vovnet(
    depth: int = 39,
    slim: bool = False,
    version: int = 1,
    gates: str = "every",
    percent: int = 100,
) -> Architecture:
    """One-shot aggregation network, in its ImageNet form.

    Published are 27-slim, 39 and 57 of version 1, and 19-slim, 19, 39, 57 and 99 of version 2
    (Lee and Park 2019, arXiv:1911.06667).

    Args:
        depth: 19, 27, 39, 57 or 99.
        slim: Half the channels in the stages.
        version: 1, or 2 with identity edges and effective squeeze-and-excitation.
        gates: Where version 2 has gates: in `every` block, or in the `last` of each stage.
        percent: Channels, in percent of the published ones.

    Raises:
        ConfigError: If an option is out of range; the message names the nearest valid one.
    """
    blocks = choose("vovnet", "depth", depth, BLOCKS)
    check_range("vovnet", "version", version, 1, 2)
    every = choose("vovnet", "gates", gates, {"every": True, "last": False})
    check_range("vovnet", "percent", percent, 1, 1000)
    inner = tuple(share(width, percent) for width in _inner(slim))
    outer = tuple(share(width, percent) for width in _outer(slim, version))
    first, second, third = (share(width, percent) for width in STEM)
    net = Assembly()
    state = net.add("stem1", "conv3x3", 0, width=first, stride=2)
    state = net.add("stem2", "conv3x3", state, width=second)
    state = net.add("stem3", "conv3x3", state, width=third, stride=2)
    for stage, repeats in enumerate(blocks):
        if stage:
            state = net.add(f"stage{stage + 1}.pool", POOL, state, stride=2)
        for block in range(repeats):
            name = f"stage{stage + 1}.block{block + 1}"
            gated = version == 2 and (every or block == repeats - 1)
            layers = [inner[stage]] * (3 if depth == 19 else 5)
            mixed = _block(net, name, state, layers, outer[stage], gated)
            again = version == 2 and block > 0
            state = net.add(f"{name}.join", "identity", state, mixed) if again else mixed
    return net.architecture("one_shot", len(blocks))


def _inner(slim: bool) -> tuple[int, ...]:
    return (64, 80, 96, 112) if slim else (128, 160, 192, 224)


def _outer(slim: bool, version: int) -> tuple[int, ...]:
    if not slim:
        return (256, 512, 768, 1024)
    return (112 if version == 2 else 128, 256, 384, 512)


def _block(net: Assembly, name: str, state: int, layers: list[int], width: int, gated: bool) -> int:
    states = [state]
    for layer, inner in enumerate(layers):
        states.append(net.add(f"{name}.op{layer + 1}", "conv3x3", states[-1], width=inner))
    operation = "conv1x1+bn+relu+ese" if gated else "conv1x1"
    return net.add(f"{name}.mix", operation, *states, width=width, merge="stack")

"""Inverted bottleneck: expand, filter per channel, project, without a rectifier at the end.

The skip of MobileNetV2 is an edge of the graph, so it is not part of the operation.
"""

from nas.registry import Paper
from nas.topology.layers import BatchNorm, Conv, DepthwiseConv, ReLU
from nas.topology.operations import operation

MOBILENET_V2 = Paper("Sandler et al.", 2018, arxiv="1801.04381")

for kernel in (3, 5):
    operation(
        f"mbconv{kernel}x{kernel}",
        Conv(kernel=1, expand=3),
        BatchNorm(),
        ReLU(),
        DepthwiseConv(strided=True, kernel=kernel),
        BatchNorm(),
        ReLU(),
        Conv(kernel=1),
        BatchNorm(),
        paper=MOBILENET_V2,
    )

"""Depthwise separable convolution: one filter per channel, then a 1x1 convolution."""

from nas.registry import Paper
from nas.topology.layers import BatchNorm, Conv, DepthwiseConv, ReLU
from nas.topology.operations import operation

XCEPTION = Paper("Chollet", 2017, arxiv="1610.02357")

for kernel in (3, 5):
    operation(
        f"separable{kernel}x{kernel}",
        DepthwiseConv(strided=True, kernel=kernel),
        Conv(kernel=1),
        BatchNorm(),
        ReLU(),
        paper=XCEPTION,
    )

"""Convolutions followed by batch norm, with and without a rectifier (post-activation order)."""

from nas.registry import Paper
from nas.topology.layers import BatchNorm, Conv, ReLU
from nas.topology.operations import operation

BATCH_NORM = Paper("Ioffe and Szegedy", 2015, arxiv="1502.03167")

for kernel in (1, 3, 5):
    conv = Conv(strided=True, kernel=kernel)
    operation(f"conv{kernel}x{kernel}", conv, BatchNorm(), ReLU(), paper=BATCH_NORM)
    operation(f"conv{kernel}x{kernel}_bn", conv, BatchNorm(), paper=BATCH_NORM)

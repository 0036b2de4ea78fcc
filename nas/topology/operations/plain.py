"""Bare convolutions, without norm or rectifier: stems and shortcuts of pre-activation networks."""

from nas.registry import Paper
from nas.topology.layers import Conv
from nas.topology.operations import operation

IDENTITY_MAPPINGS = Paper("He et al.", 2016, arxiv="1603.05027")

for kernel in (1, 3):
    conv = Conv(strided=True, kernel=kernel)
    operation(f"plain_conv{kernel}x{kernel}", conv, paper=IDENTITY_MAPPINGS)

"""Pre-activation convolutions: norm and rectifier, or the rectifier alone, come first."""

from nas.registry import Paper
from nas.topology.layers import BatchNorm, Conv, ReLU
from nas.topology.operations import operation

IDENTITY_MAPPINGS = Paper("He et al.", 2016, arxiv="1603.05027")
NAS_BENCH_201 = Paper("Dong and Yang", 2020, arxiv="2001.00326")

for kernel in (1, 3):
    conv = Conv(strided=True, kernel=kernel)
    name = f"conv{kernel}x{kernel}"
    operation(f"bn_relu_{name}", BatchNorm(), ReLU(), conv, paper=IDENTITY_MAPPINGS)
    operation(f"relu_{name}_bn", ReLU(), conv, BatchNorm(), paper=NAS_BENCH_201)

"""Pooling: padded 3x3 windows for any stride, and the unpadded 2x2 of published networks."""

from nas.topology.layers import Pool
from nas.topology.operations import operation

operation("avg_pool3x3", Pool(strided=True, kind="average", kernel=3))
operation("max_pool3x3", Pool(strided=True, kind="max", kernel=3))
operation("avg_pool2x2", Pool(strided=True, kind="average", kernel=2))
operation("max_pool2x2", Pool(strided=True, kind="max", kernel=2))

"""Concatenation, with a 1x1 projection back to the node's channels, and plain.

A concatenation followed by a convolution equals the sum of per-edge slices, `W[x1;x2] = W1 x1 +
W2 x2`; with the scale 1/d and slices that start at the identity it starts as the mean.
"""

from nas.registry import Paper
from nas.topology.merges import Merge, merge

DENSENET = Paper("Huang et al.", 2016, arxiv="1608.06993")

merge(
    Merge("concat", weight="projection", default_scale="mean", formula="sum of W_e x_e / d"),
    DENSENET,
)
merge(Merge("stack", weight="stacked", fixed_scale=True, formula="[x_1; x_2; ...]"), DENSENET)

"""Generalised means with one learned number that leads from the mean towards the maximum.

`softmax_b` weights every element by the softmax of `b` times itself over the inputs: the mean at
`b` of 0, where it starts, the maximum for large `b`. `power_mean_p` is the p-th root of the mean
of p-th powers: the mean at `p` of 1, where it starts; inputs are cut off below at 1e-7, because
powers ask for positive numbers.
"""

from nas.registry import Paper
from nas.topology.merges import Merge, MergeParameter, merge

DEEPER_GCN = Paper("Li et al.", 2020, arxiv="2006.07739")

merge(
    Merge(
        "softmax_b",
        "module",
        by_channel=True,
        fixed_scale=True,
        parameters=(MergeParameter("b", per="node"),),
        formula="sum of softmax(b x)_e x_e, element by element; b = 0 at first",
    ),
    DEEPER_GCN,
)
merge(
    Merge(
        "power_mean_p",
        "module",
        by_channel=True,
        fixed_scale=True,
        parameters=(MergeParameter("p", per="node", start="ones"),),
        formula="(sum of max(x_e, 1e-7)^p / d)^(1/p); p = 1 at first",
    ),
    DEEPER_GCN,
)

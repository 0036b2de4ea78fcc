"""Selective kernel: per channel, a softmax over the inputs that looks at their sum.

The weights are `softmax(V relu(W GAP(sum_e x_e)))` over the inputs, without biases; the hidden
layer has an eighth of the channels, at least 4. `V` starts at 0, so the merge starts as the mean.
"""

from nas.registry import Paper
from nas.topology.merges import Merge, MergeParameter, Share, merge

HIDDEN = Share(8, 4)

merge(
    Merge(
        "selective_kernel",
        "module",
        fixed_scale=True,
        formula="sum of s_e x_e, s = softmax over e of V_e relu(W GAP(sum of x_e)) per channel",
        parameters=(
            MergeParameter("squeeze", (HIDDEN, "channels"), "node", "matrix", "image"),
            MergeParameter("select", ("channels", HIDDEN), "input", "zeros", "image"),
        ),
    ),
    Paper("Song et al.", 2022, arxiv="2209.11448"),
)

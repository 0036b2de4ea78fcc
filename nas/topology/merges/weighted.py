"""Weighted sums: one learned number per input; free, normalised, or with a branch that starts at 0.

`weighted` starts every number at 1. `weighted_normalised` takes the softmax of its numbers, so
equal ones are exactly the mean; `weighted_fast` divides rectified numbers by their sum plus 1e-4
(BiFPN's fast form, which YOLOv4 uses), which misses the mean by that little. `weighted_zero` gives
the newest input the weight 0 at the start and every other 1 (SkipInit): a new branch joins without
an effect.
"""

from nas.registry import Paper
from nas.topology.merges import Merge, MergeParameter, merge

BIFPN = Paper("Tan et al.", 2019, arxiv="1911.09070")

merge(
    Merge("weighted", weight="scalar", formula="sum of w_e x_e, w_e = 1 at first"),
    Paper("Bochkovskiy et al.", 2020, arxiv="2004.10934"),
)
merge(
    Merge(
        "weighted_normalised",
        "module",
        by_channel=True,
        fixed_scale=True,
        parameters=(MergeParameter("logits"),),
        formula="sum of softmax(w)_e x_e; the mean at first",
    ),
    BIFPN,
)
merge(
    Merge(
        "weighted_fast",
        "module",
        by_channel=True,
        fixed_scale=True,
        parameters=(MergeParameter("weights", start="ones"),),
        formula="sum of relu(w_e) x_e / (sum of relu(w_e) + 1e-4)",
    ),
    BIFPN,
)
merge(
    Merge(
        "weighted_zero",
        "module",
        by_channel=True,
        parameters=(MergeParameter("weights"),),
        roles="newest",
        formula="sum of w_e x_e, w_e = 0 for the newest and 1 for the others at first",
    ),
    Paper("De and Smith", 2020, arxiv="2002.10444"),
)

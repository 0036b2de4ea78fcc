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

merge(Merge("weighted", weight="scalar"), Paper("Bochkovskiy et al.", 2020, arxiv="2004.10934"))
merge(
    Merge("weighted_normalised", "module", "none", True, (MergeParameter("logits"),)),
    BIFPN,
)
merge(
    Merge("weighted_fast", "module", "none", True, (MergeParameter("weights", start="ones"),)),
    BIFPN,
)
merge(
    Merge("weighted_zero", "module", parameters=(MergeParameter("weights"),), roles="newest"),
    Paper("De and Smith", 2020, arxiv="2002.10444"),
)

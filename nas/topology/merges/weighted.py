"""Weighted sum: one learned number per input, all 1 at the start."""

from nas.registry import Paper
from nas.topology.merges import Merge, merge

merge(Merge("weighted", weight="scalar"), Paper("Bochkovskiy et al.", 2020, arxiv="2004.10934"))

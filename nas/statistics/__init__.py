"""What figures allow to be said: paired differences, corrections, intervals, agreement.

Pure functions of numbers on numpy and scipy; nothing here knows what was trained. scipy takes half
a second to import, so the functions that need it import it: a search that begins needs none.
"""

from nas.statistics.agreement import kendall_w
from nas.statistics.effects import MeanDifference, explained_share, mean_difference
from nas.statistics.holm import holm
from nas.statistics.paired import PairedDifference, paired_difference, sign_flip
from nas.statistics.shares import Share, share

__all__ = [
    "MeanDifference",
    "PairedDifference",
    "Share",
    "explained_share",
    "holm",
    "kendall_w",
    "mean_difference",
    "paired_difference",
    "share",
    "sign_flip",
]

"""Arms: where the networks of a confirmation come from, one file per source.

The arm `front` brings what the search found; every other arm brings rivals that the search has to
beat: hand-made networks, and random ones that cost as much as the search.
"""

from nas.search.confirm.arms.base import ARMS, AbstractArm, ArmContext

__all__ = ["ARMS", "AbstractArm", "ArmContext"]

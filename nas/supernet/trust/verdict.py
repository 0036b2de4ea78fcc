"""The verdict on a supernet's ranking, and the rule that gives it.

The rule, frozen before any result was seen:

1. *Within families* is trusted when, over all pairs of one family, tau-b of the raw inherited
   cross-entropy with the truth
   (a) is at least 0.8 of the seed-to-seed ceiling,
   (b) has the lower end of its 95 % interval above the tau of the best baseline, and
   (c) leads that baseline in the paired bootstrap: the lower end of the difference is above 0.
   Baselines are what needs no supernet: parameters, MACs, depth and every zero-cost score. The best
   one is picked after the fact, which is to the supernet's disadvantage.
2. *Across families* is trusted when 1 holds and (a) to (c) hold over the pairs between families for
   the calibrated prediction of members that the calibration never saw. Raw inherited scores are
   never compared across families.
3. Both need enough to go by: at least 30 members in families of at least 10 each, two such families
   for 2, and a ceiling whose lower end is above 0; else the truth has no signal to rank by.

The numbers are over all pairs, those that noise leaves open included: noise lowers supernet,
baselines and ceiling alike, so the shares stay fair. Without the open pairs the ceiling would be
optimistic, since the same trainings decide which pairs are open. The ceiling is one training
against one other; the truth is a mean over seeds and less noisy, so a very good predictor may come
out above it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final, get_args

from nas.supernet.trust.correlation import Estimate

VerdictName = Literal[
    "trusted within families and across families", "trusted within families", "not trusted"
]
ACROSS, WITHIN, NOT_TRUSTED = get_args(VerdictName)

SHARE_OF_CEILING = 0.8
LEAST_MEMBERS = 30
LEAST_PER_FAMILY = 10


@final
@dataclass(frozen=True)
class Evidence:
    """The numbers that decide one side of the verdict.

    Args:
        predictor: Whose ranking is judged.
        tau: Its tau-b with the truth.
        ceiling: Of one seed with another.
        baseline: Name of the best baseline.
        baseline_tau: Its tau-b.
        lead: Paired difference of the two.
    """

    predictor: str
    tau: Estimate
    ceiling: Estimate
    baseline: str
    baseline_tau: Estimate
    lead: Estimate

    def failures(self) -> list[str]:
        """Return what speaks against trust, one sentence each."""
        tau, ceiling = self.tau, self.ceiling
        if not tau.known or not ceiling.known:
            return ["there is nothing to compare"]
        if not ceiling.low > 0:
            return [f"the truth has no signal to rank by: seed to seed {ceiling}"]
        found = []
        if tau.value < SHARE_OF_CEILING * ceiling.value:
            share = tau.value / ceiling.value
            found.append(f"{share:.0%} of the ceiling {ceiling.value:+.2f}, 80% are needed")
        rival = f"{self.baseline} ({self.baseline_tau.value:+.2f})"
        if self.baseline_tau.known and tau.low <= self.baseline_tau.value:
            found.append(f"its lower end {tau.low:+.2f} is not above {rival}")
        if self.lead.known and not self.lead.low > 0:
            found.append(f"it leads {rival} by {self.lead}, which includes 0")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "predictor": self.predictor,
            "tau": self.tau.to_dict(),
            "ceiling": self.ceiling.to_dict(),
            "baseline": self.baseline,
            "baseline_tau": self.baseline_tau.to_dict(),
            "lead": self.lead.to_dict(),
            "failures": self.failures(),
        }


@final
@dataclass(frozen=True)
class Verdict:
    """One of three verdicts, and why.

    Args:
        name: The verdict.
        why: The numbers that decided, as text.
        within: Evidence within families.
        across: Evidence between families; None without a calibration.
    """

    name: VerdictName
    why: str
    within: Evidence
    across: Evidence | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "verdict": self.name,
            "why": self.why,
            "within": self.within.to_dict(),
            "across": self.across.to_dict() if self.across else None,
        }


def judge(within: Evidence, across: Evidence | None, families: Mapping[str, int]) -> Verdict:
    """Apply the rule of this module.

    Args:
        within: Evidence within families, of the raw inherited scores.
        across: Evidence between families, of the calibrated prediction; None where there is none.
        families: Members per family.
    """
    large = [count for count in families.values() if count >= LEAST_PER_FAMILY]
    if sum(large) < LEAST_MEMBERS:
        why = (
            f"{sum(large)} members in families of {LEAST_PER_FAMILY} or more are too few to judge "
            f"by; {LEAST_MEMBERS} are needed"
        )
        return Verdict(NOT_TRUSTED, why, within, across)
    inside = _told("within families", within, within.failures())
    if within.failures():
        return Verdict(NOT_TRUSTED, inside, within, across)
    against = _against_across(across, len(large))
    outside = _told("across families", across, against)
    return Verdict(WITHIN if against else ACROSS, f"{inside}; {outside}", within, across)


def _against_across(across: Evidence | None, large_families: int) -> list[str]:
    if large_families < 2:
        return [f"{large_families} family of {LEAST_PER_FAMILY} or more members"]
    return ["there is no calibration"] if across is None else across.failures()


def _told(where: str, evidence: Evidence | None, failures: Sequence[str]) -> str:
    """Return one side of the verdict with its numbers."""
    if evidence is None or not evidence.tau.known:
        return f"{where}: {', '.join(failures)}"
    numbers = (
        f"{where}: {evidence.predictor} tau {evidence.tau}, ceiling {evidence.ceiling.value:+.2f}, "
        f"best baseline {evidence.baseline} {evidence.baseline_tau.value:+.2f}"
    )
    return f"{numbers} ({'; '.join(failures)})" if failures else numbers

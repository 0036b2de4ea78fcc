"""A rank report as text: what the command line prints."""

from __future__ import annotations

from nas.supernet.trust.correlation import PAIR_SETS, Method
from nas.supernet.trust.rank import CALIBRATED, SUPERNET, RankReport
from nas.supernet.trust.verdict import SHARE_OF_CEILING

_NAME, _CELL = 40, 24


def rank_table(report: RankReport) -> str:
    """Return the report: correlations, leads, families, noise, regret and the verdict."""
    sections = [
        _head(report),
        _correlations(report, "tau", resolvable=False),
        _correlations(report, "tau", resolvable=True),
        _correlations(report, "spearman", resolvable=False),
        _leads(report),
        _families(report),
        _regret(report),
        _calibration(report),
        f"verdict: {report.verdict.name}\n  {report.verdict.why}",
    ]
    return "\n\n".join(section for section in sections if section)


def _line(name: str, *cells: object) -> str:
    return (f"{name:<{_NAME}}" + "".join(f"{cell!s:<{_CELL}}" for cell in cells)).rstrip()


def _head(report: RankReport) -> str:
    noise = report.noise
    count, unresolved = report.pairs["all"]
    return (
        f"{len(report.members)} members of {len(report.families)} families trained alone with "
        f"{noise.seeds} seeds, recipe {report.recipe_hash}\n"
        f"one training spreads by {noise.spread:.4f} nats around its member's mean; "
        f"{unresolved:,} of {count:,} pairs are closer than 2 standard errors "
        f"({noise.threshold:.4f} nats) and count as open"
    )


def _correlations(report: RankReport, method: Method, *, resolvable: bool) -> str:
    name = "Kendall's tau-b" if method == "tau" else "Spearman's rho"
    title = f"{name}, {'without the open pairs' if resolvable else 'all pairs'}"
    lines = [_line(title, "overall", "within families", "between families")]
    for each in report.predictors:
        estimates = [each.estimates[method, pairs, resolvable] for pairs in PAIR_SETS]
        lines.append(_line(each.name, *estimates))
    return "\n".join(lines)


def _leads(report: RankReport) -> str:
    lines = [_line("the supernet's tau less that of", "overall", "within", "between")]
    lines += [
        _line(each.name, *(each.leads[pairs] for pairs in PAIR_SETS))
        for each in report.predictors
        if each.leads
    ]
    return "\n".join(lines)


def _families(report: RankReport) -> str:
    lines = [_line("inside one family", "members", "supernet tau", "ceiling")]
    for name, (count, tau, ceiling) in report.families.items():
        lines.append(_line(name, count, tau, ceiling))
    return "\n".join(lines)


def _regret(report: RankReport) -> str:
    known = {each.name: each.regret for each in report.predictors if each.regret is not None}
    trivial = {
        each.name: each.regret
        for each in report.predictors
        if each.role in ("trivial", "zero-cost") and each.regret is not None
    }
    best = min(trivial, key=lambda name: trivial[name])
    shown = {name: known[name] for name in (SUPERNET, CALIBRATED) if name in known}
    parts = [f"{name} {regret:.4f}" for name, regret in shown.items()]
    parts += [f"{best} {trivial[best]:.4f}", f"five at random {report.random_regret:.4f}"]
    return "regret of the best of the predicted top 5, in nats: " + ", ".join(parts)


def _calibration(report: RankReport) -> str:
    if report.calibration is None:
        return ""
    chosen = report.calibration.calibration.candidate
    lines = [f"calibration: '{chosen}' was chosen"]
    for count, taus in report.anchors.items():
        told = ", ".join(f"{key} {tau:+.2f}" for key, tau in taus.items())
        lines.append(f"  {count} anchors per family, tau on the other members: {told}")
    share = f"{SHARE_OF_CEILING:.0%}"
    lines.append(f"  (the verdict asks for {share} of the ceiling and a lead over every baseline)")
    return "\n".join(lines)

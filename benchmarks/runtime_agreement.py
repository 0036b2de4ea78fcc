"""Do runtimes order networks alike? Rank correlations of latency over random members of a space.

The same random members are measured in eager torch, in ONNX Runtime in float32 and int8, and with
--compile in torch.compile (about 10 s per network). Every member is measured in all runtimes before
the next, and all of it is repeated, so that the errors are those of repeating. Reported are
Kendall's tau and Spearman's rho with bootstrap intervals over members, how each runtime agrees with
itself, and the pairs that two runtimes order differently beyond three standard errors in both.
"""

from __future__ import annotations

from itertools import combinations

import harness
import numpy as np
from torch import nn

from nas.objectives.latency import shared_meter
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.runtime_agreement import Agreement, Latencies, agreement
from nas.objectives.runtime_ranks import Execution
from nas.objectives.standalone import build_standalone
from nas.seeds import derive_seed
from nas.space import load_space
from nas.topology.identity import executed_id

SPACE = "wired_cnn"
SHAPE = (3, 32, 32)
CLASSES = 10
SHOWN = 8
"""Reversed pairs that are printed and recorded per two runtimes."""


def members(count: int) -> tuple[list[str], list[nn.Module]]:
    """Return names and networks of distinct random members."""
    space, known = load_space(SPACE), set()
    names: list[str] = []
    networks: list[nn.Module] = []
    index = 0
    while len(networks) < count:
        decisions = space.sample(np.random.default_rng(derive_seed(0, "agreement", index)))
        index += 1
        architecture = space.build(decisions)
        if executed_id(architecture) in known:
            continue
        known.add(executed_id(architecture))
        names.append(f"member {index - 1} ({space.wiring(decisions)})")
        networks.append(build_standalone(architecture, SHAPE, CLASSES))
    return names, networks


def measured(
    networks: list[nn.Module], executions: list[Execution], config: LatencyConfig, repeats: int
) -> dict[str, Latencies]:
    """Measure every network in every runtime, repeatedly; return the latencies by runtime."""
    values: dict[Execution, list[list[float]]] = {each: [] for each in executions}
    errors: dict[Execution, list[list[float]]] = {each: [] for each in executions}
    busy = 0
    for repeat in range(repeats):
        for each in executions:
            values[each].append([])
            errors[each].append([])
        for place, network in enumerate(networks):
            for each in executions if (repeat + place) % 2 == 0 else reversed(executions):
                meter = shared_meter(each.settings(config), SHAPE, "cpu")
                reading = meter.measure(network)
                values[each][-1].append(reading.latency_ms)
                errors[each][-1].append(reading.latency_ms * reading.relative_error)
                busy += bool(reading.flags)
        print(f"  repeat {repeat + 1} of {repeats} done", flush=True)
    print(f"  flagged as busy or unstable: {busy} of {repeats * len(networks) * len(executions)}")
    return {
        str(each): Latencies.of_repeats(str(each), values[each], errors[each])
        for each in executions
    }


def report(found: Agreement, names: list[str]) -> list[dict[str, object]]:
    """Print an agreement and return the pairs that are ordered differently, as plain data."""
    print(f"{found.first} and {found.second}: tau {found.tau}, Spearman {found.spearman}")
    share = len(found.reversals) / max(1, found.told_apart)
    print(
        f"  {found.told_apart} of {found.pairs} pairs are told apart by both, "
        f"{len(found.reversals)} of these ({share:.1%}) are ordered differently"
    )
    shown: list[dict[str, object]] = []
    for each in found.reversals[:SHOWN]:
        fast, slow = names[each.fast], names[each.slow]
        print(
            f"    {fast} is {each.gain_first:.1%} faster than {slow} in {found.first}, "
            f"and {slow} is {each.gain_second:.1%} faster in {found.second}"
        )
        gains = {found.first: each.gain_first, found.second: each.gain_second}
        shown.append({"faster_first": fast, "faster_second": slow, "gains": gains})
    return shown


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--members", type=int, help="random members, by default 100")
    parser.add_argument("--compile", action="store_true", help="also torch.compile; slow")
    options = parser.parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    count = options.members or (12 if options.small else 100)
    executions = [Execution("eager"), Execution("ort"), Execution("ort", "int8")]
    if options.compile:
        executions.append(Execution("compile"))
    config = LatencyConfig(threads=options.threads, max_seconds=0.1 if options.small else 0.5)
    names, networks = members(count)
    columns = measured(networks, executions, config, 2)
    rows, disagreements, agreements = [], {}, []
    for column in columns.values():
        assert column.repeatability is not None
        error = float(np.median(column.errors_ms / column.values_ms))
        print(f"{column.name} with itself: tau {column.repeatability:.3f}, error {error:.2%}")
    for first, second in combinations(columns.values(), 2):
        found = agreement(first, second)
        case = f"{found.first} and {found.second}"
        disagreements[case] = report(found, names)
        agreements.append(found.to_dict())
        for label, estimate in (("tau", found.tau), ("Spearman", found.spearman)):
            rows.append(
                harness.Row(
                    f"{label}, {case}, {count} members",
                    estimate.value,
                    estimate.high - estimate.low,
                )
            )
            harness.print_row(rows[-1])
    harness.finish(
        "runtime_agreement",
        rows,
        unit="rank correlation (spread: width of the 95 % bootstrap interval)",
        threads=options.threads,
        record=options.record,
        more={
            "space": SPACE,
            "agreements": agreements,
            "repeatability": {each.name: each.repeatability for each in columns.values()},
            "ordered_differently": disagreements,
        },
    )


if __name__ == "__main__":
    main()

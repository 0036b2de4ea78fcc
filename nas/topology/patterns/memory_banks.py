"""Memory banks: operations read some banks and add what they compute to others."""

import random

from nas.registry import Paper
from nas.topology.graph import Topology
from nas.topology.patterns import Whole, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "memory_banks",
    Paper("Brock et al.", 2017, arxiv="1708.05344"),
    formula="m_w <- m_w + f([m_r for r read]) for all w written",
    parameters=(
        Whole("banks", 3, 1, 16, "memory banks"),
        Whole("seed", 0, 0, 999_999, "of the banks drawn"),
    ),
)
def memory_banks(size: int, *, banks: int, seed: int) -> Topology:
    """Draw for each operation the banks it reads (concatenated) and those it adds its output to.

    The first bank holds the input, the others are empty; an empty bank takes what is written. The
    output concatenates all banks. One bank is the residual wiring; reading all and writing a new
    one is the dense wiring.
    """
    rng, wiring = random.Random(seed), Wiring()
    memory: list[int | None] = [0] + [None] * (banks - 1)
    for _ in range(size):
        filled = [bank for bank in range(banks) if memory[bank] is not None]
        read = rng.sample(filled, rng.randint(1, len(filled)))
        written = rng.sample(range(banks), rng.randint(1, banks))
        output = wiring.operation(*sorted(_states(memory, read)))
        for bank in sorted(written):
            held = memory[bank]
            memory[bank] = output if held is None else wiring.join(held, output, merge="sum")
    states = sorted(_states(memory, list(range(banks))))
    if len(states) > 1:
        wiring.join(*states, merge="concat")
    return wiring.topology("concat")


def _states(memory: list[int | None], banks: list[int]) -> set[int]:
    return {state for bank in banks if (state := memory[bank]) is not None}

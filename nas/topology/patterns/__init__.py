"""Connection patterns: named rules that wire `size` operations between an input and an output.

A pattern returns a `Topology` and declares the sizes it exists for; a depth choice of a space
offers only those. Every pattern file registers itself, and the contract suite tests it unasked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

from nas.errors import TopologyError
from nas.registry import Paper, Registry
from nas.topology.graph import Topology

MAX_SIZE = 512


@final
@dataclass(frozen=True)
class Pattern:
    """A registered wiring rule.

    Args:
        name: Registered name.
        rule: Function from the number of operations to a topology.
        exists: Tells whether the pattern exists for a size.
        sizes: The rule of `exists` in words, for messages.
        summary: First line of the rule's docstring.
    """

    name: str
    rule: Callable[[int], Topology]
    exists: Callable[[int], bool] = field(default=lambda size: size >= 1)
    sizes: str = "any size from 1"
    summary: str = ""

    def wire(self, size: int) -> Topology:
        """Wire `size` operations.

        Raises:
            TopologyError: If the pattern does not exist for this size.
        """
        if not (1 <= size <= MAX_SIZE) or not self.exists(size):
            near = [other for other in range(1, MAX_SIZE + 1) if self.exists(other)][:6]
            raise TopologyError(
                f"The pattern '{self.name}' does not exist for {size} operations.",
                why=f"It exists for {self.sizes}.",
                fix=f"Its smallest sizes are {', '.join(map(str, near))}.",
            )
        return self.rule(size)


PATTERNS: Registry[Pattern] = Registry("pattern", package=__name__)


def connection_pattern(
    name: str,
    paper: Paper | None = None,
    *,
    exists: Callable[[int], bool] = lambda size: size >= 1,
    sizes: str = "any size from 1",
) -> Callable[[Callable[[int], Topology]], Callable[[int], Topology]]:
    """Register the decorated rule under `name`."""

    def decorate(rule: Callable[[int], Topology]) -> Callable[[int], Topology]:
        summary = (rule.__doc__ or "").strip().splitlines()[0] if rule.__doc__ else ""
        PATTERNS.add(name, Pattern(name, rule, exists, sizes, summary), paper)
        return rule

    return decorate

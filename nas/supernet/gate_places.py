"""Where the numbers of a choice are: its gates' logits, its edges' strengths, its open answers."""

from __future__ import annotations

from typing import final

from nas.space import Choice, SubsetOf


@final
class Places:
    """Numbers positions by choice and key; a key met again under the same name keeps its own."""

    def __init__(self) -> None:
        self.size = 0
        self._known: dict[str, dict[object, int]] = {}

    def add(self, name: str, keys: tuple[object, ...]) -> None:
        """Give every key of a choice that has no position yet the next one."""
        places = self._known.setdefault(name, {})
        for key in keys:
            if key not in places:
                places[key] = self.size
                self.size += 1

    def find(self, name: str, keys: tuple[object, ...]) -> list[int]:
        """Return the positions of a choice's keys, in their order."""
        places = self._known[name]
        return [places[key] for key in keys]


def strength_name(choice: Choice) -> str:
    """Return the name under which gate values hold the strengths of a choice's edges."""
    return f"{choice.name} strength"


def strength_keys(choice: Choice) -> tuple[str, ...]:
    """Return what each strength stands for: an item of a subset, the edges of other choices."""
    return choice.items if isinstance(choice, SubsetOf) else ("edge",)

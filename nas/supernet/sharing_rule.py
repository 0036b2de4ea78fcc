"""The sharing policies of one supernet at work: from a node to its slots, and what was split.

A slot's key starts with the name its policy gives to the node. `Owner` carries these names to where
keys are made, so that weights and norms of one operation may follow different policies. Splits of
`auto` are plain data: per unit (one operation at one place) the group of every family.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from nas.errors import ConfigError, RunError
from nas.supernet.sharing import SHARING, Sharing, family_at
from nas.supernet.sharing_config import SharingConfig
from nas.topology.graph import Architecture

Splits = Mapping[str, Mapping[str, str]]
"""Per unit, the group of every family that left the common weights."""

DIVIDER = ">"
"""Between the families that a divided slot belongs to and the key of the common one."""


def common_key(key: str) -> str:
    """Return the key of the slot that a divided one is copied from; others' own."""
    return key.rpartition(DIVIDER)[2]


def _same(key: str) -> str:
    return key


@final
@dataclass(frozen=True)
class Owner:
    """Whose weights these are: a node's, an edge's, or an operation's of theirs.

    Args:
        weights: Start of the keys of kernels, matrices and merge weights.
        norms: Start of the keys of norms.
        rename: From a key to the key it was split into.
    """

    weights: str
    norms: str
    rename: Callable[[str], str] = field(default=_same, compare=False, repr=False)

    def below(self, name: str) -> Owner:
        """Return the owner of one thing among several."""
        return replace(self, weights=f"{self.weights}|{name}", norms=f"{self.norms}|{name}")

    def inside(self, inner: Owner) -> Owner:
        """Return the owner of a node of this node's cell."""
        return replace(
            self,
            weights=f"{self.weights}/{inner.weights}",
            norms=f"{self.norms}/{inner.norms}",
        )

    def reading(self, source: Owner) -> Owner:
        """Return the owner of an edge into this node."""
        return replace(
            self,
            weights=f"{self.weights}<{source.weights}",
            norms=f"{self.norms}<{source.norms}",
        )

    def weight(self, name: str) -> str:
        """Return the key of a kernel, matrix or merge weight."""
        return self.rename(f"{self.weights}|{name}")

    def norm(self, name: str) -> str:
        """Return the key of a norm's scale or shift."""
        return self.rename(f"{self.norms}|{name}")


@final
@dataclass(frozen=True)
class SharingRule:
    """Policies and splits of a supernet.

    Args:
        config: The policies' names.
        splits: What `auto` has split so far.
        division: Stage, from 0, whose patterns each have all weights to themselves; None divides
            nothing.
    """

    config: SharingConfig
    splits: Splits = field(default_factory=dict)
    division: int | None = None

    @classmethod
    def of(cls, declared: str | SharingConfig) -> Self:
        """Return the rule of declared policies.

        Raises:
            NotFoundError: If a policy is unknown.
            ConfigError: If one is measured that cannot be.
        """
        rule = cls(SharingConfig.of(declared))
        config = rule.config
        measured = {name for name in config.names if SHARING.get(name).measured}
        beside = {config.gates, config.momentum}
        if config.norms != config.weights:
            beside.add(config.norms)
        for name in sorted(measured & beside):
            raise ConfigError(
                f"The sharing policy '{name}' splits weights, and norms with them; it cannot be "
                "the policy of norms, gates or momentum alone.",
                where="supernet.sharing",
                fix=f"Write 'weights: {name}', or choose another policy for these.",
            )
        return rule

    def check_hypernetwork(self) -> None:
        """Check that kernels may come from a hypernetwork.

        Raises:
            ConfigError: If the policy measures the kernels' gradients.
        """
        if self.measured:
            raise ConfigError(
                f"The sharing policy '{self.config.weights}' splits kernels, and a hypernetwork "
                "shares none.",
                where="supernet.sharing",
                fix="Use another sharing policy, or 'supernet.weights: shared'.",
            )

    @cached_property
    def policies(self) -> tuple[Sharing, Sharing]:
        """The policies of weights and of norms."""
        norms = self.config.norms or self.config.weights
        return SHARING.get(self.config.weights), SHARING.get(norms)

    @property
    def limited(self) -> Sharing | None:
        """The policy with the smallest limit on the number of members, if one has any."""
        found = [policy for policy in self.policies if policy.member_limit is not None]
        return min(found, key=lambda policy: policy.member_limit or 0, default=None)

    @property
    def measured(self) -> bool:
        """Whether slots are split after a measurement."""
        return self.policies[0].measured

    def owner(self, node_name: str, architecture: Architecture, whole: Architecture) -> Owner:
        """Return whose weights a node reads.

        Args:
            node_name: The node.
            architecture: The graph it stands in, a cell for instance.
            whole: The member; its families decide what splits mean.
        """
        weights, norms = self.policies
        apart = self.splits or self.division is not None
        rename = (lambda key: self.split_key(key, whole)) if apart else _same
        return Owner(
            weights.slot(node_name, architecture), norms.slot(node_name, architecture), rename
        )

    def split_key(self, key: str, architecture: Architecture) -> str:
        """Return the key that a member reads instead of `key`."""
        groups = self.splits.get(unit_of(key))
        if groups is not None:
            group = groups.get(family_at(node_of(key), architecture))
            key = key if group is None else f"{group}{DIVIDER}{key}"
        if self.division is None:
            return key
        return f"{architecture.wiring[self.division]}{DIVIDER}{key}"

    def with_splits(self, splits: Splits) -> SharingRule:
        """Return the rule after a measurement."""
        return replace(self, splits=splits)

    def momentum_keys(
        self, keys: Mapping[str, Any], architecture: Architecture
    ) -> dict[str, str] | None:
        """Return where a member's momentum of each slot is kept; None where slots have their own.

        Args:
            keys: Slots that the member reads.
            architecture: The member.
        """
        if self.config.momentum is None:
            return None
        slot = SHARING.get(self.config.momentum).slot
        return {key: f"{key}@{slot(node_of(key), architecture)}" for key in keys}

    def gate_slot(self, choice_name: str, architecture: Architecture) -> str:
        """Return under which name the gates of a choice are kept in a context.

        Args:
            choice_name: Name of the choice: that of a node or a stage, and a question, such as
                `stage1.op3.inputs`.
            architecture: Any member of the context (its pattern and depth are what matters).
        """
        if self.config.gates is None:
            return choice_name
        slot = SHARING.get(self.config.gates).slot
        node_name, _, question = choice_name.rpartition(".")
        if any(node.name == node_name for node in architecture.nodes):
            return f"{slot(node_name, architecture)}.{question}"
        return slot(choice_name, architecture)  # a question about a whole stage

    def to_dict(self) -> dict[str, Any]:
        """Return policies and splits as plain JSON values."""
        return {
            "policies": self.config.model_dump(mode="json", exclude={"auto"}),
            "splits": {unit: dict(groups) for unit, groups in self.splits.items()},
            "division": self.division,
        }


def pack_rule(rule: SharingRule) -> NDArray[np.uint8]:
    """Return policies and splits as bytes of JSON, to be kept among the weights' arrays."""
    text = json.dumps(rule.to_dict(), sort_keys=True)
    return np.frombuffer(text.encode("utf-8"), dtype=np.uint8).copy()


def unpack_rule(packed: NDArray[Any] | None, config: SharingConfig) -> Splits:
    """Return the splits among `pack_rule`'s bytes.

    Raises:
        RunError: If they are of other policies than `config`'s, or not readable.
    """
    try:
        content = json.loads(b"" if packed is None else packed.tobytes())
        policies, splits = content["policies"], content["splits"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            "The stored supernet does not tell its sharing policy.",
            why="It was written by another version, or it is damaged.",
            fix="Train the supernet anew.",
        ) from error
    known = SharingRule(config).to_dict()["policies"]
    if policies != known:
        raise RunError(
            f"The stored supernet shares weights by {_shown(policies)}, this one by "
            f"{_shown(known)}.",
            why="It was trained for another sharing policy.",
            fix="Use the sharing policy of the run.",
        )
    return {unit: dict(groups) for unit, groups in splits.items()}


def unpack_division(packed: NDArray[Any]) -> int | None:
    """Return the division among `pack_rule`'s bytes, which `unpack_rule` has found readable."""
    division = json.loads(packed.tobytes()).get("division")
    return None if division is None else int(division)


def _shown(policies: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{kind}: {name}" for kind, name in policies.items() if name) + "}"


def unit_of(key: str) -> str:
    """Return what is split as a whole: one operation at one place, or an edge's merge weight."""
    parts = key.split("|")
    # Forms of a merge differ in shape: an edge's number and its projection are two units.
    whole = len(parts) > 2 or "<" in parts[0]
    return "|".join(parts[:2]) if whole else parts[0]


def node_of(key: str) -> str:
    """Return the name that a slot's key starts with: its node, an edge's target."""
    return key.split("|")[0].split("<")[0].split("/")[0]

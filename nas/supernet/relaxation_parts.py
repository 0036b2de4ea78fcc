"""Check a relaxation before it is trained: every name and option, and whether it fits the space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, final

from nas.errors import ConfigError
from nas.registry import Registry
from nas.space import AbstractSpace
from nas.space.base import REFERENCE_SHAPE
from nas.supernet.alternations import ALTERNATIONS
from nas.supernet.declared_parts import AbstractPart, Misfit, PartDeclaration, make_part
from nas.supernet.discretisations import DISCRETISATIONS
from nas.supernet.fitting import Fitting, Shape
from nas.supernet.gate_samplers import GATE_SAMPLERS, make_sampler
from nas.supernet.partials import PARTIALS
from nas.supernet.regularisers import REGULARISERS
from nas.supernet.relaxation_config import GatesConfig, RelaxationSettings
from nas.supernet.training_rules import TRAINING_RULES
from nas.topology.merges import MERGES

SECTION: Final = "relaxation"


@final
@dataclass(frozen=True)
class NamedPart:
    """A part with what its config line calls it.

    Args:
        key: Path of its line below the relaxation.
        kind: What it is, in words.
        name: Registered name.
        part: The part.
    """

    key: str
    kind: str
    name: str
    part: AbstractPart


def check_parts(settings: RelaxationSettings) -> tuple[NamedPart, ...]:
    """Make every part that the settings name, and return them.

    Raises:
        NotFoundError: If a name is unknown; the message lists what there is.
        ConfigError: If an option is unknown or wrong, or a gate sampler is for other choices.
    """
    return tuple(_parts(settings))


def _parts(settings: RelaxationSettings) -> Iterator[NamedPart]:
    lines: list[tuple[str, Registry[Any], PartDeclaration]] = [
        ("partial", PARTIALS, settings.partial),
        ("alternation", ALTERNATIONS, settings.alternation),
        ("discretisation", DISCRETISATIONS, settings.discretisation),
    ]
    lines += [(f"regularisers.{n}", REGULARISERS, x) for n, x in enumerate(settings.regularisers)]
    lines += [(f"rules.{n}", TRAINING_RULES, x) for n, x in enumerate(settings.rules)]
    for key, registry, line in lines:
        part = make_part(registry, line, f"{SECTION}.{key}")
        yield NamedPart(key, registry.kind, name_of(line), part)
    kind = GATE_SAMPLERS.kind
    gates = settings.gates
    options = make_sampler(gates.options, "options")
    yield NamedPart("gates.options", kind, name_of(gates.options), options)
    edges = make_sampler(gates.edges, "edges")
    yield NamedPart("gates.edges", kind, name_of(gates.edges), edges)


def name_of(line: PartDeclaration) -> str:
    """Return the registered name in a config line."""
    return line if isinstance(line, str) else str(line["name"])


def check_fit(
    settings: RelaxationSettings, space: AbstractSpace, input_shape: Shape = REFERENCE_SHAPE
) -> None:
    """Check that a relaxation says something about a space.

    Args:
        settings: The relaxation.
        space: The space.
        input_shape: `(channels, height, width)` of an image.

    Raises:
        ConfigError: If the preset or a part does not fit; it names both, why, and the way out.
        NotFoundError: If a name is unknown.
    """
    parts = check_parts(settings)
    fitting = Fitting(space, settings, input_shape)
    if settings.preset is not None and not fitting.relaxed:
        raise ConfigError(
            f"The relaxation preset '{settings.preset}' does not fit the space '{space.name}'.",
            where=f"{SECTION}.preset",
            why="Every choice of the space is answered whole; nothing is left continuous.",
            fix="Offer edges, merges or (with relaxation.operations=mixed) operations to choose "
            "from, or leave the preset out.",
        )
    whole = fitting.whole_merge()
    if whole is not None:
        node, name = whole
        raise ConfigError(
            f"The space '{space.name}' cannot be relaxed: the node '{node}' may merge by {name}.",
            where=SECTION,
            why="What that computes depends on which edges are on, so there is no mixture of them.",
            fix=f"Use {MERGES.get(name).way_out} for this node, or set relaxation.enabled=false.",
        )
    for named in parts:
        misfit = _idle_sampler(named, fitting) or named.part.misfit(fitting)
        if misfit is not None:
            raise _refused(settings, named, space.name, misfit)


def _idle_sampler(named: NamedPart, fitting: Fitting) -> Misfit | None:
    """Refuse a gate sampler that is no default and would have no choice to sample."""
    usual = GatesConfig()
    if named.key == "gates.options" and named.name != usual.options and not fitting.options:
        return Misfit(
            "no choice among merges, parents or mixed operations is left open",
            "Offer several, set relaxation.operations=mixed, or take another preset or sampler.",
        )
    if named.key == "gates.edges" and named.name != usual.edges and not fitting.subsets:
        return Misfit(
            "no set of edges is left open",
            "Offer the pattern 'free' or cross_stage_edges 'choice', or take another preset or "
            "sampler.",
        )
    return None


def _refused(
    settings: RelaxationSettings, named: NamedPart, space: str, misfit: Misfit
) -> ConfigError:
    who = f"The {named.kind} '{named.name}'"
    key = named.key
    if settings.preset is not None:
        who = f"The relaxation preset '{settings.preset}' ({named.kind} '{named.name}')"
        key = "preset"
    return ConfigError(
        f"{who} does not fit the space '{space}'.",
        where=f"{SECTION}.{key}",
        why=f"{misfit.why[0].upper()}{misfit.why[1:]}.",
        fix=misfit.fix,
    )

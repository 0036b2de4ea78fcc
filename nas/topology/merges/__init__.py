"""How a node combines its inputs, as data: one file per family, registered by name.

The *linear* merges are `scale * sum_e M_e x_e`, with `M_e` the identity, a learned scalar, or a
learned 1x1 projection (a slice of the convolution behind a concatenation). That one form is what
the supernet relaxes. All others are run by the module that `nas.model.merges` registers under the
same name, and a choice among them is sampled whole. Parameters and multiply-adds follow from the
declared `MergeParameter`s for all of them. A merge of one input is the identity for every rule
here, so that a node with a single edge means the same under each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, final

from nas.errors import ConfigError, NotFoundError
from nas.registry import Paper, Parameter, Registry, complete_parameters, read_written
from nas.topology.merges.parameters import Applied, MergeParameter, Shape, Share, Size, Start

__all__ = [
    "MERGES",
    "SCALE_POWER",
    "Applied",
    "EdgeWeight",
    "Merge",
    "MergeParameter",
    "Roles",
    "Share",
    "Size",
    "Start",
    "merge",
    "merge_family",
]

EdgeWeight = Literal["identity", "scalar", "projection", "stacked", "pairwise", "module"]
Roles = Literal["alike", "newest", "residual", "order", "mask"]
"""What tells the inputs of a merge apart. `alike`: nothing; `newest`: the newest one; `residual`:
the newest (a branch's output), the next (its skip) and all older ones; `order`: every place;
`mask`: masks and trunks, by ports."""

_DECLARED: dict[str, tuple[MergeParameter, ...]] = {
    "scalar": (MergeParameter("weights", start="ones"),),
    "projection": (
        MergeParameter("slices", ("channels", "channels"), "input", "kernel", "position"),
    ),
}


@final
@dataclass(frozen=True)
class Merge:
    """A merge rule.

    Args:
        name: Registered name, with its numbers in brackets where they are not the defaults.
        weight: What each input is multiplied with: `identity` (nothing), `scalar` (one learned
            number), `projection` (a learned C x C matrix: concatenation followed by a 1x1
            convolution, written as a sum of slices), `stacked` (plain concatenation: channels
            add up and nothing is learned), `pairwise` (nested means of two, oldest first), or
            `module` (whatever the module of this name computes).
        default_scale: The factor used where a node says `auto`: `none`, `rsqrt` or `mean`.
        fixed_scale: True if a node cannot choose another one (the mean is a mean).
        parameters: What a `module` learns; the other weights declare it themselves.
        roles: What tells its inputs apart, for ids and modules.
        sum_below: With fewer live inputs it is the plain sum.
        by_channel: Whether, in a `module`, a channel of zeros is as good as none, so that elastic
            width may leave channels out.
        formula: What it computes, in plain text, for people; `x_e` are the inputs.
    """

    name: str
    weight: EdgeWeight = "identity"
    default_scale: str = "none"
    fixed_scale: bool = False
    parameters: tuple[MergeParameter, ...] = ()
    roles: Roles = "alike"
    sum_below: int = 0
    by_channel: bool = False
    formula: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.parameters and self.weight != "module":
            raise ConfigError(
                f"The merge '{self.name}' declares parameters, but its weight is '{self.weight}'.",
                why="Only a merge of weight 'module' has parameters of its own.",
                fix="Leave the parameters out, or use the weight 'module'.",
            )
        object.__setattr__(self, "parameters", _DECLARED.get(self.weight, self.parameters))

    @property
    def linear(self) -> bool:
        """Whether it is `factor * sum_e M_e x_e`, the form that is relaxed."""
        return self.weight in ("identity", "scalar", "projection")

    @property
    def way_out(self) -> str:
        """Name the relaxed merge that is nearest to one that is not, for messages."""
        return "'concat'" if self.weight == "stacked" else "'sum', 'mean', 'concat' or 'weighted'"

    @property
    def family(self) -> str:
        """The name without numbers: members of a family share weights by leading slices."""
        return self.name.partition("(")[0]

    @property
    def text(self) -> str:
        """What it computes, for ids: merges of one text are one merge."""
        return self.name if self.weight == "module" else self.weight

    def resolve_scale(self, scale: str) -> str:
        """Return the scale in force for a node that asks for `scale`."""
        return self.default_scale if scale == "auto" or self.fixed_scale else scale

    def at(self, degree: int) -> Merge:
        """Return the merge in force at so many live inputs."""
        return MERGES.get("sum") if degree < self.sum_below else self

    def count(self, channels: int, degree: int) -> int:
        """Return the trainable numbers of a merge of `degree` live inputs."""
        if degree < 2:
            return 0
        return sum(parameter.numbers(channels, degree) for parameter in self.parameters)

    def macs(self, merged: Shape, degree: int) -> int:
        """Return the multiply-adds of a merge of `degree` live inputs on one image."""
        if degree < 2:
            return 0
        return sum(parameter.macs(merged, degree) for parameter in self.parameters)

    def input_roles(self, ports: Sequence[str]) -> tuple[str, ...]:
        """Return what each live input is to this merge; inputs of one role are alike.

        Args:
            ports: Ports of the edges, oldest source first.
        """
        last = len(ports) - 1
        if self.roles == "order":
            return tuple(str(place) for place in range(last + 1))
        if self.roles == "mask":
            return _mask_roles(ports)
        if self.roles == "newest":
            return tuple("newest" if place == last else "" for place in range(last + 1))
        if self.roles == "residual":
            named = {last: "branch", last - 1: "skip"}
            return tuple(named.get(place, "") for place in range(last + 1))
        return ("",) * len(ports)


def _mask_roles(ports: Sequence[str]) -> tuple[str, ...]:
    """Without a port `mask` all are masks but the main input: the newest, or the port `main`."""
    if "mask" in ports:
        return tuple("mask" if port == "mask" else "trunk" for port in ports)
    main = ports.index("main") if "main" in ports else len(ports) - 1
    return tuple("trunk" if place == main else "mask" for place in range(len(ports)))


SCALE_POWER = {"none": 0.0, "rsqrt": -0.5, "mean": -1.0}
"""Power of the in-degree d in the factor of each scale."""

Make = Callable[[Mapping[str, float]], Merge]
"""From an entry's numbers to its merge; the name is filled in by the registry."""


@final
class MergeRegistry(Registry[Merge]):
    """Merges by name; some take numbers in brackets, as in `laurel_lr(rank=8)`, spelt one way."""

    def __init__(self) -> None:
        super().__init__("merge", package=__name__)
        self._families: dict[str, tuple[Mapping[str, Parameter], Make]] = {}
        self._written: dict[str, Merge] = {}

    def add_family(
        self, name: str, parameters: Mapping[str, Parameter], make: Make, paper: Paper | None
    ) -> None:
        """File a merge with numbers, and itself with the default ones."""
        defaults = {key: parameter.default for key, parameter in parameters.items()}
        self.add(name, replace(make(defaults), name=name), paper)
        self._families[name] = (parameters, make)

    def get(self, name: str) -> Merge:
        """Return the merge called `name`.

        Raises:
            NotFoundError: If there is none; the message lists what there is.
            ConfigError: If a number in brackets is unknown or out of range.
        """
        if "(" not in name:
            return super().get(name)
        if name not in self._written:
            self._written[name] = self._read(name)
        return self._written[name]

    def _read(self, text: str) -> Merge:
        name, given = read_written(text)
        plain = super().get(name)
        parameters, make = self._families.get(name, ({}, lambda numbers: plain))
        numbers = complete_parameters(text, parameters, given)
        shown = [
            f"{key}={numbers[key]:g}"
            for key in parameters
            if numbers[key] != parameters[key].default
        ]
        written = f"{name}({','.join(shown)})" if shown else name
        if written != text:
            raise ConfigError(
                f"'{text}' is not how this merge is written.",
                why="Equal names are equal merges, so each has one spelling.",
                fix=f"Write '{written}'.",
            )
        made: Merge = make(numbers)
        return replace(made, name=written)

    def unknown(self, name: str) -> NotFoundError:
        """Build the error for a name, or for numbers in brackets, that are not here."""
        if "(" in name:
            try:
                self._read(name)
            except ConfigError as error:
                return NotFoundError(error.what, where=name, fix=error.fix)
            except NotFoundError:
                pass
        return super().unknown(name.partition("(")[0])

    def paper(self, name: str) -> Paper | None:
        """Return the source of the entry, if it has one."""
        self.get(name)
        return super().paper(name.partition("(")[0].strip())

    def parameters(self, name: str) -> Mapping[str, Parameter]:
        """Return the numbers an entry takes in brackets."""
        self.get(name)
        return self._families.get(name.partition("(")[0].strip(), ({}, None))[0]

    def __contains__(self, name: object) -> bool:
        """Tell whether `get` knows the name; one with impossible numbers is not known."""
        if not isinstance(name, str) or "(" not in name:
            return super().__contains__(name)
        try:
            self.get(name)
        except (ConfigError, NotFoundError):
            return False
        return True


MERGES = MergeRegistry()


def merge(entry: Merge, paper: Paper | None = None) -> Merge:
    """Register and return a merge.

    Raises:
        ConfigError: If the name is taken.
    """
    MERGES.add(entry.name, entry, paper)
    return entry


def merge_family(
    name: str, paper: Paper | None = None, **parameters: Parameter
) -> Callable[[Make], Make]:
    """Register the decorated function as the maker of a merge with numbers in brackets.

    Raises:
        ConfigError: If the name is taken.
    """

    def decorate(make: Make) -> Make:
        MERGES.add_family(name, parameters, make, paper)
        return make

    return decorate

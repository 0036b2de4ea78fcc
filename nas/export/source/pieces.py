"""What a written network is made of: constructor calls, expressions, and the form of each module.

A form says how a person would write one module of `nas.model`: as a constructor, or as a few signs
within an expression (`F.relu(x1 + x2)`). Forms are registered by the class of the module, one
function each; a module without one cannot be exported, and a contract test names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union, final

from torch import Tensor, nn

from nas.errors import NotFoundError

Value = Union[int, float, bool, str, tuple[int, ...], "Call", "Raw"]

ATOM, PRODUCT, SUM = 3, 2, 1
"""How strongly the parts of an expression hold together."""


@final
@dataclass(frozen=True)
class Raw:
    """Text that is written as it is, such as the name of a parameter."""

    text: str


@final
@dataclass(frozen=True)
class Argument:
    """An argument of a call.

    Args:
        value: What is given.
        keyword: Its name where it is written; empty for an argument by position.
        role: What a person would call it where it differs between calls.
        default: It is left out where it has this value.
    """

    value: Value
    keyword: str = ""
    role: str = ""
    default: Value | None = None


@final
@dataclass(frozen=True)
class Call:
    """A constructor, or a function that makes a module, with its arguments."""

    name: str
    arguments: tuple[Argument, ...] = ()


@final
@dataclass(frozen=True)
class Term:
    """A piece of an expression, and how strongly its parts hold together."""

    text: str
    binding: int = ATOM

    def held(self, binding: int) -> str:
        """Return the text, in brackets where its parts hold together less than this."""
        return self.text if self.binding >= binding else f"({self.text})"


@final
@dataclass(frozen=True)
class Stored:
    """A tensor of a module.

    Args:
        name: Path below the module's attribute; empty for a parameter that is the attribute.
        tensor: Its numbers.
        source: What it was made from: modules with equal sources share it. None for running
            statistics, which are never shared.
    """

    name: str
    tensor: Tensor
    source: tuple[int, ...] | None


Writer = Callable[[str, Sequence[Term]], Term]
"""From the module's attribute (`self.op3`) and its inputs to an expression."""


def applied(attribute: str, inputs: Sequence[Term]) -> Term:
    """Return the call of a module."""
    return Term(f"{attribute}({', '.join(term.text for term in inputs)})")


@final
@dataclass(frozen=True)
class Form:
    """How one module is written.

    Args:
        label: What a person would call it: `conv`, `relu`, `project`.
        call: Its constructor; None where it has none.
        write: Its use within an expression.
        inline: Whether `write` does without the constructor, where it stands alone.
        tensors: What it stores.
    """

    label: str
    call: Call | None = None
    write: Writer = applied
    inline: bool = False
    tensors: tuple[Stored, ...] = ()

    @property
    def has_attribute(self) -> bool:
        """Whether its owner has an attribute for it."""
        return self.call is not None and not self.inline


ModuleType = TypeVar("ModuleType", bound=nn.Module)
FORMS: dict[type[nn.Module], Callable[..., Form]] = {}


def source_form(
    module_class: type[ModuleType],
) -> Callable[[Callable[[ModuleType], Form]], Callable[[ModuleType], Form]]:
    """Register the decorated function as what writes modules of exactly this class."""

    def decorate(write: Callable[[ModuleType], Form]) -> Callable[[ModuleType], Form]:
        FORMS[module_class] = write
        return write

    return decorate


def form_of(module: nn.Module) -> Form:
    """Return how a module is written.

    Raises:
        NotFoundError: If nobody said how.
    """
    write = FORMS.get(type(module))
    if write is None:
        known = ", ".join(sorted(entry.__name__ for entry in FORMS))
        raise NotFoundError(
            f"No source form is known for the module '{type(module).__name__}'.",
            fix=f"Register one with nas.export.source.source_form. Known modules: {known}.",
        )
    return write(module)


def own_tensors(module: nn.Module, prefix: str = "") -> tuple[Stored, ...]:
    """Return all tensors of a module under their own names, those that may be shared first."""
    parameters = module.named_parameters(prefix, remove_duplicate=False)
    buffers = module.named_buffers(prefix, remove_duplicate=False)
    return (
        *(Stored(name, tensor.detach(), (id(tensor),)) for name, tensor in parameters),
        *(Stored(name, tensor, None) for name, tensor in buffers),
    )


def simple_call(name: str, *arguments: Value, **keywords: Value) -> Call:
    """Return a call whose arguments have neither roles nor defaults."""
    return Call(
        name,
        (
            *(Argument(value) for value in arguments),
            *(Argument(value, keyword=key) for key, value in keywords.items()),
        ),
    )


def in_a_row(forms: Sequence[Form]) -> Form:
    """Return the form of modules that run one after the other."""
    if len(forms) == 1:
        return forms[0]
    calls = [form.call for form in forms]
    tensors = tuple(
        Stored(f"{number}.{stored.name}", stored.tensor, stored.source)
        for number, form in enumerate(forms)
        for stored in form.tensors
    )
    return Form(
        "_".join(form.label for form in forms),
        Call("nn.Sequential", tuple(Argument(call) for call in calls if call is not None)),
        tensors=tensors,
    )


@final
@dataclass
class Parts:
    """Classes and functions that exported files carry word for word, by name."""

    known: dict[str, Any] = field(default_factory=dict)

    def add(self, entry: Any) -> None:
        """Keep one."""
        self.known[entry.__name__] = entry

    def needed(self, names: Iterable[str], reads: Mapping[str, frozenset[str]]) -> list[str]:
        """Return the parts that a file with these words needs, in order of registration."""
        waiting, found = list(names), set[str]()
        while waiting:
            name = waiting.pop()
            if name in self.known and name not in found:
                found.add(name)
                waiting.extend(reads[name])
        return [name for name in self.known if name in found]


PARTS = Parts()
EntryType = TypeVar("EntryType")


def part(entry: EntryType) -> EntryType:
    """Let the decorated class or function stand in every exported file that names it.

    Its source may name torch, `F`, `nn`, `Tensor`, `math` and other parts, and nothing else.
    """
    PARTS.add(entry)
    return entry

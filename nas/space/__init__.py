"""Search spaces: named choices over architectures, declared in YAML, without torch."""

from nas.space.base import AbstractSpace
from nas.space.choices import Choice, Decisions, OneOf, Option, SubsetOf
from nas.space.declared import load_space, space_from_dict, space_names

__all__ = [
    "AbstractSpace",
    "Choice",
    "Decisions",
    "OneOf",
    "Option",
    "SubsetOf",
    "load_space",
    "space_from_dict",
    "space_names",
]

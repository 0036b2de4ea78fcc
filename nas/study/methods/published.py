"""A published network, fitted to the size by its depth and width."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from nas.model.published import PUBLISHED, build_published_text, published_options_like
from nas.space import AbstractSpace
from nas.study.methods.base import METHODS, AbstractMethod, Choice, MethodContext, MethodOptions
from nas.topology.published import build_published, parse_published

if TYPE_CHECKING:
    from nas.study.session import StudySession


@final
class PublishedOptions(MethodOptions):
    """Options of `published`."""

    name: str
    """`resnet-cifar`, ...; without a size to meet also with options: `resnet-cifar:depth=20`."""


@METHODS.register("published")
@final
class PublishedMethod(AbstractMethod):
    """A published network of the size of the study; it is no member of the space."""

    kind = "published"
    Options: ClassVar[type[MethodOptions]] = PublishedOptions

    @property
    def own_label(self) -> str:
        """The network's name."""
        return f"published {self.options.name}"

    def check(self, space: AbstractSpace) -> None:
        """Refuse a name that is none."""
        PUBLISHED.get(parse_published(self.options.name)[0])

    def choose(self, context: MethodContext, session: StudySession) -> Choice:
        """Return the member of the family that comes nearest to the size."""
        return self.preview(context)

    def preview(self, context: MethodContext) -> Choice:
        """Return what `choose` does: nothing is trained for it."""
        seeds = context.config.seeds
        if context.target is None:
            return Choice.same(build_published_text(self.options.name), seeds)
        family = parse_published(self.options.name)[0]
        options = published_options_like(
            family, context.input_shape, context.num_classes, context.target.macs
        )
        note = ", ".join(f"{key}={value}" for key, value in options.items())
        return Choice.same(build_published(family, **options), seeds, note)

"""Steps made ready for nodes: without what nobody reads, sums joined, every edge possible.

An edge says which value it reads, which part of it and times what, and two edges that say the same
are one. So a merge that reads something twice, or in another order than that of the values, gets
copies, and a product with learned numbers that is read twice is computed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import final

from nas.model.importing.values import Step, Steps, Term, refused

Numbered = dict[int, Step]
"""Steps by number, in the order of their numbers."""


def _alive(every: list[Step], last: int) -> Numbered:
    wanted = {0, last}
    for number in range(last, 0, -1):
        if number in wanted:
            wanted |= {term.value for term in every[number].terms}
    return {number: every[number] for number in sorted(wanted)}


def uses(every: Numbered, last: int) -> Counter[int]:
    """Return how often each value is read; the last one is read by the head."""
    readers = Counter(term.value for step in every.values() for term in step.terms)
    readers[last] += 1
    return readers


def _flattened(every: Numbered, last: int) -> Numbered:
    """Merge sums that only feed another sum into it, and add up equal terms."""
    readers, found = uses(every, last), dict(every)
    for number, step in every.items():
        if step.merge != "sum" or step.layer is not None or len(step.terms) < 2:
            continue
        terms: list[Term] = []
        for term in step.terms:
            inner = found.get(term.value)
            if inner is not None and _is_inner_sum(inner, term, step) and readers[term.value] == 1:
                terms += inner.terms
                del found[term.value]
            else:
                terms.append(term)
        found[number] = replace(step, terms=_added(terms))
    return found


def _is_inner_sum(inner: Step, term: Term, outer: Step) -> bool:
    plain_sum = inner.merge == "sum" and inner.layer is None and len(inner.terms) > 1
    return plain_sum and term.plain and inner.shape == outer.shape


def _added(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Add the factors of equal terms up."""
    steps, found = Steps(), dict[tuple[object, ...], Term]()
    for term in terms:
        key = (term.value, term.part, term.transform, id(term.numbers))
        if key in found and not term.gain.learned:
            factor = found[key].gain.value + term.gain.value
            unscaled = steps.scaled(found[key], 1.0 / (found[key].gain.value or 1.0), "")
            term = steps.scaled(unscaled, factor, "")
        found[key] = term
    return tuple(found.values())


def prepared(every: list[Step], last: int) -> Numbered:
    """Return the steps that `last` depends on, numbered from 0 to the last one.

    Raises:
        ArchitectureError: If one set of learned numbers multiplies two tensors.
    """
    joined = _flattened(_alive(every, last), last)
    renumbering = _Renumbering(joined)
    for number, step in joined.items():
        renumbering.take(number, step)
    return renumbering.found


@final
class _Renumbering:
    def __init__(self, every: Numbered) -> None:
        self.found: Numbered = {}
        self.number: dict[int, int] = {}
        self.products: dict[int, tuple[Term, Term]] = {}
        """By parameter: what it multiplies, and the product."""
        terms = (term for step in every.values() for term in step.terms)
        self.readers = Counter(id(term.parameter) for term in terms)

    def put(self, step: Step) -> Term:
        self.found[len(self.found)] = step
        return Term(len(self.found) - 1, step.shape)

    def take(self, number: int, step: Step) -> None:
        terms: list[Term] = []
        for term in step.terms:
            read = replace(term, value=self.number[term.value])
            if term.numbers is not None and self.readers[id(term.parameter)] > 1:
                read = self.product(read, step.place)
            late = step.merge != "sum" and terms and read.value <= terms[-1].value
            if late or _carried(read) in map(_carried, terms):
                read = self.copied(read, step.place)
            terms.append(read)
        self.number[number] = self.put(replace(step, terms=tuple(terms))).value

    def copied(self, term: Term, place: str) -> Term:
        """Return the term on a copy of what it reads."""
        shape = self.found[term.value].shape
        copy = self.put(Step((Term(term.value, shape),), shape, place))
        return replace(term, value=copy.value)

    def product(self, term: Term, place: str) -> Term:
        """Return a learned product as a value of its own, the same for all who read it."""
        bare = replace(term, numbers=None)
        if id(term.parameter) not in self.products:
            made = self.put(Step((term,), term.shape, place))
            self.products[id(term.parameter)] = (bare, made)
        known, made = self.products[id(term.parameter)]
        if known != bare:
            raise refused(
                place, "multiplies a second tensor by the same learned numbers", "Copy them."
            )
        return made


def _carried(term: Term) -> tuple[object, ...]:
    """Return what an edge says about a term: two equal edges are none."""
    return (term.value, term.part, term.transform, term.gain)

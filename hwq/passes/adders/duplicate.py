"""Whether a shared sum is worth its row: two readers may add up its terms for less, where a row of theirs has an operand free.

A row of three operands takes twice as much out of a sum as one of two. A shared sum of two terms takes a look-up table a bit, and each of
two readers half of one for each term that it gets instead; a reader with an even number of terms has a row of two, where one more is free.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hwq.ir.builder import Summand
from hwq.passes.adders.trees import Term, levels, tree

TRIED = 8_000  # terms of all trees that are tried: about half a second


@dataclass(frozen=True, slots=True)
class Sum:
    """What a wire adds up: terms, none of them a constant, and a constant."""

    parts: tuple[Summand, ...]
    constant: int

    @property
    def constants(self) -> int:
        """How many constants stand among its terms: one that is not zero, or a zero from which all the others are subtracted."""
        return int(self.constant != 0 or all(sign == -1 for _, _, sign in self.parts))

    def with_terms_of(self, wire: int, inner: Sum) -> Sum:
        """The sum with the terms of `inner` in the place of the wire that it is."""
        parts, constant = [p for p in self.parts if p[0] != wire], self.constant
        for _, up, sign in (p for p in self.parts if p[0] == wire):
            parts += [(w, u + up, s * sign) for w, u, s in inner.parts]
            constant += sign * (inner.constant << up)
        return Sum(tuple(sorted(parts)), constant)


@dataclass(slots=True)
class Duplication:
    """Takes shared sums apart while that saves look-up tables.

    Attributes:
        sums: by wire; those taken apart are removed.
        terms: the terms of a sum for `trees.tree`, with the rows before each.
        ready: when a sum can be there.
        fixed: wires that more than sums read.
    """

    sums: dict[int, Sum]
    terms: Callable[[Sum], list[Term]]
    ready: Callable[[Sum], int]
    fixed: Iterable[int]
    left: int = TRIED

    def run(self) -> None:
        """Narrow and early ones first; each that goes makes its readers longer, and its own terms shared by more."""
        readers: dict[int, list[int]] = defaultdict(list)
        for wire, found in self.sums.items():
            for term, _, _ in found.parts:
                readers[term].append(wire)
        kept = set(self.fixed)
        costs: dict[int, int] = {}
        for wire in sorted(self.sums):
            if wire in kept or len(readers[wire]) != 2:
                continue
            if self.left < 0:
                return
            changed = self._changed(wire, set(readers[wire]), costs)
            if changed is None:
                continue
            inner = self.sums.pop(wire)
            for term, _, _ in inner.parts:
                readers[term] = [r for r in readers[term] if r != wire] + readers[wire]
            for reader, (found, cost) in changed.items():
                self.sums[reader], costs[reader] = found, cost

    def _changed(self, wire: int, readers: set[int], costs: dict[int, int]) -> Mapping[int, tuple[Sum, int]] | None:
        """The readers with the wire's terms and their costs, where that is less in all and no reader gets deeper."""
        before = sum(self._cost(w, costs) for w in (wire, *readers))
        found, after = {}, 0
        for reader in sorted(readers):
            new = self.sums[reader].with_terms_of(wire, self.sums[wire])
            if self.ready(new) > self.ready(self.sums[reader]):
                return None
            cost = self._tree_cost(self.terms(new))
            found[reader], after = (new, cost), after + cost
        return found if after < before else None

    def _cost(self, wire: int, costs: dict[int, int]) -> int:
        if wire not in costs:
            costs[wire] = self._tree_cost(self.terms(self.sums[wire]))
        return costs[wire]

    def _tree_cost(self, terms: list[Term]) -> int:
        self.left -= len(terms)
        return tree(terms, levels([t.depth for t in terms])).cost if len(terms) > 1 else 0

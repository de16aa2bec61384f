"""A sum of many terms as a tree of rows that add up two or three: the cheapest that is found within a number of levels.

Every look-up table of a row takes at most two bits out of the sum: three come in, one goes on, beside the carries. What a tree takes in
all is thus half of the bits of its terms, less those of its result, and what its rows waste; so rows are chosen by what they waste. Three
orders are tried: the least waste first; of an even number of terms first the one row of two, then rows of three; rows of three to the end.

This is the specification of hls_templates/native/rows.cpp, which gives the same result.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwq.fixed.types import bits_for
from hwq.passes.adders import native
from hwq.passes.adders.problem import SAFE_BITS
from hwq.passes.adders.row import RowOperand, SumRow

MANY = 14  # terms among which groups are sought, the earliest and narrowest
WIDE_BITS = 124  # of a sum in the native code's numbers of 128 bits
DEEPEST = 36  # levels beyond which a limit is none
_ORDERS = 3
Members = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """Bounds of a term as they stand in the sum, so multiples of 2^up, its sign, and the rows that come before it."""

    low: int
    high: int
    up: int
    sign: int
    depth: int

    @property
    def width(self) -> int:
        """Bits from place `up` on."""
        return bits_for(self.low >> self.up, self.high >> self.up)


@dataclass(frozen=True, slots=True)
class Tree:
    """Rows in order: the numbers of the two or three terms that each adds up, its own number being that of the terms plus its place.

    Attributes:
        cost: in half look-up tables.
    """

    rows: tuple[Members, ...]
    cost: int


def joined(terms: Sequence[Term]) -> Term:
    """The sum of a row's terms: negative where all of them are, else positive."""
    sign = 1 if any(t.sign == 1 for t in terms) else -1
    low = sum(t.low if t.sign == sign else -t.high for t in terms)
    high = sum(t.high if t.sign == sign else -t.low for t in terms)
    return Term(low, high, min(t.up for t in terms), sign, max(t.depth for t in terms) + 1)


def row_from(terms: Sequence[Term]) -> SumRow:
    """The row that adds them up, as wide as their bounds need."""
    out = joined(terms)
    operands = (RowOperand(t.low >> t.up, t.high >> t.up, t.up - out.up, 1 if t.sign == out.sign else -1) for t in terms)
    return SumRow(tuple(operands), out.width)


def levels(depths: Sequence[int], arity: int = 3) -> int:
    """The fewest levels of rows that add up terms with `depths` rows before them."""
    total, level = sum(arity ** min(d, DEEPEST + 1) for d in depths), 0
    while arity**level < total:
        level += 1
    return level


def tree(terms: Sequence[Term], limit: int, arity: int = 3) -> Tree:
    """The rows of a sum of at least two terms, the last of them the sum itself.

    Args:
        limit: levels of rows, with those before the terms; at least `levels` of them.
        arity: terms that a row adds up, at most: 2 or 3.
    """
    widest = max(max(-t.low, t.high).bit_length() for t in terms) + len(terms).bit_length()
    loaded = native.library("rows") if widest < WIDE_BITS else None
    if loaded is not None:
        return _native(loaded, terms, limit, arity, wide=widest >= SAFE_BITS)
    found = [_Building(list(terms), limit, arity).build(order) for order in range(_ORDERS if arity == 3 and len(terms) > 3 else 1)]
    best, _ = min(found, key=lambda one: (one[0].cost, one[1]))
    return best


def _native(loaded: ctypes.CDLL, terms: Sequence[Term], limit: int, arity: int, *, wide: bool) -> Tree:
    count = len(terms)
    low, high = (
        _words(ends) if wide else (ctypes.c_int64 * count)(*ends) for ends in ([t.low for t in terms], [t.high for t in terms])
    )
    given = (ctypes.c_int32 * (3 * count))(*itertools.chain.from_iterable((t.up, t.sign, t.depth) for t in terms))
    rows, cost = (ctypes.c_int32 * (3 * count))(), ctypes.c_int64()
    function = loaded.hwq_rows_tree_wide if wide else loaded.hwq_rows_tree
    made = function(count, low, high, given, min(limit, DEEPEST), arity, rows, ctypes.byref(cost))
    if made < 0:
        raise MemoryError("the search for rows ran out of memory")
    listed = np.ctypeslib.as_array(rows)[: 3 * made].reshape(-1, 3).tolist()
    return Tree(tuple(tuple(member for member in row if member >= 0) for row in listed), cost.value)


def _words(numbers: Sequence[int]) -> ctypes.Array[ctypes.c_uint64]:
    """Numbers of 128 bits as two words each, the lower first."""
    words = [word & (1 << 64) - 1 for number in numbers for word in (number, number >> 64)]
    return (ctypes.c_uint64 * len(words))(*words)


def _weight(depth: int) -> int:
    return int(3 ** min(depth, DEEPEST + 1))


Joining = tuple[int, int, int, tuple[int, int, int], int]  # waste, depth before it, width, places of the members (-1: none), cost


class _Building:
    """A tree while it is built: the terms that are left, with their numbers."""

    def __init__(self, terms: list[Term], limit: int, arity: int) -> None:
        self.terms, self.numbers, self.arity = terms, list(range(len(terms))), arity
        self.limit, self.room = _weight(min(limit, DEEPEST)), sum(_weight(t.depth) for t in terms)
        self.next = len(terms)

    def build(self, order: int) -> tuple[Tree, int]:
        """The tree, and its depth.

        Args:
            order: 0 the least waste; 1 an even number of terms starts with the best pair, then threes; 2 threes as long as there are.
        """
        pair, rows, cost = order == 1 and len(self.terms) % 2 == 0, [], 0
        while len(self.terms) > 1:
            two, three = self.arity == 2 or order == 0 or pair, self.arity == 3 and not pair
            best = (
                self._choose(two, three)
                or self._choose(True, self.arity == 3)
                or self._choose(True, self.arity == 3, bounded=False)
            )
            if best is None:  # of two terms a pair is left when nothing bounds it
                break
            pair, places = False, [place for place in best[3] if place >= 0]
            self.room += self._growth(places)
            rows.append(tuple(self.numbers[place] for place in places))
            cost += best[4]
            self.terms[places[0]], self.numbers[places[0]] = joined([self.terms[place] for place in places]), self.next
            self.next += 1
            for place in reversed(places[1:]):
                del self.terms[place], self.numbers[place]
        return Tree(tuple(rows), cost), self.terms[0].depth

    def _choose(self, two: bool, three: bool, *, bounded: bool = True) -> Joining | None:
        def rank(place: int) -> tuple[int, int, int]:
            term = self.terms[place]
            return term.depth, bits_for(term.low, term.high), place

        order = sorted(sorted(range(len(self.terms)), key=rank)[:MANY])
        sizes = ((2, two), (3, three))
        groups = (group for size, wanted in sizes if wanted for group in itertools.combinations(order, size))
        return min((self._judge(g) for g in groups if not bounded or self.room + self._growth(g) <= self.limit), default=None)

    def _growth(self, places: Sequence[int]) -> int:
        depths = [self.terms[place].depth for place in places]
        return _weight(max(depths) + 1) - sum(map(_weight, depths))

    def _judge(self, places: Sequence[int]) -> Joining:
        terms = [self.terms[place] for place in places]
        row, depth = row_from(terms), max(t.depth for t in terms)
        dots = sum(t.width for t in terms if t.low != t.high)
        member = (places[0], places[1], places[2] if len(places) == 3 else -1)
        return row.cost - (dots - row.width), depth, row.width, member, row.cost
